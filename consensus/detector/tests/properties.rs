//! What holds for every order of events, tried with many of them.

mod stage;

use certificate::{ReplicaId, ReplicaSet, Replicas, Sequence};
use detector::*;
use pbft::Fault;
use stage::*;

/// What a run may consist of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Diet {
    /// Whatever a host could ever report.
    Everything,
    /// All of that but proofs.
    Unproven,
    /// Lateness, silence, absence, floods, and what is nobody's misbehaviour.
    TimingAndAbsence,
}

struct Player {
    detector: Detector,
    replicas: Replicas,
    random: Random,
    now: Now,
    faults: Vec<Fault>,
    steps: Vec<Step>,
}

impl Player {
    fn new(seed: u64, diet: Diet) -> Player {
        let mut random = Random(seed);
        let (count, faults) = [(4, 1), (7, 2), (5, 1), (31, 10)][random.below(4) as usize];
        let replicas = Replicas::new(count, faults).expect("a shape of a cluster");
        let now = at(random.below(1_000_000));
        let settings = Settings {
            enabled: random.percent(95),
            prior: random.below(101) as f64 / 100.0,
            threshold: random.below(101) as f64 / 100.0,
            half_life_ms: 1000 + random.below(100_000_000),
        };
        let detector = Detector::new(id(random.below(u64::from(count)) as u8), replicas, settings, now);
        let all = (0..count as u8 + 2).flat_map(all_faults);
        let discredits = |fault: &Fault| Notice::of(fault).is_some_and(Notice::discredits_us);
        let faults = all.filter(|fault| match diet {
            Diet::Everything => true,
            Diet::Unproven => !fault.is_proof() && !discredits(fault),
            Diet::TimingAndAbsence => Offence::of(fault).is_none() && !discredits(fault),
        });
        Player { detector, replicas, random, now, faults: faults.collect(), steps: Vec::new() }
    }

    /// A member, this replica itself, or now and then nobody.
    fn replica(&mut self) -> ReplicaId {
        let most = self.replicas.count() as u64 + u64::from(self.random.percent(2)) * 100;
        id(self.random.below(most) as u8)
    }

    fn time_passes(&mut self) {
        let span = match self.random.below(100) {
            0..60 => self.random.below(30),
            60..95 => self.random.below(1200),
            95..99 => self.random.below(20_000),
            _ => self.random.below(200_000_000),
        };
        self.now.monotonic_ms += span;
        self.now.wall_ms = match self.random.below(200) {
            0 => self.random.below(u64::MAX),
            1 => u64::MAX,
            _ => self.now.wall_ms.saturating_add(span),
        };
    }

    fn play(&mut self, diet: Diet) {
        self.time_passes();
        let (replica, bits) = (self.replica(), self.random.any());
        let sequence = match bits % 50 {
            0 => Sequence(u64::MAX),
            1 => Sequence(self.random.any()),
            _ => Sequence(self.now.monotonic_ms / 400 + bits % 4),
        };
        let phases = [Phase::PrePrepare, Phase::Prepare, Phase::Commit, Phase::Checkpoint];
        let phase = phases[(bits >> 8) as usize % 4];
        let event = match self.random.below(100) {
            0..3 => Event::Connected(replica),
            3..5 => Event::Disconnected(replica),
            5..25 => Event::Message { from: replica },
            25..70 => Event::Vote { from: replica, sequence, phase },
            70..75 => Event::Observation { from: replica, after_ms: bits },
            75..88 => Event::Decided { sequence, signers: ReplicaSet(bits as u32) },
            88..92 if diet != Diet::TimingAndAbsence => Event::Accuracy { replica, agreed: bits & 1 == 0 },
            94 if diet != Diet::TimingAndAbsence => Event::Unreadable(replica),
            92..94 => Event::ViewChanged { from_primary: replica, proposable: bits & 1 == 0 },
            _ if self.faults.is_empty() => Event::Message { from: replica },
            _ => Event::Fault(&self.faults[(bits >> 16) as usize % self.faults.len()]),
        };
        self.steps = self.detector.observe(self.now, event);
        if self.random.percent(20) {
            self.steps.extend(self.detector.tick(self.now));
        }
        if self.random.below(500) == 0 {
            self.steps.extend(self.detector.lift(self.now, replica));
        }
    }

    fn labelled(&self) -> usize {
        self.detector.assessments(self.now).iter().filter(|one| one.is_byzantine).count()
    }
}

fn each_seed(seeds: u64, diet: Diet, events: usize, mut check: impl FnMut(u64, &Player)) {
    for seed in 0..seeds {
        let mut player = Player::new(seed, diet);
        for _ in 0..events {
            player.play(diet);
            check(seed, &player);
        }
    }
}

#[test]
fn scores_and_rates_stay_between_0_and_1_for_every_order_of_events() {
    let unit = |value: f64| (0.0..=1.0).contains(&value);
    let mut event = 0;
    each_seed(40, Diet::Everything, 3000, |seed, player| {
        event += 1;
        if event % 64 != 0 {
            return;
        }
        for one in player.detector.assessments(player.now) {
            let Assessment { statistics, reputation, .. } = &one;
            let rates = [
                statistics.accuracy,
                statistics.uptime,
                statistics.signature_success,
                statistics.participation,
                reputation.score,
                reputation.historical_average,
                reputation.recent,
                one.confidence,
                one.trust,
            ];
            assert!(rates.into_iter().all(unit), "seed {seed}: {one:?}");
            assert!(
                reputation.history.len() <= HISTORY_MAX && reputation.successful <= reputation.interactions
            );
            assert!(
                (one.is_byzantine || !one.indicators.contains(&Indicator::Proven)) || one.confidence < 1.0
            );
        }
    });
}

