//! What an operator installs: the unit, the package, alert rules and the dashboard, against the program that they are for.

mod debian;
mod expressions;
mod monitoring;
mod series;
mod service;

use std::io::Write as _;
use std::path::PathBuf;

use system_tests::program::root;

/// A file of `server/packaging`.
fn packaged(path: &str) -> PathBuf {
    root().join("server/packaging").join(path)
}

/// The program `name`, from `$PATH` or where `tests/run` puts it; says on standard error that `what` is skipped when it is in neither.
///
/// Panics: when it is absent and `CI=true` is set, so that a CI run cannot skip it unnoticed.
fn tool(name: &str, what: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let own = root().join("target/prometheus/usr/bin");
    let folders = std::env::split_paths(&folders).chain([own]);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} needs `{name}`, and CI=true");
        // What a test that passes prints with `eprintln` is caught by the harness.
        let _ = writeln!(std::io::stderr(), "skipped: {what} needs `{name}`");
    }
    found
}
