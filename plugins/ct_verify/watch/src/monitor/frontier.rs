//! The right edge of a tree: what it takes to add leaves and compute roots without the leaves before. RFC 9162 §2.1.

use serde::{Deserialize, Serialize};
use transparency::digest::Sha256;
use transparency::merkle::{ProofError, hash_children, verify_inclusion};
use transparency::tree_head::TreeHead;

/// The roots of the perfect subtrees that a tree is made of, the largest first: one for each bit of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Sha256>,
}

impl Frontier {
    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Sha256) {
        self.nodes.push(leaf);
        self.size += 1;
        for _ in 0..self.size.trailing_zeros() {
            let (Some(right), Some(left)) = (self.nodes.pop(), self.nodes.pop()) else { return };
            self.nodes.push(hash_children(&left, &right));
        }
    }

    /// The root over all leaves.
    pub fn root(&self) -> Sha256 {
        let folded = self.nodes.iter().rev().copied().reduce(|right, left| hash_children(&left, &right));
        folded.unwrap_or_else(|| Sha256::of(b""))
    }

    /// The frontier after leaf `index` of a tree with this head, shown by the leaf's inclusion path: what stands to the left of a leaf
    /// in its path are the perfect subtrees before it.
    ///
    /// # Errors
    /// [`ProofError`] when the path does not show the leaf to be there.
    pub fn from_path(leaf: Sha256, index: u64, head: &TreeHead, path: &[Sha256]) -> Result<Self, ProofError> {
        verify_inclusion(&leaf, index, head.size, path, &head.root)?;
        let (mut fnode, mut snode) = (index, head.size - 1);
        let mut nodes = Vec::new();
        for node in path {
            if fnode & 1 == 1 || fnode == snode {
                nodes.push(*node);
                while fnode & 1 == 0 && fnode != 0 {
                    (fnode, snode) = (fnode >> 1, snode >> 1);
                }
            }
            (fnode, snode) = (fnode >> 1, snode >> 1);
        }
        nodes.reverse();
        let mut frontier = Frontier { size: index, nodes };
        frontier.push(leaf);
        Ok(frontier)
    }
}

/// A frontier as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeptFrontier {
    size: u64,
    nodes: Vec<String>,
}

impl From<&Frontier> for KeptFrontier {
    fn from(frontier: &Frontier) -> Self {
        KeptFrontier { size: frontier.size, nodes: frontier.nodes.iter().map(Sha256::base64).collect() }
    }
}

impl KeptFrontier {
    /// The frontier, if it is one.
    pub fn read(&self) -> Option<Frontier> {
        let nodes = self.nodes.iter().map(|node| Sha256::from_base64(node)).collect::<Option<Vec<_>>>()?;
        let fits = nodes.len() == self.size.count_ones() as usize;
        fits.then_some(Frontier { size: self.size, nodes })
    }
}

#[cfg(test)]
mod tests {
    use transparency::Moment;
    use transparency::merkle::{hash_leaf, inclusion_path, root};

    use super::*;

    fn leaves(count: u32) -> Vec<Sha256> {
        (0..count).map(|number| hash_leaf(&number.to_be_bytes())).collect()
    }

    fn grown(leaves: &[Sha256]) -> Frontier {
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        frontier
    }

    #[test]
    fn roots_are_those_of_the_tree() {
        let leaves = leaves(70);
        for size in 0..=70 {
            assert_eq!(grown(&leaves[..size]).root(), root(&leaves[..size]), "{size}");
        }
    }

    #[test]
    fn a_path_in_a_larger_tree_gives_the_same_frontier() {
        let leaves = leaves(45);
        for size in 1..=45 {
            let head =
                TreeHead { size, timestamp: Moment::from_seconds(0), root: root(&leaves[..size as usize]) };
            for index in 0..size {
                let path = inclusion_path(&leaves[..size as usize], index as usize).unwrap();
                let leaf = leaves[index as usize];
                let frontier = Frontier::from_path(leaf, index, &head, &path).unwrap();
                assert_eq!(frontier, grown(&leaves[..=index as usize]), "{index} of {size}");
                let kept = KeptFrontier::from(&frontier);
                assert_eq!(kept.read(), Some(frontier));
                assert!(Frontier::from_path(leaves[44], index, &head, &path).is_err() || leaf == leaves[44]);
            }
        }
    }

    #[test]
    fn a_kept_frontier_with_too_few_nodes_is_none() {
        let kept = KeptFrontier { size: 7, nodes: vec![Sha256([1; 32]).base64(); 2] };
        assert_eq!(kept.read(), None);
    }
}
