//! Debian's certspotter, which knows nothing of us, follows the log as it follows any other.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use ct_log::{Authority, Clock, Kind, Lie, TestLog, log_list_json};
use serde_json::Value;
use tempfile::TempDir;

/// A monitor that runs until this is dropped, and what it wrote.
struct Monitor {
    child: Child,
    says: BufReader<ChildStderr>,
    folder: TempDir,
}

impl Monitor {
    /// Follows the log for names below `watched.example.org`; `None` when it is not installed.
    fn start(log: &TestLog, clock: &Clock) -> Option<Self> {
        if Command::new("certspotter").arg("-version").output().is_err() {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "certspotter is not installed");
            println!("skipped: certspotter is not installed (tests/run installs it)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let list = log_list_json(&clock.now().to_string(), &[log.listed()]);
        fs::write(folder.path().join("logs.json"), list).unwrap();
        fs::write(folder.path().join("watchlist"), ".watched.example.org\n").unwrap();
        let mut command = Command::new("certspotter");
        command.args([
            "-logs",
            "logs.json",
            "-watchlist",
            "watchlist",
            "-state_dir",
            "state",
            "-stdout",
            "-verbose",
        ]);
        command.current_dir(folder.path()).env("HOME", folder.path()).stderr(Stdio::piped());
        let found = File::create(folder.path().join("found")).unwrap();
        let mut child = command.stdout(found).spawn().unwrap();
        let says = BufReader::new(child.stderr.take().unwrap());
        Some(Monitor { child, says, folder })
    }

    /// Reads what it says up to this text.
    fn wait_for(&mut self, text: &str) -> String {
        let mut said = String::new();
        while self.says.read_line(&mut said).unwrap() > 0 {
            if said.contains(text) {
                return said;
            }
        }
        panic!("it ended without `{text}`: {said}");
    }

    /// What it found, and what it believes of the log.
    fn found_and_state(&self) -> (String, Value) {
        let found = fs::read_to_string(self.folder.path().join("found")).unwrap();
        let path = find(self.folder.path(), "state.json").expect("it has saved its state");
        (found, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut paths = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    paths
        .find_map(|path| if path.is_dir() { find(&path, name) } else { path.ends_with(name).then_some(path) })
}

/// A log with more entries than it answers with at once; the watched names are its first and its last. The monitor has a clock of
/// its own, so the log must have the machine's.
fn log() -> (TestLog, Clock) {
    let clock = Clock::of_the_machine();
    let log = TestLog::start("alder", Kind::Rfc6962, &clock);
    let authority = Authority::new("Alder", &clock);
    authority.leaf("first.watched.example.org").issue(&[&log]);
    (0..38).for_each(|number| drop(authority.leaf(&format!("host-{number}.example.org")).issue(&[&log])));
    authority.leaf("last.watched.example.org").issue(&[&log]);
    log.merge();
    (log, clock)
}

#[test]
fn certspotter_verifies_the_tree_and_reports_the_names_that_it_watches() {
    let (log, clock) = log();
    let Some(mut monitor) = Monitor::start(&log, &clock) else { return };
    monitor.wait_for("saving state");
    let (found, state) = monitor.found_and_state();
    let names: Vec<&str> = found.lines().filter_map(|line| line.trim().strip_prefix("DNS Name = ")).collect();
    assert_eq!(names, ["first.watched.example.org", "last.watched.example.org"]);
    let head = crate::rfc6962::head(&log, &clock);
    assert_eq!(state["verified_sth"]["sha256_root_hash"], head.root.base64());
    assert_eq!(state["verified_position"]["size"], 40);
}

#[test]
fn certspotter_sees_that_entries_are_not_those_of_the_tree() {
    let (log, clock) = log();
    log.lie(Lie::BadEntries);
    let Some(mut monitor) = Monitor::start(&log, &clock) else { return };
    monitor.wait_for("does not match the entries returned by the log");
}
