//! What an honest replica does in a model, and how a trace says it.

use std::fmt;

use super::world::NULL;

/// Something that an honest replica does. What the faulty do is in what it was possible for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Votes: PREPARE, or PRE-PREPARE of the primary.
    Vote {
        /// Who.
        replica: usize,
        /// Where, from 1.
        slot: usize,
        /// In which view.
        view: usize,
        /// For what.
        digest: u8,
    },
    /// Sends COMMIT.
    Commit {
        /// Who.
        replica: usize,
        /// Where, from 1.
        slot: usize,
        /// In which view.
        view: usize,
        /// For what.
        digest: u8,
    },
    /// Gives up its view.
    ViewChange {
        /// Who.
        replica: usize,
        /// The view that it moves to.
        view: usize,
        /// Up to which slot it leaves out what it did, in a model with bases.
        base: Option<usize>,
    },
    /// Forgets its vote.
    Forget {
        /// Who.
        replica: usize,
        /// Of which view.
        view: usize,
    },
}

/// The name of a digest.
pub fn letter(digest: u8) -> &'static str {
    match digest {
        1 => "a",
        2 => "b",
        NULL => "null",
        _ => "?",
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Step::Vote { replica, slot, view, digest } => {
                write!(f, "replica {replica}, view {view}, slot {slot}: PREPARE {}", letter(digest))
            }
            Step::Commit { replica, slot, view, digest } => {
                write!(f, "replica {replica}, view {view}, slot {slot}: COMMIT {}", letter(digest))
            }
            Step::ViewChange { replica, view, base } => {
                write!(f, "replica {replica}: VIEW-CHANGE to view {view}")?;
                base.map_or(Ok(()), |base| write!(f, " with base {base}"))
            }
            Step::Forget { replica, view } => write!(f, "replica {replica}: forgets its vote of view {view}"),
        }
    }
}
