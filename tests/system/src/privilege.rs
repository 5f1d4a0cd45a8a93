//! Whether a test may do what only root can: networks, mounts.

use std::io::Write as _;

/// `CAP_NET_ADMIN` and `CAP_SYS_ADMIN`, capabilities(7).
const NEEDED: u64 = 1 << 12 | 1 << 21;

/// Whether networks and mounts can be made here; says on standard error that `what` is skipped when they cannot.
///
/// Panics: when they cannot and `CI=true` is set, so that a CI run cannot skip it unnoticed.
pub fn can(what: &str) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    if effective.is_some_and(|effective| effective & NEEDED == NEEDED) {
        return true;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} needs root, and CI=true");
    // What a test that passes prints with `eprintln` is caught by the harness.
    let _ = writeln!(std::io::stderr(), "skipped: {what} needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN)");
    false
}
