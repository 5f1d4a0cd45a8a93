//! What goes into a step of the detector, and what comes out.

use certificate::{ReplicaId, ReplicaSet, Sequence};
use pbft::{Fault, Message};

use crate::{Indicator, Reason};

/// Which vote came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// The primary's proposal, which counts as its PREPARE.
    PrePrepare,
    /// A backup's PREPARE.
    Prepare,
    /// A COMMIT.
    Commit,
    /// A CHECKPOINT. Says that the replica is there; no slot waits for it.
    Checkpoint,
}

/// What happened, as the host sees it.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A channel to the replica is up.
    Connected(ReplicaId),
    /// The channel is gone.
    Disconnected(ReplicaId),
    /// Any message that could be read, before [`Event::Vote`] if it is one.
    Message {
        /// Whose channel.
        from: ReplicaId,
    },
    /// A vote of the sender itself, as it arrives, verified or not.
    Vote {
        /// Whose channel.
        from: ReplicaId,
        /// The slot.
        sequence: Sequence,
        /// Which vote.
        phase: Phase,
    },
    /// An observation of the sender itself came so long after its question was known here. Optional.
    Observation {
        /// Whose channel.
        from: ReplicaId,
        /// In milliseconds.
        after_ms: u64,
    },
    /// A slot was decided and executed here.
    Decided {
        /// The slot.
        sequence: Sequence,
        /// Whose commits are in its certificate.
        signers: ReplicaSet,
    },
    /// An observation in a decided slot was held against what was decided, by [`Witnesses`](crate::Witnesses) or by a rule as careful.
    Accuracy {
        /// Who observed.
        replica: ReplicaId,
        /// `false` only for what contradicts a proof, or everybody else about a name that does not change.
        agreed: bool,
    },
    /// The primary of a view was voted out.
    ViewChanged {
        /// Who it was.
        from_primary: ReplicaId,
        /// Whether there was work here that it could have proposed.
        proposable: bool,
    },
    /// The replica sent what cannot be read, over its own channel.
    Unreadable(ReplicaId),
    /// The protocol reports a fault.
    Fault(&'a Fault),
}

impl Event<'_> {
    /// The vote that a message is, if it is one of the sender's own; to be given to the detector after [`Event::Message`].
    pub fn vote(from: ReplicaId, message: &Message) -> Option<Event<'static>> {
        let (replica, sequence, phase) = match message {
            Message::PrePrepare(proposal) => (from, proposal.header.sequence, Phase::PrePrepare),
            Message::Prepare(vote) => (vote.replica, vote.sequence, Phase::Prepare),
            Message::Commit(vote) => (vote.replica, vote.sequence, Phase::Commit),
            Message::Checkpoint(vote) => (vote.replica, vote.sequence, Phase::Checkpoint),
            _ => return None,
        };
        (replica == from).then_some(Event::Vote { from, sequence, phase })
    }
}

/// Why a replica is let in again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// The time is over.
    Expired,
    /// An operator said so.
    Lifted,
    /// Another replica is proven faulty, and no more than f may be shut out at once.
    Displaced,
}

impl Release {
    /// The word for logs and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Release::Expired => "expired",
            Release::Lifted => "lifted",
            Release::Displaced => "displaced",
        }
    }
}

/// What the host is to do, and to log with its reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Shut the replica out: the filter first, then its channel; refuse it until released.
    Quarantine {
        /// Whom.
        replica: ReplicaId,
        /// When it ends, wall clock, milliseconds since 1970. The detector releases by the monotonic clock.
        until_ms: u64,
        /// For how long from now, in milliseconds.
        span_ms: u64,
        /// Why.
        reason: Reason,
        /// How often it was shut out for this kind of reason, this time included.
        strike: u32,
    },
    /// There is reason to shut the replica out, and f others are already.
    Spared {
        /// Whom.
        replica: ReplicaId,
        /// Why it would have been.
        reason: Reason,
    },
    /// Let the replica in again.
    Release {
        /// Whom.
        replica: ReplicaId,
        /// Why.
        why: Release,
    },
    /// Give the replica's bucket at the filter a part of its rate.
    Tighten {
        /// Whose.
        replica: ReplicaId,
        /// The rate is divided by this: 2, 4 or 8.
        factor: u32,
        /// When it ends, wall clock, milliseconds since 1970.
        until_ms: u64,
        /// Why: [`Indicator::LateVotes`] or [`Indicator::Flood`].
        reason: Indicator,
    },
    /// Give the replica's bucket its rate again.
    Loosen {
        /// Whose.
        replica: ReplicaId,
    },
    /// The replica is called Byzantine from here on. An alarm: its votes keep counting.
    Labelled {
        /// Who.
        replica: ReplicaId,
        /// Why.
        indicators: Vec<Indicator>,
    },
    /// It is not called Byzantine any more.
    Unlabelled {
        /// Who.
        replica: ReplicaId,
    },
    /// More replicas than f look Byzantine without proof: the odd one out may be this one, so none of them is called that.
    Doubtful {
        /// Who looks so.
        replicas: ReplicaSet,
    },
}
