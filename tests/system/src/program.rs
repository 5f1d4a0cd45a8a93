//! The program under test, and processes that end with their test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// The program: `$QUORATE`, or the one that the same build left beside the tests.
///
/// Panics: when it has not been built.
pub fn quorate() -> PathBuf {
    if let Some(path) = std::env::var_os("QUORATE") {
        return path.into();
    }
    // Tests stand in target/PROFILE/deps, programs in target/PROFILE.
    let here = std::env::current_exe().expect("a program knows its path");
    let found =
        here.ancestors().skip(1).take(2).map(|folder| folder.join("quorate")).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("quorate is not built beside {}; run `cargo build` first", here.display()))
}

/// The program with replicas that misbehave on purpose: `$QUORATE_ADVERSARY`, or what `tests/run` left beside the program under test.
///
/// Panics: when it has not been built.
pub fn quorate_with_adversaries() -> PathBuf {
    if let Some(path) = std::env::var_os("QUORATE_ADVERSARY") {
        return path.into();
    }
    let path = quorate().with_file_name("quorate-adversary");
    assert!(
        path.is_file(),
        "{} is not there: `tests/run` makes it, as `cargo build --workspace --features quorate/adversary` does when the program is copied to that name",
        path.display()
    );
    path
}

/// Runs the program with `args` until it ends.
pub fn run(args: &[&str]) -> Output {
    Command::new(quorate()).args(args).output().expect("the program starts")
}

/// What a process wrote to standard output, as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a process wrote to standard error, as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process that is killed when the test ends, however it ends.
pub struct Process(pub Child);

impl Process {
    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: a plain system call on a child that has not been waited for.
        unsafe { libc::kill(self.0.id() as libc::pid_t, signal) };
    }

    /// Kills it as a power failure would: no handler runs.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks `look` again and again until it finds what it looks for.
///
/// Panics: when it has not found it within `limit`; `what` says what was waited for.
pub fn eventually<T>(what: &str, limit: Duration, look: impl FnMut() -> Option<T>) -> T {
    eventually_or(|| what.to_owned(), limit, look)
}

/// The same; what was waited for is said as things stand in the end, such as with the log of then.
///
/// Panics: likewise.
pub fn eventually_or<T>(
    what: impl Fn() -> String,
    limit: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for {}", what());
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
