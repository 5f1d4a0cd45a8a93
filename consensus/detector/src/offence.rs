//! What a replica can do wrong, as types: the fault classes of the field, the offences that this crate tells apart, and what is none at all.
//!
//! Knows nothing of scores: `reputation.rs` says what an offence costs, `quarantine.rs` what follows from it.

use std::fmt;

use certificate::ReplicaId;
use pbft::{Fault, Refusal};

/// The classes of failures, each wider than the one before. Cristian, Aghili, Strong & Dolev 1985 §2; crash, omission, timing, Byzantine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FaultClass {
    /// It stops: there is no channel to it.
    Crash,
    /// It is there, and does not say what it should.
    Omission,
    /// It says it too late, or too much of it.
    Timing,
    /// It says what no honest replica says.
    Byzantine,
}

impl FaultClass {
    /// The word for people, metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            FaultClass::Crash => "crash",
            FaultClass::Omission => "omission",
            FaultClass::Timing => "timing",
            FaultClass::Byzantine => "byzantine",
        }
    }
}

/// What a replica did wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Offence {
    /// Its channel went while the others stayed.
    Gone,
    /// It was connected and did not vote in a slot that the others decided.
    MissedVote,
    /// Its votes come later than those of the others, slot by slot.
    LateVotes,
    /// As primary it was voted out over work that it could have proposed.
    VotedOut,
    /// It sends many times what the others send.
    Flood,
    /// What it observed contradicts a proof, or everybody else about a name that does not change.
    WrongObservation,
    /// Two signed digests for one view, slot and phase.
    Equivocation,
    /// Two signed states after one slot.
    CheckpointEquivocation,
    /// Two signed view changes to one view.
    ViewChangeEquivocation,
    /// Two signed new views for one view.
    NewViewEquivocation,
    /// A signed observation that no honest replica makes.
    MalformedObservation,
    /// A proposal that breaks a rule.
    RefusedProposal,
    /// A signature that does not verify, over an authenticated channel.
    InvalidSignature,
    /// A message in the name of another replica.
    WrongSender,
    /// A message in the name of nobody.
    UnknownReplica,
    /// A proposal in a view whose primary it is not.
    NotPrimary,
    /// A PREPARE beside its own PRE-PREPARE.
    PrepareOfPrimary,
    /// A checkpoint at a slot that has none.
    MisplacedCheckpoint,
    /// A decided slot whose certificate or body does not hold.
    InvalidSlot,
    /// A state that is not the certified one.
    InvalidState,
    /// Another body than that of the header.
    InvalidBatch,
    /// A signed view change whose claims are not proven.
    InvalidViewChange,
    /// A signed new view that does not follow from its view changes.
    InvalidNewView,
    /// A wish for an operation that decides nothing.
    NullRequest,
    /// What cannot be read, over a channel that proves who sends and has agreed on a version.
    Unreadable,
}

impl Offence {
    /// Every offence, in the order of the counters.
    pub const ALL: [Offence; 25] = [
        Offence::Gone,
        Offence::MissedVote,
        Offence::LateVotes,
        Offence::VotedOut,
        Offence::Flood,
        Offence::WrongObservation,
        Offence::Equivocation,
        Offence::CheckpointEquivocation,
        Offence::ViewChangeEquivocation,
        Offence::NewViewEquivocation,
        Offence::MalformedObservation,
        Offence::RefusedProposal,
        Offence::InvalidSignature,
        Offence::WrongSender,
        Offence::UnknownReplica,
        Offence::NotPrimary,
        Offence::PrepareOfPrimary,
        Offence::MisplacedCheckpoint,
        Offence::InvalidSlot,
        Offence::InvalidState,
        Offence::InvalidBatch,
        Offence::InvalidViewChange,
        Offence::InvalidNewView,
        Offence::NullRequest,
        Offence::Unreadable,
    ];

    /// Who did what by this fault; `None` when it is no misbehaviour of a peer, as [`Notice::of`] says.
    pub fn of(fault: &Fault) -> Option<(ReplicaId, Offence)> {
        read(fault).ok()
    }

    /// Its class.
    pub fn class(self) -> FaultClass {
        match self {
            Offence::Gone => FaultClass::Crash,
            Offence::MissedVote => FaultClass::Omission,
            Offence::LateVotes | Offence::VotedOut | Offence::Flood => FaultClass::Timing,
            _ => FaultClass::Byzantine,
        }
    }

    /// Whether each fault that reports it holds its own proof: signatures that anybody can check who has the cluster file. A few others do when
    /// the culprit signed them, as `Fault::is_proof` says of each; of the rest this replica alone knows.
    pub fn is_proof(self) -> bool {
        matches!(
            self,
            Offence::Equivocation
                | Offence::CheckpointEquivocation
                | Offence::ViewChangeEquivocation
                | Offence::NewViewEquivocation
                | Offence::MalformedObservation
                | Offence::InvalidViewChange
                | Offence::InvalidNewView
        )
    }

