//! What the accused signed, and how it stands in a file: named parts, encoded as in messages.

use std::sync::Arc;

use certificate::codec::{Decode, DecodeError, Encode};
use certificate::replicas::REPLICAS_MAX;
use certificate::{Digest, MessageType, ReplicaId};
use pbft::{CheckpointVote, Fault, NewView, SignedObservations, SignedVote, ViewChange, Vote};

use super::kind::EvidenceKind;

/// Parts in one file: a new view and the view changes that it names.
pub(super) const PARTS_MAX: usize = 1 + REPLICAS_MAX as usize;

/// What the accused signed, and what a verifier needs beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exhibit {
    /// See `EvidenceKind::Equivocation`.
    Equivocation {
        /// One.
        first: SignedVote,
        /// The other.
        second: SignedVote,
    },
    /// See `EvidenceKind::CheckpointEquivocation`.
    CheckpointEquivocation {
        /// One.
        first: CheckpointVote,
        /// The other.
        second: CheckpointVote,
    },
    /// See `EvidenceKind::ViewChangeEquivocation`.
    ViewChangeEquivocation {
        /// One.
        first: Arc<ViewChange>,
        /// The other.
        second: Arc<ViewChange>,
    },
    /// See `EvidenceKind::NewViewEquivocation`.
    NewViewEquivocation {
        /// One.
        first: Arc<NewView>,
        /// The other.
        second: Arc<NewView>,
    },
    /// See `EvidenceKind::MalformedObservation`.
    MalformedObservation {
        /// The micro-batch with the observation.
        set: Box<SignedObservations>,
    },
    /// See `EvidenceKind::InvalidViewChange`.
    InvalidViewChange {
        /// The view change.
        message: Arc<ViewChange>,
    },
    /// See `EvidenceKind::InvalidNewView`.
    InvalidNewView {
        /// The new view.
        message: Arc<NewView>,
        /// Those of the view changes that it names which show what is wrong.
        view_changes: Vec<Arc<ViewChange>>,
    },
    /// See `EvidenceKind::MisplacedVote`.
    MisplacedVote {
        /// The vote.
        vote: SignedVote,
    },
    /// See `EvidenceKind::MisplacedCheckpoint`.
    MisplacedCheckpoint {
        /// The vote for its state.
        vote: CheckpointVote,
    },
    /// See `EvidenceKind::RefusedProposal`.
    RefusedProposal {
        /// The vote that stands for the proposal.
        proposal: SignedVote,
    },
}

