//! Requests and observations on their way in: what opens a request, and what is held for it.
//!
//! `requests.rs` is the store; here stands who may put what into it. `reminders.rs` says what is told again.

use std::sync::Arc;

use certificate::{Digest, MessageType, OperationKind, ReplicaId, Sequence};

use crate::accounts::{Account, Opened, OverQuota};
use crate::held::{Held, Seal};
use crate::replica::Replica;
use crate::requests::{Alarm, Own};
use crate::{
    Application, Counted, Fault, Item, Keyring, Lookup, Message, OBSERVATIONS_PER_SET_MAX, OBSERVE_BYTES_MAX,
    Observation, Operation, SUBJECT_BYTES_MAX, SignedObservations,
};

/// Own observations that wait to be signed together.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: Vec<Observation>,
    bytes: usize,
    since_ms: u64,
}

impl Outbox {
    /// When the oldest has waited long enough.
    pub(crate) fn due(&self, wait_ms: u64) -> Option<u64> {
        (!self.waiting.is_empty()).then(|| self.since_ms.saturating_add(wait_ms))
    }
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// This host wants an operation decided.
    pub(crate) fn on_request(&mut self, operation: Operation) {
        let digest = operation.digest();
        let (me, after) = (self.me(), self.executed());
        if operation.kind == OperationKind::Null || operation.subject.len() > SUBJECT_BYTES_MAX {
            self.ready.refused.push(digest);
            return;
        }
        if self.requests.of(&digest).is_some() {
            self.requests.ask(&digest, true, Sequence(0));
            if self.lacks_own(&digest, &[Own::Missing, Own::Refused]) {
                self.ask_and_look(&digest);
            }
            let resend = self.parameters.timeouts.resend_ms.saturating_mul(2);
            let due = self.now.monotonic_ms.saturating_add(resend);
            self.requests.hasten_alarm(&digest, Alarm::Resend, due);
            return;
        }
        if !self.open(operation.clone(), digest, Account { replica: me, opened: Opened::Asked }) {
            self.ready.refused.push(digest);
            return;
        }
        self.requests.ask(&digest, true, after);
        self.send_all(Message::Resolve { operation, after });
    }

    /// Opens a request and starts our lookup, if there is room on the account.
    fn open(&mut self, operation: Operation, digest: Digest, account: Account) -> bool {
        let (me, after, now) = (self.me(), self.executed(), self.now.monotonic_ms);
        if let Err(over) = self.requests.open(operation.clone(), digest, account, after) {
            self.blame_for(over);
            return false;
        }
        let timeouts = self.parameters.timeouts;
        self.requests.set_alarm(&digest, Alarm::Expire, Some(now.saturating_add(timeouts.request_ms)));
        let resend = now.saturating_add(timeouts.resend_ms.saturating_mul(2));
        self.requests.set_alarm(&digest, Alarm::Resend, Some(resend));
        // After a restart a proposal may be older than the request.
        let in_flight = self.slots.range(after.next()..).find(|(_, slot)| slot.proposes(&operation));
        self.requests.set_in_flight(&digest, in_flight.map(|(sequence, _)| *sequence));
        let origin = Some(account.replica).filter(|origin| *origin != me);
        self.ready.lookups.push(Lookup { operation, digest, origin });
        true
    }

    /// Reports who asked for too much. An observer is not to blame: it looks up what others ask of it.
    fn blame_for(&mut self, OverQuota(account): OverQuota) {
        if account.opened == Opened::Asked && account.replica != self.me() {
            self.fault(Fault::OverQuota { from: account.replica });
        }
    }

    /// A peer wants an operation decided. One that was decided after the peer asked opens nothing: the peer is behind and will see it.
    pub(crate) fn on_resolve(&mut self, from: ReplicaId, operation: Operation, after: Sequence) {
        if operation.kind == OperationKind::Null {
            self.fault(Fault::NullRequest { from });
            return;
        }
        let digest = operation.digest();
        if after < self.requests.last_slot(&digest) {
            return;
        }
        if self.requests.of(&digest).is_some() {
            self.help(&digest, from);
        } else if !self.open(operation, digest, Account { replica: from, opened: Opened::Asked }) {
            return;
        }
        self.requests.ask(&digest, false, after);
        self.requests.wait(&digest, from);
    }

