//! A detector beside each honest replica, fed as the program feeds it: with messages, votes, decided slots, faults, channels, and what decided observations say of
//! their observers. It learns from the run and never changes it, unless quarantines are wanted.

use std::collections::BTreeMap;
use std::rc::Rc;

use certificate::{Digest, ReplicaId, ReplicaSet, Replicas, Sequence, View};
use detector::{Assessment, Detector, FaultClass, Offence, Settings, Step, Testimony, Witnesses};
use pbft::{Decided, Event, Fault, Now, Ready, Status};

use crate::application::Judge;
use crate::random::Random;

/// Whether there are detectors, and what they may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Watching {
    /// There are none.
    Off,
    /// They look on.
    #[default]
    Passive,
    /// They look on, with any opinions at all from the start.
    Prejudiced(u64),
    /// Whom they quarantine has no channel to them.
    Enforced,
}

/// A detector is called so often, in milliseconds.
const TICK_MS: u64 = 1000;
/// What a detector knows is saved so often, in milliseconds.
const SAVE_MS: u64 = 5000;

/// What the observers of an operation said, at a log time.
type Hearing = (Digest, u64, Vec<(ReplicaId, Testimony)>);

/// The detector of one replica and what its host keeps for it.
struct Watcher {
    me: ReplicaId,
    settings: Settings,
    detector: Detector,
    witnesses: Witnesses,
    view: View,
    suspect: bool,
    decided: u64,
    ticked_ms: u64,
    saved_ms: u64,
    saved: String,
}

/// That somebody was labelled or shut out, for the first time, by this watcher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Who found it.
    pub by: ReplicaId,
    /// About whom.
    pub about: ReplicaId,
    /// Whether there is a proof.
    pub proven: bool,
    /// How many slots the watcher had seen decided.
    pub slots: u64,
}

/// The detectors of a run.
pub struct Watch {
    watching: Watching,
    replicas: Replicas,
    watchers: Vec<Option<Watcher>>,
    /// What was said of each decided slot, the same for all who decided it.
    hearings: BTreeMap<Sequence, Rc<Vec<Hearing>>>,
    /// Who was found out by whom, once for each two.
    pub findings: Vec<Finding>,
}

impl Watch {
    /// One for each place that holds an honest replica.
    pub fn new(watching: Watching, replicas: Replicas, honest: &[Option<(ReplicaId, Now)>]) -> Watch {
        let watcher = |honest: &Option<(ReplicaId, Now)>| {
            let (me, now) = honest.as_ref().filter(|_| watching != Watching::Off)?;
            Some(Watcher::new(watching, *me, replicas, *now))
        };
        let watchers = honest.iter().map(watcher).collect();
        Watch { watching, replicas, watchers, hearings: BTreeMap::new(), findings: Vec::new() }
    }

    /// Something comes to a replica. Gives what its detector does about it.
    pub fn before(&mut self, index: usize, now: Now, event: &Event) -> Vec<Step> {
        let Some(watcher) = self.watchers.get_mut(index).and_then(Option::as_mut) else { return Vec::new() };
        let mut steps = Vec::new();
        let mut see = |event| steps.append(&mut watcher.detector.observe(now, event));
        match event {
            Event::Connected(replica) => see(detector::Event::Connected(*replica)),
            Event::Disconnected(replica) => see(detector::Event::Disconnected(*replica)),
            Event::Message { from, message } => {
                see(detector::Event::Message { from: *from });
                if let Some(vote) = detector::Event::vote(*from, message) {
                    see(vote);
                }
            }
            Event::Request(_) | Event::Observed { .. } | Event::Answer { .. } | Event::Tick => {}
        }
        self.note(index, &steps);
        steps
    }

    /// A replica did a step. Gives what its detector does about it.
    pub fn after(
        &mut self,
        index: usize,
        now: Now,
        (ready, status, judge): (&Ready, &Status, &Judge),
    ) -> Vec<Step> {
        if self.watchers.get(index).is_none_or(Option::is_none) {
            return Vec::new();
        }
        let hearings: Vec<Rc<Vec<Hearing>>> =
            ready.decided.iter().map(|decided| self.hearing(decided, judge)).collect();
        let Some(watcher) = self.watchers[index].as_mut() else { return Vec::new() };
        let mut steps = Vec::new();
        if status.view > watcher.view {
            let from_primary = self.replicas.primary(watcher.view);
            let proposable = watcher.suspect;
            let changed = detector::Event::ViewChanged { from_primary, proposable };
            steps.append(&mut watcher.detector.observe(now, changed));
            watcher.view = status.view;
        }
        watcher.suspect = status.suspect;
        for (decided, hearings) in ready.decided.iter().zip(hearings) {
            watcher.decided += 1;
            let (sequence, signers) = (decided.header.sequence, decided.signers);
            let event = detector::Event::Decided { sequence, signers };
            steps.append(&mut watcher.detector.observe(now, event));
            for (name, time_ms, seen) in hearings.iter() {
                for (replica, agreed) in watcher.witnesses.judge(*name, *time_ms, seen) {
                    let event = detector::Event::Accuracy { replica, agreed };
                    steps.append(&mut watcher.detector.observe(now, event));
                }
            }
        }
        for fault in &ready.faults {
            steps.append(&mut watcher.detector.observe(now, detector::Event::Fault(fault)));
        }
        self.note(index, &steps);
        steps
    }

