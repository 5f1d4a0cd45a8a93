//! Tests of `nsid`. That replies tell it is tested where they are written: `server/src/engine_tests.rs`.

use crate::rehearsal::{messages, plugins, set_up};

fn nsid(text: &str) -> Option<String> {
    let bytes = set_up(text, |block| block.settings.nsid.clone()).1;
    bytes.map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn server_is_called_by_the_words_of_the_directive_or_by_its_host() {
    assert_eq!(nsid("whoami"), None);
    assert_eq!(nsid("nsid ams1"), Some("ams1".into()));
    assert_eq!(nsid("nsid Use The Force"), Some("Use The Force".into()));
    assert_eq!(nsid("nsid"), Some(crate::host::name()));
    assert_eq!(plugins("nsid"), [""; 0], "queries do not pass it");
}

#[test]
fn empty_long_and_second_names_are_errors() {
    assert_eq!(messages("nsid \"\""), ["Corefile:2:6: error: nsid: expected a word, got ``"]);
    assert_eq!(messages(&format!("nsid {}", "n".repeat(128))), [""; 0]);
    assert_eq!(
        messages(&format!("nsid {} n", "n".repeat(127))),
        ["Corefile:2:6: error: nsid: expected 128 bytes at most, got 129"]
    );
    assert_eq!(
        messages("nsid a\nnsid b"),
        ["Corefile:3:1: error: nsid: expected at most once in a server block"]
    );
}
