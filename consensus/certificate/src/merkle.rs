//! The Merkle tree over the leaves of a slot. RFC 9162 §2.1: SHA-256, 0x00 before a leaf, 0x01 before an inner node.

use crate::Digest;

/// The digest of a leaf: `SHA-256(0x00 || leaf)`. RFC 9162 §2.1.1.
pub fn leaf_digest(leaf: &[u8]) -> Digest {
    Digest::of_parts(&[&[0x00], leaf])
}

/// The digest of an inner node: `SHA-256(0x01 || left || right)`. RFC 9162 §2.1.1.
pub fn node_digest(left: Digest, right: Digest) -> Digest {
    Digest::of_parts(&[&[0x01], &left.0, &right.0])
}

/// A tree with all its nodes, for a root and many proofs at the cost of one pass.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The leaf digests first, the root alone last. A node without a sibling stands unchanged in the level above.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Hashes `leaves`.
    pub fn new<L: AsRef<[u8]>>(leaves: &[L]) -> Tree {
        let mut level: Vec<Digest> = leaves.iter().map(|leaf| leaf_digest(leaf.as_ref())).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level.chunks(2).map(|pair| match *pair {
                [left, right] => node_digest(left, right),
                _ => pair[0],
            });
            let above = above.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Tree { levels }
    }

    /// The root; of an empty tree the digest of nothing, as in RFC 9162 §2.1.1.
    pub fn root(&self) -> Digest {
        self.levels.last().and_then(|level| level.first()).copied().unwrap_or_else(|| Digest::of(b""))
    }

    /// The inclusion proof of the leaf at `index`: the siblings on the way up, the lowest first. RFC 9162 §2.1.3.1.
    ///
    /// Panics: when there is no such leaf; the caller asks for its own.
    pub fn proof(&self, index: usize) -> Vec<Digest> {
        assert!(index < self.levels[0].len(), "the caller asks for a leaf that it put in");
        self.levels
            .iter()
            .enumerate()
            .filter_map(|(height, level)| level.get((index >> height) ^ 1).copied())
            .collect()
    }
}

/// The root over `leaves`.
pub fn root<L: AsRef<[u8]>>(leaves: &[L]) -> Digest {
    Tree::new(leaves).root()
}

/// The inclusion proof of `leaves[index]`. For several proofs build one `Tree`.
///
/// Panics: when there is no such leaf.
pub fn proof<L: AsRef<[u8]>>(leaves: &[L], index: usize) -> Vec<Digest> {
    Tree::new(leaves).proof(index)
}

/// Whether `proof` shows that `leaf` is number `index` of the `count` leaves under `root`. RFC 9162 §2.1.3.2.
pub fn verify(root: Digest, index: u64, count: u64, leaf: &[u8], proof: &[Digest]) -> bool {
    verify_digest(root, index, count, leaf_digest(leaf), proof)
}

/// As `verify`, for a leaf of which only the digest is known.
pub fn verify_digest(root: Digest, index: u64, count: u64, leaf: Digest, proof: &[Digest]) -> bool {
    if index >= count {
        return false;
    }
    let mut place = index;
    let mut last = count - 1;
    let mut digest = leaf;
    for &sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            digest = node_digest(sibling, digest);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            digest = node_digest(digest, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && digest == root
}
