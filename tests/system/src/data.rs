//! Test data from public repositories, read in place and never copied into the project.

use std::io::Write as _;
use std::path::PathBuf;

/// The folder `name` of the test data, or `None` when there is none: then the test says so and passes.
///
/// Looked for in `$QUORATE_TEST_DATA`, then in `../shared/data` beside the repository.
///
/// Panics: when it is absent and `CI=true` is set, so that a CI run cannot skip it unnoticed.
pub fn folder(name: &str) -> Option<PathBuf> {
    let base = match std::env::var_os("QUORATE_TEST_DATA") {
        Some(path) => PathBuf::from(path),
        None => crate::program::root().join("../shared/data"),
    };
    let path = base.join(name);
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is absent, and CI=true", path.display());
    // What a test that passes prints with `eprintln` is caught by the harness.
    let _ = writeln!(std::io::stderr(), "skipped: {} is absent", path.display());
    None
}