/// One part of a file: its name and its bytes.
pub(super) type Part = (&'static str, Vec<u8>);

/// Why parts are not those of a kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum PartsError {
    /// The part at this place cannot be read.
    Unreadable(usize, DecodeError),
    /// Other parts than the kind has.
    Others { expected: &'static str },
}

impl Exhibit {
    /// What a fault holds; `None` when its culprit signed nothing.
    pub fn of(fault: &Fault) -> Option<Exhibit> {
        Some(match fault {
            Fault::Equivocation { first, second } => Exhibit::Equivocation { first: *first, second: *second },
            Fault::CheckpointEquivocation { first, second } => {
                Exhibit::CheckpointEquivocation { first: *first, second: *second }
            }
            Fault::ViewChangeEquivocation { first, second } => {
                Exhibit::ViewChangeEquivocation { first: first.clone(), second: second.clone() }
            }
            Fault::NewViewEquivocation { first, second, .. } => {
                Exhibit::NewViewEquivocation { first: first.clone(), second: second.clone() }
            }
            Fault::MalformedObservation { set, .. } => Exhibit::MalformedObservation { set: set.clone() },
            Fault::InvalidViewChange { message, .. } => {
                Exhibit::InvalidViewChange { message: message.clone() }
            }
            Fault::InvalidNewView { message, view_changes, .. } => {
                Exhibit::InvalidNewView { message: message.clone(), view_changes: view_changes.clone() }
            }
            Fault::NotPrimary { proof: Some(vote), .. }
            | Fault::PrepareOfPrimary { proof: Some(vote), .. } => Exhibit::MisplacedVote { vote: *vote },
            Fault::MisplacedCheckpoint { proof: Some(vote), .. } => {
                Exhibit::MisplacedCheckpoint { vote: *vote }
            }
            Fault::RefusedProposal { proposal, .. } => Exhibit::RefusedProposal { proposal: *proposal },
            fault => {
                debug_assert_eq!(EvidenceKind::of(fault), None, "every kind of evidence has an exhibit");
                return None;
            }
        })
    }

    /// Its kind.
    pub fn kind(&self) -> EvidenceKind {
        match self {
            Exhibit::Equivocation { .. } => EvidenceKind::Equivocation,
            Exhibit::CheckpointEquivocation { .. } => EvidenceKind::CheckpointEquivocation,
            Exhibit::ViewChangeEquivocation { .. } => EvidenceKind::ViewChangeEquivocation,
            Exhibit::NewViewEquivocation { .. } => EvidenceKind::NewViewEquivocation,
            Exhibit::MalformedObservation { .. } => EvidenceKind::MalformedObservation,
            Exhibit::InvalidViewChange { .. } => EvidenceKind::InvalidViewChange,
            Exhibit::InvalidNewView { .. } => EvidenceKind::InvalidNewView,
            Exhibit::MisplacedVote { .. } => EvidenceKind::MisplacedVote,
            Exhibit::MisplacedCheckpoint { .. } => EvidenceKind::MisplacedCheckpoint,
            Exhibit::RefusedProposal { .. } => EvidenceKind::RefusedProposal,
        }
    }

    /// Who it names as signer; `None` for new views, which do not: the cluster file says who the primary of a view is.
    pub(super) fn named_signer(&self) -> Option<ReplicaId> {
        match self {
            Exhibit::Equivocation { first, .. } => Some(first.vote.replica),
            Exhibit::CheckpointEquivocation { first, .. } => Some(first.replica),
            Exhibit::ViewChangeEquivocation { first, .. } => Some(first.replica),
            Exhibit::MalformedObservation { set } => Some(set.replica),
            Exhibit::InvalidViewChange { message } => Some(message.replica),
            Exhibit::RefusedProposal { proposal: signed } | Exhibit::MisplacedVote { vote: signed } => {
                Some(signed.vote.replica)
            }
            Exhibit::MisplacedCheckpoint { vote } => Some(vote.replica),
            Exhibit::NewViewEquivocation { .. } | Exhibit::InvalidNewView { .. } => None,
        }
    }

    /// Its parts, in the order of the file.
    pub(super) fn parts(&self) -> Vec<Part> {
        match self {
            Exhibit::Equivocation { first, second } => vec![vote_part(first), vote_part(second)],
            Exhibit::CheckpointEquivocation { first, second } => {
                vec![("checkpoint", first.to_bytes()), ("checkpoint", second.to_bytes())]
            }
            Exhibit::ViewChangeEquivocation { first, second } => {
                vec![("view-change", first.to_bytes()), ("view-change", second.to_bytes())]
            }
            Exhibit::NewViewEquivocation { first, second } => {
                vec![("new-view", first.to_bytes()), ("new-view", second.to_bytes())]
            }
            Exhibit::MalformedObservation { set } => vec![("observations", set.to_bytes())],
            Exhibit::InvalidViewChange { message } => vec![("view-change", message.to_bytes())],
            Exhibit::InvalidNewView { message, view_changes } => {
                let shown = view_changes.iter().map(|one| ("view-change", one.to_bytes()));
                std::iter::once(("new-view", message.to_bytes())).chain(shown).collect()
            }
            Exhibit::RefusedProposal { proposal: signed } | Exhibit::MisplacedVote { vote: signed } => {
                vec![vote_part(signed)]
            }
            Exhibit::MisplacedCheckpoint { vote } => vec![("checkpoint", vote.to_bytes())],
        }
    }

    /// What tells it from other evidence of its kind: the same parts, in whatever order, are the same evidence.
    pub(super) fn digest(&self) -> Digest {
        let mut parts: Vec<Digest> = self
            .parts()
            .iter()
            .map(|(name, bytes)| Digest::of_parts(&[name.as_bytes(), b":", bytes]))
            .collect();
        parts.sort_unstable();
        let parts: Vec<&[u8]> = parts.iter().map(|digest| digest.0.as_slice()).collect();
        Digest::of_parts(&parts)
    }

    /// The exhibit of this kind that has these parts.
    pub(super) fn from_parts(kind: EvidenceKind, parts: &[(&str, Vec<u8>)]) -> Result<Exhibit, PartsError> {
        let expected = expected_parts(kind);
        let others = || PartsError::Others { expected };
        let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        Ok(match (kind, names.as_slice()) {
            (EvidenceKind::Equivocation, [_, _]) => {
                let (first, second) = (read_vote(parts, 0)?, read_vote(parts, 1)?);
                Exhibit::Equivocation { first: first.ok_or_else(others)?, second: second.ok_or_else(others)? }
            }
            (EvidenceKind::RefusedProposal, [_]) => {
                let proposal = read_vote(parts, 0)?.filter(|vote| vote.phase == MessageType::PrePrepare);
                Exhibit::RefusedProposal { proposal: proposal.ok_or_else(others)? }
            }
            (EvidenceKind::MisplacedVote, [_]) => {
                let vote = read_vote(parts, 0)?.filter(|vote| vote.phase != MessageType::Commit);
                Exhibit::MisplacedVote { vote: vote.ok_or_else(others)? }
            }
            (EvidenceKind::MisplacedCheckpoint, ["checkpoint"]) => {
                Exhibit::MisplacedCheckpoint { vote: read(parts, 0)? }
            }
            (EvidenceKind::CheckpointEquivocation, ["checkpoint", "checkpoint"]) => {
                Exhibit::CheckpointEquivocation { first: read(parts, 0)?, second: read(parts, 1)? }
            }
            (EvidenceKind::ViewChangeEquivocation, ["view-change", "view-change"]) => {
                let (first, second) = (Arc::new(read(parts, 0)?), Arc::new(read(parts, 1)?));
                Exhibit::ViewChangeEquivocation { first, second }
            }
            (EvidenceKind::NewViewEquivocation, ["new-view", "new-view"]) => {
                let (first, second) = (Arc::new(read(parts, 0)?), Arc::new(read(parts, 1)?));
                Exhibit::NewViewEquivocation { first, second }
            }
            (EvidenceKind::MalformedObservation, ["observations"]) => {
                Exhibit::MalformedObservation { set: Box::new(read(parts, 0)?) }
            }
            (EvidenceKind::InvalidViewChange, ["view-change"]) => {
                Exhibit::InvalidViewChange { message: Arc::new(read(parts, 0)?) }
            }
            (EvidenceKind::InvalidNewView, ["new-view", shown @ ..])
                if shown.iter().all(|name| *name == "view-change") =>
            {
                let shown = (1..parts.len()).map(|place| read(parts, place).map(Arc::new));
                Exhibit::InvalidNewView {
                    message: Arc::new(read(parts, 0)?),
                    view_changes: shown.collect::<Result<_, _>>()?,
                }
            }
            _ => return Err(others()),
        })
    }
}

fn expected_parts(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::Equivocation => "two of `pre-prepare`, `prepare`, `commit`",
        EvidenceKind::CheckpointEquivocation => "two `checkpoint`",
        EvidenceKind::ViewChangeEquivocation => "two `view-change`",
        EvidenceKind::NewViewEquivocation => "two `new-view`",
        EvidenceKind::MalformedObservation => "one `observations`",
        EvidenceKind::InvalidViewChange => "one `view-change`",
        EvidenceKind::InvalidNewView => "one `new-view`, then `view-change`",
        EvidenceKind::MisplacedVote => "one of `pre-prepare`, `prepare`",
        EvidenceKind::MisplacedCheckpoint => "one `checkpoint`",
        EvidenceKind::RefusedProposal => "one `pre-prepare`",
    }
}

/// The name of a vote's part.
fn phase_name(phase: MessageType) -> &'static str {
    match phase {
        MessageType::PrePrepare => "pre-prepare",
        MessageType::Prepare => "prepare",
        MessageType::Commit => "commit",
        _ => unreachable!("a signed vote is of one of the three phases"),
    }
}

fn vote_part(signed: &SignedVote) -> Part {
    (phase_name(signed.phase), signed.vote.to_bytes())
}

/// The vote at this place; `None` when the part is no vote.
fn read_vote(parts: &[(&str, Vec<u8>)], place: usize) -> Result<Option<SignedVote>, PartsError> {
    let phases = [MessageType::PrePrepare, MessageType::Prepare, MessageType::Commit];
    let Some(phase) = phases.into_iter().find(|phase| phase_name(*phase) == parts[place].0) else {
        return Ok(None);
    };
    let vote: Vote = read(parts, place)?;
    Ok(Some(SignedVote { phase, vote }))
}

fn read<T: Decode>(parts: &[(&str, Vec<u8>)], place: usize) -> Result<T, PartsError> {
    T::from_bytes(&parts[place].1).map_err(|source| PartsError::Unreadable(place, source))
}
