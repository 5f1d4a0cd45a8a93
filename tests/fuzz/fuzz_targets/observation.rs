//! Observations of DNS questions, as a peer signs them.
#![no_main]

use agreement::Observed;
use agreement::observation::PAYLOAD_BYTES_MAX;
use certificate::codec::{Decode, Encode};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(observed) = Observed::from_bytes(bytes) else { return };
    assert!(bytes.len() <= PAYLOAD_BYTES_MAX);
    assert_eq!(observed.to_bytes(), bytes);
});
