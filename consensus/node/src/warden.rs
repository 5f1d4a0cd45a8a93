//! The detector at work: what happens here is told to it, and what it decides is done, filter first, then connection, then log.
//!
//! It decides nothing itself, and nothing that counts votes can see it: the driver tells it, and reads nothing back but how little the least
//! trusted replica is trusted, for the status.

mod conduct;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use certificate::timestamp::Timestamp;
use certificate::{ReplicaId, ReplicaSet};
use detector::{Assessment, Detector, Notice, Reason, Step, TrustGraph};
use pbft::{Event, Item, Message, Now, Ready};
use peer_filter::PeerFilter;
use tracing::{info, warn};

use self::conduct::{Conduct, reason_number};
use crate::clock::Clock;
use crate::questions::Questions;
use crate::transport::Peers;

/// What the detector makes of each peer is told to the filter's statistics every so many ticks.
const STATISTICS_TICKS: u32 = 10;

/// Of the connections that a peer spoilt between two ticks so many are told: more make it no worse.
const UNREADABLE_TOLD_MAX: u32 = 8;

/// What is done to the peers, and seen at their doors.
pub(crate) trait Doors: Send + Sync {
    /// Ends the peer's connection and takes no other; `notice` tells it why.
    fn shut_out(&self, peer: ReplicaId, notice: &str);

    /// Lets it in again.
    fn admit(&self, peer: ReplicaId);

    /// Who sent what cannot be read since this was asked last, and over how many connections.
    fn take_unreadable(&self) -> Vec<(ReplicaId, u32)>;
}

impl Doors for Peers {
    fn shut_out(&self, peer: ReplicaId, notice: &str) {
        Peers::shut_out(self, peer, notice);
    }

    fn admit(&self, peer: ReplicaId) {
        Peers::admit(self, peer);
    }

    fn take_unreadable(&self) -> Vec<(ReplicaId, u32)> {
        Peers::take_unreadable(self)
    }
}

/// Watches the peers. Shared by the driver and the handles.
pub(crate) struct Warden {
    filter: PeerFilter,
    doors: Arc<dyn Doors>,
    clock: Clock,
    watch: Mutex<Watch>,
}

struct Watch {
    detector: Detector,
    conduct: Conduct,
    questions: Questions,
    ticks: u32,
    least_reputation: f64,
    /// What is kept of the detector has changed since it was saved.
    changed: Changed,
}

/// How urgently the detector is to be saved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Changed {
    Nothing,
    Figures,
    /// Somebody was shut out or let in: that must not be forgotten by a crash.
    Quarantine,
}

impl Warden {
    /// Takes over a detector; whom an earlier run shut out, `shut_out_already` has told the filter and the transport.
    pub(crate) fn new(detector: Detector, filter: PeerFilter, doors: Arc<dyn Doors>, clock: Clock) -> Warden {
        let now = clock.now();
        let least_reputation = detector.least_reputation(now);
        let conduct = Conduct::new(filter.clone(), &detector.assessments(now));
        let watch = Watch {
            detector,
            conduct,
            questions: Questions::default(),
            ticks: 0,
            least_reputation,
            changed: Changed::Nothing,
        };
        Warden { filter, doors, clock, watch: Mutex::new(watch) }
    }

    /// Tells of an event before the state machine hears it.
    pub(crate) fn hear(&self, now: Now, event: &Event) {
        match event {
            Event::Message { from, message } => {
                let mut watch = self.watch();
                watch.changed = watch.changed.max(Changed::Figures);
                self.tell(&mut watch, now, detector::Event::Message { from: *from });
                if let Some(vote) = detector::Event::vote(*from, message) {
                    self.tell(&mut watch, now, vote);
                }
                self.time(&mut watch, now, *from, message);
            }
            Event::Connected(peer) => {
                self.tell(&mut self.watch(), now, detector::Event::Connected(*peer));
            }
            Event::Disconnected(peer) => {
                self.tell(&mut self.watch(), now, detector::Event::Disconnected(*peer));
            }
            Event::Request(operation) => {
                self.watch().questions.asked(operation.digest(), now.monotonic_ms);
            }
            Event::Observed { .. } | Event::Answer { .. } | Event::Tick => {}
        }
    }

