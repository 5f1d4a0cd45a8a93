//! Tests of `cancel`. That queries end in time is tested where they are asked: `server/src/engine_tests.rs`.

use std::time::Duration;

use crate::rehearsal::{messages, plugins, set_up};

#[test]
fn deadline_is_set_within_bounds() {
    let deadline = |text: &str| set_up(text, |block| block.settings.deadline).1;
    assert_eq!(deadline("whoami"), None);
    assert_eq!(deadline("cancel"), Some(Duration::from_millis(5001)));
    assert_eq!(deadline("cancel 500ms"), Some(Duration::from_millis(500)));
    assert_eq!(plugins("cancel"), [""; 0], "queries do not pass it");
    for wrong in ["99ms", "31s", "soon"] {
        let expected =
            format!("Corefile:2:8: error: cancel: expected a duration from 100ms to 30s, got `{wrong}`");
        assert_eq!(messages(&format!("cancel {wrong}")), [expected]);
    }
    assert_eq!(
        messages("cancel\ncancel"),
        ["Corefile:3:1: error: cancel: expected at most once in a server block"]
    );
}
