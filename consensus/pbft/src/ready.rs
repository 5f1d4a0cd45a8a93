//! What goes into a step of the replica, and what comes out.

use std::sync::Arc;

use certificate::{Digest, ReplicaId, ReplicaSet, Sequence, Signature, SlotHeader, View};

use crate::{Batch, Fault, Message, Operation, Record};

/// The time of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Wall clock, milliseconds since 1970. May step back. Only the time of proposals is held against it.
    pub wall_ms: u64,
    /// A clock that never steps back, from any origin. All timers run by it.
    pub monotonic_ms: u64,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// This host wants an operation decided.
    Request(Operation),
    /// The host's own lookup is done.
    Observed {
        /// Digest of the operation.
        operation: Digest,
        /// When it was seen, wall clock.
        time_ms: u64,
        /// What was seen.
        payload: Vec<u8>,
    },
    /// The host has a valid certified answer for the replica that asked, and does not look up.
    Answer {
        /// Who asked.
        to: ReplicaId,
        /// Digest of the operation.
        operation: Digest,
        /// At most [`ANSWER_BYTES_MAX`](crate::ANSWER_BYTES_MAX) bytes; longer ones are not sent.
        bytes: Vec<u8>,
    },
    /// A message came, decoded at the door, over the channel of `from`.
    Message {
        /// Who speaks.
        from: ReplicaId,
        /// What it says.
        message: Message,
    },
    /// A channel to the replica is up.
    Connected(ReplicaId),
    /// The channel is gone.
    Disconnected(ReplicaId),
    /// The deadline of the last `Ready` has passed.
    Tick,
}

/// To whom a message goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Recipients {
    /// Every other replica that is connected.
    All,
    /// One replica.
    One(ReplicaId),
}

/// A lookup that the host shall do on its own path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lookup {
    /// What.
    pub operation: Operation,
    /// Its digest, the key of `Event::Observed`.
    pub digest: Digest,
    /// Who asked; `None` for this host. To another a certified answer may be handed out instead (`Event::Answer`).
    pub origin: Option<ReplicaId>,
}

/// A slot of the log, reported in order, once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decided {
    /// What the commits sign, by its digest.
    pub header: SlotHeader,
    /// The view of the commits.
    pub view: View,
    /// The encoded leaf of each operation.
    pub leaves: Vec<Vec<u8>>,
    /// The operations, in the order of the leaves.
    pub operations: Vec<Operation>,
    /// Exactly q replicas.
    pub signers: ReplicaSet,
    /// Their commits, lowest id first.
    pub signatures: Vec<Signature>,
    /// The observations behind the leaves.
    pub evidence: Arc<Batch>,
}

/// A slot that will be decided as this: Qf replicas voted for it. There is no certificate yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Early {
    /// What the commits will sign, by its digest.
    pub header: SlotHeader,
    /// The view of the votes.
    pub view: View,
    /// The encoded leaf of each operation.
    pub leaves: Vec<Vec<u8>>,
    /// The operations, in the order of the leaves.
    pub operations: Vec<Operation>,
    /// The observations behind the leaves.
    pub evidence: Arc<Batch>,
}

/// In which part of the protocol a replica is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Standing {
    /// It takes part in the normal case of its view.
    #[default]
    Active,
    /// It gave up the view before, and waits for the NEW-VIEW of this one.
    Changing,
    /// It lost its log: it follows, and votes only when what it forgot can do no harm.
    Learning,
    /// It found what more than f faulty replicas alone can bring about. It votes no more.
    Diverged,
}

/// What a step asks its driver to do. The order of the fields is the order of duty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ready {
    /// To be stored, in order, before anything below leaves; on disk when [`Ready::sync`] says so.
    pub persist: Vec<Record>,
    /// To be sent, in order. Never to this replica itself.
    pub send: Vec<(Recipients, Message)>,
    /// To be looked up; answered by `Event::Observed` or `Event::Answer`.
    pub lookups: Vec<Lookup>,
    /// Slots that were decided and executed, in order.
    pub decided: Vec<Decided>,
    /// Slots whose answer is certain before their commits are in: a fast quorum voted for it. Each is reported as decided later.
    pub early: Vec<Early>,
    /// Certified answers that a peer returned for a request of this host: who, the operation's digest, the bytes. Not verified here.
    pub answers: Vec<(ReplicaId, Digest, Vec<u8>)>,
    /// Own requests and observations that were not taken: too many are open, or the payload is malformed or too long.
    pub refused: Vec<Digest>,
    /// What peers did wrong.
    pub faults: Vec<Fault>,
    /// Once `persist` is on disk the log before it may go: then its first record is the stable checkpoint at this slot.
    pub discard_below: Option<Sequence>,
    /// The primary makes no progress on work that it could have proposed.
    pub suspect: bool,
    /// When to send `Event::Tick`, on the monotonic clock. Replaces the one before.
    pub deadline: Option<u64>,
}

impl Ready {
    /// Whether `persist` must be on disk, not only written, before anything leaves.
    pub fn sync(&self) -> bool {
        self.persist.iter().any(Record::needs_sync)
    }
}

/// How the replica stands, for people and graphs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The current view.
    pub view: View,
    /// Its primary.
    pub primary: Option<ReplicaId>,
    /// In which part of the protocol it is.
    pub standing: Standing,
    /// How many views it gave up since it started.
    pub view_changes: u64,
    /// How many new views it entered since it started.
    pub new_views: u64,
    /// Slots whose answer a fast quorum released before the commits were in.
    pub fast: u64,
    /// Slots that the commits decided first.
    pub slow: u64,
    /// The last executed slot.
    pub executed: Sequence,
    /// The low water mark.
    pub stable: Sequence,
    /// The highest slot with a proposal.
    pub proposed: Sequence,
    /// Log time in milliseconds since 1970.
    pub log_time_ms: u64,
    /// Open requests.
    pub open_requests: usize,
    /// Bytes of observations that are held.
    pub held_bytes: usize,
    /// Slots that are held, decided ones above the low water mark included.
    pub slots: usize,
    /// Observations remembered as used.
    pub used_observations: usize,
    /// Channels that are up.
    pub connected: ReplicaSet,
    /// Whether slots or state are being fetched.
    pub catching_up: bool,
    /// Whether the primary is suspected.
    pub suspect: bool,
}
