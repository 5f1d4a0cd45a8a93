//! What evidence is kept of.

use std::fmt;
use std::str::FromStr;

use pbft::Fault;

/// The faults that hold something signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EvidenceKind {
    /// Two votes of one phase for one slot and view, with different digests.
    Equivocation,
    /// Two states for one checkpoint.
    CheckpointEquivocation,
    /// Two view changes to one view.
    ViewChangeEquivocation,
    /// Two new views for one view.
    NewViewEquivocation,
    /// An observation that is none.
    MalformedObservation,
    /// A view change whose claims the signatures inside do not prove.
    InvalidViewChange,
    /// A new view that does not follow from the view changes that it names.
    InvalidNewView,
    /// A PREPARE of the primary of its view, or a PRE-PREPARE of anybody else.
    MisplacedVote,
    /// A checkpoint at a slot that has none.
    MisplacedCheckpoint,
    /// A proposal that breaks a rule. No proof: what is wrong with it depends on the decided log or the batch, which are not in the file.
    RefusedProposal,
}

impl EvidenceKind {
    /// Every kind.
    pub const ALL: [EvidenceKind; 10] = [
        EvidenceKind::Equivocation,
        EvidenceKind::CheckpointEquivocation,
        EvidenceKind::ViewChangeEquivocation,
        EvidenceKind::NewViewEquivocation,
        EvidenceKind::MalformedObservation,
        EvidenceKind::InvalidViewChange,
        EvidenceKind::InvalidNewView,
        EvidenceKind::MisplacedVote,
        EvidenceKind::MisplacedCheckpoint,
        EvidenceKind::RefusedProposal,
    ];

    /// Its name in files and in their names.
    pub fn name(self) -> &'static str {
        match self {
            EvidenceKind::Equivocation => "equivocation",
            EvidenceKind::CheckpointEquivocation => "checkpoint-equivocation",
            EvidenceKind::ViewChangeEquivocation => "view-change-equivocation",
            EvidenceKind::NewViewEquivocation => "new-view-equivocation",
            EvidenceKind::MalformedObservation => "malformed-observation",
            EvidenceKind::InvalidViewChange => "invalid-view-change",
            EvidenceKind::InvalidNewView => "invalid-new-view",
            EvidenceKind::MisplacedVote => "misplaced-vote",
            EvidenceKind::MisplacedCheckpoint => "misplaced-checkpoint",
            EvidenceKind::RefusedProposal => "refused-proposal",
        }
    }

    /// Whether it convinces anybody who has the cluster file.
    pub fn is_proof(self) -> bool {
        self != EvidenceKind::RefusedProposal
    }

    /// The kind of evidence that a fault gives; `None` when it holds nothing that its culprit signed.
    pub fn of(fault: &Fault) -> Option<EvidenceKind> {
        Some(match fault {
            Fault::Equivocation { .. } => EvidenceKind::Equivocation,
            Fault::CheckpointEquivocation { .. } => EvidenceKind::CheckpointEquivocation,
            Fault::ViewChangeEquivocation { .. } => EvidenceKind::ViewChangeEquivocation,
            Fault::NewViewEquivocation { .. } => EvidenceKind::NewViewEquivocation,
            Fault::MalformedObservation { .. } => EvidenceKind::MalformedObservation,
            Fault::InvalidViewChange { .. } => EvidenceKind::InvalidViewChange,
            Fault::InvalidNewView { .. } => EvidenceKind::InvalidNewView,
            Fault::NotPrimary { proof: Some(_), .. } | Fault::PrepareOfPrimary { proof: Some(_), .. } => {
                EvidenceKind::MisplacedVote
            }
            Fault::MisplacedCheckpoint { proof: Some(_), .. } => EvidenceKind::MisplacedCheckpoint,
            Fault::RefusedProposal { .. } => EvidenceKind::RefusedProposal,
            Fault::ClockSkew { .. }
            | Fault::InvalidSignature { .. }
            | Fault::WrongSender { .. }
            | Fault::UnknownReplica { .. }
            | Fault::NotPrimary { .. }
            | Fault::PrepareOfPrimary { .. }
            | Fault::OutsideWaterMarks { .. }
            | Fault::MisplacedCheckpoint { .. }
            | Fault::InvalidSlot { .. }
            | Fault::InvalidState { .. }
            | Fault::InvalidBatch { .. }
            | Fault::Contradiction { .. }
            | Fault::NullRequest { .. }
            | Fault::OverQuota { .. }
            | Fault::Diverged { .. } => return None,
        })
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EvidenceKind {
    type Err = ();

    fn from_str(name: &str) -> Result<EvidenceKind, ()> {
        EvidenceKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}
