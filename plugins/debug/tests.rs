//! Tests of `debug`. What it makes the program tell is tested there: `server/src/dump.rs`, `server/src/engine_tests.rs`.

use crate::rehearsal::{messages, plugins, set_up};

#[test]
fn directive_takes_nothing_and_is_no_step_of_the_chain() {
    let debug = |text: &str| set_up(text, |block| block.settings.debug).1;
    assert!(debug("debug") && !debug("whoami"));
    assert_eq!(plugins("debug"), [""; 0]);
    assert_eq!(messages("debug on"), ["Corefile:2:7: error: debug: expected the end of the line, got `on`"]);
    assert_eq!(
        messages("debug\ndebug"),
        ["Corefile:3:1: error: debug: expected at most once in a server block"]
    );
}
