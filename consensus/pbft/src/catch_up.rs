//! Catching up: who is how far, what is sent again, and how slots and state are fetched.
//!
//! One peer is asked at a time and has a deadline; who does not help is asked less. Whatever comes proves itself, so a peer that sends
//! garbage costs its own turn only. Votes are sent again as the identical bytes.

use std::sync::Arc;

use certificate::codec::Decode;
use certificate::{ReplicaId, Sequence};

use crate::replica::Replica;
use crate::state::LogState;
use crate::{
    Application, CheckpointCertificate, DecidedSlot, FETCH_SLOTS_MAX, FETCH_WINDOW_MS,
    FETCHES_PER_WINDOW_MAX, Fault, Keyring, Message, PeerStatus, Recipients, STATE_CHUNK_BYTES_MAX,
    StateChunk,
};

/// A peer that lags by no more than the pipeline gets so long to see the messages that are under way, in milliseconds.
const FETCH_DELAY_MS: u64 = 20;
/// Messages are sent again to one peer at most so often, in milliseconds.
const RESEND_LEAST_MS: u64 = 50;
/// An answer is taken so long after the question, in milliseconds.
const ANSWER_WAIT_MS: u64 = 10_000;

/// What is known of a peer.
#[derive(Clone, Default)]
pub(crate) struct Peer {
    pub(crate) connected: bool,
    /// What it said last, or what its votes imply. A hint.
    status: PeerStatus,
    /// Messages are sent to it again not before.
    resend_from_ms: u64,
    /// Whether it said how far it is and waits for an answer.
    owed: bool,
    /// Whether it was behind when it said so.
    behind: bool,
    /// When it was asked for slots or state.
    asked_ms: Option<u64>,
    /// It is not asked before.
    avoid_until_ms: u64,
    /// How often it did not help.
    failures: u32,
    /// When its window of fetches began, and how many there were.
    window: (u64, u32),
}

/// A question under way.
struct Asked {
    peer: ReplicaId,
    deadline_ms: u64,
    /// The last executed slot when it was asked.
    executed: Sequence,
    /// It is answered when so much is executed.
    target: Sequence,
    state: Option<Assembly>,
}

/// The state of a stable checkpoint, as far as it came.
struct Assembly {
    certificate: CheckpointCertificate,
    total: usize,
    bytes: Vec<u8>,
}

/// The fetching of slots or state from one peer.
#[derive(Default)]
pub(crate) struct Fetch {
    asked: Option<Asked>,
    last: Option<ReplicaId>,
}

impl Fetch {
    pub(crate) fn is_running(&self) -> bool {
        self.asked.is_some()
    }
}

impl<A: Application, K: Keyring> Replica<A, K> {
    pub(crate) fn peer_status(&self) -> PeerStatus {
        PeerStatus { view: self.view, executed: self.executed(), stable: self.marks.low }
    }

    pub(crate) fn on_connected(&mut self, peer: ReplicaId) {
        let now = self.now.monotonic_ms;
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.connected = true;
        known.resend_from_ms = now.saturating_add(RESEND_LEAST_MS);
        known.avoid_until_ms = 0;
        self.clocks.reset_patience();
        self.send_one(peer, Message::Status(self.peer_status()));
        self.resend_votes(Recipients::One(peer), Sequence(0));
        self.resend_requests(peer);
    }

    pub(crate) fn on_disconnected(&mut self, peer: ReplicaId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.connected = false;
        if self.fetch.asked.as_ref().is_some_and(|asked| asked.peer == peer) {
            self.fetch.asked = None;
        }
    }

    /// A message of the peer implies that it executed the slots before; a hint where to fetch from.
    pub(crate) fn note_ahead(&mut self, peer: ReplicaId, sequence: Sequence) {
        let executed = Sequence(sequence.0.saturating_sub(self.parameters.pipeline));
        if let Some(known) = self.peers.get_mut(&peer) {
            known.status.executed = known.status.executed.max(executed);
        }
    }

    pub(crate) fn on_status(&mut self, from: ReplicaId, status: PeerStatus) {
        let peer = self.peers.get_mut(&from).expect("the sender was looked up at the door");
        peer.status = status;
        peer.owed = true;
        peer.behind = status.executed < self.log.executed();
        if self.fetch.asked.as_ref().is_some_and(|asked| asked.peer == from && asked.state.is_none()) {
            self.end_fetch();
        }
    }

