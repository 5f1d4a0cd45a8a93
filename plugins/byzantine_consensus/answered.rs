//! The decisions of a slot, each with the observations behind it.

use certificate::codec::Decode;
use certificate::leaf::Leaf;
use pbft::{Batch, Operation};

use super::judge;
use super::store::Evidence;

/// One decision of a slot.
pub struct Answered<'a> {
    /// Its place.
    pub index: usize,
    /// What was asked.
    pub operation: &'a Operation,
    /// What was decided.
    pub leaf: Leaf,
    /// The observations behind it.
    pub evidence: Vec<Evidence>,
}

/// The decisions of a slot about questions and tasks.
pub fn answered<'a>(
    operations: &'a [Operation],
    leaves: &'a [Vec<u8>],
    batch: &Batch,
) -> impl Iterator<Item = Answered<'a>> {
    let mut evidence = evidence(batch);
    operations.iter().zip(leaves).enumerate().filter_map(move |(index, (operation, leaf))| {
        let leaf = Leaf::from_bytes(leaf).ok()?;
        let evidence = evidence.get_mut(index).map(std::mem::take).unwrap_or_default();
        let is_ours = leaf.question().is_some() || judge::is_task(leaf.kind());
        (is_ours && judge::asked(&leaf) == *operation).then_some(Answered {
            index,
            operation,
            leaf,
            evidence,
        })
    })
}

/// The observations of each entry of a batch, lowest replica first.
fn evidence(batch: &Batch) -> Vec<Vec<Evidence>> {
    let entries = batch.observations();
    let copy = |counted: &pbft::Counted<'_>| Evidence {
        replica: counted.replica,
        time_ms: counted.time_ms,
        payload: counted.payload.to_vec(),
    };
    entries.iter().map(|entry| entry.iter().map(copy).collect()).collect()
}

/// Observations in the form in which they are judged.
pub fn counted(evidence: &[Evidence]) -> Vec<pbft::Counted<'_>> {
    evidence
        .iter()
        .map(|one| pbft::Counted { replica: one.replica, time_ms: one.time_ms, payload: &one.payload })
        .collect()
}
