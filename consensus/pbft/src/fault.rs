//! What a peer did wrong, with the evidence. Reported, never acted on here: votes of a faulty replica keep counting once.

use std::sync::Arc;

use certificate::{Digest, Domain, MessageType, ReplicaId, Sequence, View};
use thiserror::Error;

use crate::{
    BatchError, CheckpointVote, Keyring, NewView, NewViewError, SignedObservations, ViewChange,
    ViewChangeError, Vote,
};

/// A vote with its phase: what is needed to check its signature anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignedVote {
    /// `PrePrepare`, `Prepare` or `Commit`.
    pub phase: MessageType,
    /// The signed part; of a pre-prepare the replica is the primary.
    pub vote: Vote,
}

impl SignedVote {
    /// Whether the signature is that of the vote's replica.
    pub fn verify(&self, domain: &Domain, keyring: &impl Keyring) -> bool {
        self.vote.verify(self.phase, domain, keyring)
    }
}

/// Why a backup does not vote for a proposal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// The body is no batch.
    #[error("{0}")]
    Batch(#[from] BatchError),
    /// More than the cluster file allows.
    #[error("expected at most {most} entries, found {found}")]
    TooManyEntries {
        /// The bound.
        most: usize,
        /// What came.
        found: usize,
    },
    /// More than the cluster file allows.
    #[error("expected at most {most} bytes, found {found}")]
    TooManyBytes {
        /// The bound.
        most: usize,
        /// What came.
        found: usize,
    },
    /// Another cluster file.
    #[error("expected the digest of the cluster file, found another")]
    ClusterDigest,
    /// The prefix is not below the slot or too far back.
    #[error("expected a prefix at most {pipeline} slots back, found {prefix}")]
    PrefixSequence {
        /// The bound.
        pipeline: u64,
        /// What came.
        prefix: Sequence,
    },
    /// Not the log that was decided.
    #[error("expected the history digest of the decided log, found another")]
    PrefixDigest,
    /// Not the kinds in the batch.
    #[error("expected the kinds of the batch's operations, found others")]
    Kinds,
    /// Not the number of entries in the batch.
    #[error("expected the number of the batch's entries, found another")]
    Entries,
    /// An observation of nobody.
    #[error("expected a replica of the cluster, found {0}")]
    UnknownReplica(ReplicaId),
    /// Too few observations.
    #[error("entry {entry}: expected at least {quorum} observations, found {found}")]
    TooFewObservations {
        /// The place of the entry.
        entry: usize,
        /// q
        quorum: usize,
        /// What came.
        found: usize,
    },
    /// An observation longer than the rule.
    #[error(
        "entry {entry}: expected observations within the size bound, found a longer one of replica {replica}"
    )]
    ObservationBytes {
        /// The place of the entry.
        entry: usize,
        /// Whose.
        replica: ReplicaId,
    },
    /// An observation that is older than the log's window.
    #[error(
        "entry {entry}: expected observations within the window, found an older one of replica {replica}"
    )]
    StaleObservation {
        /// The place of the entry.
        entry: usize,
        /// Whose.
        replica: ReplicaId,
    },
    /// An observation further ahead of the batch's time than the window.
    #[error("entry {entry}: expected observations within the window, found a later one of replica {replica}")]
    FutureObservation {
        /// The place of the entry.
        entry: usize,
        /// Whose.
        replica: ReplicaId,
    },
    /// An observation that the decided prefix used.
    #[error("entry {entry}: expected unused observations, found a used one of replica {replica}")]
    UsedObservation {
        /// The place of the entry.
        entry: usize,
        /// Whose.
        replica: ReplicaId,
    },
    /// An observation that the application refuses.
    #[error("entry {entry}: expected well-formed observations, found a malformed one of replica {replica}")]
    MalformedObservation {
        /// The place of the entry.
        entry: usize,
        /// Whose.
        replica: ReplicaId,
    },
    /// A set whose signature is not that of its replica.
    #[error("expected valid signatures, found an invalid one of replica {0}")]
    ObservationSignature(ReplicaId),
    /// Not the time that follows from log and observations.
    #[error("expected time {expected_ms}, found {found_ms}")]
    Time {
        /// By the rule.
        expected_ms: u64,
        /// What came.
        found_ms: u64,
    },
    /// Not the root of the evidence.
    #[error("expected the root of the batch's evidence, found another")]
    ObservationsRoot,
    /// Not the root of the leaves that `decide` gives.
    #[error("expected the root of the recomputed leaves, found another")]
    LeavesRoot,
}

