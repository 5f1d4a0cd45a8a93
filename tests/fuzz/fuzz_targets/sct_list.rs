//! Lists of timestamps, as the X.509 extension and as TLS carry them.
#![no_main]

use transparency::sct::{ListEntry, SCTS_MAX, leaf_index, parse_extension, parse_list, parse_sct};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for entries in [parse_extension(bytes), parse_list(bytes)].into_iter().flatten() {
        assert!(!entries.is_empty() && entries.len() <= SCTS_MAX);
        for entry in entries {
            if let ListEntry::V1(sct) = entry {
                let _ = leaf_index(sct.extensions);
            }
        }
    }
    let _ = parse_sct(bytes);
    let _ = leaf_index(bytes);
});
