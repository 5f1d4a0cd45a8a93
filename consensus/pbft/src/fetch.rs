//! Fetching: slots by their certificates, or the state of a stable checkpoint when the slots are gone.
//!
//! One peer is asked at a time and has a deadline; who does not help is asked less. Whatever comes proves itself, so a peer that sends
//! garbage costs its own turn only.

use std::sync::Arc;

use certificate::codec::Decode;
use certificate::{ReplicaId, Sequence};

use crate::catch_up::Peer;
use crate::replica::Replica;
use crate::state::LogState;
use crate::{
    Application, CheckpointCertificate, DecidedSlot, FETCH_SLOTS_MAX, Fault, Keyring, Message, StateChunk,
};

/// A replica that lags by no more than the pipeline waits so long for the messages that are under way, in milliseconds.
const FETCH_DELAY_MS: u64 = 20;
/// An answer is taken so long after the question, in milliseconds.
const ANSWER_WAIT_MS: u64 = 10_000;

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

    /// Whether this peer is asked, and has not begun to send a state.
    pub(crate) fn waits_for_slots_of(&self, peer: ReplicaId) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.peer == peer && asked.state.is_none())
    }

    /// The peer will not answer any more.
    pub(crate) fn forget(&mut self, peer: ReplicaId) {
        self.asked.take_if(|asked| asked.peer == peer);
    }
}

impl<A: Application, K: Keyring> Replica<A, K> {
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
        if sequence <= self.executed() {
            return;
        }
        let Some(mut asked) = self.take_asked(from) else { return };
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

    /// The question that a chunk of this peer answers. One may be thought answered by a status that was sent before.
    fn take_asked(&mut self, from: ReplicaId) -> Option<Asked> {
        if self.fetch.asked.is_some() || !self.was_asked(from) {
            return self.fetch.asked.take_if(|asked| asked.peer == from);
        }
        let (executed, deadline_ms) = (self.executed(), self.now.monotonic_ms);
        Some(Asked { peer: from, deadline_ms, executed, target: executed.next(), state: None })
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
    pub(crate) fn end_fetch(&mut self) {
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
        self.fetch.forget(peer);
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
