//! Tests of `root`.

use std::path::PathBuf;

use crate::rehearsal::{messages, set_up};

#[test]
fn folder_is_taken_from_the_corefiles_or_as_it_is() {
    let root = |text: &str| set_up(text, |block| block.root.clone()).1;
    assert_eq!(root("whoami"), std::env::temp_dir());
    assert_eq!(root("root zones"), std::env::temp_dir().join("zones"));
    assert_eq!(root("root /etc"), PathBuf::from("/etc"));
}

#[test]
fn missing_folder_is_a_warning_and_a_missing_word_an_error() {
    assert_eq!(messages("root /no/such"), ["Corefile:2:6: warning: root: `/no/such` is no folder"]);
    assert_eq!(messages("root /etc"), [""; 0]);
    assert_eq!(messages("root"), ["Corefile:2:5: error: root: expected a path, got the end of the line"]);
}