    /// The host's own lookup is done.
    pub(crate) fn on_observed(&mut self, digest: Digest, time_ms: u64, payload: Vec<u8>) {
        let Some(after) = self.requests.looked(&digest) else { return };
        let Some(request) = self.requests.of(&digest) else { return };
        let observation = Observation { operation: request.operation.clone(), after, time_ms, payload };
        let fits = observation.encoded_len() <= self.parameters.observation_bytes_max();
        if !fits || !self.application.check(&observation.operation, self.me(), &observation.payload) {
            self.requests.lack(&digest, Own::Refused);
            self.ready.refused.push(digest);
            return;
        }
        if self.outbox.waiting.is_empty() {
            self.outbox.since_ms = self.now.monotonic_ms;
        }
        self.outbox.bytes += observation.encoded_len();
        self.outbox.waiting.push(observation);
    }

    /// Signs and sends own observations: when so many wait, or so long, or when no other lookup of ours is under way.
    pub(crate) fn flush(&mut self) {
        let wait_ms = self.parameters.timeouts.observe_wait_ms;
        let Some(due) = self.outbox.due(wait_ms) else { return };
        let full =
            self.outbox.waiting.len() >= OBSERVATIONS_PER_SET_MAX || self.outbox.bytes >= OBSERVE_BYTES_MAX;
        if !full && self.requests.looking() > 0 && self.now.monotonic_ms < due {
            return;
        }
        self.outbox.bytes = 0;
        let mut waiting = std::mem::take(&mut self.outbox.waiting);
        while !waiting.is_empty() {
            let mut bytes = 0;
            let fits = waiting.iter().take(OBSERVATIONS_PER_SET_MAX).take_while(|observation| {
                bytes += observation.encoded_len();
                bytes <= OBSERVE_BYTES_MAX
            });
            let count = fits.count().max(1);
            let rest = waiting.split_off(count.min(waiting.len()));
            let (me, domain) = (self.me(), self.parameters.domain);
            let set = SignedObservations::sign(me, waiting, &domain, &self.keyring);
            waiting = rest;
            self.verified.insert_own(&set, &domain);
            self.hold(&set, |_, _, _| true);
            self.send_all(Message::Observe(set));
        }
    }

    /// Observations of a peer, from itself or relayed.
    pub(crate) fn on_observe(&mut self, from: ReplicaId, set: SignedObservations) {
        let replica = set.replica;
        if !self.parameters.replicas.contains(replica) {
            self.fault(Fault::UnknownReplica { from, claimed: replica });
            return;
        }
        if replica == self.me() {
            return;
        }
        if !set.items.iter().any(|item| self.is_wanted(replica, item)) {
            return self.help_again(from, &set);
        }
        if !self.is_signed(from, &set) {
            return;
        }
        let longest = self.parameters.observation_bytes_max();
        for (item, observed) in set.items.iter().enumerate() {
            let Item::Full(observation) = observed else { continue };
            let kind = observation.operation.kind;
            if kind == OperationKind::Null
                || observation.encoded_len() > longest
                || !self.application.check(&observation.operation, replica, &observation.payload)
            {
                self.fault(Fault::MalformedObservation { from, set: Box::new(set), item });
                return;
            }
        }
        for item in &set.items {
            let Item::Full(observation) = item else { continue };
            let digest = observation.operation.digest();
            if !self.is_wanted(replica, item) {
                continue;
            }
            if self.requests.of(&digest).is_some() {
                self.help(&digest, replica);
            } else {
                let account = Account { replica, opened: Opened::Observed };
                self.open(observation.operation.clone(), digest, account);
            }
        }
        self.hold(&set, Self::is_wanted);
    }

    /// Whether the replica that a set names signed it; otherwise its sender is to blame.
    pub(crate) fn is_signed(&mut self, from: ReplicaId, set: &SignedObservations) -> bool {
        let signed = self.verified.verify(set, &self.parameters.domain, &self.keyring);
        if !signed {
            let message = MessageType::Observation;
            self.fault(Fault::InvalidSignature { from, message, sequence: Sequence(0) });
        }
        signed
    }

    /// Whether an observation can still count and is better than what is held of its replica.
    fn is_wanted(&self, replica: ReplicaId, item: &Item) -> bool {
        let Item::Full(observation) = item else { return false };
        let digest = observation.operation.digest();
        if observation.after < self.requests.last_slot(&digest)
            || observation.time_ms < self.log.last().floor_ms
        {
            return false;
        }
        let request = self.requests.of(&digest);
        let held = request.and_then(|request| Some((request, request.observations.get(&replica)?)));
        // Most are held already, by way of others; only of the rest the digest is computed.
        if held.is_some_and(|(_, held)| held.observation == *observation) {
            return false;
        }
        let found = item.digest(replica);
        let better = |(request, held)| self.replaces(request, (replica, held), (observation, found));
        !self.log.is_used(observation.time_ms, found, self.executed()) && held.is_none_or(better)
    }