/// What a peer did wrong.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// Two signed digests for one view, sequence number and phase. A proof.
    #[error("replica {} signed two digests for slot {} in view {}", first.vote.replica, first.vote.sequence, first.vote.view)]
    Equivocation {
        /// One.
        first: SignedVote,
        /// The other.
        second: SignedVote,
    },
    /// Two signed states for one slot. A proof.
    #[error("replica {} signed two states for slot {}", first.replica, first.sequence)]
    CheckpointEquivocation {
        /// One.
        first: CheckpointVote,
        /// The other.
        second: CheckpointVote,
    },
    /// Two signed view changes to one view. A proof.
    #[error("replica {} signed two view changes to view {}", first.replica, first.view)]
    ViewChangeEquivocation {
        /// One.
        first: Arc<ViewChange>,
        /// The other.
        second: Arc<ViewChange>,
    },
    /// Two signed new views for one view. A proof.
    #[error("primary {primary} signed two new views for view {}", first.view)]
    NewViewEquivocation {
        /// The primary of the view.
        primary: ReplicaId,
        /// One.
        first: Arc<NewView>,
        /// The other.
        second: Arc<NewView>,
    },
    /// A signed observation that the application refuses, or that is too long. A proof, given the cluster file.
    #[error("replica {} signed a malformed observation", set.replica)]
    MalformedObservation {
        /// Who sent it.
        from: ReplicaId,
        /// What it signed.
        set: Box<SignedObservations>,
        /// The place of the observation.
        item: usize,
    },
    /// A proposal that breaks a rule.
    #[error("replica {from}: proposal for slot {sequence} refused: {refusal}")]
    RefusedProposal {
        /// The primary.
        from: ReplicaId,
        /// The signed part.
        proposal: SignedVote,
        /// The slot.
        sequence: Sequence,
        /// Which rule.
        refusal: Refusal,
    },
    /// The time of a proposal is far from our clock: an alarm. One of the two clocks is wrong, or the cluster stood still in between.
    #[error("replica {from}: proposal for slot {sequence} is of {time_ms}, our clock says {wall_ms}")]
    ClockSkew {
        /// The primary.
        from: ReplicaId,
        /// The slot.
        sequence: Sequence,
        /// The proposal's time.
        time_ms: u64,
        /// Our clock.
        wall_ms: u64,
    },
    /// A signature that does not verify.
    #[error("replica {from} sent an invalid signature ({message:?}, slot {sequence})")]
    InvalidSignature {
        /// Who sent it.
        from: ReplicaId,
        /// On what.
        message: MessageType,
        /// For which slot; 0 when there is none.
        sequence: Sequence,
    },
    /// A message in the name of another.
    #[error("replica {from} sent a message of replica {claimed}")]
    WrongSender {
        /// Whose channel.
        from: ReplicaId,
        /// Whose name.
        claimed: ReplicaId,
    },
    /// A message in the name of nobody.
    #[error("replica {from} sent a message of replica {claimed}, which is none")]
    UnknownReplica {
        /// Whose channel.
        from: ReplicaId,
        /// What name.
        claimed: ReplicaId,
    },
    /// A proposal of a backup. A proof if the backup signed it.
    #[error("replica {from} proposed slot {sequence} in view {view}, whose primary it is not")]
    NotPrimary {
        /// Whose channel.
        from: ReplicaId,
        /// The view.
        view: View,
        /// The slot.
        sequence: Sequence,
        /// What the backup signed.
        proof: Option<SignedVote>,
    },
    /// A PREPARE of the primary, whose PRE-PREPARE counts as such. A proof if it signed it.
    #[error("primary {from} sent a prepare for slot {sequence}")]
    PrepareOfPrimary {
        /// Whose channel.
        from: ReplicaId,
        /// The slot.
        sequence: Sequence,
        /// What the primary signed.
        proof: Option<SignedVote>,
    },
    /// Too far ahead to be held. No misbehaviour when this replica is behind.
    #[error("replica {from} sent a message for slot {sequence}, beyond the water marks")]
    OutsideWaterMarks {
        /// Whose channel.
        from: ReplicaId,
        /// The slot.
        sequence: Sequence,
    },
    /// A checkpoint that is not at a multiple of the interval. A proof, given the cluster file, if the replica signed it.
    #[error("replica {from} sent a checkpoint for slot {sequence}, which has none")]
    MisplacedCheckpoint {
        /// Whose channel.
        from: ReplicaId,
        /// The slot.
        sequence: Sequence,
        /// What the replica signed.
        proof: Option<CheckpointVote>,
    },
    /// A slot whose certificate or body does not hold.
    #[error("replica {from} sent an invalid slot {sequence}")]
    InvalidSlot {
        /// Whose channel.
        from: ReplicaId,
        /// The slot.
        sequence: Sequence,
    },
    /// A state that its certificate does not cover.
    #[error("replica {from} sent an invalid state for slot {sequence}")]
    InvalidState {
        /// Whose channel.
        from: ReplicaId,
        /// The slot.
        sequence: Sequence,
    },
    /// A body that is not that of its header.
    #[error("replica {from} sent another body than that of the header for slot {sequence}")]
    InvalidBatch {
        /// Whose channel.
        from: ReplicaId,
        /// The slot.
        sequence: Sequence,
    },
    /// A signed view change whose claims are not proven by the signatures inside. A proof, given the cluster file.
    #[error("replica {}: view change to view {} refused: {error}", message.replica, message.view)]
    InvalidViewChange {
        /// What the replica signed.
        message: Arc<ViewChange>,
        /// Which rule.
        error: ViewChangeError,
    },
    /// A signed new view that is none. A proof, given the cluster file and the view changes beside it.
    #[error("primary {primary}: new view {} refused: {error}", message.view)]
    InvalidNewView {
        /// The primary of the view.
        primary: ReplicaId,
        /// What it signed.
        message: Arc<NewView>,
        /// Those of the view changes that the message names which the rule looks at; none when it is broken without them.
        view_changes: Vec<Arc<ViewChange>>,
        /// Which rule; never that of the signature.
        error: NewViewError,
    },
    /// Two digests are proven where the protocol allows one: more than f replicas are faulty. This replica stops voting.
    #[error("view {view} proves {first} and {second} for one slot: more replicas are faulty than tolerated")]
    Contradiction {
        /// The view.
        view: View,
        /// One digest.
        first: Digest,
        /// The other.
        second: Digest,
    },
    /// A request for an operation that cannot be asked for.
    #[error("replica {from} asked for an operation that decides nothing")]
    NullRequest {
        /// Whose channel.
        from: ReplicaId,
    },
    /// More open requests, or observations held for them, than one replica may ask for.
    #[error("replica {from} is over its quota")]
    OverQuota {
        /// On whose account.
        from: ReplicaId,
    },
    /// A quorum signed another state than ours: this replica stops voting. An alarm, not a peer's fault.
    #[error("a quorum signed state {theirs} after slot {sequence}, ours is {ours}")]
    Diverged {
        /// The slot.
        sequence: Sequence,
        /// Our digest.
        ours: Digest,
        /// The quorum's digest.
        theirs: Digest,
    },
}

