//! Behaviour cases: a Corefile, files, and questions with the answers that they must get, run against the program.
//!
//! This starts and ends servers; `behave.py` asks and compares. What a case may hold is written there. Ours and those of
//! CoreDNS have one format: one JSON object a line, with `@PORT@`, `@UP1@`, `@UP2@`, `@DEAD1@`, `@HTTP1@`, `@HTTP2@` for free
//! ports of loopback and `@DIR@` for the folder of the files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Process, root, run, stdout};
use crate::server::{Server, free_port};

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
    /// Panics: when `behave.py` ends.
    pub fn run(&mut self, line: &str) -> Vec<Difference> {
        let folder = TempDir::new().expect("a temporary folder");
        let ports = Ports::choose();
        let line = ports.fill(line).replace("@DIR@", folder.path().to_str().expect("the path is UTF-8"));
        let mut text: Value = serde_json::from_str(&line).expect("ports and paths keep JSON intact");
        let case: Case = serde_json::from_str(&line).expect("ports and paths keep a case a case");
        self.write(folder.path(), &case);
        text["dir"] = json!(folder.path());
        text["main_port"] = json!(ports.main);
        let mut server = Server::launch(folder);
        if let Some(startup) = &case.startup {
            return ended_as(&mut server, startup);
        }
        if let Err(said) = server.listening() {
            return vec![Difference::of_server("start", "a server that listens", said)];
        }
        text["pid"] = json!(server.process.0.id());
        writeln!(self.input, "{text}").expect("behave.py reads");
        let told = self.line();
        let mut found: Vec<Difference> = serde_json::from_str(&told)
            .unwrap_or_else(|error| panic!("{}: behave.py said `{told}`: {error}", case.name));
        found.extend(stopped(&mut server));
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

/// How a start that must fail differs from the failure that is expected.
fn ended_as(server: &mut Server, startup: &Startup) -> Vec<Difference> {
    assert!(startup.fails, "a start that succeeds needs no words");
    let code = server.end();
    let said = server.stderr();
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
fn stopped(server: &mut Server) -> Vec<Difference> {
    let code = server.stop();
    let said = server.stderr();
    let mut found = Vec::new();
    if code != Some(0) {
        found.push(Difference::of_server("exit_code", 0, code));
    }
    if said.contains("panicked") {
        found.push(Difference::of_server("stderr", "no panic", said));
    }
    found
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
