//! The detector at work: what happens here is told to it, and what it decides is done, filter first, then connection, then log.
//!
//! It decides nothing itself, and nothing that counts votes can see it: the driver tells it, and reads nothing back but how little the least
//! trusted replica is trusted, for the status.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use certificate::timestamp::Timestamp;
use certificate::{ReplicaId, ReplicaSet};
use detector::{Assessment, Detector, FaultClass, Notice, Offence, Reason, Step, TrustGraph};
use pbft::{Event, Fault, Item, Message, Now, Ready};
use peer_filter::{Behaviour, PeerFilter};
use tracing::{info, warn};

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
    /// Whose last word was a fault, as the filter's statistics have it.
    faulty: ReplicaSet,
    /// How often each was late, or sent too much, as far as the filter's statistics have it.
    violations: BTreeMap<ReplicaId, u64>,
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
        let assessments = detector.assessments(now);
        // The filter counts from its own start.
        let violations = assessments.iter().map(|it| (it.replica, timing_violations(it))).collect();
        tell_reputations(&filter, &assessments);
        let watch = Watch {
            detector,
            faulty: ReplicaSet::EMPTY,
            violations,
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
            let better: Vec<ReplicaId> = signers.iter().filter(|it| watch.faulty.contains(*it)).collect();
            for replica in better {
                self.filter.behaviour(replica.0, Behaviour::Faultless);
                watch.faulty.0 &= !(1 << replica.0);
            }
        }
        for fault in &ready.faults {
            self.note(&mut watch, fault);
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
            tell_reputations(&self.filter, &assessments);
            assessments.iter().for_each(|it| self.tell_violations(&mut watch, it));
        }
    }

    /// Tells the filter's statistics how often a peer was late, or sent too much, since they heard of it last.
    fn tell_violations(&self, watch: &mut Watch, assessment: &Assessment) {
        let (replica, now) = (assessment.replica, timing_violations(assessment));
        let before = watch.violations.insert(replica, now).unwrap_or(0);
        for _ in before..now {
            watch.faulty.insert(replica);
            self.filter.behaviour(replica.0, Behaviour::TimingViolation);
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

    /// Keeps the filter's statistics of what was seen in messages.
    fn note(&self, watch: &mut Watch, fault: &Fault) {
        let Some((replica, offence)) = Offence::of(fault) else { return };
        let behaviour = match offence {
            Offence::InvalidSignature => Behaviour::InvalidSignature,
            _ if fault.is_proof() => Behaviour::ContradictoryResponse,
            _ => return,
        };
        watch.faulty.insert(replica);
        self.filter.behaviour(replica.0, behaviour);
    }
}

fn tell_reputations(filter: &PeerFilter, assessments: &[Assessment]) {
    for it in assessments {
        filter.behaviour(it.replica.0, Behaviour::Reputation(it.reputation.score));
    }
}

/// How often a peer was late, or sent too much.
fn timing_violations(assessment: &Assessment) -> u64 {
    let offences = assessment.statistics.offences.iter();
    let timing = offences.filter(|(offence, _)| offence.class() == FaultClass::Timing);
    timing.map(|(_, count)| count).sum()
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

/// The number under which the filter's statistics have a reason: 1 for signatures, from 2 on the offences that are proven.
fn reason_number(reason: Reason) -> u32 {
    match reason {
        Reason::InvalidSignatures(_) => 1,
        Reason::Proven(offence) => {
            let place = Offence::ALL.iter().position(|known| *known == offence);
            2 + place.map_or(0, |place| place as u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Setting;
    use certificate::{Digest, MessageType, Sequence, Signature, View};
    use detector::Settings;
    use pbft::{SignedVote, Vote};
    use peer_filter::Mode;

    /// What was done at the doors, and whether the filter knew before.
    #[derive(Default)]
    struct Watched {
        filter: Mutex<Option<PeerFilter>>,
        done: Mutex<Vec<String>>,
    }

    impl Watched {
        fn done(&self) -> Vec<String> {
            std::mem::take(&mut self.done.lock().unwrap())
        }
    }

    fn is_dropped(filter: &PeerFilter, peer: ReplicaId) -> bool {
        let statistics = filter.statistics().unwrap();
        statistics.peers.iter().any(|it| it.id == peer.0 && it.quarantine.is_some())
    }

    impl Doors for Watched {
        fn shut_out(&self, peer: ReplicaId, notice: &str) {
            let filter = self.filter.lock().unwrap();
            assert!(is_dropped(filter.as_ref().unwrap(), peer), "the filter comes first");
            self.done.lock().unwrap().push(format!("{peer} {notice}"));
        }

        fn admit(&self, peer: ReplicaId) {
            let filter = self.filter.lock().unwrap();
            assert!(!is_dropped(filter.as_ref().unwrap(), peer), "the filter comes first");
            self.done.lock().unwrap().push(format!("{peer} admitted"));
        }

        fn take_unreadable(&self) -> Vec<(ReplicaId, u32)> {
            Vec::new()
        }
    }

    const BEGUN: Now = Now { wall_ms: 1_800_000_000_000, monotonic_ms: 1000 };

    fn after(ms: u64) -> Now {
        Now { wall_ms: BEGUN.wall_ms + ms, monotonic_ms: BEGUN.monotonic_ms + ms }
    }

    fn warden(enabled: bool) -> (Warden, Arc<Watched>) {
        let setting = Setting::new();
        let replicas = setting.cluster.replicas;
        let filter = setting.filter(0, &Mode::Userspace);
        let doors = Arc::new(Watched::default());
        *doors.filter.lock().unwrap() = Some(filter.clone());
        let settings = Settings { enabled, ..Settings::default() };
        let detector = Detector::new(ReplicaId(0), replicas, settings, BEGUN);
        (Warden::new(detector, filter, doors.clone(), Clock::new()), doors)
    }

    fn signed(replica: u8, digest: u8) -> SignedVote {
        let (view, sequence, digest) = (View(0), Sequence(1), Digest([digest; 32]));
        let signature = Signature([0; 64]);
        let vote = Vote { view, sequence, digest, replica: ReplicaId(replica), signature };
        SignedVote { phase: MessageType::Prepare, vote }
    }

    fn equivocation(replica: u8) -> Ready {
        let fault = Fault::Equivocation { first: signed(replica, 1), second: signed(replica, 2) };
        Ready { faults: vec![fault], ..Ready::default() }
    }

    fn bad_signature(replica: u8) -> Ready {
        let (from, message) = (ReplicaId(replica), MessageType::Commit);
        let fault = Fault::InvalidSignature { from, message, sequence: Sequence(1) };
        Ready { faults: vec![fault], ..Ready::default() }
    }

    #[test]
    fn proof_shuts_out_for_a_day_filter_first_and_expires() {
        let (warden, doors) = warden(true);
        warden.told(BEGUN, &equivocation(2));
        assert_eq!(doors.done(), ["2 shut out until 2027-01-16T08:00:00.000Z: proven equivocation"]);
        warden.told(after(10), &equivocation(2));
        assert_eq!(doors.done(), [""; 0], "the same proof is no news");
        for second in 1..24 * 3600 {
            warden.tick(after(second * 1000));
        }
        assert_eq!(doors.done(), [""; 0]);
        warden.tick(after(24 * 3_600_000));
        assert_eq!(doors.done(), ["2 admitted"]);
    }

    #[test]
    fn contradictions_and_bad_signatures_stand_in_the_statistics_of_the_filter() {
        let (warden, _doors) = warden(true);
        warden.told(BEGUN, &equivocation(2));
        warden.told(BEGUN, &bad_signature(1));
        warden.tick(after(1000));
        let statistics = warden.filter().statistics().unwrap();
        let [one, two, three] = &statistics.peers[..] else { panic!("three peers") };
        assert_eq!((one.invalid_signatures, one.contradictory_responses, one.consecutive_faults), (1, 0, 1));
        assert_eq!((two.invalid_signatures, two.contradictory_responses, two.consecutive_faults), (0, 1, 1));
        assert_eq!((three.invalid_signatures, three.consecutive_faults), (0, 0));
        let header = certificate::SlotHeader::null(Sequence(1), Digest::ZERO);
        let decided = pbft::Decided {
            header,
            view: View(0),
            leaves: Vec::new(),
            operations: Vec::new(),
            signers: [0, 1, 3].map(ReplicaId).into_iter().collect(),
            signatures: Vec::new(),
            evidence: Arc::default(),
        };
        warden.told(after(1000), &Ready { decided: vec![decided], ..Ready::default() });
        for second in 2..=u64::from(STATISTICS_TICKS) {
            warden.tick(after(second * 1000));
        }
        let statistics = warden.filter().statistics().unwrap();
        let [one, two, _] = &statistics.peers[..] else { panic!("three peers") };
        assert_eq!((one.consecutive_faults, two.consecutive_faults), (0, 1), "1 voted as it should");
        assert!(two.reputation_score < one.reputation_score && one.reputation_score > 0);
    }

    #[test]
    fn badly_signed_votes_shut_out_for_a_minute_unless_the_detector_is_off() {
        let (watching, doors) = warden(true);
        let (off, unused) = warden(false);
        for count in 0..detector::BAD_SIGNATURES_MIN.into() {
            watching.told(after(count), &bad_signature(3));
            off.told(after(count), &bad_signature(3));
        }
        let done = doors.done();
        assert!(done.len() == 1 && done[0].starts_with("3 shut out until 2027-01-15T08:01:00"), "{done:?}");
        assert_eq!(unused.done(), [""; 0]);
        off.told(after(100), &equivocation(3));
        assert_eq!(unused.done().len(), 1, "a proof is a proof");
        for second in 1..=61 {
            watching.tick(after(second * 1000));
        }
        assert_eq!(doors.done(), ["3 admitted"]);
    }

    #[test]
    fn quarantine_of_an_earlier_run_is_in_the_filter_before_anything_arrives() {
        let (warden, _doors) = warden(true);
        warden.told(BEGUN, &equivocation(2));
        assert_eq!(warden.changed(), Changed::Quarantine);
        let setting = Setting::new();
        let (replicas, settings) = (setting.cluster.replicas, Settings::default());
        let text = warden.snapshot(after(1000));
        assert_eq!(warden.changed(), Changed::Nothing);
        warden.not_saved(Changed::Quarantine);
        assert_eq!(warden.changed(), Changed::Quarantine, "it is tried again");
        let later = after(3_600_000);
        let restored = Detector::restore(ReplicaId(0), replicas, settings, later, &text).unwrap();
        let filter = setting.filter(0, &Mode::Userspace);
        let shut_out = shut_out_already(&restored, &filter, later);
        let notice = "shut out until 2027-01-16T08:00:00.000Z: proven equivocation".to_owned();
        assert_eq!(shut_out, [(ReplicaId(2), notice)]);
        let left = filter.statistics().unwrap().peers[1].quarantine.unwrap().remaining;
        assert!(left > Duration::from_secs(22 * 3600) && left <= Duration::from_secs(23 * 3600), "{left:?}");
    }

    #[test]
    fn lookups_of_others_are_timed_from_the_question_on() {
        let (warden, _doors) = warden(true);
        let operation =
            pbft::Operation { kind: certificate::OperationKind::Resolve, subject: b"www".to_vec() };
        let observation = pbft::Observation {
            operation: operation.clone(),
            after: Sequence(0),
            time_ms: 1,
            payload: Vec::new(),
        };
        let (replica, signature) = (ReplicaId(2), Signature([0; 64]));
        let set = pbft::SignedObservations { replica, items: vec![Item::Full(observation)], signature };
        let said = |from, message| Event::Message { from: ReplicaId(from), message };
        warden.hear(BEGUN, &said(1, Message::Resolve { operation, after: Sequence(0) }));
        warden.hear(after(70), &said(3, Message::Observe(set.clone())));
        warden.hear(after(80), &said(2, Message::Observe(set)));
        let assessments = warden.assessments();
        let counts: Vec<u32> = assessments.iter().map(|it| it.statistics.lookup.count).collect();
        assert_eq!(counts, [0, 1, 0], "handed on by another it says nothing");
        let median = assessments[1].statistics.lookup.p50;
        assert!((median - 80.0).abs() < 5.0, "{median}");
    }

    #[test]
    fn primary_that_is_given_up_over_work_it_could_have_done_is_charged_with_it() {
        let (warden, _doors) = warden(true);
        warden.gave_up(BEGUN, ReplicaId(1), true);
        warden.gave_up(BEGUN, ReplicaId(2), false);
        let charged = |place: usize| warden.assessments()[place].statistics.offences.clone();
        assert_eq!(charged(0), [(Offence::VotedOut, 1)]);
        assert_eq!(charged(1), []);
    }

    #[test]
    fn lateness_stands_in_the_statistics_of_the_filter_once_each_time() {
        let (warden, _doors) = warden(true);
        let seen = || {
            let peers = warden.filter().statistics().unwrap().peers;
            peers.iter().map(|it| (it.timing_violations, it.consecutive_faults)).collect::<Vec<_>>()
        };
        for second in 1..=3 * u64::from(STATISTICS_TICKS) {
            if second <= 2 {
                warden.gave_up(after(second * 1000), ReplicaId(1), true);
            }
            warden.tick(after(second * 1000));
        }
        assert_eq!(seen(), [(2, 2), (0, 0), (0, 0)]);
    }

    #[test]
    fn filter_knows_reputations_from_the_start() {
        let (warden, _doors) = warden(true);
        let peers = warden.filter().statistics().unwrap().peers;
        assert!(peers.iter().all(|it| it.reputation_score == 500), "{peers:?}");
    }
}
