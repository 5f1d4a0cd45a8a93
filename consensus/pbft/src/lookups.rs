//! Our own part in an open request: when the host looks it up anew, and the certified answers that may stand in for that.
//!
//! Who asks for an operation must get an observation or an answer. So a request for which we have nothing to say, because an answer was handed
//! out that did not help or because what we saw counts no more, is looked up again whenever somebody says that he still waits.

use certificate::{Digest, ReplicaId};

use crate::held::Held;
use crate::replica::Replica;
use crate::requests::{Alarm, Own};
use crate::{
    ANSWER_BYTES_MAX, ANSWER_BYTES_PER_WINDOW_MAX, ANSWER_WINDOW_MS, Application, Item, Keyring, Lookup,
    Message, SignedObservations,
};

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Whether an open operation that no proposal contains lacks an observation of ours that counts, for one of these reasons.
    pub(crate) fn lacks_own(&self, digest: &Digest, reasons: &[Own]) -> bool {
        let Some(request) = self.requests.of(digest).filter(|request| request.in_flight.is_none()) else {
            return false;
        };
        let lasts = |held: &Held| self.lasts(held.observation.time_ms, held.digest());
        reasons.contains(&request.own)
            || request.own == Own::Seen
                && request.observations.get(&self.me()).is_some_and(|held| !lasts(held))
    }

    /// Looks an open operation up again when a peer wants it and we have nothing to say about it.
    pub(crate) fn help(&mut self, digest: &Digest, peer: ReplicaId) {
        if self.lacks_own(digest, &[Own::Missing]) {
            self.look_again(digest, Some(peer));
        }
    }

    /// What is told again is asked again: an observation that is held says that its observer still waits, and so does one that can count but is worse
    /// than the one of his that is held.
    pub(crate) fn help_again(&mut self, from: ReplicaId, set: &SignedObservations) {
        for item in &set.items {
            let Item::Full(observation) = item else { continue };
            let digest = observation.operation.digest();
            let held = self.requests.of(&digest).and_then(|request| request.observations.get(&set.replica));
            let Some(held) = held.filter(|_| self.lacks_own(&digest, &[Own::Missing])) else { continue };
            let same = held.observation == *observation;
            let can_count = observation.after >= self.requests.last_slot(&digest)
                && self.lasts(observation.time_ms, item.digest(set.replica));
            if same || can_count && self.is_signed(from, set) {
                self.help(&digest, set.replica);
            }
        }
    }

    /// Starts an own request over: the others are asked, and our lookup begins anew.
    pub(crate) fn ask_and_look(&mut self, digest: &Digest) {
        let (after, now) = (self.executed(), self.now.monotonic_ms);
        let Some(request) = self.requests.of(digest) else { return };
        let operation = request.operation.clone();
        if request.quorate_ms.is_none() {
            let due = now.saturating_add(self.parameters.timeouts.request_ms);
            self.requests.set_alarm(digest, Alarm::Expire, Some(due));
        }
        self.requests.forget_answers(digest);
        self.look_again(digest, None);
        self.send_all(Message::Resolve { operation, after });
    }

    fn look_again(&mut self, digest: &Digest, origin: Option<ReplicaId>) {
        let after = self.executed();
        let Some(request) = self.requests.of(digest) else { return };
        let operation = request.operation.clone();
        self.requests.look_again(digest, after);
        self.ready.lookups.push(Lookup { operation, digest: *digest, origin });
    }

    /// The host has a certified answer for a peer that asked; no lookup of ours is needed. Everybody who asked gets it.
    ///
    /// A request of peers alone is over then. One that somebody has observed stays open: whoever was not helped asks again, and
    /// by then the answer may have expired here too. One of this host is looked up, or its own clients would wait for nothing.
    pub(crate) fn on_answer(&mut self, to: ReplicaId, operation: Digest, bytes: Vec<u8>) {
        let mut recipients = self.requests.hand_out(&operation);
        if let Some(request) = self.requests.of(&operation).filter(|request| request.own == Own::Missing) {
            if request.mine {
                self.ask_and_look(&operation);
            } else if request.observations.is_empty() {
                self.requests.close(&operation);
            }
        }
        recipients.insert(to);
        for peer in recipients.iter() {
            if bytes.len() <= ANSWER_BYTES_MAX && self.may_answer(peer, bytes.len()) {
                self.send_one(peer, Message::Answer { operation, bytes: bytes.clone() });
            }
        }
    }

    /// A peer has a certified answer for a request of this host. One is passed on each time that the peers were asked, since each costs
    /// the host a verification.
    pub(crate) fn on_answered(&mut self, from: ReplicaId, operation: Digest, bytes: Vec<u8>) {
        if self.requests.answer(&operation, from) {
            self.ready.answers.push((from, operation, bytes));
        }
    }
    /// Whether a certified answer of so many bytes may go to the peer now.
    fn may_answer(&mut self, peer: ReplicaId, bytes: usize) -> bool {
        let now = self.now.monotonic_ms;
        let Some(known) = self.peers.get_mut(&peer) else { return false };
        if now >= known.answers.0.saturating_add(ANSWER_WINDOW_MS) {
            known.answers = (now, 0);
        }
        let (_, sent) = &mut known.answers;
        let fits = *sent + bytes <= ANSWER_BYTES_PER_WINDOW_MAX;
        if fits {
            *sent += bytes;
        }
        fits
    }
}
