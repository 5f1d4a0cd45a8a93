//! One replica on the bench, with the keys of all others in hand: each test plays the peers itself.

use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, Replicas, Sequence, SlotHeader, View};

use super::toy::{Toy, ToyKeys, WALL_MS, domain, operation, parameters};
use crate::judge;
use crate::state::LogState;
use crate::vote::checkpoint_preimage;
use crate::*;

pub struct Bench {
    pub replica: Replica<Toy, ToyKeys>,
    pub now: u64,
    /// The log as the other replicas have it.
    pub log: LogState,
    pub stored: Vec<Record>,
}

impl Bench {
    /// Replica `me` of four, connected to the others.
    pub fn new(me: u8) -> Bench {
        Bench::with(parameters(me, 4, 1))
    }

    pub fn with(parameters: Parameters) -> Bench {
        let toy = Toy { quorum: parameters.replicas.quorum() };
        let replica = Replica::new(parameters.clone(), toy, ToyKeys::of(parameters.me.0));
        Bench::of(replica, parameters)
    }

    pub fn of(replica: Replica<Toy, ToyKeys>, parameters: Parameters) -> Bench {
        let mut bench = Bench { replica, now: 1000, log: LogState::genesis(), stored: Vec::new() };
        for other in parameters.replicas.ids().filter(|other| *other != parameters.me) {
            bench.step(Event::Connected(other));
        }
        bench
    }

    fn replicas(&self) -> Replicas {
        self.replica.parameters.replicas
    }

    pub fn step(&mut self, event: Event) -> Ready {
        let ready = self.replica.step(Now { wall_ms: WALL_MS + self.now, monotonic_ms: self.now }, event);
        self.stored.extend(ready.persist.iter().cloned());
        let is_ahead = |due| due > self.now || self.replica.view == View(u64::MAX);
        assert!(ready.deadline.is_none_or(is_ahead), "asks to be called at a time that is over");
        ready
    }

    pub fn hear(&mut self, from: u8, message: Message) -> Ready {
        let message =
            certificate::codec::Decode::from_bytes(&certificate::codec::Encode::to_bytes(&message)).unwrap();
        self.step(Event::Message { from: ReplicaId(from), message })
    }

    pub fn wait(&mut self, ms: u64) -> Ready {
        self.now += ms;
        self.step(Event::Tick)
    }

    /// What replica `of` saw for an operation, signed alone.
    pub fn observed(&self, of: u8, number: u64, payload: &[u8]) -> SignedObservations {
        self.observed_at(of, number, payload, WALL_MS + self.now)
    }

    pub fn observed_at(&self, of: u8, number: u64, payload: &[u8], time_ms: u64) -> SignedObservations {
        let observation = Observation {
            operation: operation(number),
            after: self.log.executed(),
            time_ms,
            payload: payload.to_vec(),
        };
        SignedObservations::sign(ReplicaId(of), vec![observation], &domain(), &ToyKeys::of(of))
    }

    /// A batch that decides one operation by the observations of these replicas.
    pub fn batch_of(&self, number: u64, observers: &[u8]) -> Batch {
        let sets = observers.iter().map(|of| self.observed(*of, number, b"seen")).collect();
        Batch { operations: vec![operation(number)], sets }
    }

    /// The header that an honest primary writes over a batch.
    pub fn header_over(&self, sequence: u64, batch: &Batch) -> SlotHeader {
        let evidence = batch.evidence().unwrap();
        let toy = Toy { quorum: self.replicas().quorum() };
        let leaves = batch.decided_by(&evidence, &toy);
        let parameters = &self.replica.parameters;
        judge::header_of(Sequence(sequence), batch, &evidence, &leaves, (&self.log.last(), parameters))
    }

    pub fn signed(&self, view: u64, header: SlotHeader, batch: Batch) -> PrePrepare {
        let primary = self.replicas().primary(View(view)).0;
        let vote = vote(MessageType::PrePrepare, view, header.sequence.0, header.digest(), primary);
        PrePrepare { view: View(view), header, signature: vote.signature, batch: Arc::new(batch) }
    }

    /// A good proposal for the next slot.
    pub fn proposal(&self, number: u64) -> PrePrepare {
        let batch = self.batch_of(number, &[0, 1, 2, 3]);
        self.signed(0, self.header_over(self.log.executed().0 + 1, &batch), batch)
    }

