//! Tests of `reload`. That changed files are taken is tested where they are: `server/src/watch.rs`, and in the whole program.

use std::time::Duration;

use crate::rehearsal::{messages, plugins, set_up};
use crate::setup::Reload;

fn reload(text: &str) -> Option<Reload> {
    set_up(text, |block| block.settings.reload).1
}

fn every(interval_s: u64, jitter_s: u64) -> Option<Reload> {
    let (interval, jitter) = (Duration::from_secs(interval_s), Duration::from_secs(jitter_s));
    Some(Reload::Every { interval, jitter })
}

#[test]
fn period_is_that_of_coredns_unless_said_otherwise() {
    assert_eq!(reload("whoami"), None);
    assert_eq!(reload("reload off"), Some(Reload::Off));
    assert_eq!(reload("reload"), every(30, 15));
    assert_eq!(reload("reload 2s 1s"), every(2, 1));
    assert_eq!(reload("reload 1h 0s"), every(3600, 0));
    assert_eq!(plugins("reload"), [""; 0], "queries do not pass it");
}

#[test]
fn jitter_is_half_of_the_interval_at_most() {
    assert_eq!((reload("reload 10s"), messages("reload 10s")), (every(10, 5), vec![]));
    assert_eq!(reload("reload 10s 6s"), every(10, 5));
    assert_eq!(
        messages("reload 10s 6s"),
        ["Corefile:2:12: warning: reload: the jitter is cut to half of the interval"]
    );
    assert_eq!(messages("reload 10s 5s"), [""; 0]);
}

#[test]
fn impossible_periods_and_repetitions_are_told_with_their_place() {
    for (text, expected) in [
        ("reload 1s", "Corefile:2:8: error: reload: expected a duration from 2s to 168h, got `1s`"),
        ("reload never", "Corefile:2:8: error: reload: expected a duration from 2s to 168h, got `never`"),
        ("reload 30s x", "Corefile:2:12: error: reload: expected a duration from 0s to 168h, got `x`"),
        ("reload off 3s", "Corefile:2:12: error: reload: expected the end of the line, got `3s`"),
        ("reload 30s 1s 3", "Corefile:2:15: error: reload: expected the end of the line, got `3`"),
        ("reload\nreload", "Corefile:3:1: error: reload: expected at most once in a server block"),
    ] {
        assert_eq!(messages(text), [expected]);
    }
}
