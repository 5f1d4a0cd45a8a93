//! What comes over a connection between peers before it is a message: frames, and the Hello of either end.
#![no_main]

use bytes::Bytes;
use node::frame::{FrameRules, LENGTH_BYTES};

/// Small, so that the bound is met.
const RULES: FrameRules = FrameRules { message_bytes_max: 4096, compression: true };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(again) = node::fuzzed::hello(bytes) {
        assert_eq!(again, bytes);
    }
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return };
    let Ok(length) = RULES.length(*length) else { return };
    let Some(body) = rest.get(..length) else { return };
    let Ok(message) = RULES.decode(Bytes::copy_from_slice(body)) else { return };
    assert!(message.len() <= RULES.message_bytes_max);
    let frame = RULES.encode(&message).expect("the message is within the bound");
    let again = RULES.decode(frame.slice(LENGTH_BYTES..));
    assert_eq!(again.as_ref(), Ok(&message));
});
