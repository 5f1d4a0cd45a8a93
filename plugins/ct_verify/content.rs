//! Content that peers may ask for by its SHA-256: chains that were handed in, inputs that were fetched. Each has a store of its own, so that
//! who hands in chains drives out no input. Bounded; the oldest goes first.
//!
//! What is in force, and what this replica has from its own sources, is kept elsewhere and never goes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use transparency::digest::Sha256;

/// Content by digest.
pub struct Contents {
    kept: Mutex<Kept>,
    bytes_max: usize,
}

#[derive(Default)]
struct Kept {
    by_digest: HashMap<Sha256, (Bytes, u64)>,
    /// Digests by the number of their coming.
    order: BTreeMap<u64, Sha256>,
    bytes: usize,
    next: u64,
}

impl Contents {
    /// Room for chains.
    pub fn of_chains() -> Contents {
        Contents { kept: Mutex::default(), bytes_max: CHAINS_BYTES_MAX }
    }

    /// Room for inputs.
    pub fn of_inputs() -> Contents {
        Contents { kept: Mutex::default(), bytes_max: INPUTS_BYTES_MAX }
    }

    /// Keeps this content; returns its digest. What is longer than all room is not kept.
    pub fn put(&self, bytes: Bytes) -> Sha256 {
        let digest = Sha256::of(&bytes);
        let mut kept = self.kept();
        if bytes.len() > self.bytes_max {
            return digest;
        }
        kept.remove(&digest);
        while kept.bytes + bytes.len() > self.bytes_max || kept.order.len() == CONTENTS_MAX {
            let Some((_, oldest)) = kept.order.first_key_value().map(|(number, digest)| (*number, *digest))
            else {
                break;
            };
            kept.remove(&oldest);
        }
        let number = kept.next;
        kept.next += 1;
        kept.bytes += bytes.len();
        kept.order.insert(number, digest);
        kept.by_digest.insert(digest, (bytes, number));
        digest
    }

    /// The content with this digest, if it is kept.
    pub fn get(&self, digest: &Sha256) -> Option<Bytes> {
        self.kept().by_digest.get(digest).map(|(bytes, _)| bytes.clone())
    }

    /// How many bytes are kept.
    pub fn bytes(&self) -> usize {
        self.kept().bytes
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, digest: &Sha256) {
        if let Some((bytes, number)) = self.by_digest.remove(digest) {
            self.order.remove(&number);
            self.bytes -= bytes.len();
        }
    }
}

/// How many bytes of chains are kept.
const CHAINS_BYTES_MAX: usize = 16 << 20;
/// How many bytes of inputs are kept.
const INPUTS_BYTES_MAX: usize = 64 << 20;
/// How many pieces of content are kept.
const CONTENTS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_content_goes_when_there_is_no_room() {
        let contents = Contents::of_chains();
        let piece = |fill: u8| Bytes::from(vec![fill; CHAINS_BYTES_MAX / 4]);
        let digests: Vec<Sha256> = (0..4).map(|fill| contents.put(piece(fill))).collect();
        assert_eq!(contents.put(piece(0)), digests[0], "the same again is kept once, and is the newest");
        contents.put(Bytes::from_static(b"one more"));
        assert_eq!(contents.get(&digests[1]), None);
        assert_eq!(contents.get(&digests[0]), Some(piece(0)));
        assert!(contents.bytes() <= CHAINS_BYTES_MAX);
    }

    #[test]
    fn content_beyond_all_room_drives_out_nothing() {
        let contents = Contents::of_chains();
        let small = contents.put(Bytes::from_static(b"small"));
        let large = contents.put(Bytes::from(vec![0; CHAINS_BYTES_MAX + 1]));
        assert_eq!(contents.get(&large), None);
        assert!(contents.get(&small).is_some());
    }

    #[test]
    fn many_small_pieces_are_bounded_by_their_number() {
        let contents = Contents::of_chains();
        let digests: Vec<Sha256> =
            (0..=CONTENTS_MAX).map(|n| contents.put(Bytes::from(n.to_be_bytes().to_vec()))).collect();
        assert_eq!(contents.get(&digests[0]), None);
        assert!(contents.get(&digests[1]).is_some());
    }
}
