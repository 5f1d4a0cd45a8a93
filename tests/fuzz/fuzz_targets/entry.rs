//! What logs announce: entries as the monitor reads them, and the files of certspotter.
#![no_main]

use ct_watch::monitor::{Announced, read_dropped};
use transparency::digest::Sha256;
use transparency::precertificate::LogEntry;
use transparency::tile::{parse_data_tile, parse_leaf_input};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let issuer_key_hash = Sha256([0; 32]);
    let mut entries = vec![LogEntry::X509(bytes), LogEntry::Precertificate { issuer_key_hash, tbs: bytes }];
    entries.extend(parse_leaf_input(bytes).map(|(_, entry, _)| entry));
    entries.extend(parse_data_tile(bytes).into_iter().flatten().map(|entry| entry.entry));
    for entry in entries {
        let Ok(announced) = Announced::read(&entry) else { continue };
        assert!(announced.names.is_sorted());
        assert_eq!(announced.is_precertificate, announced.issuer_key_sha256.is_some());
    }
    let _ = read_dropped(bytes);
});
