//! The slots between the water marks: what was proposed, who voted, what was decided.

use certificate::{Digest, ReplicaSet, Sequence, View};

use crate::ballot::Ballot;
use crate::judge::Verdict;
use crate::{DecidedSlot, Operation, PrePrepare, Record, Vote};

/// A proposal that this replica voted for or made itself.
#[derive(Clone)]
pub(crate) struct Accepted {
    pub(crate) proposal: PrePrepare,
    /// Of the proposal's header.
    pub(crate) digest: Digest,
    /// The own PREPARE; none of the primary.
    pub(crate) prepare: Option<Vote>,
    /// What it decides; recomputed after a restart.
    pub(crate) verdict: Option<Verdict>,
    /// Since when it is open.
    pub(crate) since_ms: u64,
}

/// A decided slot, and what it decides until that is executed.
#[derive(Clone)]
pub(crate) struct Decision {
    pub(crate) slot: DecidedSlot,
    pub(crate) verdict: Option<Verdict>,
}

/// One slot.
#[derive(Clone, Default)]
pub(crate) struct Slot {
    /// The first digest that the primary signed for the slot, and in which view.
    pub(crate) seen: Option<Vote>,
    /// The primaries whose second one was reported.
    pub(crate) equivocators: ReplicaSet,
    /// A signed proposal that cannot be judged yet: its prefix is not executed here, or it is above the high water mark.
    pub(crate) waiting: Option<PrePrepare>,
    pub(crate) accepted: Option<Accepted>,
    pub(crate) prepares: Ballot,
    pub(crate) commits: Ballot,
    /// The own COMMIT.
    pub(crate) committed: Option<Vote>,
    pub(crate) decided: Option<Decision>,
}

impl Slot {
    /// Whether it waits for messages of others.
    pub(crate) fn is_open(&self) -> bool {
        self.decided.is_none()
            && (self.accepted.is_some()
                || self.waiting.is_some()
                || self.prepares.len() > 0
                || self.commits.len() > 0)
    }

    /// Whether the own proposal or vote in `view` is for a digest.
    pub(crate) fn accepted_in(&self, view: View) -> Option<&Accepted> {
        self.accepted.as_ref().filter(|accepted| accepted.proposal.view == view)
    }

    /// Whether the accepted proposal contains the operation.
    pub(crate) fn proposes(&self, operation: &Operation) -> bool {
        self.accepted.as_ref().is_some_and(|accepted| accepted.proposal.batch.operations.contains(operation))
    }

    /// Everything that must survive of the slot, as records.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        if let Some(accepted) = &self.accepted {
            let (proposal, prepare) = (accepted.proposal.clone(), accepted.prepare);
            records.push(Record::Accepted { proposal, prepare });
        }
        if let Some(vote) = self.committed {
            records.push(Record::Committed(vote));
        }
        if let Some(decision) = &self.decided {
            records.push(self.decided_record(&decision.slot));
        }
        records
    }

    /// The record of the decision; with the body only when the accepted proposal is not that body.
    pub(crate) fn decided_record(&self, decided: &DecidedSlot) -> Record {
        let digest = decided.certificate.digest;
        let held = self.accepted.as_ref().is_some_and(|accepted| accepted.digest == digest);
        let body = (!held).then(|| (decided.header.clone(), decided.batch.clone()));
        Record::Decided { certificate: decided.certificate.clone(), body }
    }
}

/// Which slots are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WaterMarks {
    /// h, the last stable checkpoint.
    pub(crate) low: Sequence,
    /// L
    pub(crate) window: u64,
}

impl WaterMarks {
    /// H = h + L: votes are for slots up to here.
    pub(crate) fn high(&self) -> Sequence {
        Sequence(self.low.0.saturating_add(self.window))
    }

    /// Messages for slots up to here are kept until the marks advance: replicas advance them at different moments.
    pub(crate) fn horizon(&self) -> Sequence {
        Sequence(self.high().0.saturating_add(self.window))
    }
}