    /// Answers the peers that said how far they are, each after its pause: with own votes that they may lack, and with the way ahead.
    pub(crate) fn answer_statuses(&mut self) {
        let now = self.now.monotonic_ms;
        let executed = self.executed();
        let mut due = Vec::new();
        for (id, peer) in &mut self.peers {
            if peer.owed && now >= peer.resend_from_ms {
                peer.owed = false;
                peer.resend_from_ms = now.saturating_add(RESEND_LEAST_MS);
                due.push((*id, peer.status, peer.behind));
            }
        }
        for (peer, status, behind) in due {
            if status.executed > executed {
                continue;
            }
            self.resend_votes(Recipients::One(peer), status.stable);
            if behind {
                self.send_one(peer, Message::Status(self.peer_status()));
            } else if let Some(chunk) =
                self.chunk(0, 0).filter(|chunk| chunk.certificate.sequence > status.stable)
            {
                self.send_one(peer, Message::StableCheckpoint(chunk));
            }
        }
    }

    /// When the next peer is to be answered.
    pub(crate) fn next_answer_ms(&self) -> Option<u64> {
        self.peers.values().filter(|peer| peer.owed).map(|peer| peer.resend_from_ms).min()
    }

    /// Sends own proposals and votes for slots that are not executed, and own checkpoint votes, as they were sent before.
    pub(crate) fn resend_votes(&mut self, to: Recipients, stable: Sequence) {
        let mut messages = Vec::new();
        for (_, slot) in self.slots.range(self.executed().next()..) {
            if let Some(accepted) = &slot.accepted {
                messages.push(match accepted.prepare {
                    Some(vote) => Message::Prepare(vote),
                    None => Message::PrePrepare(accepted.proposal.clone()),
                });
            }
            messages.extend(slot.committed.map(Message::Commit));
        }
        messages.extend(self.checkpoints.own_votes_above(stable).into_iter().map(Message::Checkpoint));
        self.ready.send.extend(messages.into_iter().map(|message| (to, message)));
    }

    /// Whether the peer may be answered now: so many fetches a window, no more.
    fn may_serve(&mut self, peer: ReplicaId) -> bool {
        let now = self.now.monotonic_ms;
        let Some(known) = self.peers.get_mut(&peer) else { return false };
        let (since, count) = known.window;
        if now >= since.saturating_add(FETCH_WINDOW_MS) {
            known.window = (now, 1);
            return true;
        }
        known.window = (since, count.saturating_add(1));
        count < FETCHES_PER_WINDOW_MAX
    }

    pub(crate) fn on_fetch(&mut self, peer: ReplicaId, first: Sequence) {
        if !self.may_serve(peer) {
            return;
        }
        if first <= self.marks.low {
            let chunk = self.chunk(0, STATE_CHUNK_BYTES_MAX);
            chunk.into_iter().for_each(|chunk| self.send_one(peer, Message::StableCheckpoint(chunk)));
            return;
        }
        let last = self.executed().0.min(first.0.saturating_add(FETCH_SLOTS_MAX - 1));
        for sequence in first.0..=last {
            let decided = self.slots.get(&Sequence(sequence)).and_then(|slot| slot.decided.as_ref());
            if let Some(slot) = decided.map(|decision| decision.slot.clone()) {
                self.send_one(peer, Message::Slot(slot));
            }
        }
        self.send_one(peer, Message::Status(self.peer_status()));
    }

    pub(crate) fn on_fetch_state(&mut self, peer: ReplicaId, sequence: Sequence, offset: u32) {
        if !self.may_serve(peer) {
            return;
        }
        let stable = self.checkpoints.stable.as_ref().map(|stable| stable.certificate.sequence);
        let offset = if stable == Some(sequence) { offset as usize } else { 0 };
        let chunk = self.chunk(offset, STATE_CHUNK_BYTES_MAX);
        chunk.into_iter().for_each(|chunk| self.send_one(peer, Message::StableCheckpoint(chunk)));
    }

    /// At most `length` bytes of the stable checkpoint's state.
    fn chunk(&self, offset: usize, length: usize) -> Option<StateChunk> {
        let stable = self.checkpoints.stable.as_ref()?;
        let total = stable.state.len();
        let offset = offset.min(total);
        let bytes = stable.state[offset..total.min(offset + length)].to_vec();
        let certificate = stable.certificate.clone();
        Some(StateChunk { certificate, total: total as u32, offset: offset as u32, bytes })
    }