    /// The proposal after a change to its header.
    pub fn proposal_with(&self, number: u64, change: impl Fn(&mut SlotHeader)) -> PrePrepare {
        let proposal = self.proposal(number);
        let mut header = proposal.header.clone();
        change(&mut header);
        self.signed(0, header, (*proposal.batch).clone())
    }

    /// Runs a proposal to its end: prepares and commits of all others.
    pub fn decide(&mut self, proposal: &PrePrepare) -> Vec<Decided> {
        let me = self.replica.parameters.me.0;
        let (sequence, digest) = (proposal.header.sequence.0, proposal.header.digest());
        let mut decided = Vec::new();
        if me != 0 {
            decided.extend(self.hear(0, Message::PrePrepare(proposal.clone())).decided);
        }
        let others: Vec<u8> = self.replicas().ids().map(|id| id.0).filter(|id| *id != me).collect();
        for from in others.iter().filter(|id| **id != 0) {
            let vote = vote(MessageType::Prepare, 0, sequence, digest, *from);
            decided.extend(self.hear(*from, Message::Prepare(vote)).decided);
        }
        for from in &others {
            let vote = vote(MessageType::Commit, 0, sequence, digest, *from);
            decided.extend(self.hear(*from, Message::Commit(vote)).decided);
        }
        self.note(proposal);
        decided
    }

    /// Executes a proposal in the log of the others.
    pub fn note(&mut self, proposal: &PrePrepare) {
        let evidence = proposal.batch.evidence().unwrap();
        let used: Vec<(u64, Digest)> = evidence
            .entries
            .iter()
            .flatten()
            .map(|found| (found.observation.time_ms, found.digest))
            .collect();
        self.log.execute(&proposal.header, used.into_iter(), &self.replica.parameters);
    }

    /// The slot with the commits of replicas 0, 2 and 3, or whoever is a quorum without `me`.
    pub fn decided_slot(&self, proposal: &PrePrepare) -> DecidedSlot {
        let (sequence, digest) = (proposal.header.sequence, proposal.header.digest());
        let me = self.replica.parameters.me;
        let signers: Vec<ReplicaId> = self.replicas().ids().filter(|id| *id != me).collect();
        let signers = &signers[..self.replicas().quorum()];
        let sign = |id: &ReplicaId| vote(MessageType::Commit, 0, sequence.0, digest, id.0).signature;
        let certificate = CommitCertificate {
            view: View(0),
            sequence,
            digest,
            signers: signers.iter().copied().collect(),
            signatures: signers.iter().map(sign).collect(),
        };
        DecidedSlot { header: proposal.header.clone(), batch: proposal.batch.clone(), certificate }
    }

    /// The vote of a replica for the state of the log of the others.
    pub fn checkpoint(&self, from: u8) -> CheckpointVote {
        let bytes = certificate::codec::Encode::to_bytes(&self.log);
        checkpoint(from, self.log.executed().0, LogState::digest_of(&bytes))
    }
}

pub fn vote(phase: MessageType, view: u64, sequence: u64, digest: Digest, from: u8) -> Vote {
    let (view, sequence) = (View(view), Sequence(sequence));
    let signature = ToyKeys::of(from).sign(&domain().vote_preimage(phase, view, sequence, digest));
    Vote { view, sequence, digest, replica: ReplicaId(from), signature }
}

pub fn checkpoint(from: u8, sequence: u64, digest: Digest) -> CheckpointVote {
    let preimage = checkpoint_preimage(&domain(), Sequence(sequence), digest);
    let signature = ToyKeys::of(from).sign(&preimage);
    CheckpointVote { sequence: Sequence(sequence), digest, replica: ReplicaId(from), signature }
}

/// The votes of a phase that a step sends.
pub fn sent(ready: &Ready, phase: MessageType) -> Vec<Vote> {
    let votes = ready.send.iter().filter_map(|(_, message)| super::cluster::own_vote(message));
    votes.filter(|(sent, _)| *sent == phase).map(|(_, vote)| vote).collect()
}

/// Why a step refused a proposal.
pub fn refusal(ready: &Ready) -> Option<Refusal> {
    ready.faults.iter().find_map(|fault| match fault {
        Fault::RefusedProposal { refusal, .. } => Some(*refusal),
        _ => None,
    })
}
