//! One plain server: `quorate serve` over a Corefile and files of the test's, without a cluster.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::clients::python;
use crate::program::{Process, eventually, quorate, stderr};

/// A server; it is killed when this is dropped.
pub struct Server {
    /// The process.
    pub process: Process,
    folder: TempDir,
}

impl Server {
    /// Starts the Corefile in `folder`, the folder of the process, and waits for nothing.
    ///
    /// Panics: when the program does not start.
    pub fn launch(folder: TempDir) -> Server {
        let file = |name: &str| fs::File::create(folder.path().join(name)).expect("files can be written");
        let child = Command::new(quorate())
            .args(["serve", "-c", "Corefile"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("the program starts");
        Server { process: Process(child), folder }
    }

    /// Starts `corefile` in a folder that holds `files` and the certificate of `make_certificate`, and waits until it listens.
    ///
    /// Panics: when it does not get there.
    pub fn start(corefile: &str, files: &[(&str, &str)]) -> Server {
        let folder = TempDir::new().expect("a temporary folder");
        make_certificate(folder.path());
        for (name, text) in files.iter().chain([&("Corefile", corefile)]) {
            fs::write(folder.path().join(name), text).expect("files can be written");
        }
        let mut server = Server::launch(folder);
        server.listening().unwrap_or_else(|said| panic!("the server ended: {said}"));
        server
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        self.said("stderr")
    }

    fn said(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Waits until all sockets are open, which is when their addresses are printed; what it said when it ended instead.
    ///
    /// Panics: when it does neither.
    pub fn listening(&mut self) -> Result<(), String> {
        eventually("the server to listen", WAIT, || {
            if self.process.0.try_wait().expect("the child is ours").is_some() {
                return Some(Err(self.stderr()));
            }
            self.said("stdout").contains("listening ").then_some(Ok(()))
        })
    }

    /// Waits until it has ended: its exit code, or `None` when it has none or still runs.
    pub fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + WAIT;
        loop {
            if let Some(status) = self.process.0.try_wait().expect("the child is ours") {
                return status.code();
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Asks it to end, and waits as `end` does.
    pub fn stop(&mut self) -> Option<i32> {
        self.process.signal(libc::SIGTERM);
        self.end()
    }
}

/// Writes `cert.pem` and `key.pem`, a self-signed certificate for 127.0.0.1, into `folder`.
///
/// Panics: when the environment is not there; `tests/run` makes it.
pub fn make_certificate(folder: &Path) {
    let made = python("behave.py", &[folder.to_str().expect("the path is UTF-8")]);
    assert!(made.status.success(), "{}", stderr(&made));
}

/// A port that nobody has, over UDP and TCP, and that this process has not given out before.
///
/// Below the ranges of clusters and of what the system takes for connections: between now and the server's start nobody takes it.
///
/// Panics: when there is none left.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() % u32::from(PORTS);
    for _ in 0..PORTS {
        let next = u32::from(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + ((start + next) % u32::from(PORTS)) as u16;
        // Servers listen on all addresses unless they are told otherwise.
        if UdpSocket::bind(("::", port)).is_ok() && TcpListener::bind(("::", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST_PORT} on");
}

const FIRST_PORT: u16 = 5500;
const PORTS: u16 = 4400;
/// How long a server may take to start or to stop; it competes for the machine with other tests.
const WAIT: Duration = Duration::from_secs(30);
