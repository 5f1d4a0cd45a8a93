//! What is done at the doors, in which order, and what the filter's statistics say.

use certificate::{Digest, MessageType, Sequence, Signature, View};
use detector::{Offence, Settings};
use pbft::{Fault, SignedVote, Vote};
use peer_filter::Mode;

use super::*;
use crate::testing::Setting;

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
    let operation = pbft::Operation { kind: certificate::OperationKind::Resolve, subject: b"www".to_vec() };
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
