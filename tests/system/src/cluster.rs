//! Live clusters: the demo as people start it, and clusters from `quorate cluster new` over an upstream of the test's.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::clients::dig;
use crate::program::{Process, eventually, quorate, run, stderr};

/// How long replicas may take to find each other; they compete for two cores with other tests.
pub const READY: Duration = Duration::from_secs(60);

/// The ports of a replica.
#[derive(Clone, Debug)]
pub struct Ports {
    /// DNS over UDP and TCP
    pub dns: u16,
    /// DNS over TLS
    pub tls: u16,
    /// DNS over QUIC
    pub quic: u16,
    /// DNS over HTTPS
    pub https: u16,
    /// Other replicas
    pub peer: u16,
    /// HTTP: metrics, health, readiness, the JSON API
    pub admin: u16,
}

/// A running `quorate demo`.
pub struct Demo {
    /// What it said when it was ready.
    pub facts: Value,
    process: Process,
    _dir: TempDir,
}

impl Demo {
    /// Starts the demo with `args` and waits until it is ready.
    ///
    /// Panics: when it does not get ready.
    pub fn start(args: &[&str]) -> Demo {
        let dir = TempDir::new().expect("a temporary folder");
        let folder = dir.path().join("demo");
        let mut child = Command::new(quorate())
            .args(["demo", "--json", "--base-port", "0", "--dir"])
            .arg(&folder)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let process = Process(child);
        BufReader::new(stdout).read_line(&mut line).expect("the demo says when it is ready");
        let facts = serde_json::from_str(&line).unwrap_or_else(|error| panic!("demo said `{line}`: {error}"));
        Demo { facts, process, _dir: dir }
    }

    /// The ports of replica `id`.
    pub fn ports(&self, id: usize) -> Ports {
        let replica = &self.facts["replicas"][id];
        let port = |kind: &str| replica[kind].as_u64().expect("a port") as u16;
        Ports {
            dns: port("dns"),
            tls: port("tls"),
            quic: port("quic"),
            https: port("https"),
            peer: port("peer"),
            admin: port("admin"),
        }
    }

    /// The process id of replica `id`.
    pub fn pid(&self, id: usize) -> libc::pid_t {
        self.facts["replicas"][id]["pid"].as_i64().expect("a process id") as libc::pid_t
    }

    /// The folder of replica `id`.
    pub fn dir(&self, id: usize) -> PathBuf {
        self.facts["replicas"][id]["dir"].as_str().expect("a path").into()
    }

    /// The cluster file.
    pub fn cluster_file(&self) -> String {
        self.facts["cluster"].as_str().expect("a path").to_owned()
    }

    /// Sends replica `id` a signal.
    pub fn signal(&self, id: usize, signal: libc::c_int) {
        // SAFETY: a plain system call.
        unsafe { libc::kill(self.pid(id), signal) };
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Asked to end, it ends what it started.
        self.process.signal(libc::SIGTERM);
        let _ = self.process.0.wait();
    }
}

/// A cluster from `quorate cluster new`, each replica a process of its own that the test starts and kills.
pub struct Cluster {
    /// Its folder.
    pub dir: PathBuf,
    /// The running processes; `None` where a replica is down.
    pub replicas: Vec<Option<Process>>,
    base_port: u16,
    _temporary: TempDir,
}

impl Cluster {
    /// Makes a cluster of `replicas` over `upstreams` and starts all of it.
    ///
    /// Panics: when it does not get ready.
    pub fn start(replicas: usize, upstreams: &[String]) -> Cluster {
        let mut cluster = Cluster::new(replicas, upstreams);
        (0..replicas).for_each(|id| cluster.start_replica(id));
        (0..replicas).for_each(|id| cluster.wait_until_ready(id));
        cluster
    }

    /// Makes the files of a cluster and starts nothing.
    pub fn new(replicas: usize, upstreams: &[String]) -> Cluster {
        let temporary = TempDir::new().expect("a temporary folder");
        let dir = temporary.path().join("cluster");
        let count = replicas.to_string();
        let mut args = vec!["cluster", "new", "--json", "--base-port", "0", "--replicas", &count];
        args.extend(["--dir", dir.to_str().expect("the path is UTF-8")]);
        upstreams.iter().for_each(|upstream| args.extend(["--upstream", upstream]));
        let made = run(&args);
        assert!(made.status.success(), "{}", stderr(&made));
        let facts: Value = serde_json::from_slice(&made.stdout).expect("the command prints JSON");
        let base_port = facts["replicas"][0]["dns"].as_u64().expect("a port") as u16;
        Cluster { dir, replicas: (0..replicas).map(|_| None).collect(), base_port, _temporary: temporary }
    }

    /// The folder of replica `id`.
    pub fn folder(&self, id: usize) -> PathBuf {
        self.dir.join(format!("replica-{id}"))
    }

    /// Starts replica `id`, its output appended to `quorate.log` in its folder.
    pub fn start_replica(&mut self, id: usize) {
        let folder = self.folder(id);
        let log = std::fs::File::options().create(true).append(true).open(folder.join("quorate.log"));
        let log = log.expect("the log can be written");
        let child = Command::new(quorate())
            .args(["serve", "-c", "Corefile"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log can be shared"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        self.replicas[id] = Some(Process(child));
    }

    /// Kills replica `id` as a power failure would.
    pub fn kill_replica(&mut self, id: usize) {
        self.replicas[id] = None;
    }

    /// What replica `id` has written to its log.
    pub fn log(&self, id: usize) -> String {
        std::fs::read_to_string(self.folder(id).join("quorate.log")).unwrap_or_default()
    }

    /// The DNS port of replica `id`.
    pub fn dns(&self, id: usize) -> u16 {
        self.base_port + id as u16
    }

    /// The peer port of replica `id`.
    pub fn peer(&self, id: usize) -> u16 {
        self.base_port + 4 * 32 + id as u16
    }

    /// The HTTP port of replica `id`.
    pub fn admin(&self, id: usize) -> u16 {
        self.base_port + 5 * 32 + id as u16
    }

    /// Waits until replica `id` votes and reaches a quorum.
    pub fn wait_until_ready(&self, id: usize) {
        eventually(&format!("replica {id} to be ready; log:\n{}", self.log(id)), READY, || {
            http_get(self.admin(id), "/ready").filter(|(status, _)| *status == 200)
        });
    }

    /// What replica `id` says about itself.
    pub fn status(&self, id: usize) -> Option<Value> {
        let (status, body) = http_get(self.admin(id), "/v1/status")?;
        (status == 200).then(|| serde_json::from_str(&body).expect("the status is JSON"))
    }

    /// Asks replica `id` for so many names that do not exist, one after the other, so that the log grows by as many slots.
    pub fn grow_log(&self, id: usize, slots: usize, label: &str) {
        for slot in 0..slots {
            let printed = dig(self.dns(id), &[&format!("{label}-{slot}.example.org"), "A"]);
            assert!(printed.contains("status: NXDOMAIN"), "{printed}");
        }
    }
}

/// `GET path` on the HTTP port of a replica: the status and the body, or `None` when nobody answers.
pub fn http_get(port: u16, path: &str) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, body.to_owned()))
}