    pub(crate) fn on_slot(&mut self, from: ReplicaId, slot: DecidedSlot) {
        let sequence = slot.header.sequence;
        let known = self.slots.get(&sequence).is_some_and(|slot| slot.decided.is_some());
        let wanted = sequence > self.executed() && sequence <= self.marks.horizon();
        if known || !wanted || !self.was_asked(from) {
            return;
        }
        let certificate = &slot.certificate;
        let holds = certificate.sequence == sequence
            && certificate.digest == slot.header.digest()
            && certificate.verify(self.parameters.replicas, &self.parameters.domain, &self.keyring);
        if !holds || !self.adopt(slot) {
            self.fault(Fault::InvalidSlot { from, sequence });
            self.fail_fetch(from);
            return;
        }
        self.touched.insert(sequence);
    }

    fn was_asked(&self, peer: ReplicaId) -> bool {
        let asked = self.peers.get(&peer).and_then(|peer| peer.asked_ms);
        asked.is_some_and(|asked| self.now.monotonic_ms <= asked.saturating_add(ANSWER_WAIT_MS))
    }

    pub(crate) fn on_state_chunk(&mut self, from: ReplicaId, chunk: StateChunk) {
        let sequence = chunk.certificate.sequence;
        if sequence <= self.marks.low {
            return;
        }
        if let Some(own) = self.checkpoints.snapshots.get(&sequence).cloned() {
            if self.certificate_holds(&chunk.certificate) {
                self.on_certified_state(chunk.certificate, own);
            } else {
                self.fault(Fault::InvalidState { from, sequence });
            }
            return;
        }
        let Some(mut asked) = self.fetch.asked.take_if(|asked| asked.peer == from) else { return };
        if sequence <= self.executed() {
            self.fetch.asked = Some(asked);
            return;
        }
        if !self.extend_assembly(&mut asked, chunk) {
            self.fault(Fault::InvalidState { from, sequence });
            self.fail_fetch(from);
            return;
        }
        let assembly = asked.state.as_ref().expect("the chunk began or extended the assembly");
        let (have, total) = (assembly.bytes.len(), assembly.total);
        if have < total {
            let sequence = assembly.certificate.sequence;
            self.fetch.asked = Some(asked);
            self.send_one(from, Message::FetchState { sequence, offset: have as u32 });
            return;
        }
        let assembly = asked.state.take().expect("the assembly is complete");
        self.adopt_state(from, assembly);
    }

    /// Adds a chunk to what came before; a checkpoint other than the one before starts anew. `false` when it is garbage.
    fn extend_assembly(&self, asked: &mut Asked, chunk: StateChunk) -> bool {
        let fits = asked.state.as_ref().is_some_and(|state| {
            state.certificate == chunk.certificate
                && state.total == chunk.total as usize
                && state.bytes.len() == chunk.offset as usize
        });
        let wait = self.parameters.timeouts.fetch_ms;
        if fits {
            let state = asked.state.as_mut().expect("the chunk fits the state");
            if chunk.bytes.is_empty() {
                return false;
            }
            state.bytes.extend_from_slice(&chunk.bytes);
            asked.deadline_ms = self.now.monotonic_ms.saturating_add(wait);
            return true;
        }
        let later =
            asked.state.as_ref().is_none_or(|state| state.certificate.sequence < chunk.certificate.sequence);
        if !later {
            // A repeated chunk of what is here.
            return asked.state.as_ref().is_some_and(|state| state.certificate == chunk.certificate);
        }
        if chunk.offset != 0 || chunk.total == 0 || !self.certificate_holds(&chunk.certificate) {
            return false;
        }
        let total = chunk.total as usize;
        asked.deadline_ms = self.now.monotonic_ms.saturating_add(wait);
        asked.state = Some(Assembly { certificate: chunk.certificate, total, bytes: chunk.bytes });
        true
    }

    fn certificate_holds(&self, certificate: &CheckpointCertificate) -> bool {
        certificate.sequence.0.is_multiple_of(self.parameters.checkpoint_interval)
            && certificate.verify(self.parameters.replicas, &self.parameters.domain, &self.keyring)
    }

