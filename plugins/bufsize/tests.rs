//! Tests of `bufsize`.

use crate::rehearsal::{messages, set_up};

#[test]
fn size_is_set_within_bounds() {
    let size = |text: &str| set_up(text, |block| block.settings.udp_payload_max).1;
    assert_eq!(size("whoami"), None);
    assert_eq!(size("bufsize"), Some(1232));
    assert_eq!(size("bufsize 512"), Some(512));
    assert_eq!(size("bufsize 4096"), Some(4096));
    for wrong in ["511", "4097", "big"] {
        let expected =
            format!("Corefile:2:9: error: bufsize: expected a number from 512 to 4096, got `{wrong}`");
        assert_eq!(messages(&format!("bufsize {wrong}")), [expected]);
    }
}
