//! Checkpoints, tree heads and tiles of logs.
#![no_main]

use transparency::checkpoint::Checkpoint;
use transparency::tile::{parse_data_tile, parse_leaf_input};
use transparency::tree_head::SignedTreeHead;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = Checkpoint::parse(bytes) {
        assert!(!checkpoint.origin.is_empty());
    }
    let _ = SignedTreeHead::from_json(bytes);
    if let Ok(entries) = parse_data_tile(bytes) {
        assert!(entries.len() <= 256);
        entries.iter().for_each(|entry| assert!(entry.leaf_hash().is_some()));
    }
    let _ = parse_leaf_input(bytes);
});
