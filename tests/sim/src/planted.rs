//! The planted bugs of `pbft`, and how many seeds each takes to be caught: the measure of this simulator.
//!
//! A bug may have seeds of its own kind, said in the table: a cluster size in which it matters, vices that bring it about. Nothing else is told.

#![cfg_attr(
    not(any(feature = "planted", test)),
    expect(dead_code, reason = "bugs are hunted with the feature alone")
)]

use certificate::ReplicaId;
use pbft::planted::Bug;

use crate::adversary::Vice;
use crate::invariants::Check;
use crate::network::{Filter, Kind};
use crate::random::Random;
use crate::scenario::{START_MS, Scenario, What};

/// What the seeds that hunt a bug have in common.
#[derive(Clone, Copy, Default)]
pub struct Bias {
    /// n, when the bug needs one.
    count: Option<u32>,
    /// Vices of one Byzantine replica, often that of the first view.
    vices: &'static [Vice],
    /// Whether the fast path is on.
    fast_path: Option<bool>,
    /// Links are at least so slow, in milliseconds.
    latency_ms: Option<u64>,
    /// Clocks differ by up to so much, in milliseconds.
    drift_ms: Option<u64>,
    /// What the weather is like.
    weather: Weather,
    /// Who is the liar; otherwise the seed says.
    liar: Option<u8>,
    /// A check that would find it at once: the hunt shows what others find.
    blind: Option<Check>,
}

/// What the weather of a hunt is like.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Weather {
    /// As the seed says.
    #[default]
    Drawn,
    /// Nobody errs and nothing is lost; the windows are as small as can be, and everything is asked at once. Checkpoints come a little late to two
    /// backups: the mark of the primary advances before theirs.
    LateMarks,
    /// All votes of view 0 reach one replica alone, which decides early and is then cut off; of the others one enters view 1 and the other does
    /// not, so that the votes that are left are of two views.
    SplitVotes,
    /// Nothing is lost, and a question now and then; the primary looks up slowly.
    SlowLookups,
}

const NONE: Bias = Bias {
    count: None,
    vices: &[],
    fast_path: None,
    latency_ms: None,
    drift_ms: None,
    weather: Weather::Drawn,
    liar: None,
    blind: None,
};

/// Idle clusters in which a backup lies about when it saw something.
pub const TWO_TIMES: Bias = Bias {
    count: Some(4),
    vices: &[Vice::TwoTimes],
    liar: Some(3),
    latency_ms: Some(3),
    weather: Weather::SlowLookups,
    ..NONE
};

/// The bugs by name, each with the kind of seeds that hunts it.
pub const BUGS: [(&str, Bug, Bias); 16] = [
    (
        "quorum-is-two-f-plus-one",
        Bug::QuorumIsTwoFPlusOne,
        Bias { count: Some(5), vices: &[Vice::Equivocate], ..NONE },
    ),
    ("duplicate-votes-count", Bug::DuplicateVotesCount, NONE),
    (
        "commits-of-views-summed",
        Bug::CommitsOfViewsSummed,
        Bias { fast_path: Some(false), vices: &[Vice::Withhold], ..NONE },
    ),
    (
        "prepared-ignored",
        Bug::PreparedIgnored,
        Bias { count: Some(4), vices: &[Vice::Equivocate, Vice::ViewChangeLies], ..NONE },
    ),
    (
        "fast-wins-ties",
        Bug::FastWinsTies,
        Bias { count: Some(4), vices: &[Vice::Equivocate, Vice::ViewChangeLies], ..NONE },
    ),
    (
        "fast-in-one-view",
        Bug::FastInOneView,
        Bias {
            count: Some(4),
            vices: &[Vice::Conceal],
            liar: Some(3),
            latency_ms: Some(3),
            fast_path: Some(true),
            weather: Weather::SplitVotes,
            blind: Some(Check::S11),
            ..NONE
        },
    ),
    (
        "one-view-change-too-many",
        Bug::OneViewChangeTooMany,
        Bias { count: Some(4), vices: &[Vice::NewViewLies], liar: Some(1), ..NONE },
    ),
    (
        "base-over-subset",
        Bug::BaseOverSubset,
        Bias { vices: &[Vice::Withhold, Vice::ViewChangeLies], ..NONE },
    ),
    ("send-before-store", Bug::SendBeforeStore, NONE),
    (
        "proposal-at-high-mark-dropped",
        Bug::ProposalAtHighMarkDropped,
        Bias { count: Some(4), latency_ms: Some(3), weather: Weather::LateMarks, ..NONE },
    ),
    (
        "new-view-unchecked",
        Bug::NewViewUnchecked,
        Bias { vices: &[Vice::NewViewLies, Vice::Equivocate], ..NONE },
    ),
    ("timer-never-doubles", Bug::TimerNeverDoubles, Bias { latency_ms: Some(150), ..NONE }),
    ("longest-ttl", Bug::LongestTtl, NONE),
    ("clock-dependent-vote", Bug::ClockDependentVote, Bias { drift_ms: Some(4000), ..NONE }),
    ("null-slot-not-stored", Bug::NullSlotNotStored, Bias { vices: &[Vice::SkipSlots], ..NONE }),
    ("latest-observation-held", Bug::LatestObservationHeld, TWO_TIMES),
];

