//! Behaviour cases: a Corefile, files, and questions with the answers that they must get, run against the program.
//!
//! This starts and ends servers; `behave.py` asks and compares. What a case may hold is written there. Ours and those of
//! CoreDNS have one format: one JSON object a line, with `@PORT@`, `@UP1@`, `@UP2@`, `@DEAD1@`, `@HTTP1@`, `@HTTP2@` for free
//! ports of loopback and `@DIR@` for the folder of the files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Process, eventually, quorate, root, run, stdout};

/// One line of a file of cases. The questions are `behave.py`'s to read.
#[derive(Deserialize)]
pub struct Case {
    /// What the case is called in reports.
    pub name: String,
    /// The plugins without which it cannot run.
    #[serde(default)]
    pub needs: Vec<String>,
    corefile: String,
    #[serde(default)]
    files: BTreeMap<String, String>,
    startup: Option<Startup>,
}

/// How the start must end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Startup {
    fails: bool,
    exit_code: i32,
    stderr_contains: String,
}

/// How an answer differs from what a case expects.
#[derive(Deserialize, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Name, type and transport of the question; path and `http`; or `server`.
    pub at: String,
    /// What of the answer differs.
    pub field: String,
    /// What the case says.
    pub expected: Value,
    /// What came.
    pub got: Value,
}

impl Difference {
    fn of_server(field: &str, expected: impl Into<Value>, got: impl Into<Value>) -> Difference {
        Difference { at: "server".into(), field: field.into(), expected: expected.into(), got: got.into() }
    }
}

/// The names of the plugins that the program has.
pub fn plugins() -> Vec<String> {
    let listed = stdout(&run(&["plugins"]));
    listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The lines of a file of cases with what each says of itself.
///
/// Panics: when a line is no case.
pub fn cases(text: &str) -> Vec<(Case, &str)> {
    text.lines()
        .map(|line| (serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")), line))
        .collect()
}

/// A running `behave.py`.
pub struct Asker {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    certificate: TempDir,
}

impl Asker {
    /// Starts the script.
    ///
    /// Panics: when the environment is not there; `tests/run` makes it.
    pub fn start() -> Asker {
        let certificate = TempDir::new().expect("a temporary folder");
        let mut child = Command::new(root().join("target/venv/bin/python"))
            .arg(root().join("tests/system/behave.py"))
            .arg(certificate.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("target/venv is there (tests/run makes it)");
        let input = child.stdin.take().expect("standard input is a pipe");
        let output = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let mut asker = Asker { process: Process(child), input, output, certificate };
        assert_eq!(asker.line(), "\n", "behave.py starts");
        asker
    }

    /// Runs the case in `line` on a server of its own: what differs from what it expects.
    ///
    /// Panics: when the server does not start, or `behave.py` ends.
    pub fn run(&mut self, line: &str) -> Vec<Difference> {
        let folder = TempDir::new().expect("a temporary folder");
        let ports = Ports::choose();
        let line = ports.fill(line).replace("@DIR@", folder.path().to_str().expect("the path is UTF-8"));
        let mut text: Value = serde_json::from_str(&line).expect("ports and paths keep JSON intact");
        let case: Case = serde_json::from_str(&line).expect("ports and paths keep a case a case");
        self.write(folder.path(), &case);
        let mut server = Server::start(folder.path());
        if let Some(startup) = &case.startup {
            return server.ended_as(startup);
        }
        server.wait_until_it_listens(&case.name);
        text["dir"] = json!(folder.path());
        text["main_port"] = json!(ports.main);
        text["pid"] = json!(server.process.0.id());
        writeln!(self.input, "{text}").expect("behave.py reads");
        let told = self.line();
        let mut found: Vec<Difference> = serde_json::from_str(&told)
            .unwrap_or_else(|error| panic!("{}: behave.py said `{told}`: {error}", case.name));
        found.extend(server.stop());
        found
    }

    fn write(&self, folder: &Path, case: &Case) {
        let write =
            |name: &str, text: &str| fs::write(folder.join(name), text).expect("files can be written");
        write("Corefile", &case.corefile);
        case.files.iter().for_each(|(name, text)| write(name, text));
        for name in ["cert.pem", "key.pem"] {
            fs::copy(self.certificate.path().join(name), folder.join(name)).expect("files can be copied");
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("behave.py writes text");
        if line.is_empty() {
            panic!("behave.py ended: {:?}", self.process.0.wait());
        }
        line
    }
}

/// `quorate serve` in the folder of a case.
struct Server<'a> {
    folder: &'a Path,
    process: Process,
}

impl<'a> Server<'a> {
    fn start(folder: &'a Path) -> Server<'a> {
        let file = |name: &str| fs::File::create(folder.join(name)).expect("files can be written");
        let child: Child = Command::new(quorate())
            .args(["serve", "-c", "Corefile"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("the program starts");
        Server { folder, process: Process(child) }
    }

    fn said(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// All sockets are open when the addresses are printed.
    fn wait_until_it_listens(&mut self, case: &str) {
        eventually(&format!("the server of {case} to listen"), WAIT, || {
            let ended = self.process.0.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "{case}: the server ended: {}", self.said("stderr"));
            self.said("stdout").contains("listening ").then_some(())
        });
    }

    fn end(&mut self) -> Option<ExitStatus> {
        let mut status = None;
        let deadline = std::time::Instant::now() + WAIT;
        while status.is_none() && std::time::Instant::now() < deadline {
            status = self.process.0.try_wait().expect("the child is ours");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        status
    }

    fn ended_as(&mut self, startup: &Startup) -> Vec<Difference> {
        assert!(startup.fails, "a start that succeeds needs no words");
        let code = self.end().and_then(|status| status.code());
        let said = self.said("stderr");
        let mut found = Vec::new();
        if code != Some(startup.exit_code) {
            found.push(Difference::of_server("exit_code", startup.exit_code, code));
        }
        if !said.contains(&startup.stderr_contains) {
            found.push(Difference::of_server("stderr_contains", &*startup.stderr_contains, said));
        }
        found
    }

    /// Ends the server as an admin does, which must succeed whatever it was asked.
    fn stop(&mut self) -> Vec<Difference> {
        self.process.signal(libc::SIGTERM);
        let code = self.end().and_then(|status| status.code());
        let said = self.said("stderr");
        let mut found = Vec::new();
        if code != Some(0) {
            found.push(Difference::of_server("exit_code", 0, code));
        }
        if said.contains("panicked") {
            found.push(Difference::of_server("stderr", "no panic", said));
        }
        found
    }
}

/// The ports of a case.
struct Ports {
    main: u16,
    others: Vec<(&'static str, u16)>,
}

impl Ports {
    fn choose() -> Ports {
        let others = ["@UP1@", "@UP2@", "@DEAD1@", "@HTTP1@", "@HTTP2@"];
        Ports { main: free_port(), others: others.map(|placeholder| (placeholder, free_port())).to_vec() }
    }

    fn fill(&self, text: &str) -> String {
        let text = text.replace("@PORT@", &self.main.to_string());
        self.others
            .iter()
            .fold(text, |text, (placeholder, port)| text.replace(placeholder, &port.to_string()))
    }
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