    /// Time passes.
    pub fn tick(&mut self, index: usize, now: Now) -> Vec<Step> {
        let Some(watcher) = self.watchers.get_mut(index).and_then(Option::as_mut) else { return Vec::new() };
        if now.monotonic_ms < watcher.ticked_ms + TICK_MS {
            return Vec::new();
        }
        watcher.ticked_ms = now.monotonic_ms;
        let steps = watcher.detector.tick(now);
        if now.monotonic_ms >= watcher.saved_ms + SAVE_MS {
            watcher.saved_ms = now.monotonic_ms;
            watcher.saved = watcher.detector.snapshot(now);
        }
        self.note(index, &steps);
        steps
    }

    /// A replica starts again: its detector knows what was saved last.
    pub fn restart(&mut self, index: usize, now: Now, status: &Status) -> Result<(), String> {
        let Some(watcher) = self.watchers.get_mut(index).and_then(Option::as_mut) else { return Ok(()) };
        let Watcher { me, settings, saved, .. } = watcher;
        watcher.detector = match saved.is_empty() {
            true => Detector::new(*me, self.replicas, *settings, now),
            false => Detector::restore(*me, self.replicas, *settings, now, saved)
                .map_err(|error| format!("refuses its own snapshot: {error}"))?,
        };
        watcher.witnesses = Witnesses::new(self.replicas);
        (watcher.view, watcher.suspect) = (status.view, false);
        Ok(())
    }

    /// Whether the replica at a place has this one in quarantine, and acts on it.
    pub fn shuts_out(&self, index: usize, replica: ReplicaId, now: Now) -> bool {
        if self.watching != Watching::Enforced {
            return false;
        }
        let Some(watcher) = &self.watchers[index] else { return false };
        !watcher.detector.trusted(now, 0.0).contains(replica)
    }

    /// Whether quarantines are acted on.
    pub fn is_enforced(&self) -> bool {
        self.watching == Watching::Enforced
    }

    /// How each watcher judges a replica.
    pub fn assessments(&self, about: ReplicaId, monotonic_ms: u64) -> Vec<Assessment> {
        let now = Now { wall_ms: 0, monotonic_ms };
        let watchers = self.watchers.iter().flatten();
        watchers.flat_map(|it| it.detector.assessments(now)).filter(|one| one.replica == about).collect()
    }

    /// Forgets what was said in slots that nobody executes any more.
    pub fn forget(&mut self, below: Sequence) {
        self.hearings = self.hearings.split_off(&below);
    }

    fn note(&mut self, index: usize, steps: &[Step]) {
        let Some(watcher) = &self.watchers[index] else { return };
        for step in steps {
            let (about, proven) = match step {
                Step::Labelled { replica, indicators } => {
                    (*replica, indicators.contains(&detector::Indicator::Proven))
                }
                Step::Quarantine { replica, reason, .. } | Step::Spared { replica, reason } => {
                    (*replica, matches!(reason, detector::Reason::Proven(_)))
                }
                _ => continue,
            };
            let known = |finding: &Finding| finding.by == watcher.me && finding.about == about;
            if !self.findings.iter().any(known) {
                self.findings.push(Finding { by: watcher.me, about, proven, slots: watcher.decided });
            }
        }
    }

    fn hearing(&mut self, decided: &Decided, judge: &Judge) -> Rc<Vec<Hearing>> {
        let found = self.hearings.entry(decided.header.sequence);
        found.or_insert_with(|| Rc::new(hear(decided, judge))).clone()
    }
}

impl Watcher {
    fn new(watching: Watching, me: ReplicaId, replicas: Replicas, now: Now) -> Watcher {
        let (settings, saved) = match watching {
            Watching::Prejudiced(seed) => prejudice(seed, me, replicas, now),
            _ => (Settings::default(), String::new()),
        };
        let fresh = || Detector::new(me, replicas, settings, now);
        let detector = Detector::restore(me, replicas, settings, now, &saved).unwrap_or_else(|_| fresh());
        Watcher {
            me,
            settings,
            detector,
            witnesses: Witnesses::new(replicas),
            view: View(0),
            suspect: false,
            decided: 0,
            ticked_ms: now.monotonic_ms,
            saved_ms: now.monotonic_ms,
            saved,
        }
    }
}

