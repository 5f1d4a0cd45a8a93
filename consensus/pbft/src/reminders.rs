//! What is said again about open requests, and when one is given up.
//!
//! A backup with q observations that the primary does not propose passes them on to it: perhaps they never reached it, and nobody may
//! suspect a primary over work that it could not have proposed.

use certificate::{Digest, ReplicaId};

use crate::held::prune;
use crate::replica::Replica;
use crate::requests::Alarm;
use crate::{Application, Keyring, Message, Operation};

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Does what has become due for open requests.
    pub(crate) fn run_alarms(&mut self) {
        let now = self.now.monotonic_ms;
        let (mut relay, mut resend) = (Vec::new(), Vec::new());
        while let Some((digest, alarm)) = self.requests.pop_alarm(now) {
            match alarm {
                Alarm::Grace => self.reassess(&digest),
                Alarm::Relay => relay.extend(self.on_relay_due(digest)),
                Alarm::Resend => resend.extend(self.on_resend_due(digest)),
                Alarm::Expire => self.on_expired(digest),
            }
        }
        let (me, primary) = (self.me(), self.primary());
        let requests =
            |digests: Vec<Digest>| digests.into_iter().filter_map(|digest| self.requests.of(&digest));
        let relayed = prune(requests(relay).flat_map(|request| request.observations.values()));
        let resent = prune(requests(resend).filter_map(|request| request.observations.get(&me)));
        relayed.into_iter().for_each(|set| self.send_one(primary, Message::Observe(set)));
        resent.into_iter().for_each(|set| self.send_all(Message::Observe(set)));
    }

    /// The primary does not propose what we hold a quorum of observations for: perhaps it does not have them.
    fn on_relay_due(&mut self, digest: Digest) -> Option<Digest> {
        let now = self.now.monotonic_ms;
        // Some of them may count no more since the log went on.
        self.reassess(&digest);
        let request = self.requests.of(&digest).filter(|request| request.quorate_ms.is_some())?;
        let wanted = request.in_flight.is_none();
        let since = request.relayed_ms;
        let again = now.saturating_add(self.parameters.timeouts.resend_ms.saturating_mul(2));
        self.requests.set_alarm(&digest, Alarm::Relay, Some(again));
        if !wanted || self.primary() == self.me() {
            return None;
        }
        self.requests.set_relayed(&digest, since.or(Some(now)));
        Some(digest)
    }

    /// Whether the own observation is to be sent again; an own request without one is sent again here.
    fn on_resend_due(&mut self, digest: Digest) -> Option<Digest> {
        let (me, after) = (self.me(), self.executed());
        let timeouts = self.parameters.timeouts;
        let request = self.requests.of(&digest)?;
        let observed = request.observations.contains_key(&me);
        let resolve = (request.mine && !observed).then(|| request.operation.clone());
        let wanted = request.in_flight.is_none();
        self.requests.forget_answers(&digest);
        let count = self.requests.count_resend(&digest).min(16);
        let wait = timeouts.resend_ms.saturating_mul(2 << count).min(timeouts.resend_most_ms);
        let due = self.now.monotonic_ms.saturating_add(wait);
        self.requests.set_alarm(&digest, Alarm::Resend, Some(due));
        if let Some(operation) = resolve.filter(|_| wanted) {
            self.send_all(Message::Resolve { operation, after });
        }
        (wanted && observed).then_some(digest)
    }

    fn on_expired(&mut self, digest: Digest) {
        let Some(request) = self.requests.of(&digest) else { return };
        if request.in_flight.is_some_and(|slot| slot > self.executed()) {
            let due = self.now.monotonic_ms.saturating_add(self.parameters.timeouts.request_ms);
            self.requests.set_alarm(&digest, Alarm::Expire, Some(due));
            return;
        }
        self.requests.close(&digest);
    }

    /// Tells a peer what is still open: own observations, and own requests without one.
    pub(crate) fn resend_requests(&mut self, peer: ReplicaId) {
        let (me, after) = (self.me(), self.executed());
        let own = self.requests.iter().filter_map(|(_, request)| request.observations.get(&me));
        let sets = prune(own);
        let asked = self
            .requests
            .iter()
            .filter(|(_, request)| request.mine && !request.observations.contains_key(&me));
        let asked: Vec<Operation> = asked.map(|(_, request)| request.operation.clone()).collect();
        sets.into_iter().for_each(|set| self.send_one(peer, Message::Observe(set)));
        for operation in asked {
            self.send_one(peer, Message::Resolve { operation, after });
        }
    }
}
