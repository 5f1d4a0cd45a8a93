//! A cluster with fixed keys, and everything that one of its replicas can sign to its own disgrace.

use std::sync::Arc;

use certificate::codec::Writer;
use certificate::{
    Cluster, Digest, Domain, Member, MessageType, OperationKind, ReplicaId, SeedKey, Sequence, Signature,
    View,
};
use pbft::{
    CheckpointVote, CommitCertificate, Fault, Keyring, NewView, NewViewError, Observation, Operation,
    Refusal, SignedObservations, SignedVote, SlotClaim, ViewChange, ViewChangeError, Vote, Voted, select,
};

use crate::evidence::EvidenceFile;
use crate::keyring::ClusterKeys;
use crate::rules::rules;

/// When all of it was found, milliseconds since 1970.
pub const TIME_MS: u64 = 1_800_000_000_000;

pub const A: Digest = Digest([0xa; 32]);
pub const B: Digest = Digest([0xb; 32]);

/// The faulty replica.
pub const CULPRIT: u8 = 2;

pub struct Case {
    pub cluster: Cluster,
    seeds: Vec<SeedKey>,
}

impl Case {
    pub fn new() -> Case {
        let seeds: Vec<SeedKey> = (1..=4).map(|id| SeedKey::new([id; 32])).collect();
        let members = seeds.iter().enumerate().map(|(id, seed)| Member {
            id: ReplicaId(id as u8),
            name: format!("replica-{id}"),
            address: format!("192.0.2.{}:5380", id + 1).parse().unwrap(),
            public_key: seed.signing_key().public_key(),
            transport_key: seed.transport_key().public_key(),
            upstream_group: format!("group-{id}"),
            group: 0,
        });
        Case { cluster: Cluster::new("example", 1, members.collect()).unwrap(), seeds }
    }

    pub fn domain(&self) -> Domain {
        self.cluster.domain()
    }

    pub fn keys(&self, of: u8) -> ClusterKeys {
        ClusterKeys::new(&self.cluster, &self.seeds[usize::from(of)])
    }

    pub fn file(&self, fault: &Fault) -> EvidenceFile {
        EvidenceFile::of(fault, &self.domain(), TIME_MS).unwrap()
    }

    pub fn vote(&self, phase: MessageType, view: u64, sequence: u64, digest: Digest, of: u8) -> SignedVote {
        let (view, sequence, replica) = (View(view), Sequence(sequence), ReplicaId(of));
        let signature = self.keys(of).sign(&self.domain().vote_preimage(phase, view, sequence, digest));
        SignedVote { phase, vote: Vote { view, sequence, digest, replica, signature } }
    }

    pub fn equivocation(&self, phase: MessageType) -> Fault {
        let [first, second] = [A, B].map(|digest| self.vote(phase, 6, 9, digest, CULPRIT));
        Fault::Equivocation { first, second }
    }

    pub fn checkpoint(&self, sequence: u64, digest: Digest) -> CheckpointVote {
        let mut body = Writer::new();
        body.u64(sequence);
        body.raw(&digest.0);
        let preimage = self.domain().preimage(MessageType::Checkpoint, &body.finish());
        let signature = self.keys(CULPRIT).sign(&preimage);
        CheckpointVote { sequence: Sequence(sequence), digest, replica: ReplicaId(CULPRIT), signature }
    }

    pub fn checkpoints(&self) -> Fault {
        let [first, second] = [A, B].map(|digest| self.checkpoint(100, digest));
        Fault::CheckpointEquivocation { first, second }
    }

    /// The claim to have voted in view 0 for what its primary proposed.
    pub fn claim(&self, sequence: u64, digest: Digest) -> SlotClaim {
        let signature = self.vote(MessageType::PrePrepare, 0, sequence, digest, 0).vote.signature;
        let voted = Some(Voted { view: View(0), digest, signature });
        SlotClaim { sequence: Sequence(sequence), prepared: None, voted }
    }

    /// The claim to have voted in view 0 for what nobody proposed.
    pub fn lie(&self, sequence: u64) -> SlotClaim {
        let voted = Some(Voted { view: View(0), digest: A, signature: Signature([7; 64]) });
        SlotClaim { sequence: Sequence(sequence), prepared: None, voted }
    }

    pub fn view_change(&self, of: u8, view: u64, slots: Vec<SlotClaim>) -> Arc<ViewChange> {
        let (view, replica, signature) = (View(view), ReplicaId(of), Signature([0; 64]));
        let message = ViewChange { view, replica, stable: None, decided: None, slots, signature };
        Arc::new(message.sign(&self.domain(), &self.keys(of)))
    }

    pub fn view_changes(&self) -> Fault {
        let first = self.view_change(CULPRIT, 3, Vec::new());
        let second = self.view_change(CULPRIT, 3, vec![self.claim(1, A)]);
        Fault::ViewChangeEquivocation { first, second }
    }

    pub fn invalid_view_change(&self) -> Fault {
        let message = self.view_change(CULPRIT, 3, vec![self.claim(1, A), self.lie(2)]);
        Fault::InvalidViewChange { message, error: ViewChangeError::Voted(Sequence(2)) }
    }

