//! Whether a leaf is in the whole tree of a log with the interface of RFC 6962: by reading all entries, where that is feasible.
//!
//! A log's word that it does not know a leaf is not signed. Entries that lead to the signed root are as good as signed.

use std::collections::BTreeSet;

use transparency::digest::Sha256;
use transparency::merkle::{hash_leaf, root};
use transparency::tree_head::TreeHead;

use super::asked::{AskError, Asked};

/// The hashes of all leaves of a tree, once they have been shown to lead to its root.
#[derive(Debug)]
pub struct AllLeaves {
    pub size: u64,
    hashes: BTreeSet<Sha256>,
}

impl AllLeaves {
    /// Reads all entries of the tree. `None` when it is larger than [`SCAN_LEAVES_MAX`].
    pub async fn read(asked: Asked<'_>, head: &TreeHead) -> Result<Option<Self>, AskError> {
        if SCAN_LEAVES_MAX < head.size {
            return Ok(None);
        }
        let mut hashes = Vec::new();
        while (hashes.len() as u64) < head.size {
            let start = hashes.len() as u64;
            let given = asked.leaves(start, head.size.min(start + ENTRIES_AT_ONCE) - 1).await?;
            hashes.extend(given.leaves.iter().map(|leaf| hash_leaf(leaf)));
        }
        if root(&hashes) != head.root {
            return Err(AskError::Answer("get-entries that leads to the signed root"));
        }
        Ok(Some(AllLeaves { size: head.size, hashes: hashes.into_iter().collect() }))
    }

    pub fn has(&self, leaf: &Sha256) -> bool {
        self.hashes.contains(leaf)
    }
}

/// The largest tree that is read as a whole to show that a leaf is not in it.
pub const SCAN_LEAVES_MAX: u64 = 4096;
/// How many entries are asked for at once.
const ENTRIES_AT_ONCE: u64 = 256;