    /// Tells what the state machine made of it.
    pub(crate) fn told(&self, now: Now, ready: &Ready) {
        if ready.decided.is_empty() && ready.faults.is_empty() {
            return;
        }
        let mut watch = self.watch();
        for decided in &ready.decided {
            let (sequence, signers) = (decided.header.sequence, decided.signers);
            decided.operations.iter().for_each(|operation| watch.questions.decided(&operation.digest()));
            self.tell(&mut watch, now, detector::Event::Decided { sequence, signers });
            watch.conduct.voted(signers);
        }
        for fault in &ready.faults {
            watch.conduct.fault(fault);
            self.tell(&mut watch, now, detector::Event::Fault(fault));
        }
    }

    /// Tells that a primary was given up, and whether there was work here that it could have proposed.
    pub(crate) fn gave_up(&self, now: Now, primary: ReplicaId, proposable: bool) {
        let event = detector::Event::ViewChanged { from_primary: primary, proposable };
        self.tell(&mut self.watch(), now, event);
    }

    /// What the clock brings: expiries, comparisons. To be called about once a second, also when nothing happens.
    pub(crate) fn tick(&self, now: Now) {
        let mut watch = self.watch();
        for (replica, count) in self.doors.take_unreadable() {
            watch.changed = watch.changed.max(Changed::Figures);
            (0..count.min(UNREADABLE_TOLD_MAX))
                .for_each(|_| self.tell(&mut watch, now, detector::Event::Unreadable(replica)));
        }
        let steps = watch.detector.tick(now);
        self.carry_out(&mut watch, steps);
        watch.least_reputation = watch.detector.least_reputation(now);
        watch.ticks = watch.ticks.wrapping_add(1);
        if watch.ticks.is_multiple_of(STATISTICS_TICKS) {
            let assessments = watch.detector.assessments(now);
            watch.conduct.tell(&assessments);
        }
    }

    /// Lets a peer in again; says whether it was shut out.
    pub(crate) fn lift(&self, replica: ReplicaId) -> bool {
        let mut watch = self.watch();
        let steps = watch.detector.lift(self.clock.now(), replica);
        let lifted = !steps.is_empty();
        self.carry_out(&mut watch, steps);
        lifted
    }

    /// Takes what the host found out about observations in decided slots.
    pub(crate) fn judged(&self, judged: &[(ReplicaId, bool)]) {
        let now = self.clock.now();
        let mut watch = self.watch();
        watch.changed = watch.changed.max(Changed::Figures);
        for (replica, agreed) in judged {
            let event = detector::Event::Accuracy { replica: *replica, agreed: *agreed };
            self.tell(&mut watch, now, event);
        }
    }

    /// How little the least trusted of the others is trusted, as of the last tick.
    pub(crate) fn least_reputation(&self) -> f64 {
        self.watch().least_reputation
    }

    pub(crate) fn assessments(&self) -> Vec<Assessment> {
        self.watch().detector.assessments(self.clock.now())
    }

    pub(crate) fn trusted(&self, least: f64) -> ReplicaSet {
        self.watch().detector.trusted(self.clock.now(), least)
    }

    pub(crate) fn trust_graph(&self) -> TrustGraph {
        self.watch().detector.trust_graph().clone()
    }

    pub(crate) fn notices(&self) -> Vec<(Notice, u64)> {
        self.watch().detector.notices().collect()
    }

