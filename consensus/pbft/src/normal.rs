//! The three phases. Castro & Liskov 1999 §4.2.
//!
//! A backup that cannot judge a proposal yet keeps it: because it has not executed the prefix that the header names, or because
//! its own low water mark has not advanced. The primary's PRE-PREPARE counts as its PREPARE.
//!
//! Deviates: a clock has a say, once. A proposal from more than [`CLOCK_SKEW_MAX_MS`] ahead of it gets no vote yet, since the log's time
//! never goes back: one far future would make every honest observation stale. One from as far behind raises the alarm and gets the vote.
//! It may have been sent again after the cluster stood still; the primary may sign no other digest for the slot, so a refusal would
//! be for ever. Nobody is misled: the time of a leaf is the median of its observations, so an old leaf is past its own `not_after`.

use certificate::{Digest, MessageType, ReplicaId, ReplicaSet, Sequence, SlotHeader, View};

use crate::ballot::Insertion;
use crate::judge::{self, Verdict};
use crate::log::{Accepted, Decision};
use crate::planted::Bug;
use crate::replica::Replica;
use crate::select::Conflict;
use crate::{
    Application, Batch, CLOCK_SKEW_MAX_MS, CommitCertificate, DecidedSlot, Fault, Keyring, Message,
    PrePrepare, Prepared, Proof, Record, Refusal, SignedVote, Standing, Vote,
};

impl<A: Application, K: Keyring> Replica<A, K> {
    pub(crate) fn on_pre_prepare(&mut self, from: ReplicaId, proposal: PrePrepare) {
        let (view, sequence) = (proposal.view, proposal.header.sequence);
        if self.parameters.replicas.primary(view) != from {
            let proof = self.signed(MessageType::PrePrepare, proposal.vote(from));
            self.fault(Fault::NotPrimary { from, view, sequence, proof });
            return;
        }
        let heard = self.hears(view) && sequence > self.views.base();
        if !heard || !self.is_held(from, sequence) || self.drops_at_high_mark(sequence) {
            return;
        }
        let vote = proposal.vote(from);
        let fixed = self.views.fixed(sequence).filter(|fixed| fixed.view == view);
        if let Some(slot) = self.slots.get(&sequence)
            && let Some(seen) = fixed.or(slot.seen.filter(|seen| seen.view == view))
        {
            if seen.digest != vote.digest {
                self.on_second_proposal(sequence, seen, vote);
                return;
            }
            let held = slot.accepted_in(view).is_some()
                || slot.waiting.as_ref().is_some_and(|waiting| waiting.view == view);
            if held || slot.decided_in().is_some_and(|decided| decided >= view) {
                return;
            }
        }
        if !proposal.verify(from, &self.parameters.domain, &self.keyring) {
            self.fault(Fault::InvalidSignature { from, message: MessageType::PrePrepare, sequence });
            return;
        }
        let is_null = proposal.header == SlotHeader::null(sequence, self.parameters.cluster_digest);
        let unread = self.standing == Standing::Learning || !self.views.has_entered(view);
        if is_null && fixed.is_none() && unread {
            // Who learns, or went past the view, may not have the new view that fixed it, and blames nobody for that.
            return;
        }
        let slot = self.slots.entry(sequence).or_default();
        slot.seen = Some(vote);
        if fixed.is_some() {
            return self.take_body(from, proposal.header, proposal.batch);
        }
        let prefix = proposal.header.prefix_sequence;
        if prefix >= sequence || sequence.0 - prefix.0 > self.parameters.pipeline {
            let pipeline = self.parameters.pipeline;
            self.refuse(from, vote, Refusal::PrefixSequence { pipeline, prefix });
            return;
        }
        if slot.decided.is_none() && sequence > self.log.executed() {
            slot.waiting = Some(proposal);
            self.touched.insert(sequence);
            self.note_ahead(from, Sequence(prefix.0.saturating_add(self.parameters.pipeline)));
        }
    }

    /// Whether proposals of the view are looked at: those of the current one; and of earlier ones, for their bodies, while this replica has
    /// no part in what others may decide there.
    fn hears(&self, view: View) -> bool {
        match self.standing {
            Standing::Active => view == self.view,
            Standing::Changing => view < self.view,
            Standing::Learning => true,
            Standing::Diverged => false,
        }
    }

    fn drops_at_high_mark(&self, sequence: Sequence) -> bool {
        self.parameters.switch.has(Bug::ProposalAtHighMarkDropped) && sequence > self.marks.high()
    }

