//! Network namespaces for tests: each a thread of its own, without a name, gone when the thread ends.

use std::{
    io::Write as _,
    process::Command,
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
};

/// Whether the privileges for the kernel's part are there. When they are not: says so, and fails under `CI=true`.
pub fn privileged() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or("0");
    let effective = u64::from_str_radix(effective.trim(), 16).unwrap_or(0);
    let missing: Vec<_> = [("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21), ("CAP_BPF", 39)]
        .into_iter()
        .filter(|(_, bit)| effective & (1 << bit) == 0)
        .map(|(name, _)| name)
        .collect();
    if missing.is_empty() {
        return true;
    }
    let word = format!("SKIPPED: the kernel's part needs {}, run the tests as root", missing.join(", "));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{word}");
    say(&word);
    false
}

/// Says why a test is skipped where it is read: what a test that passes prints with `eprintln` is caught by the harness.
pub fn say(word: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    // There is nobody to tell that standard error is closed.
    let _ = writeln!(std::io::stderr(), "{test}: {word}");
}

/// A network namespace with its loopback up, and a thread that lives in it.
pub struct Namespace {
    jobs: Option<Sender<Job>>,
    path: String,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

#[allow(dead_code, reason = "not every test needs all of it")]
impl Namespace {
    pub fn new() -> Namespace {
        let (jobs, inbox): (Sender<Job>, Receiver<Job>) = channel();
        let (tell, told) = channel();
        let thread = thread::spawn(move || {
            // SAFETY: unshare has no memory arguments; it changes this thread alone.
            assert_eq!(
                unsafe { libc::unshare(libc::CLONE_NEWNET) },
                0,
                "{}",
                std::io::Error::last_os_error()
            );
            // SAFETY: gettid has no arguments.
            let thread = unsafe { libc::gettid() };
            tell.send(format!("/proc/{}/task/{thread}/ns/net", std::process::id())).unwrap();
            for job in inbox {
                job();
            }
        });
        let namespace = Namespace { jobs: Some(jobs), path: told.recv().unwrap(), thread: Some(thread) };
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs `work` on the namespace's thread and returns what it returns; a panic there is a panic here.
    pub fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        let (tell, told) = channel();
        let job = move || {
            let _ = tell.send(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)));
        };
        self.jobs.as_ref().unwrap().send(Box::new(job)).unwrap();
        told.recv().unwrap().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs `ip ARGUMENTS` in the namespace.
    pub fn ip(&self, arguments: &str) {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_string).collect();
        self.run(move || {
            let output = Command::new("ip").args(&arguments).output().expect("ip(8) is installed");
            assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        });
    }

    /// Gives the loopback an address.
    pub fn address(&self, interface: &str, address: &str) {
        let nodad = if address.contains(':') { "nodad" } else { "" };
        self.ip(&format!("address add {address} dev {interface} {nodad}"));
    }

    /// Lays a virtual cable to `other`: `near` here, `far` there, both up.
    pub fn cable(&self, near: &str, other: &Namespace, far: &str) {
        self.ip(&format!("link add {near} type veth peer name {far} netns {}", other.path));
        self.ip(&format!("link set {near} up"));
        other.ip(&format!("link set {far} up"));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
