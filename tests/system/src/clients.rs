//! Real clients, as users have them.

use std::process::{Command, Output};

use crate::program::{root, stdout};

/// What `dig` printed.
///
/// Panics: when `dig` is not installed; `tests/run` installs it.
pub fn dig(port: u16, args: &[&str]) -> String {
    let output = Command::new("dig")
        .args(["@127.0.0.1", "-p", &port.to_string(), "+time=4", "+tries=1", "+nocookie"])
        .args(args)
        .output()
        .expect("dig is installed (tests/run does it)");
    stdout(&output)
}

/// What `kdig` printed.
///
/// Panics: when `kdig` is not installed; `tests/run` installs it.
pub fn kdig(port: u16, args: &[&str]) -> String {
    let output = Command::new("kdig")
        .args(["@127.0.0.1", "-p", &port.to_string(), "+timeout=4", "+retry=0"])
        .args(args)
        .output()
        .expect("kdig is installed (tests/run does it)");
    stdout(&output)
}

/// Runs a script of `tests/system` with the Python that has the DNS libraries.
///
/// Panics: when the environment is not there; `tests/run` makes it.
pub fn python(script: &str, args: &[&str]) -> Output {
    let python = root().join("target/venv/bin/python");
    Command::new(python)
        .arg(root().join("tests/system").join(script))
        .args(args)
        .output()
        .expect("target/venv is there (tests/run makes it)")
}

/// The answer section that `dig` or `kdig` printed: the records' data, sorted.
pub fn answers(printed: &str) -> Vec<String> {
    let mut lines = printed.lines().skip_while(|line| !line.contains("ANSWER SECTION"));
    lines.next();
    let mut answers: Vec<String> = lines
        .take_while(|line| !line.trim().is_empty())
        .map(|line| line.split_whitespace().skip(3).collect::<Vec<_>>().join(" "))
        .collect();
    answers.sort();
    answers
}