    /// Another digest than the first that the primary signed: evidence, and never a vote for it.
    fn on_second_proposal(&mut self, sequence: Sequence, first: Vote, second: Vote) {
        let (domain, keyring) = (&self.parameters.domain, &self.keyring);
        let slot = self.slots.get_mut(&sequence).expect("the caller found the slot");
        if slot.equivocators.contains(second.replica) {
            return;
        }
        let phase = MessageType::PrePrepare;
        if !second.verify(phase, domain, keyring) {
            self.fault(Fault::InvalidSignature { from: second.replica, message: phase, sequence });
            return;
        }
        slot.equivocators.insert(second.replica);
        let (first, second) = (SignedVote { phase, vote: first }, SignedVote { phase, vote: second });
        self.fault(Fault::Equivocation { first, second });
    }

    /// Whether messages of `from` for the slot are looked at: above the low water mark, not beyond the horizon.
    fn is_held(&mut self, from: ReplicaId, sequence: Sequence) -> bool {
        if sequence > self.marks.horizon() {
            self.fault(Fault::OutsideWaterMarks { from, sequence });
            self.note_ahead(from, sequence);
            return false;
        }
        sequence > self.marks.low
    }

    /// A vote that nobody may cast, if its replica signed it.
    fn signed(&self, phase: MessageType, vote: Vote) -> Option<SignedVote> {
        let signed = SignedVote { phase, vote };
        signed.verify(&self.parameters.domain, &self.keyring).then_some(signed)
    }

    pub(crate) fn on_vote(&mut self, from: ReplicaId, phase: MessageType, vote: Vote) {
        let sequence = vote.sequence;
        if vote.replica != from {
            self.fault(Fault::WrongSender { from, claimed: vote.replica });
            return;
        }
        if phase == MessageType::Prepare && self.parameters.replicas.primary(vote.view) == from {
            let proof = self.signed(phase, vote);
            self.fault(Fault::PrepareOfPrimary { from, sequence, proof });
            return;
        }
        if !self.is_held(from, sequence) {
            return;
        }
        let slot = self.slots.entry(sequence).or_default();
        if slot.decided_in().is_some_and(|decided| decided >= vote.view) {
            return;
        }
        let counted = slot.committed.is_some_and(|own| own.view == vote.view && own.digest == vote.digest);
        slot.prepares.plant(self.parameters.switch);
        slot.commits.plant(self.parameters.switch);
        let fast = self.parameters.fast_path && !slot.released && slot.decided.is_none();
        if phase == MessageType::Prepare && counted && !fast {
            return;
        }
        let (domain, keyring) = (&self.parameters.domain, &self.keyring);
        let ballot = if phase == MessageType::Prepare { &mut slot.prepares } else { &mut slot.commits };
        match ballot.insert(vote, |vote| vote.verify(phase, domain, keyring)) {
            Insertion::New => {
                self.touched.insert(sequence);
            }
            Insertion::Ignored => {}
            Insertion::Invalid(_) => {
                self.fault(Fault::InvalidSignature { from, message: phase, sequence });
                self.touched.insert(sequence);
            }
            Insertion::Equivocation(first, second) => {
                let (first, second) = (SignedVote { phase, vote: first }, SignedVote { phase, vote: second });
                self.fault(Fault::Equivocation { first, second });
            }
        }
    }

    /// Runs the phases of one slot as far as they go.
    pub(crate) fn progress(&mut self, sequence: Sequence) {
        self.judge_waiting(sequence);
        self.commit_when_prepared(sequence);
        self.decide_when_committed(sequence);
        self.release_when_fast(sequence);
    }