/// Any settings and any opinions, as a snapshot that a detector would write.
fn prejudice(seed: u64, me: ReplicaId, replicas: Replicas, now: Now) -> (Settings, String) {
    let mut random = Random::numbered(seed, "prejudice", u64::from(me.0));
    let mut unit = || random.below(1001) as f64 / 1000.0;
    let settings = Settings { prior: unit(), threshold: unit(), ..Settings::default() };
    let (count, faults) = (replicas.count(), replicas.faults());
    let mut text = format!("quorate-detector 1\ncluster {me} {count} {faults}\nsaved {}\n", now.wall_ms);
    let others: Vec<ReplicaId> = replicas.ids().filter(|replica| *replica != me).collect();
    for replica in &others {
        let (score, average, recent) = (unit(), unit(), unit());
        text += &format!("reputation {replica} {score} {average} {recent} 10 5 0\n");
    }
    for replica in others.iter().take(faults) {
        let until = now.wall_ms + 60_000;
        text += &format!("quarantine {replica} {until} 60000 signatures 3 1\n");
    }
    (settings, text + "end\n")
}

/// What the observers of each operation in a slot said.
fn hear(decided: &Decided, judge: &Judge) -> Vec<Hearing> {
    let observations = decided.evidence.observations();
    let entries = decided.operations.iter().zip(&decided.leaves).zip(&observations);
    let hearing = |((operation, leaf), observations): ((&pbft::Operation, &Vec<u8>), &Vec<_>)| {
        (operation.digest(), decided.header.time_ms, judge.testimonies(leaf, observations))
    };
    entries.map(hearing).collect()
}

/// Who of the honest is called Byzantine, or shut out or would be, in these steps.
pub fn accused(steps: &[Step], honest: ReplicaSet) -> Option<String> {
    let about = |step: &Step| match step {
        Step::Labelled { replica, .. } | Step::Quarantine { replica, .. } | Step::Spared { replica, .. } => {
            honest.contains(*replica)
        }
        _ => false,
    };
    steps.iter().find(|step| about(step)).map(|step| format!("{step:?}, and it is honest"))
}

/// Who of the honest is said to have broken a rule. Whoever is blamed for what another did would be labelled when it comes often enough.
pub fn charged(fault: &Fault, honest: ReplicaSet) -> Option<String> {
    let (replica, offence) = Offence::of(fault)?;
    let is_grave = offence.class() == FaultClass::Byzantine && honest.contains(replica);
    is_grave.then(|| format!("{fault}: charged with {offence}, and it is honest"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run;
    use crate::scenario::Scenario;
    use crate::world::Options;

    fn outcome(seed: u64, watching: Watching) -> (u64, u64, usize) {
        let outcome = run(&Scenario::of(seed, None), Options { watching, ..Options::default() });
        assert_eq!(outcome.violation, None, "seed {seed}");
        (outcome.hash, outcome.events, outcome.decided)
    }

    #[test]
    fn reputation_leaves_every_event_and_every_slot_as_it_is() {
        for seed in 1..9 {
            let without = outcome(seed, Watching::Off);
            assert_eq!(without, outcome(seed, Watching::Passive), "seed {seed}");
            assert_eq!(without, outcome(seed, Watching::Prejudiced(seed)), "seed {seed}");
        }
    }

    #[test]
    fn quarantines_that_are_enforced_leave_everything_that_must_hold() {
        for seed in 1..13 {
            outcome(seed, Watching::Enforced);
        }
    }

    #[test]
    fn broken_rule_is_a_charge_against_the_honest_and_nobodys_misbehaviour_is_none() {
        let honest = ReplicaSet(0b0111);
        let misled = |from| Fault::WrongSender { from: ReplicaId(from), claimed: ReplicaId(0) };
        assert!(charged(&misled(1), honest).is_some());
        assert!(charged(&misled(3), honest).is_none());
        assert!(charged(&Fault::OverQuota { from: ReplicaId(1) }, honest).is_none());
    }

    #[test]
    fn label_of_an_honest_replica_is_an_accusation_and_of_a_liar_is_none() {
        let honest = ReplicaSet(0b0111);
        let labelled = |replica| [Step::Labelled { replica: ReplicaId(replica), indicators: Vec::new() }];
        assert!(accused(&labelled(1), honest).is_some());
        assert!(accused(&labelled(3), honest).is_none());
        assert!(accused(&[Step::Loosen { replica: ReplicaId(1) }], honest).is_none());
    }
}
