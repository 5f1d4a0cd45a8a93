//! Merkle trees of CT logs: roots, and proofs that a leaf or an older tree is in one. RFC 9162 §2.1, equal to RFC 6962's trees.
//!
//! Verifying takes what a log answers; making proofs is for monitors that hold all hashes, and for test logs.

use thiserror::Error;

use crate::digest::Sha256;

/// The proof does not show what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The index is not in the tree, or a size is not allowed here.
    #[error("the index or a size is out of range")]
    Range,
    /// Nodes are missing, or left over.
    #[error("the proof has too many or too few nodes")]
    Length,
    /// The proof leads to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The hash of a leaf: a zero byte, then the leaf.
pub fn hash_leaf(leaf: &[u8]) -> Sha256 {
    Sha256::of_pieces(&[&[0], leaf])
}

/// The hash of a node: a one byte, then both children.
pub fn hash_children(left: &Sha256, right: &Sha256) -> Sha256 {
    Sha256::of_pieces(&[&[1], &left.0, &right.0])
}

/// Verifies that the leaf with this hash is at this index of the tree with this size and root.
///
/// # Errors
/// [`ProofError`] when that is not shown.
///
/// Source: RFC 9162 §2.1.3.2.
pub fn verify_inclusion(
    leaf: &Sha256,
    index: u64,
    size: u64,
    path: &[Sha256],
    root: &Sha256,
) -> Result<(), ProofError> {
    if size <= index {
        return Err(ProofError::Range);
    }
    let (mut fnode, mut snode, mut hash) = (index, size - 1, *leaf);
    for node in path {
        if snode == 0 {
            return Err(ProofError::Length);
        }
        if fnode & 1 == 1 || fnode == snode {
            hash = hash_children(node, &hash);
            while fnode & 1 == 0 && fnode != 0 {
                (fnode, snode) = (fnode >> 1, snode >> 1);
            }
        } else {
            hash = hash_children(&hash, node);
        }
        (fnode, snode) = (fnode >> 1, snode >> 1);
    }
    if snode != 0 {
        return Err(ProofError::Length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Verifies that the tree of `old` leaves is the beginning of the tree of `new` leaves.
///
/// Two empty trees, or an empty one before another, prove nothing and are refused.
///
/// # Errors
/// [`ProofError`] when that is not shown.
///
/// Source: RFC 9162 §2.1.4.2.
pub fn verify_consistency(
    (old, old_root): (u64, &Sha256),
    (new, new_root): (u64, &Sha256),
    proof: &[Sha256],
) -> Result<(), ProofError> {
    if old == 0 {
        return Err(ProofError::Range);
    }
    verify_subtree_consistency((0, old), old_root, new, new_root, proof)
}

/// Verifies that the leaf is at this index of the subtree that spans `start..end` of a larger tree.
///
/// # Errors
/// [`ProofError`] when that is not shown, or no tree has such a subtree.
///
/// Source: draft-ietf-plants-merkle-tree-certs, "Subtree Inclusion Proofs".
pub fn verify_subtree_inclusion(
    leaf: &Sha256,
    index: u64,
    (start, end): (u64, u64),
    path: &[Sha256],
    root: &Sha256,
) -> Result<(), ProofError> {
    if !is_subtree(start, end) || index < start {
        return Err(ProofError::Range);
    }
    verify_inclusion(leaf, index - start, end - start, path, root)
}

/// Verifies that the subtree over `start..end` with root `subtree_root` is part of the tree of `size` leaves.
///
/// An empty subtree is part of every tree that reaches it; its proof is empty, and says nothing of the tree's root.
///
/// # Errors
/// [`ProofError`] when that is not shown, or no tree has such a subtree.
///
/// Source: draft-ietf-plants-merkle-tree-certs, "Subtree Consistency Proofs".
pub fn verify_subtree_consistency(
    (start, end): (u64, u64),
    subtree_root: &Sha256,
    size: u64,
    root: &Sha256,
    proof: &[Sha256],
) -> Result<(), ProofError> {
    if start == end && end <= size {
        let empty = proof.is_empty() && *subtree_root == Sha256::of(b"");
        return if empty { Ok(()) } else { Err(ProofError::Root) };
    }
    if !is_subtree(start, end) || size < end {
        return Err(ProofError::Range);
    }
    let (mut fnode, mut snode, mut tnode) = (start, end - 1, size - 1);
    let whole_end = snode == tnode;
    while fnode != snode && (whole_end || snode & 1 == 1) {
        (fnode, snode, tnode) = (fnode >> 1, snode >> 1, tnode >> 1);
    }
    let mut nodes = proof.iter();
    let seed = if fnode == snode { subtree_root } else { nodes.next().ok_or(ProofError::Length)? };
    let (mut sub_hash, mut tree_hash) = (*seed, *seed);
    for node in nodes {
        if tnode == 0 {
            return Err(ProofError::Length);
        }
        if snode & 1 == 1 || snode == tnode {
            if fnode < snode {
                sub_hash = hash_children(node, &sub_hash);
            }
            tree_hash = hash_children(node, &tree_hash);
            while snode & 1 == 0 && snode != 0 {
                (fnode, snode, tnode) = (fnode >> 1, snode >> 1, tnode >> 1);
            }
        } else {
            tree_hash = hash_children(&tree_hash, node);
        }
        (fnode, snode, tnode) = (fnode >> 1, snode >> 1, tnode >> 1);
    }
    if tnode != 0 {
        return Err(ProofError::Length);
    }
    if sub_hash == *subtree_root && tree_hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Whether `start..end` is a span that a node of a Merkle tree can have.
fn is_subtree(start: u64, end: u64) -> bool {
    start < end && (end - start).checked_next_power_of_two().is_some_and(|width| start.is_multiple_of(width))
}

/// The root over these leaf hashes.
pub fn root(leaves: &[Sha256]) -> Sha256 {
    match leaves {
        [] => Sha256::of(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            hash_children(&root(left), &root(right))
        }
    }
}

/// The path from the leaf at `index` to the root over these leaf hashes, the lowest node first; `None` if there is no such leaf.
pub fn inclusion_path(leaves: &[Sha256], index: usize) -> Option<Vec<Sha256>> {
    if leaves.len() <= index {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, sibling) = if index < middle {
        (inclusion_path(left, index)?, root(right))
    } else {
        (inclusion_path(right, index - middle)?, root(left))
    };
    path.push(sibling);
    Some(path)
}

/// The proof that the first `old` of these leaves are the beginning of all; `None` if there are not so many, or `old` is 0.
pub fn consistency_proof(leaves: &[Sha256], old: usize) -> Option<Vec<Sha256>> {
    if old == 0 || leaves.len() < old { None } else { Some(subproof(leaves, old, true)) }
}

/// `SUBPROOF` of RFC 9162 §2.1.4.1: `complete` while the old tree is a subtree whose root the verifier has.
fn subproof(leaves: &[Sha256], old: usize, complete: bool) -> Vec<Sha256> {
    if old == leaves.len() {
        return if complete { Vec::new() } else { vec![root(leaves)] };
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = if old <= middle {
        (subproof(left, old, complete), root(right))
    } else {
        (subproof(right, old - middle, false), root(left))
    };
    proof.push(sibling);
    proof
}

/// The largest power of two below a number of leaves that is at least two.
fn split(count: usize) -> usize {
    1 << (count - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<Sha256> {
        (0..count).map(|number| hash_leaf(&number.to_be_bytes())).collect()
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved_and_nothing_else() {
        for count in 1..40 {
            let leaves = leaves(count);
            let root = root(&leaves);
            for index in 0..count {
                let path = inclusion_path(&leaves, index).unwrap();
                let verify = |index, size, path: &[_]| {
                    verify_inclusion(&leaves[index], index as u64, size, path, &root)
                };
                assert_eq!(verify(index, count as u64, &path), Ok(()), "{index} of {count}");
                let longer = [&path[..], &[root]].concat();
                assert!(verify(index, count as u64, &longer).is_err());
                if let [.., _] = path[..] {
                    assert!(verify(index, count as u64, &path[..path.len() - 1]).is_err());
                    assert!(verify((index + 1) % count, count as u64, &path).is_err());
                }
                assert_eq!(
                    verify_inclusion(&leaves[0], count as u64, count as u64, &path, &root),
                    Err(ProofError::Range)
                );
            }
        }
    }

    #[test]
    fn every_small_tree_is_the_beginning_of_every_larger_one() {
        for new in 1..40 {
            let all = leaves(new);
            let new_root = root(&all);
            for old in 1..=new {
                let old_root = root(&all[..old]);
                let proof = consistency_proof(&all, old).unwrap();
                let verify = |old_root: &Sha256, proof: &[Sha256]| {
                    verify_consistency((old as u64, old_root), (new as u64, &new_root), proof)
                };
                assert_eq!(verify(&old_root, &proof), Ok(()), "{old} of {new}");
                assert!(verify(&hash_leaf(b"other"), &proof).is_err());
                assert!(verify(&old_root, &[&proof[..], &[new_root]].concat()).is_err());
            }
        }
    }

    #[test]
    fn empty_trees_prove_nothing() {
        let empty = root(&[]);
        assert_eq!(verify_consistency((0, &empty), (0, &empty), &[]), Err(ProofError::Range));
        assert_eq!(verify_consistency((0, &empty), (1, &empty), &[]), Err(ProofError::Range));
    }

    #[test]
    fn sizes_at_the_end_of_the_range_do_not_overflow() {
        let hash = hash_leaf(b"");
        assert!(verify_inclusion(&hash, u64::MAX - 1, u64::MAX, &[hash; 64], &hash).is_err());
        assert!(verify_subtree_consistency((1, u64::MAX), &hash, u64::MAX, &hash, &[]).is_err());
        assert!(verify_consistency((u64::MAX - 1, &hash), (u64::MAX, &hash), &[hash; 64]).is_err());
    }
}