impl Fault {
    /// Who did it; `None` for `Diverged`, and for alarms that prove nothing about a peer.
    pub fn replica(&self) -> Option<ReplicaId> {
        match self {
            Fault::Equivocation { first, .. } => Some(first.vote.replica),
            Fault::CheckpointEquivocation { first, .. } => Some(first.replica),
            Fault::ViewChangeEquivocation { first, .. } => Some(first.replica),
            Fault::NewViewEquivocation { primary, .. } | Fault::InvalidNewView { primary, .. } => {
                Some(*primary)
            }
            Fault::InvalidViewChange { message, .. } => Some(message.replica),
            Fault::MalformedObservation { set, .. } => Some(set.replica),
            Fault::RefusedProposal { from, .. }
            | Fault::InvalidSignature { from, .. }
            | Fault::WrongSender { from, .. }
            | Fault::UnknownReplica { from, .. }
            | Fault::NotPrimary { from, .. }
            | Fault::PrepareOfPrimary { from, .. }
            | Fault::MisplacedCheckpoint { from, .. }
            | Fault::InvalidSlot { from, .. }
            | Fault::InvalidState { from, .. }
            | Fault::InvalidBatch { from, .. }
            | Fault::NullRequest { from }
            | Fault::OverQuota { from } => Some(*from),
            Fault::ClockSkew { .. }
            | Fault::OutsideWaterMarks { .. }
            | Fault::Diverged { .. }
            | Fault::Contradiction { .. } => None,
        }
    }

    /// Whether the signatures inside prove it to anyone who has the cluster file.
    ///
    /// Not so `InvalidSignature`: what a key did not sign speaks against nobody but the channel, and that only to us. Nor `RefusedProposal`: most of
    /// its rules ask the decided log, and the others a batch that is not in it.
    pub fn is_proof(&self) -> bool {
        matches!(
            self,
            Fault::NotPrimary { proof: Some(_), .. }
                | Fault::PrepareOfPrimary { proof: Some(_), .. }
                | Fault::MisplacedCheckpoint { proof: Some(_), .. }
                | Fault::Equivocation { .. }
                | Fault::CheckpointEquivocation { .. }
                | Fault::ViewChangeEquivocation { .. }
                | Fault::NewViewEquivocation { .. }
                | Fault::MalformedObservation { .. }
                | Fault::InvalidViewChange { .. }
                | Fault::InvalidNewView { .. }
        )
    }
}