    /// The word for snapshots, metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Offence::Gone => "gone",
            Offence::MissedVote => "missed-vote",
            Offence::LateVotes => "late-votes",
            Offence::VotedOut => "voted-out",
            Offence::Flood => "flood",
            Offence::WrongObservation => "wrong-observation",
            Offence::Equivocation => "equivocation",
            Offence::CheckpointEquivocation => "checkpoint-equivocation",
            Offence::ViewChangeEquivocation => "view-change-equivocation",
            Offence::NewViewEquivocation => "new-view-equivocation",
            Offence::MalformedObservation => "malformed-observation",
            Offence::RefusedProposal => "refused-proposal",
            Offence::InvalidSignature => "invalid-signature",
            Offence::WrongSender => "wrong-sender",
            Offence::UnknownReplica => "unknown-replica",
            Offence::NotPrimary => "not-primary",
            Offence::PrepareOfPrimary => "prepare-of-primary",
            Offence::MisplacedCheckpoint => "misplaced-checkpoint",
            Offence::InvalidSlot => "invalid-slot",
            Offence::InvalidState => "invalid-state",
            Offence::InvalidBatch => "invalid-batch",
            Offence::InvalidViewChange => "invalid-view-change",
            Offence::InvalidNewView => "invalid-new-view",
            Offence::NullRequest => "null-request",
            Offence::Unreadable => "unreadable",
        }
    }

    /// The offence with this name.
    pub fn named(name: &str) -> Option<Offence> {
        Offence::ALL.into_iter().find(|offence| offence.name() == name)
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a fault reports that is nobody's misbehaviour, or not certainly a peer's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Notice {
    /// A peer is ahead, or this replica behind.
    OutsideWaterMarks,
    /// A peer asked for more than its share: the quota refused it.
    OverQuota,
    /// One of two clocks is wrong, or the cluster stood still.
    ClockSkew,
    /// A quorum signed another state than ours: this replica is the odd one out.
    Diverged,
    /// More than f replicas are faulty: nobody is to be trusted, this replica included.
    Contradiction,
    /// A proposal by another cluster file: somebody's configuration is old.
    ClusterFile,
}

impl Notice {
    /// What the fault says when it accuses nobody.
    pub fn of(fault: &Fault) -> Option<Notice> {
        read(fault).err()
    }

    /// Whether it means that this replica can not judge others any more.
    pub fn discredits_us(self) -> bool {
        matches!(self, Notice::Diverged | Notice::Contradiction)
    }
}

/// A fault as what somebody did wrong, or as what it is instead.
fn read(fault: &Fault) -> Result<(ReplicaId, Offence), Notice> {
    let by = |replica: &ReplicaId, offence| Ok((*replica, offence));
    match fault {
        Fault::Equivocation { first, .. } => by(&first.vote.replica, Offence::Equivocation),
        Fault::CheckpointEquivocation { first, .. } => by(&first.replica, Offence::CheckpointEquivocation),
        Fault::ViewChangeEquivocation { first, .. } => by(&first.replica, Offence::ViewChangeEquivocation),
        Fault::NewViewEquivocation { primary, .. } => by(primary, Offence::NewViewEquivocation),
        Fault::MalformedObservation { set, .. } => by(&set.replica, Offence::MalformedObservation),
        Fault::RefusedProposal { refusal: Refusal::ClusterDigest, .. } => Err(Notice::ClusterFile),
        Fault::RefusedProposal { from, .. } => by(from, Offence::RefusedProposal),
        Fault::InvalidSignature { from, .. } => by(from, Offence::InvalidSignature),
        Fault::WrongSender { from, .. } => by(from, Offence::WrongSender),
        Fault::UnknownReplica { from, .. } => by(from, Offence::UnknownReplica),
        Fault::NotPrimary { from, .. } => by(from, Offence::NotPrimary),
        Fault::PrepareOfPrimary { from, .. } => by(from, Offence::PrepareOfPrimary),
        Fault::MisplacedCheckpoint { from, .. } => by(from, Offence::MisplacedCheckpoint),
        Fault::InvalidSlot { from, .. } => by(from, Offence::InvalidSlot),
        Fault::InvalidState { from, .. } => by(from, Offence::InvalidState),
        Fault::InvalidBatch { from, .. } => by(from, Offence::InvalidBatch),
        Fault::InvalidViewChange { message, .. } => by(&message.replica, Offence::InvalidViewChange),
        Fault::InvalidNewView { primary, .. } => by(primary, Offence::InvalidNewView),
        Fault::NullRequest { from } => by(from, Offence::NullRequest),
        Fault::OutsideWaterMarks { .. } => Err(Notice::OutsideWaterMarks),
        Fault::OverQuota { .. } => Err(Notice::OverQuota),
        Fault::ClockSkew { .. } => Err(Notice::ClockSkew),
        Fault::Diverged { .. } => Err(Notice::Diverged),
        Fault::Contradiction { .. } => Err(Notice::Contradiction),
    }
}