#[test]
fn never_more_than_f_are_shut_out_and_steps_tell_the_whole_story() {
    let mut out: (u64, ReplicaSet) = (u64::MAX, ReplicaSet::EMPTY);
    let mut begun = 0;
    each_seed(100, Diet::Everything, 1500, |seed, player| {
        if out.0 != seed {
            out = (seed, ReplicaSet::EMPTY);
        }
        for step in &player.steps {
            match step {
                Step::Quarantine { replica, span_ms, .. } => {
                    assert!(*span_ms > 0 && *span_ms <= SPAN_MAX_MS);
                    out.1.insert(*replica);
                    begun += 1;
                }
                Step::Release { replica, .. } => {
                    assert!(out.1.contains(*replica), "seed {seed}: released without a quarantine");
                    out.1 = ReplicaSet(out.1.0 & !(1 << replica.0));
                }
                _ => {}
            }
            assert!(out.1.len() <= player.replicas.faults(), "seed {seed}: {:?}", out.1);
        }
        if player.steps.is_empty() {
            return;
        }
        let held =
            player.detector.assessments(player.now).into_iter().filter(|one| one.quarantined.is_some());
        assert_eq!(held.map(|one| one.replica).collect::<ReplicaSet>(), out.1, "seed {seed}");
    });
    assert!(begun > 500, "{begun} quarantines were tried");
}

#[test]
fn timing_and_absence_alone_never_make_a_label_nor_a_quarantine() {
    let mut noticed = 0;
    each_seed(60, Diet::TimingAndAbsence, 3000, |seed, player| {
        for step in &player.steps {
            let harmless = matches!(step, Step::Tighten { .. } | Step::Loosen { .. });
            assert!(harmless, "seed {seed}: {step:?}");
        }
        noticed += usize::from(!player.steps.is_empty());
    });
    each_seed(20, Diet::TimingAndAbsence, 300, |seed, player| {
        assert_eq!(player.labelled(), 0, "seed {seed}");
        let assessments = player.detector.assessments(player.now);
        noticed += assessments.iter().filter(|one| !one.indicators.is_empty()).count();
    });
    assert!(noticed > 1000, "something must stand out, or this tests nothing");
}

#[test]
fn no_more_labels_than_f_without_proof() {
    let mut labelled = 0;
    each_seed(60, Diet::Unproven, 2000, |seed, player| {
        if player.steps.is_empty() {
            return;
        }
        let all = player.detector.assessments(player.now);
        let proven = |one: &&Assessment| one.indicators.contains(&Indicator::Proven);
        let unproven = all.iter().filter(|one| one.is_byzantine && !proven(one)).count();
        assert!(unproven <= player.replicas.faults(), "seed {seed}");
        labelled += unproven;
    });
    assert!(labelled > 100, "{labelled}");
}

#[test]
fn snapshots_come_back_as_they_were() {
    let mut tried = 0;
    let mut event = 0;
    each_seed(40, Diet::Everything, 2000, |seed, player| {
        event += 1;
        if event % 97 != 0 {
            return;
        }
        let text = player.detector.snapshot(player.now);
        assert!(text.len() < SNAPSHOT_BYTES_MAX);
        let me = (0..player.replicas.count() as u8)
            .map(id)
            .find(|me| player.detector.assessments(player.now).iter().all(|one| one.replica != *me))
            .unwrap();
        let (settings, now) = (player.detector.settings(), player.now);
        let again = Detector::restore(me, player.replicas, settings, now, &text)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        for (after, before) in again.snapshot(now).lines().zip(text.lines()) {
            assert_eq!(after, before, "seed {seed}");
        }
        let pairs = player.detector.assessments(now).into_iter().zip(again.assessments(now));
        for (before, after) in pairs {
            assert_eq!(before.reputation, after.reputation);
            assert_eq!(before.statistics.offences, after.statistics.offences);
            tried += 1;
        }
    });
    assert!(tried > 5000, "{tried}");
}

#[test]
fn honest_replica_is_never_labelled_whoever_is_partitioned() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let (count, faults) = [(4, 1), (7, 2), (10, 3)][random.below(3) as usize];
        let mut stage = Stage::new(count, faults);
        for _ in 0..60 {
            for replica in 1..count as u8 {
                let (up, delay) = (random.percent(70), random.below(1500));
                let was = stage.assessment(replica).statistics.connected;
                match (was, up) {
                    (true, false) => stage.event(Event::Disconnected(id(replica))),
                    (false, true) => stage.event(Event::Connected(id(replica))),
                    _ => {}
                }
                stage.delays[usize::from(replica)] = (up && random.percent(90)).then_some(delay);
            }
            stage.slots(1 + random.below(40));
            if random.percent(20) {
                stage.now_ms += random.below(60_000);
            }
            assert!(stage.labelled().is_empty() && stage.quarantined().is_empty(), "seed {seed}");
        }
    }
}
