//! The root that an older tree must have had, out of a proof for its last leaf in a newer one; pure.
//!
//! A static-ct log gives no consistency proofs. The nodes to the left of the older tree's last leaf make up both trees' beginning, so
//! that leaf's inclusion in the newer tree shows the older root as well.

use transparency::digest::Sha256;
use transparency::merkle::{ProofError, hash_children, verify_inclusion};
use transparency::tree_head::TreeHead;

/// Verifies that the tree of `old` is the beginning of the tree of `new`, by the inclusion path in `new` of the last leaf of `old`.
///
/// # Errors
/// [`ProofError`] when the path does not lead to the newer root, or its left nodes not to the older one.
pub fn verify_growth(
    old: &TreeHead,
    new: &TreeHead,
    last_leaf: &Sha256,
    path: &[Sha256],
) -> Result<(), ProofError> {
    let last = old.size.checked_sub(1).ok_or(ProofError::Range)?;
    verify_inclusion(last_leaf, last, new.size, path, &new.root)?;
    if old_root(last, new.size, last_leaf, path) == old.root { Ok(()) } else { Err(ProofError::Root) }
}

/// Folds the nodes to the left of the leaf, walking as RFC 9162 §2.1.3.2 does; the path has been verified.
fn old_root(index: u64, size: u64, leaf: &Sha256, path: &[Sha256]) -> Sha256 {
    let (mut fnode, mut snode, mut hash) = (index, size - 1, *leaf);
    for node in path {
        if fnode & 1 == 1 || fnode == snode {
            hash = hash_children(node, &hash);
            while fnode & 1 == 0 && fnode != 0 {
                (fnode, snode) = (fnode >> 1, snode >> 1);
            }
        }
        (fnode, snode) = (fnode >> 1, snode >> 1);
    }
    hash
}

#[cfg(test)]
mod tests {
    use transparency::Moment;
    use transparency::merkle::{hash_leaf, inclusion_path, root};

    use super::*;

    fn head(leaves: &[Sha256]) -> TreeHead {
        TreeHead { size: leaves.len() as u64, timestamp: Moment::from_seconds(0), root: root(leaves) }
    }

    #[test]
    fn every_small_tree_is_shown_to_be_the_beginning_of_every_larger_one() {
        let leaves: Vec<Sha256> = (0u8..40).map(|number| hash_leaf(&[number])).collect();
        for new in 1..=leaves.len() {
            for old in 1..=new {
                let path = inclusion_path(&leaves[..new], old - 1).unwrap();
                let (old_head, new_head) = (head(&leaves[..old]), head(&leaves[..new]));
                assert_eq!(
                    verify_growth(&old_head, &new_head, &leaves[old - 1], &path),
                    Ok(()),
                    "{old} {new}"
                );
            }
        }
    }

    #[test]
    fn tree_with_another_beginning_is_not_taken_for_a_larger_one() {
        let leaves: Vec<Sha256> = (0u8..40).map(|number| hash_leaf(&[number])).collect();
        for changed in 0..20 {
            let mut other = leaves.clone();
            other[changed] = hash_leaf(b"other");
            let path = inclusion_path(&leaves, 19).unwrap();
            let (old, new) = (head(&other[..20]), head(&leaves));
            assert_eq!(verify_growth(&old, &new, &leaves[19], &path), Err(ProofError::Root), "{changed}");
        }
        assert_eq!(verify_growth(&head(&[]), &head(&leaves), &leaves[0], &[]), Err(ProofError::Range));
    }
}