    /// A view change that says a slot was decided without a quorum's commits.
    pub fn undecided_view_change(&self) -> Fault {
        let votes = [0, 1].map(|of| self.vote(MessageType::Commit, 0, 7, A, of).vote);
        let decided = CommitCertificate {
            view: View(0),
            sequence: Sequence(7),
            digest: A,
            signers: votes.iter().map(|vote| vote.replica).collect(),
            signatures: votes.iter().map(|vote| vote.signature).collect(),
        };
        let message =
            ViewChange { decided: Some(decided), ..(*self.view_change(CULPRIT, 3, vec![])).clone() };
        let message = Arc::new(message.sign(&self.domain(), &self.keys(CULPRIT)));
        Fault::InvalidViewChange { message, error: ViewChangeError::Decided }
    }

    /// What three replicas move to view 6 with, whose primary is the culprit.
    pub fn three(&self) -> [Arc<ViewChange>; 3] {
        let slots = || vec![self.claim(1, A), self.claim(3, B)];
        [self.view_change(0, 6, slots()), self.view_change(1, 6, slots()), self.view_change(3, 6, vec![])]
    }

    /// What follows from these view changes, as the culprit signs it.
    pub fn new_view(&self, view_changes: &[Arc<ViewChange>]) -> NewView {
        let refs: Vec<&ViewChange> = view_changes.iter().map(Arc::as_ref).collect();
        let rules = rules(&self.cluster, ReplicaId(CULPRIT));
        let plan = select::plan(&rules, &refs).unwrap();
        NewView::sign(View(6), &refs, &plan, &rules, &self.keys(CULPRIT))
    }

    pub fn resigned(&self, message: NewView) -> Arc<NewView> {
        Arc::new(message.resign(&self.domain(), &self.keys(CULPRIT)))
    }

    pub fn new_views(&self) -> Fault {
        let three = self.three();
        let others = [three[0].clone(), self.view_change(1, 6, vec![]), three[2].clone()];
        let [first, second] = [self.new_view(&three), self.new_view(&others)].map(Arc::new);
        Fault::NewViewEquivocation { primary: ReplicaId(CULPRIT), first, second }
    }

    pub fn invalid_new_view(
        &self,
        message: Arc<NewView>,
        view_changes: &[Arc<ViewChange>],
        error: NewViewError,
    ) -> Fault {
        let (primary, view_changes) = (ReplicaId(CULPRIT), view_changes.to_vec());
        Fault::InvalidNewView { primary, message, view_changes, error }
    }

    /// A new view from two view changes.
    pub fn short_new_view(&self) -> Fault {
        let mut message = self.new_view(&self.three());
        message.view_changes.pop();
        let error = NewViewError::Count { expected: 3, found: 2 };
        self.invalid_new_view(self.resigned(message), &[], error)
    }

    /// A new view that leaves out what follows from its view changes.
    pub fn forgetful_new_view(&self) -> Fault {
        let three = self.three();
        let mut message = self.new_view(&three);
        message.proposals.pop();
        self.invalid_new_view(self.resigned(message), &three, NewViewError::Proposals)
    }

    /// A new view that names a view change which does not hold.
    pub fn gullible_new_view(&self) -> Fault {
        let mut three = self.three();
        three[1] = self.view_change(1, 6, vec![self.lie(1)]);
        let message = self.resigned(self.new_view(&three));
        self.invalid_new_view(message, &three[1..2], NewViewError::ViewChange(ReplicaId(1)))
    }

    /// A new view that names a view change to another view.
    pub fn misplaced_new_view(&self) -> Fault {
        let mut three = self.three();
        three[0] = self.view_change(0, 7, vec![]);
        let message = self.resigned(self.new_view(&three));
        self.invalid_new_view(message, &three[..1], NewViewError::View(ReplicaId(0)))
    }

    /// A vote that the culprit may not cast: in view 6 it is the primary.
    pub fn misplaced_prepare(&self) -> Fault {
        let proof = Some(self.vote(MessageType::Prepare, 6, 9, A, CULPRIT));
        Fault::PrepareOfPrimary { from: ReplicaId(CULPRIT), sequence: Sequence(9), proof }
    }

    /// A proposal that the culprit may not make: in view 7 it is a backup.
    pub fn misplaced_proposal(&self) -> Fault {
        let proof = Some(self.vote(MessageType::PrePrepare, 7, 9, A, CULPRIT));
        Fault::NotPrimary { from: ReplicaId(CULPRIT), view: View(7), sequence: Sequence(9), proof }
    }

    pub fn misplaced_checkpoint(&self) -> Fault {
        let (from, sequence) = (ReplicaId(CULPRIT), Sequence(99));
        Fault::MisplacedCheckpoint { from, sequence, proof: Some(self.checkpoint(99, A)) }
    }

    pub fn observations(&self, operation: Operation, payload: &[u8]) -> Fault {
        let seen = |payload: &[u8]| Observation {
            operation: operation.clone(),
            after: Sequence(0),
            time_ms: TIME_MS,
            payload: payload.to_vec(),
        };
        let replica = ReplicaId(CULPRIT);
        let keys = self.keys(CULPRIT);
        let set = SignedObservations::sign(replica, vec![seen(payload)], &self.domain(), &keys);
        Fault::MalformedObservation { from: replica, set: Box::new(set), item: 0 }
    }

    /// An observation of nothing.
    pub fn null_observation(&self) -> Fault {
        self.observations(Operation { kind: OperationKind::Null, subject: vec![1] }, b"seen")
    }

    pub fn refused_proposal(&self) -> Fault {
        let proposal = self.vote(MessageType::PrePrepare, 6, 9, A, CULPRIT);
        let refusal = Refusal::Kinds;
        Fault::RefusedProposal { from: ReplicaId(CULPRIT), proposal, sequence: Sequence(9), refusal }
    }
}