    /// Whether more replicas look Byzantine than may be, so that this one may be the odd one out.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.watch().detector.is_doubtful()
    }

    pub(crate) fn filter(&self) -> &PeerFilter {
        &self.filter
    }

    /// How urgently the detector is to be saved.
    pub(crate) fn changed(&self) -> Changed {
        self.watch().changed
    }

    /// What is to be saved of the detector; from here on nothing has changed.
    pub(crate) fn snapshot(&self, now: Now) -> String {
        let mut watch = self.watch();
        watch.changed = Changed::Nothing;
        watch.detector.snapshot(now)
    }

    /// The last snapshot found no room: what had changed before it is still to be saved.
    pub(crate) fn not_saved(&self, changed: Changed) {
        let mut watch = self.watch();
        watch.changed = watch.changed.max(changed);
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, watch: &mut Watch, now: Now, event: detector::Event<'_>) {
        let steps = watch.detector.observe(now, event);
        if !steps.is_empty() {
            self.carry_out(watch, steps);
        }
    }

    /// Times the observations of the sender itself.
    fn time(&self, watch: &mut Watch, now: Now, from: ReplicaId, message: &Message) {
        let set = match message {
            Message::Resolve { operation, .. } => {
                return watch.questions.asked(operation.digest(), now.monotonic_ms);
            }
            Message::Observe(set) if set.replica == from => set,
            _ => return,
        };
        for item in &set.items {
            let Item::Full(observation) = item else { continue };
            let operation = observation.operation.digest();
            if let Some(after_ms) = watch.questions.observed(operation, from, now.monotonic_ms) {
                self.tell(watch, now, detector::Event::Observation { from, after_ms });
            }
        }
    }

    /// Does what the detector decided. The lock is held meanwhile, so that what it decided first is done first.
    fn carry_out(&self, watch: &mut Watch, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Quarantine { replica, until_ms, span_ms, reason, strike } => {
                    watch.changed = Changed::Quarantine;
                    self.filter.quarantine(replica.0, Duration::from_millis(span_ms), reason_number(reason));
                    self.doors.shut_out(replica, &notice(until_ms, reason));
                    warn!(%replica, %reason, strike, until = %Timestamp(until_ms), "shut a replica out");
                }
                Step::Release { replica, why } => {
                    watch.changed = Changed::Quarantine;
                    self.filter.release(replica.0);
                    self.doors.admit(replica);
                    info!(%replica, why = why.name(), "let a replica in again");
                }
                Step::Spared { replica, reason } => {
                    warn!(%replica, %reason, "did not shut a replica out: as many as may be faulty already are");
                }
                Step::Tighten { replica, factor, until_ms, reason } => {
                    self.filter.tighten(replica.0, factor);
                    let until = Timestamp(until_ms);
                    info!(%replica, factor, reason = reason.name(), %until, "gave a replica a part of its rate");
                }
                Step::Loosen { replica } => {
                    self.filter.tighten(replica.0, 1);
                    info!(%replica, "gave a replica its rate again");
                }
                Step::Labelled { replica, indicators } => {
                    let names: Vec<&str> = indicators.iter().map(|indicator| indicator.name()).collect();
                    warn!(%replica, indicators = names.join(", "), "a replica looks Byzantine");
                }
                Step::Unlabelled { replica } => info!(%replica, "a replica does not look Byzantine any more"),
                Step::Doubtful { replicas } => {
                    let count = replicas.len();
                    warn!(count, "more replicas look Byzantine than may be: this one may be the odd one out");
                }
            }
        }
    }
}

/// Whom an earlier run has shut out and for how long: the filter is told, and who is to be refused at the door comes back.
pub(crate) fn shut_out_already(
    detector: &Detector,
    filter: &PeerFilter,
    now: Now,
) -> Vec<(ReplicaId, String)> {
    let held = detector.assessments(now).into_iter().filter_map(|it| Some((it.replica, it.quarantined?)));
    held.map(|(replica, held)| {
        let left = held.until_ms.saturating_sub(now.wall_ms);
        filter.quarantine(replica.0, Duration::from_millis(left), reason_number(held.reason));
        let until = Timestamp(held.until_ms);
        warn!(%replica, reason = %held.reason, %until, "a replica stays shut out, as before the restart");
        (replica, notice(held.until_ms, held.reason))
    })
    .collect()
}

/// What the peer is told. Always the same for one quarantine, so that its log says it once.
fn notice(until_ms: u64, reason: Reason) -> String {
    format!("shut out until {}: {reason}", Timestamp(until_ms))
}

#[cfg(test)]
mod tests;