/// The run of a seed that hunts a bug.
pub fn scenario(seed: u64, bias: Bias) -> Scenario {
    let mut scenario = Scenario::of(seed, bias.count);
    let mut random = Random::of(seed, "planted");
    let tuning = &mut scenario.tuning;
    tuning.fast_path = bias.fast_path.unwrap_or(tuning.fast_path);
    tuning.latency_ms = bias.latency_ms.unwrap_or(tuning.latency_ms);
    tuning.drift_ms = bias.drift_ms.unwrap_or(tuning.drift_ms);
    match bias.weather {
        Weather::Drawn => {}
        Weather::LateMarks => late_marks(&mut scenario, &mut random),
        Weather::SplitVotes => split_votes(&mut scenario, &mut random),
        Weather::SlowLookups => slow_lookups(&mut scenario, &mut random),
    }
    if !bias.vices.is_empty() {
        let replica =
            if random.percent(60) { 0 } else { random.below(u64::from(scenario.shape.count)) as u8 };
        scenario.corrupt(bias.liar.unwrap_or(replica), bias.vices);
    }
    scenario
}

/// See [`Weather::LateMarks`].
fn late_marks(scenario: &mut Scenario, random: &mut Random) {
    scenario.elements.retain(|(_, element)| matches!(element.what, What::Request { .. }));
    scenario.elements.iter_mut().for_each(|(_, element)| element.at_ms = START_MS + 10);
    let tuning = &mut scenario.tuning;
    tuning.pipeline = tuning.pipeline.min(2);
    tuning.checkpoint_interval = tuning.pipeline;
    tuning.window = 2 * tuning.pipeline;
    tuning.batch_entries = 1;
    let first = random.between(1, u64::from(scenario.shape.count) - 2) as u8;
    let to = [ReplicaId(first), ReplicaId(first + 1)].into_iter().collect();
    let late_ms = Some(random.choose(&[20, 40, 60]));
    let from = scenario.replicas().ids().collect();
    scenario.add(
        START_MS,
        What::Filter { filter: Filter { kind: Kind::Checkpoint, from, to, late_ms }, ms: 100_000 },
    );
}

