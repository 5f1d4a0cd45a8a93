//! The entries of a log, the tree over them, and the heads that it has published.

use std::collections::{BTreeMap, BTreeSet};

use transparency::Moment;
use transparency::digest::Sha256;
use transparency::merkle;
use transparency::tree_head::TreeHead;

use crate::entry::Entry;

/// What a log holds.
#[derive(Debug)]
pub(crate) struct Store {
    merged: Vec<Placed>,
    pending: Vec<Entry>,
    /// Size and time of the published head.
    published: (u64, Moment),
    /// All sizes that were ever published: partial tiles exist for these alone.
    sizes: BTreeSet<u64>,
    /// How many of the next entries get a timestamp and are then forgotten.
    pub to_drop: usize,
    /// Timestamps given so far, so that the same certificate gets the same one.
    pub given: BTreeMap<Sha256, Vec<u8>>,
    /// Issuers of entries, by fingerprint.
    pub issuers: BTreeMap<Sha256, Vec<u8>>,
    /// Roots that chains must end at; without any, all chains are taken.
    pub roots: Vec<Vec<u8>>,
    pub read_only: bool,
}

/// An entry of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub entry: Entry,
    pub hash: Sha256,
}

/// The tree as one face of the log shows it.
#[derive(Debug)]
pub(crate) struct Tree {
    entries: Vec<Placed>,
    time: Moment,
    sizes: BTreeSet<u64>,
}

impl Placed {
    fn new(entry: Entry) -> Self {
        let hash = entry.leaf_hash();
        Placed { entry, hash }
    }
}

impl Store {
    pub fn new(now: Moment) -> Self {
        Store {
            merged: Vec::new(),
            pending: Vec::new(),
            published: (0, now),
            sizes: BTreeSet::from([0]),
            to_drop: 0,
            given: BTreeMap::new(),
            issuers: BTreeMap::new(),
            roots: Vec::new(),
            read_only: false,
        }
    }

    /// Where the next entry will stand.
    pub fn next_index(&self) -> u64 {
        (self.merged.len() + self.pending.len()) as u64
    }

    /// Takes an entry in, to be merged later.
    pub fn take(&mut self, entry: Entry) {
        self.pending.push(entry);
    }

    /// Puts all that is pending into the tree, and publishes a head of this time.
    pub fn merge(&mut self, now: Moment) {
        let pending = self.pending.drain(..).map(Placed::new);
        self.merged.extend(pending);
        self.published = (self.merged.len() as u64, now);
        self.sizes.insert(self.published.0);
    }

    pub fn size(&self) -> u64 {
        self.published.0
    }

    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The published tree; with another entry at one place for those who are shown a fork.
    pub fn tree(&self, forked_at: Option<u64>) -> Tree {
        let mut entries = self.merged.clone();
        if let Some(entry) = forked_at.and_then(|index| entries.get_mut(index as usize)) {
            *entry = Placed::new(entry.entry.decoy());
        }
        Tree { entries, time: self.published.1, sizes: self.sizes.clone() }
    }
}

impl Tree {
    pub fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The published head.
    pub fn head(&self) -> TreeHead {
        self.head_of(self.size(), self.time)
    }

    /// The head when the tree was so large, as if published at this time; no larger than the tree is.
    pub fn head_of(&self, size: u64, timestamp: Moment) -> TreeHead {
        let size = size.min(self.size());
        TreeHead { size, timestamp, root: merkle::root(&self.leaves(size)) }
    }

    /// The hashes of the first leaves.
    pub fn leaves(&self, size: u64) -> Vec<Sha256> {
        self.entries.iter().take(size as usize).map(|placed| placed.hash).collect()
    }

    pub fn entries(&self) -> &[Placed] {
        &self.entries
    }

    pub fn index_of(&self, leaf: &Sha256) -> Option<u64> {
        self.entries.iter().position(|placed| placed.hash == *leaf).map(|index| index as u64)
    }

    /// How many hashes the tiles of this level have in all, when the tree had a size that was published.
    pub fn published_counts(&self, level: u32) -> BTreeSet<u64> {
        self.sizes.iter().map(|size| size.checked_shr(level * 8).unwrap_or(0)).collect()
    }
}
