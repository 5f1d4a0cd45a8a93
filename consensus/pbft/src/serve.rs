//! Serving those behind: decided slots, or the state of a stable checkpoint, at a bounded rate to each.
//!
//! What a peer asks for waits in its own short queue, and each answer makes it wait by its size. The state that a peer has begun to take is kept
//! for it when a later checkpoint becomes stable, or a replica that needs longer than an interval would never catch up.

use std::collections::VecDeque;

use certificate::{Digest, ReplicaId, Sequence, SlotHeader};

use crate::checkpoint::Stable;
use crate::replica::Replica;
use crate::{
    Application, DecidedSlot, FETCH_BYTES_MAX, FETCH_BYTES_PER_MS, FETCH_SLOTS_MAX, FETCHES_WAITING_MAX,
    Keyring, Message, STATE_CHUNK_BYTES_MAX, StateChunk,
};

/// A state is kept so long after the peer last asked for a part of it, in milliseconds.
const STATE_KEPT_MS: u64 = 10_000;

/// What a peer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// The slots from here on.
    Slots(Sequence),
    /// The state of the checkpoint, from the offset on.
    State(Sequence, u32),
    /// The body of a digest for a slot.
    Batch(Sequence, Digest),
    /// A view change.
    ViewChange(Digest),
}

/// What is served to one peer.
#[derive(Clone, Default)]
pub(crate) struct Served {
    waiting: VecDeque<Wanted>,
    /// It gets nothing before.
    from_ms: u64,
    /// The state it takes, and when it last asked for a part.
    state: Option<(Stable, u64)>,
}

impl Served {
    /// The peer has executed so much.
    pub(crate) fn forget_state_up_to(&mut self, executed: Sequence) {
        self.state.take_if(|(state, _)| state.certificate.sequence <= executed);
    }

    /// A later checkpoint is stable.
    pub(crate) fn forget_state_unasked(&mut self, now_ms: u64) {
        self.state.take_if(|(_, asked_ms)| now_ms > asked_ms.saturating_add(STATE_KEPT_MS));
    }

    /// When the next answer is due.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        (!self.waiting.is_empty()).then_some(self.from_ms)
    }
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// A peer asks for slots or state. What it asks for beyond its queue is dropped: it will ask again, or somebody else.
    pub(crate) fn on_wanted(&mut self, peer: ReplicaId, wanted: Wanted) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let waiting = &mut known.served.waiting;
        if waiting.len() < FETCHES_WAITING_MAX && !waiting.contains(&wanted) {
            waiting.push_back(wanted);
        }
    }

    /// Gives each peer at most one answer, and lets it wait for the next by its size.
    pub(crate) fn serve(&mut self) {
        let now = self.now.monotonic_ms;
        let mut due = Vec::new();
        for (id, peer) in &mut self.peers {
            if peer.served.from_ms <= now {
                due.extend(peer.served.waiting.pop_front().map(|wanted| (*id, wanted)));
            }
        }
        for (peer, wanted) in due {
            let bytes = match wanted {
                Wanted::Slots(first) if first > self.marks.low => self.send_slots(peer, first),
                Wanted::Slots(_) => self.send_state(peer, Sequence(0), 0),
                Wanted::State(sequence, offset) => self.send_state(peer, sequence, offset as usize),
                Wanted::Batch(sequence, digest) => self.send_batch(peer, sequence, digest),
                Wanted::ViewChange(digest) => self.send_view_change(peer, digest),
            };
            let pause = (bytes as u64 / FETCH_BYTES_PER_MS).max(1);
            let known = self.peers.get_mut(&peer).expect("the peer was just seen");
            known.served.from_ms = now.saturating_add(pause);
        }
    }

    /// Sends decided slots and how far this replica is; gives their size.
    fn send_slots(&mut self, peer: ReplicaId, first: Sequence) -> usize {
        let last = self.executed().0.min(first.0.saturating_add(FETCH_SLOTS_MAX - 1));
        let mut bytes = 0;
        for sequence in first.0..=last {
            let decided = self.slots.get(&Sequence(sequence)).and_then(|slot| slot.decided.as_ref());
            let Some(slot) = decided.map(|decision| decision.slot.clone()) else { continue };
            let more = size_of(&slot);
            if bytes > 0 && bytes + more > FETCH_BYTES_MAX {
                break;
            }
            bytes += more;
            self.send_one(peer, Message::Slot(slot));
        }
        self.send_one(peer, Message::Status(self.peer_status()));
        bytes
    }

    /// Sends a part of the state that is asked for, or the beginning of the last one when that is gone; gives its size.
    fn send_state(&mut self, peer: ReplicaId, sequence: Sequence, offset: usize) -> usize {
        let now = self.now.monotonic_ms;
        let Some(known) = self.peers.get_mut(&peer) else { return 0 };
        let taken = known.served.state.as_ref().map(|(state, _)| state);
        let is_wanted = |state: &&Stable| state.certificate.sequence == sequence;
        let wanted = taken.filter(is_wanted).or(self.checkpoints.stable.as_ref().filter(is_wanted)).cloned();
        let offset = if wanted.is_some() { offset } else { 0 };
        let Some(state) = wanted.or_else(|| self.checkpoints.stable.clone()) else { return 0 };
        let chunk = chunk(&state, offset, STATE_CHUNK_BYTES_MAX);
        let bytes = chunk.bytes.len();
        known.served.state = Some((state, now));
        self.send_one(peer, Message::StableCheckpoint(chunk));
        bytes
    }

    /// Tells a peer whose low water mark is lower that the checkpoint is stable. It has the state.
    pub(crate) fn announce_state(&mut self, peer: ReplicaId, low: Sequence) {
        let stable = self.checkpoints.stable.as_ref();
        if let Some(stable) = stable.filter(|stable| stable.certificate.sequence > low) {
            let announced = chunk(stable, 0, 0);
            self.send_one(peer, Message::StableCheckpoint(announced));
        }
    }
}

/// What a decided slot costs, near enough.
fn size_of(slot: &DecidedSlot) -> usize {
    SlotHeader::LENGTH + slot.batch.encoded_len() + 64 * slot.certificate.signatures.len()
}

/// At most `length` bytes of a state.
fn chunk(stable: &Stable, offset: usize, length: usize) -> StateChunk {
    let total = stable.state.len();
    let offset = offset.min(total);
    let bytes = stable.state[offset..total.min(offset + length)].to_vec();
    let certificate = stable.certificate.clone();
    StateChunk { certificate, total: total as u32, offset: offset as u32, bytes }
}