    /// Holds the observations of a checked set for their open requests.
    fn hold(&mut self, set: &SignedObservations, wanted: impl Fn(&Self, ReplicaId, &Item) -> bool) {
        let seal = Arc::new(Seal { replica: set.replica, digests: set.digests(), signature: set.signature });
        for (item, observed) in set.items.iter().enumerate() {
            let Item::Full(observation) = observed else { continue };
            if !wanted(self, set.replica, observed) {
                continue;
            }
            let digest = observation.operation.digest();
            let held = Held { seal: seal.clone(), item, observation: observation.clone() };
            match self.requests.hold(&digest, held, self.parameters.replicas.count()) {
                Ok(()) => {
                    self.requests.ask(&digest, false, observation.after);
                    self.reassess(&digest);
                }
                // Who asked has no hand in how long the answers of others are.
                Err(OverQuota(account)) if account.replica != seal.replica => {}
                Err(over) => self.blame_for(over),
            }
        }
    }

    /// Draws the conclusions from how many observations are held for an operation.
    pub(crate) fn reassess(&mut self, digest: &Digest) {
        let now = self.now.monotonic_ms;
        let timeouts = self.parameters.timeouts;
        let Some(request) = self.requests.of(digest) else { return };
        if self.counting(request).is_none() {
            if request.quorate_ms.is_some() {
                self.requests.set_quorate(digest, None);
                self.requests.set_alarm(digest, Alarm::Grace, None);
                self.requests.set_alarm(digest, Alarm::Relay, None);
            }
            return;
        }
        if request.quorate_ms.is_none() {
            let window = self.parameters.observation_window_ms.max(timeouts.request_ms);
            self.requests.set_quorate(digest, Some(now));
            self.requests.set_alarm(digest, Alarm::Grace, Some(now.saturating_add(timeouts.grace_ms)));
            self.requests.set_alarm(digest, Alarm::Relay, Some(now.saturating_add(timeouts.relay_ms)));
            self.requests.set_alarm(digest, Alarm::Expire, Some(now.saturating_add(window)));
        }
        if self.is_primary() && self.is_complete(digest) {
            self.requests.set_proposable(digest, Some(now));
        }
    }

    /// Whether the primary waits for nothing more before it proposes the operation.
    fn is_complete(&self, digest: &Digest) -> bool {
        let Some(request) = self.requests.of(digest) else { return false };
        if request.in_flight.is_some() || request.proposable_ms.is_some() {
            return false;
        }
        let Some(since) = request.quorate_ms else { return false };
        let counted: Vec<Counted<'_>> = request
            .observations
            .iter()
            .map(|(replica, held)| Counted {
                replica: *replica,
                time_ms: held.observation.time_ms,
                payload: &held.observation.payload,
            })
            .collect();
        counted.len() == self.parameters.replicas.count()
            || self.now.monotonic_ms >= since.saturating_add(self.parameters.timeouts.grace_ms)
            || self.application.settled(&request.operation, &counted)
    }

    /// An operation was decided. Its request is closed, unless somebody who had executed the slot already asked again.
    pub(crate) fn on_decided(&mut self, digest: &Digest, slot: Sequence) {
        self.requests.remember(*digest, slot);
        let Some(request) = self.requests.of(digest) else { return };
        if request.asked_after < slot {
            self.requests.close(digest);
            return;
        }
        let (operation, account) = (request.operation.clone(), request.account);
        let (log, me) = (&self.log, self.parameters.me);
        let unused = |held: &&Held| !log.is_used(held.observation.time_ms, held.digest(), slot);
        let later: Vec<Held> = request
            .observations
            .values()
            .filter(|held| held.observation.after >= slot)
            .filter(unused)
            .cloned()
            .collect();
        self.requests.close(digest);
        // What was asked is not carried over: one question starts one round, whatever slot it claims to have seen.
        let shares = self.parameters.replicas.count();
        if self.open(operation, *digest, account) {
            for held in later.into_iter().filter(|held| held.seal.replica != me) {
                self.requests.hold(digest, held, shares).expect("its bytes were just freed");
            }
            self.reassess(digest);
        }
    }

    /// After slots were skipped by state transfer: whatever was decided in them, ask again from here on.
    pub(crate) fn ask_again(&mut self) {
        let (me, after) = (self.me(), self.executed());
        let open: Vec<(Digest, bool)> =
            self.requests.iter().map(|(digest, request)| (*digest, request.mine)).collect();
        for (digest, mine) in open {
            if !mine {
                self.requests.close(&digest);
                continue;
            }
            let stale = |held: &Held| held.seal.replica != me && held.observation.after >= after;
            self.requests.retain(&digest, stale);
            self.requests.set_in_flight(&digest, None);
            self.reassess(&digest);
            self.requests.ask(&digest, true, after);
            self.ask_and_look(&digest);
        }
    }
}
