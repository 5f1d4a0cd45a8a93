//! Whether a log kept its promise: the audit of one timestamp against a verified tree head.

use serde::{Deserialize, Serialize};

use crate::digest::{LogId, Sha256};
use crate::merkle::{ProofError, verify_inclusion};
use crate::moment::Moment;
use crate::tree_head::TreeHead;

/// What is known of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inclusion {
    /// Nobody has looked.
    #[default]
    NotChecked,
    /// It is not in the tree, but the log still has time.
    Pending,
    /// It is in a tree whose head the log signed.
    Proved,
    /// It should be in the tree, and is not.
    BrokenPromise,
}

/// What was found out about one promise, handed to the judgement by whoever asked the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audited {
    /// The log. Two that promised within one millisecond promised the same leaf.
    pub log: LogId,
    /// The leaf that the timestamp promises.
    pub leaf: Sha256,
    /// What was found.
    pub inclusion: Inclusion,
}

/// The finding when a log shows the leaf at an index of a tree whose head has been verified.
///
/// # Errors
/// [`ProofError`] when the proof does not show it; that alone is no broken promise.
pub fn audit_proof(
    leaf: &Sha256,
    index: u64,
    path: &[Sha256],
    head: &TreeHead,
) -> Result<Inclusion, ProofError> {
    verify_inclusion(leaf, index, head.size, path, &head.root)?;
    Ok(Inclusion::Proved)
}

/// The finding when the leaf is not in the tree of a verified head: broken once the head is a merge delay younger than the promise.
///
/// The caller must have seen that it is not there: in the tiles of a static-ct log ([`crate::tile::audit`]), or by reading all
/// entries; a log's own word "not found" is not signed.
pub fn audit_absence(promised: Moment, mmd_seconds: u64, head: &TreeHead) -> Inclusion {
    let broken = promised.plus_seconds(mmd_seconds) < head.timestamp;
    if broken { Inclusion::BrokenPromise } else { Inclusion::Pending }
}
