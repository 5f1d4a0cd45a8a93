//! Fetching: whom to ask for what is missing, and the slots that come with their certificates. `transfer.rs` takes the state of a
//! stable checkpoint when the slots are gone.
//!
//! One peer is asked at a time and has a deadline; who does not help is asked less. Whatever comes proves itself, so a peer that sends
//! garbage costs its own turn only.

use certificate::{ReplicaId, Sequence};

use crate::catch_up::Peer;
use crate::parameters::doubled;
use crate::replica::Replica;
use crate::transfer::Assembly;
use crate::{Application, DecidedSlot, FETCH_SLOTS_MAX, Fault, Keyring, Message};

/// A replica that lags by no more than the pipeline waits so long for the messages that are under way, in milliseconds.
const FETCH_DELAY_MS: u64 = 20;
/// An answer is taken so long after the question, in milliseconds.
const ANSWER_WAIT_MS: u64 = 10_000;

/// A question under way.
pub(crate) struct Asked {
    pub(crate) peer: ReplicaId,
    pub(crate) deadline_ms: u64,
    /// The last executed slot when it was asked.
    pub(crate) executed: Sequence,
    /// It is answered when so much is executed.
    pub(crate) target: Sequence,
    /// The state that the peer sends instead of slots.
    pub(crate) state: Option<Assembly>,
}

/// The fetching of slots or state from one peer.
#[derive(Default)]
pub(crate) struct Fetch {
    pub(crate) asked: Option<Asked>,
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

    /// Whether something was executed since the question: a status before that belongs to an earlier one.
    pub(crate) fn has_progressed(&self, executed: Sequence) -> bool {
        self.asked.as_ref().is_some_and(|asked| executed > asked.executed)
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

    pub(crate) fn was_asked(&self, peer: ReplicaId) -> bool {
        let asked = self.peers.get(&peer).and_then(|peer| peer.asked_ms);
        asked.is_some_and(|asked| self.now.monotonic_ms <= asked.saturating_add(ANSWER_WAIT_MS))
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
    pub(crate) fn fail_fetch(&mut self, peer: ReplicaId) {
        let timeouts = self.parameters.timeouts;
        let now = self.now.monotonic_ms;
        self.fetch.forget(peer);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let wait = doubled(timeouts.fetch_ms, known.failures, timeouts.resend_most_ms);
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
        let wait = doubled(timeouts.fetch_ms, known.failures, timeouts.resend_most_ms);
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

    /// Whether f+1 others say that they executed more: one of them is honest, so the cluster moves on, and this replica has to follow.
    pub(crate) fn is_behind(&self) -> bool {
        self.ahead().count() >= self.parameters.replicas.weak_quorum()
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
