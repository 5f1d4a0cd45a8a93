//! The slots between the water marks: what was proposed, who voted, what was decided.

use std::sync::Arc;

use certificate::{Digest, ReplicaSet, Sequence, SlotHeader, View};

use crate::ballot::Ballot;
use crate::judge::Verdict;
use crate::{
    BODIES_PER_SLOT_MAX, Batch, DecidedSlot, Operation, PrePrepare, Prepared, Record, SlotClaim, Vote, Voted,
};

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
    /// A proposal that our clock refused, for the body: the others may decide it.
    pub(crate) shelved: Option<PrePrepare>,
    pub(crate) accepted: Option<Accepted>,
    /// What was accepted in earlier views, for the body: a later view may propose it again.
    pub(crate) earlier: Vec<Accepted>,
    pub(crate) prepares: Ballot,
    pub(crate) commits: Ballot,
    /// The own COMMIT.
    pub(crate) committed: Option<Vote>,
    /// An element of P: why that COMMIT was sent.
    pub(crate) prepared: Option<Prepared>,
    /// An element of Q: the own vote of the highest view.
    pub(crate) voted: Option<Voted>,
    /// Whether the answer was released before the commits were in.
    pub(crate) released: bool,
    pub(crate) decided: Option<Decision>,
}

impl Slot {
    /// Whether it waits for messages of others in the current view.
    pub(crate) fn is_open(&self, view: View) -> bool {
        self.decided.is_none()
            && (self.accepted_in(view).is_some()
                || self.waiting.is_some()
                || self.prepares.len() > 0
                || self.commits.len() > 0)
    }

    /// Whether the own proposal or vote in `view` is for a digest.
    pub(crate) fn accepted_in(&self, view: View) -> Option<&Accepted> {
        self.accepted.as_ref().filter(|accepted| accepted.proposal.view == view)
    }

    /// Forgets the messages of views below; nothing of them can be decided any more.
    pub(crate) fn forget_below(&mut self, view: View) {
        let Some(last) = view.0.checked_sub(1).map(View) else { return };
        self.prepares.forget_up_to(last);
        self.commits.forget_up_to(last);
        self.waiting.take_if(|waiting| waiting.view < view);
    }

    /// Takes what was accepted in a new view in place of what was accepted before, whose body is kept.
    pub(crate) fn accept(&mut self, accepted: Accepted) {
        self.vote(accepted.proposal.voted());
        let digest = accepted.digest;
        let before = self.accepted.replace(accepted).filter(|before| before.digest != digest);
        self.earlier.retain(|earlier| earlier.digest != digest);
        self.earlier.extend(before);
        if self.earlier.len() > BODIES_PER_SLOT_MAX {
            let prepared = self.prepared.as_ref().map(|prepared| prepared.digest);
            let oldest = self.earlier.iter().position(|earlier| Some(earlier.digest) != prepared);
            self.earlier.remove(oldest.unwrap_or(0));
        }
    }

    /// Notes an own vote; Q has that of the highest view.
    pub(crate) fn vote(&mut self, voted: Voted) {
        if self.voted.is_none_or(|before| before.view <= voted.view) {
            self.voted = Some(voted);
        }
    }

    /// The proposals whose bodies are here.
    pub(crate) fn proposals(&self) -> impl Iterator<Item = &PrePrepare> {
        let accepted = self.accepted.iter().chain(&self.earlier).map(|accepted| &accepted.proposal);
        accepted.chain(&self.waiting).chain(&self.shelved)
    }

    /// The header and body of a digest, if they are here and were judged: of what waits nobody knows yet whether the two belong together.
    pub(crate) fn body(&self, digest: Digest) -> Option<(SlotHeader, Arc<Batch>)> {
        let decided = self.decided.as_ref().map(|decision| (&decision.slot.header, &decision.slot.batch));
        let accepted = self.accepted.iter().chain(&self.earlier).map(|accepted| &accepted.proposal);
        let judged = accepted.chain(&self.shelved).map(|proposal| (&proposal.header, &proposal.batch));
        let found = decided.into_iter().chain(judged).find(|(header, _)| header.digest() == digest)?;
        Some((found.0.clone(), found.1.clone()))
    }

    /// What an own view change to `view` says about the slot.
    pub(crate) fn claim(&self, sequence: Sequence, view: View) -> Option<SlotClaim> {
        let decided = self.decided.as_ref().map(|decision| Prepared::of(&decision.slot.certificate));
        let certificates = [self.prepared.clone(), decided].into_iter().flatten();
        // A decision of that view or a later one was fetched from those who are there: it makes this view change pointless, not wrong.
        let prepared = certificates.filter(|it| it.view < view).max_by_key(|it| it.view);
        let voted = self.voted;
        (prepared.is_some() || voted.is_some()).then_some(SlotClaim { sequence, prepared, voted })
    }

    /// The view of the commits that decided the slot.
    pub(crate) fn decided_in(&self) -> Option<View> {
        self.decided.as_ref().map(|decision| decision.slot.certificate.view)
    }

    /// Whether the accepted proposal contains the operation.
    pub(crate) fn proposes(&self, operation: &Operation) -> bool {
        self.accepted.as_ref().is_some_and(|accepted| accepted.proposal.batch.operations.contains(operation))
    }

    /// Everything that must survive of the slot, as records.
    pub(crate) fn records(&self, sequence: Sequence) -> Vec<Record> {
        let mut records = Vec::new();
        let accepted = self.accepted.as_ref().map(|accepted| accepted.proposal.voted());
        if let Some(voted) = self.voted.filter(|voted| accepted != Some(*voted)) {
            records.push(Record::Voted { sequence, voted });
        }
        for accepted in self.earlier.iter().chain(&self.accepted) {
            let (proposal, prepare) = (accepted.proposal.clone(), accepted.prepare);
            records.push(Record::Accepted { proposal, prepare });
        }
        if let (Some(vote), Some(prepared)) = (self.committed, &self.prepared) {
            records.push(Record::Committed { vote, proof: prepared.proof.clone() });
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
