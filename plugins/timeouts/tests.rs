//! Tests of `timeouts`.

use std::time::Duration;

use crate::rehearsal::{messages, set_up};

#[test]
fn idle_timeout_is_set() {
    let idle = |text: &str| set_up(text, |block| block.settings.idle_timeout).1;
    assert_eq!(idle("timeouts {\n idle 30s\n}"), Some(Duration::from_secs(30)));
    assert_eq!(idle("timeouts {\n}"), None);
}

#[test]
fn what_has_no_effect_or_no_sense_is_told() {
    assert_eq!(messages("timeouts {\n read 3s\n}"), ["Corefile:3:2: warning: timeouts: read: has no effect"]);
    assert_eq!(
        messages("timeouts {\n idle 100ms\n}"),
        ["Corefile:3:7: error: timeouts: idle: expected a duration from 1s to 24h, got `100ms`"]
    );
}