/// See [`Weather::SplitVotes`]. Of four replicas 0 decides early, 1 enters view 1, 2 does not and is the primary of view 2; 3 is the liar.
fn split_votes(scenario: &mut Scenario, random: &mut Random) {
    let group = |ids: &[u8]| ids.iter().copied().map(ReplicaId).collect();
    let lost =
        |kind, from: &[u8], to: &[u8]| Filter { kind, from: group(from), to: group(to), late_ms: None };
    scenario.elements.clear();
    scenario.heal_ms = START_MS + 4000;
    scenario.tuning.lookup_ms = 1;
    scenario.tuning.batch_entries = 8;
    let asked = START_MS + random.between(1, 20);
    scenario.add(asked, What::Request { replica: random.below(3) as u8, number: 0 });
    for number in 1..random.between(3, 6) {
        let at_ms = asked + random.between(150, 900);
        scenario.add(at_ms, What::Request { replica: random.between(1, 2) as u8, number });
    }
    let prepares = lost(Kind::Prepare, &[0, 1, 2], &[1, 2, 3]);
    scenario.add(START_MS, What::Filter { filter: prepares, ms: 500 });
    scenario.add(START_MS, What::Filter { filter: lost(Kind::NewView, &[1], &[2]), ms: 3000 });
    scenario.add(asked + random.between(50, 90), What::Cut { group: group(&[0]), ms: 100_000 });
}

/// See [`Weather::SlowLookups`].
fn slow_lookups(scenario: &mut Scenario, random: &mut Random) {
    scenario.elements.clear();
    scenario.heal_ms = START_MS;
    scenario.tuning.lookup_ms = random.choose(&[1, 10, 60]);
    scenario.add(START_MS, What::SlowLookups { replica: 0, ms: 800 });
    for number in 0..8 {
        let at_ms = START_MS + 300 * number + random.below(300);
        scenario.add(at_ms, What::Request { replica: random.below(3) as u8, number });
    }
}

/// The bugs that `name` names, `all` for all of them.
pub fn named(name: &str) -> Vec<(&'static str, Bug, Bias)> {
    BUGS.into_iter().filter(|(known, _, _)| name == "all" || name == *known).collect()
}

/// Hunts the bugs and prints what each took; whether all were caught within `seconds` each.
#[cfg(feature = "planted")]
pub fn hunt(name: &str, seeds: u64, threads: usize) -> bool {
    use crate::parallel::{Seeds, run_all};
    use crate::run::run;
    use crate::world::Options;
    use pbft::planted::Switch;

    let mut all = true;
    println!("{:<30} {:>6} {:>7}  caught by", "bug", "seeds", "seconds");
    for (name, bug, bias) in named(name) {
        let began = std::time::Instant::now();
        let options = Options { switch: Switch(Some(bug)), blind: bias.blind, ..Options::default() };
        let seeds = Seeds { first: 0, count: seeds, threads, failures_most: 1, quiet: true };
        let tally = run_all(seeds, |seed| {
            let scenario = scenario(seed, bias);
            let mut outcome = run(&scenario, options);
            // What fails without the bug too says nothing about it.
            if outcome.violation.is_some()
                && let Some(violation) = run(&scenario, Options::default()).violation
            {
                println!("{name}: seed {seed} fails without the bug: {violation}");
                outcome.violation = None;
            }
            outcome
        });
        let seconds = began.elapsed().as_secs_f64();
        let found = tally.failed.first_key_value();
        let text =
            found.map_or("NOT CAUGHT".to_string(), |(seed, violation)| format!("seed {seed}: {violation}"));
        let text: String = text.chars().take(110).collect();
        println!("{name:<30} {:>6} {seconds:>7.1}  {text}", tally.runs);
        all &= found.is_some();
    }
    all
}

/// Without the feature there is nothing to hunt.
#[cfg(not(feature = "planted"))]
pub fn hunt(name: &str, seeds: u64, threads: usize) -> bool {
    let _ = (seeds, threads);
    println!("{} bugs; they are in the build with the feature `planted` alone", named(name).len());
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_has_a_name_and_seeds_within_the_fault_budget() {
        assert_eq!(named("all").len(), BUGS.len());
        for (name, _, bias) in BUGS {
            assert_eq!(named(name).len(), 1, "{name}");
            assert!(
                bias.blind.is_none_or(|check| check == Check::S11),
                "{name}: only S11 knows the rule itself"
            );
            for seed in 0..50 {
                let scenario = scenario(seed, bias);
                assert!(scenario.byzantine().len() <= scenario.shape.faults as usize, "{name} seed {seed}");
            }
        }
    }
}
