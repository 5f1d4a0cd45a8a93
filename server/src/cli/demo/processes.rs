//! The processes of the demo: started from this same program, ended with it whatever happens.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to end by itself.
const STOP_MAX: Duration = Duration::from_secs(3);

/// A `quorate serve` that this program started.
pub struct Server {
    /// What it is, for people: `replica 2`, `upstream`.
    pub label: String,
    child: Child,
}

impl Server {
    /// Starts `quorate serve` in `folder`, with its output in `quorate.log` there.
    pub fn start(label: &str, folder: &Path) -> io::Result<Server> {
        let log = File::create(folder.join("quorate.log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["serve", "-c", "Corefile"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C reaches the whole foreground group; the demo alone decides when its servers end.
            .process_group(0);
        // SAFETY: `prctl` is async-signal-safe and touches nothing of the parent's memory.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        Ok(Server { label: label.to_owned(), child: command.spawn()? })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }
}

/// Ends all servers: asks each, then insists.
pub fn stop(servers: &mut [Server]) {
    for server in servers.iter() {
        // SAFETY: plain system call on a child that has not been waited for.
        unsafe { libc::kill(server.child.id() as libc::pid_t, libc::SIGTERM) };
    }
    let deadline = Instant::now() + STOP_MAX;
    for server in servers {
        while server.child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        // It may be gone already; then there is nothing to kill.
        let _ = server.child.kill();
        let _ = server.child.wait();
    }
}