    /// Takes a whole state instead of executing the slots up to it. Nothing at or below it is voted for any more.
    fn adopt_state(&mut self, from: ReplicaId, assembly: Assembly) {
        let sequence = assembly.certificate.sequence;
        let state = LogState::from_bytes(&assembly.bytes)
            .ok()
            .filter(|state| state.executed() == sequence)
            .filter(|_| LogState::digest_of(&assembly.bytes) == assembly.certificate.digest);
        let Some(state) = state else {
            self.fault(Fault::InvalidState { from, sequence });
            self.fail_fetch(from);
            return;
        };
        self.log = state;
        self.clocks.progress(self.now.monotonic_ms);
        self.stabilize(assembly.certificate, Arc::new(assembly.bytes));
        self.touched.extend((1..=self.parameters.pipeline).map(|ahead| Sequence(sequence.0 + ahead)));
        self.ask_again();
    }

    /// The peer's answer is complete: it helped, or it did not.
    fn end_fetch(&mut self) {
        let Some(asked) = self.fetch.asked.take() else { return };
        if self.executed() > asked.executed {
            self.peers.get_mut(&asked.peer).expect("a peer was asked").failures = 0;
            if self.ahead().next().is_none() {
                // Votes for the slots above were sent while they were out of reach.
                self.send_all(Message::Status(self.peer_status()));
            }
        } else {
            self.fail_fetch(asked.peer);
        }
    }

    /// The peer did not help: the next one is asked, and this one not for a while.
    fn fail_fetch(&mut self, peer: ReplicaId) {
        let timeouts = self.parameters.timeouts;
        let now = self.now.monotonic_ms;
        if self.fetch.asked.as_ref().is_some_and(|asked| asked.peer == peer) {
            self.fetch.asked = None;
        }
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let wait = timeouts.fetch_ms.saturating_mul(1 << known.failures.min(8)).min(timeouts.resend_most_ms);
        known.failures = known.failures.saturating_add(1);
        known.avoid_until_ms = now.saturating_add(wait);
    }

    /// Asks the next peer when this replica is behind.
    pub(crate) fn drive_fetch(&mut self) {
        let now = self.now.monotonic_ms;
        if let Some(asked) = &self.fetch.asked {
            let peer = asked.peer;
            if asked.state.is_none() && self.executed() >= asked.target {
                self.end_fetch();
            } else if now >= asked.deadline_ms {
                self.fail_fetch(peer);
            } else {
                return;
            }
        }
        if self.next_fetch_ms().is_none_or(|due| now < due) {
            return;
        }
        let Some(peer) = self.peer_to_ask() else { return };
        let executed = self.executed();
        let timeouts = self.parameters.timeouts;
        let known = self.peers.get_mut(&peer).expect("a peer is asked");
        known.asked_ms = Some(now);
        let wait = timeouts.fetch_ms.saturating_mul(1 << known.failures.min(8)).min(timeouts.resend_most_ms);
        let target = known.status.executed.min(Sequence(executed.0.saturating_add(FETCH_SLOTS_MAX)));
        let deadline_ms = now.saturating_add(wait);
        self.fetch.asked = Some(Asked { peer, deadline_ms, executed, target, state: None });
        self.fetch.last = Some(peer);
        self.send_one(peer, Message::Fetch { from: executed.next() });
    }

    /// The peer ahead that failed least, the next one after the last asked.
    fn peer_to_ask(&self) -> Option<ReplicaId> {
        let now = self.now.monotonic_ms;
        let last = self.fetch.last;
        let ahead = self.ahead().filter(|(_, peer)| peer.avoid_until_ms <= now);
        ahead.min_by_key(|(id, peer)| (peer.failures, Some(*id) <= last, *id)).map(|(id, _)| id)
    }

    fn ahead(&self) -> impl Iterator<Item = (ReplicaId, &Peer)> {
        let executed = self.executed();
        let peers = self.peers.iter().map(|(id, peer)| (*id, peer));
        peers.filter(move |(_, peer)| peer.connected && peer.status.executed > executed)
    }

    /// When the next peer is to be asked, if one is ahead.
    pub(crate) fn next_fetch_ms(&self) -> Option<u64> {
        if let Some(asked) = &self.fetch.asked {
            return Some(asked.deadline_ms);
        }
        let furthest = self.ahead().map(|(_, peer)| peer.status.executed).max()?;
        let available = self.ahead().map(|(_, peer)| peer.avoid_until_ms).min()?;
        let few = furthest.0 - self.executed().0 <= self.parameters.pipeline;
        let patience = if few { self.clocks.progress_ms().saturating_add(FETCH_DELAY_MS) } else { 0 };
        Some(available.max(patience))
    }
}
