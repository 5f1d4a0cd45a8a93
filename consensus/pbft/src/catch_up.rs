//! Catching up: who is how far, and what is sent again.
//!
//! Votes are sent again as the identical bytes. `serve.rs` gives those behind what they ask for, `fetch.rs` asks.

use certificate::{ReplicaId, Sequence, View};

use crate::replica::Replica;
use crate::serve::Served;
use crate::{Application, Keyring, Message, PeerStatus, Recipients, Record, Standing};

/// Messages are sent again to one peer at most so often, in milliseconds.
const RESEND_LEAST_MS: u64 = 50;

/// What is known of a peer.
#[derive(Clone, Default)]
pub(crate) struct Peer {
    pub(crate) connected: bool,
    /// What it said last, or what its votes imply. A hint.
    pub(crate) status: PeerStatus,
    /// Messages are sent to it again not before.
    resend_from_ms: u64,
    /// Whether it said how far it is and waits for an answer.
    owed: bool,
    /// Whether it was behind when it said so.
    behind: bool,
    /// When it was asked for slots or state.
    pub(crate) asked_ms: Option<u64>,
    /// It is not asked before.
    pub(crate) avoid_until_ms: u64,
    /// How often it did not help.
    pub(crate) failures: u32,
    /// What it asked for and is still to get.
    pub(crate) served: Served,
    /// When its window of answers began, and how many bytes they had.
    pub(crate) answers: (u64, usize),
    /// Whether it waits for the view that this replica is in.
    waits_for_view: bool,
    /// When a view was last begun for its sake.
    pub(crate) helped_ms: Option<u64>,
}

impl<A: Application, K: Keyring> Replica<A, K> {
    pub(crate) fn peer_status(&self) -> PeerStatus {
        let learner = self.standing == Standing::Learning;
        PeerStatus { view: self.view, executed: self.executed(), stable: self.marks.low, learner }
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
        known.served = Served::default();
        self.fetch.forget(peer);
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
        peer.served.forget_state_up_to(status.executed);
        self.learn_from(from, status);
        self.welcome(from, status);
        if self.fetch.waits_for_slots_of(from) && self.fetch.has_progressed(self.log.executed()) {
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
                let waits = std::mem::take(&mut peer.waits_for_view);
                due.push((*id, peer.status, (peer.behind, waits)));
            }
        }
        for (peer, status, (behind, waits)) in due {
            if status.view < self.view || status.learner || waits {
                self.send_view(peer);
            }
            if status.view > self.view {
                self.send_one(peer, Message::Status(self.peer_status()));
            }
            if status.executed > executed {
                continue;
            }
            self.resend_votes(Recipients::One(peer), status.stable);
            if behind {
                self.send_one(peer, Message::Status(self.peer_status()));
            } else {
                self.announce_state(peer, status.stable);
            }
        }
    }

    /// A peer gave up a view and is not in this one: it gets what brought this replica here.
    pub(crate) fn owe_view(&mut self, peer: ReplicaId, view: View) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.status.view = view;
            known.owed = true;
            known.waits_for_view = true;
        }
    }

    fn send_view(&mut self, peer: ReplicaId) {
        let message = match self.standing_record() {
            Some(Record::ViewChanging(own)) => Message::ViewChange(own),
            Some(Record::Entered { new_view, .. }) => Message::NewView(new_view),
            _ => return,
        };
        self.send_one(peer, message);
    }

    /// When the next peer is to be answered.
    pub(crate) fn next_answer_ms(&self) -> Option<u64> {
        let statuses = self.peers.values().filter(|peer| peer.owed).map(|peer| peer.resend_from_ms);
        statuses.chain(self.peers.values().filter_map(|peer| peer.served.due_ms())).min()
    }

    /// Sends own proposals and votes for slots that are not executed, and own checkpoint votes, as they were sent before.
    pub(crate) fn resend_votes(&mut self, to: Recipients, stable: Sequence) {
        let mut messages = Vec::new();
        for (_, slot) in self.slots.range(self.executed().next()..) {
            if let Some(accepted) = slot.accepted_in(self.view) {
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
}