    fn judge_waiting(&mut self, sequence: Sequence) {
        let (executed, high, pipeline) = (self.executed(), self.marks.high(), self.parameters.pipeline);
        let (view, active) = (self.view, self.standing == Standing::Active);
        let Some(slot) = self.slots.get_mut(&sequence) else { return };
        let decided = slot.decided_in();
        if decided.is_some_and(|decided| slot.waiting.as_ref().is_some_and(|it| it.view <= decided)) {
            slot.waiting = None;
        }
        let can_judge = |proposal: &PrePrepare| {
            proposal.view == view
                && proposal.header.prefix_sequence <= executed
                && sequence.0 - executed.0.min(sequence.0) <= pipeline
                && sequence <= high
        };
        if !active || !slot.waiting.as_ref().is_some_and(can_judge) {
            return;
        }
        let proposal = slot.waiting.take().expect("the proposal was just seen");
        let ours = slot.decided.as_ref().map(|decision| decision.slot.certificate.digest);
        if let (Some(view), Some(ours)) = (decided, ours) {
            // Only what a new view fixed gets here, and that is what was decided: others may not have it.
            let theirs = proposal.header.digest();
            if theirs != ours {
                return self.stop_over(Conflict { view, first: ours, second: theirs });
            }
            return self.accept(proposal, None);
        }
        let from = self.primary();
        let is_fixed = self.views.fixed(sequence).is_some();
        if is_fixed && proposal.header == SlotHeader::null(sequence, self.parameters.cluster_digest) {
            return self.accept(proposal, Some(Verdict::null()));
        }
        let judged = judge::judge(
            &proposal,
            &self.log,
            &mut self.verified,
            &self.parameters,
            (&self.application, &self.keyring),
        );
        let verdict = match judged {
            Ok(verdict) => verdict,
            Err(refusal) => return self.refuse(from, proposal.vote(from), refusal),
        };
        let (time_ms, wall_ms) = (proposal.header.time_ms, self.now.wall_ms);
        if time_ms.abs_diff(wall_ms) > CLOCK_SKEW_MAX_MS {
            self.fault(Fault::ClockSkew { from, sequence, time_ms, wall_ms });
        }
        let own_clock = self.parameters.switch.has(Bug::ClockDependentVote);
        let ahead = if own_clock { 1000 } else { CLOCK_SKEW_MAX_MS };
        if is_fixed || time_ms <= wall_ms.saturating_add(ahead) {
            self.accept(proposal, Some(verdict));
        } else if let Some(slot) = self.slots.get_mut(&sequence) {
            slot.shelved = Some(proposal);
        }
    }

    fn refuse(&mut self, from: ReplicaId, vote: Vote, refusal: Refusal) {
        let proposal = SignedVote { phase: MessageType::PrePrepare, vote };
        self.fault(Fault::RefusedProposal { from, proposal, sequence: vote.sequence, refusal });
    }

    /// Votes for a proposal. The primary of a new view, which signed it there, sends no PREPARE.
    fn accept(&mut self, proposal: PrePrepare, verdict: Option<Verdict>) {
        let (sequence, digest) = (proposal.header.sequence, proposal.header.digest());
        let backup = self.primary() != self.me();
        let prepare = backup.then(|| self.sign(MessageType::Prepare, sequence, digest));
        let forgotten = self.parameters.switch.has(Bug::NullSlotNotStored) && proposal.header.entries == 0;
        if !forgotten {
            self.ready.persist.push(Record::Accepted { proposal: proposal.clone(), prepare });
        }
        if let Some(prepare) = prepare {
            self.send_all(Message::Prepare(prepare));
        }
        self.hold_accepted(proposal, digest, prepare, verdict);
    }

    /// Keeps a proposal that this replica voted for or made, whose record is among those to store.
    pub(crate) fn hold_accepted(
        &mut self,
        proposal: PrePrepare,
        digest: Digest,
        prepare: Option<Vote>,
        verdict: Option<Verdict>,
    ) {
        let (sequence, since_ms) = (proposal.header.sequence, self.now.monotonic_ms);
        let primary = self.primary();
        if self.slots.get(&sequence).is_none_or(|slot| slot.decided.is_none()) {
            self.note_proposed(sequence, &proposal.batch);
        }
        let slot = self.slots.entry(sequence).or_default();
        assert!(slot.accepted_in(proposal.view).is_none(), "one digest is accepted for a view and slot");
        slot.seen = Some(proposal.vote(primary));
        if let Some(vote) = prepare {
            slot.prepares.insert_verified(vote);
        }
        slot.accept(Accepted { proposal, digest, prepare, verdict, since_ms });
        self.touched.insert(sequence);
    }

    /// Its operations are in flight.
    pub(crate) fn note_proposed(&mut self, sequence: Sequence, batch: &Batch) {
        self.note_order(batch);
        for operation in &batch.operations {
            self.requests.set_in_flight(&operation.digest(), Some(sequence));
        }
    }

    /// prepared(m, v, n, i): q votes for the accepted digest, the PRE-PREPARE among them. Then the COMMIT goes out, once.
    fn commit_when_prepared(&mut self, sequence: Sequence) {
        let needed = self.quorum() - 1;
        let Some(slot) = self.slots.get_mut(&sequence) else { return };
        let Some(accepted) = slot.accepted_in(self.view) else { return };
        let committed = slot.committed.is_some_and(|own| own.view == self.view);
        let decided = slot.decided_in().is_some_and(|decided| decided >= self.view);
        if self.standing != Standing::Active || committed || decided {
            return;
        }
        let (digest, primary, phase) = (accepted.digest, accepted.proposal.signature, MessageType::Prepare);
        let (domain, keyring) = (&self.parameters.domain, &self.keyring);
        let verify = |vote: &Vote| vote.verify(phase, domain, keyring);
        let (quorum, invalid) = slot.prepares.quorum(self.view, digest, needed, verify);
        self.blame(phase, &invalid);
        let Some(prepares) = quorum else { return };
        let proof = Proof::Prepares {
            primary,
            signers: prepares.iter().map(|vote| vote.replica).collect(),
            signatures: prepares.iter().map(|vote| vote.signature).collect(),
        };
        let vote = self.sign(MessageType::Commit, sequence, digest);
        self.ready.persist.push(Record::Committed { vote, proof: proof.clone() });
        self.send_all(Message::Commit(vote));
        let slot = self.slots.get_mut(&sequence).expect("the slot was just seen");
        slot.commits.insert_verified(vote);
        slot.committed = Some(vote);
        slot.prepared = Some(Prepared { view: vote.view, digest, proof });
    }

    pub(crate) fn blame(&mut self, message: MessageType, invalid: &[Vote]) {
        for vote in invalid {
            self.fault(Fault::InvalidSignature { from: vote.replica, message, sequence: vote.sequence });
        }
    }

    /// q commits of one view for a digest whose body is here decide the slot, prepared or not: they are a certificate.
    fn decide_when_committed(&mut self, sequence: Sequence) {
        let needed = self.quorum();
        let Some(slot) = self.slots.get_mut(&sequence) else { return };
        if slot.decided.is_some() || slot.commits.len() < needed {
            return;
        }
        let bodies: Vec<PrePrepare> = slot.proposals().cloned().collect();
        let phase = MessageType::Commit;
        let (domain, keyring) = (&self.parameters.domain, &self.keyring);
        for proposal in bodies {
            let digest = proposal.header.digest();
            for view in slot.commits.views() {
                let verify = |vote: &Vote| vote.verify(phase, domain, keyring);
                let (quorum, invalid) = slot.commits.quorum(view, digest, needed, verify);
                if let Some(votes) = quorum {
                    let certificate = certificate_of(&votes);
                    let (header, batch) = (proposal.header, proposal.batch);
                    self.blame(phase, &invalid);
                    self.adopt(DecidedSlot { header, batch, certificate });
                    return;
                }
                if !invalid.is_empty() {
                    self.touched.insert(sequence);
                    return self.blame(phase, &invalid);
                }
            }
        }
    }

    /// Takes a decision whose certificate was checked. Says whether its body holds.
    ///
    /// Of an accepted digest the body is here and was judged: what came beside the certificate is not looked at.
    pub(crate) fn adopt(&mut self, mut decided: DecidedSlot) -> bool {
        let sequence = decided.header.sequence;
        let slot = self.slots.entry(sequence).or_default();
        let digest = decided.certificate.digest;
        let accepted = slot.accepted.as_mut().filter(|accepted| accepted.digest == digest);
        let verdict = accepted.and_then(|accepted| {
            decided.header = accepted.proposal.header.clone();
            decided.batch = accepted.proposal.batch.clone();
            accepted.verdict.take()
        });
        let verdict = verdict.or_else(|| judge::bound(&decided.header, &decided.batch, &self.application));
        let view = decided.certificate.view;
        slot.waiting.take_if(|waiting| waiting.view <= view);
        let Some(verdict) = verdict else { return false };
        if slot.accepted.is_some() && !slot.released {
            self.counts.slow += 1;
        }
        self.proposed = self.proposed.max(sequence);
        self.ready.persist.push(slot.decided_record(&decided));
        slot.decided = Some(Decision { slot: decided, verdict: Some(verdict) });
        slot.prepares.forget_up_to(view);
        slot.commits.forget_up_to(view);
        true
    }
}

/// The certificate that commits of one view for one digest make; they stand by replica.
fn certificate_of(votes: &[Vote]) -> CommitCertificate {
    CommitCertificate {
        view: votes[0].view,
        sequence: votes[0].sequence,
        digest: votes[0].digest,
        signers: votes.iter().map(|vote| vote.replica).collect::<ReplicaSet>(),
        signatures: votes.iter().map(|vote| vote.signature).collect(),
    }
}
