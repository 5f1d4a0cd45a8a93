//! The planted bugs of `pbft`, and how many seeds each takes to be caught: the measure of this simulator.
//!
//! A bug may have seeds of its own kind, said in the table: a cluster size in which it matters, vices that bring it about. Nothing else is told.

#![cfg_attr(
    not(any(feature = "planted", test)),
    expect(dead_code, reason = "bugs are hunted with the feature alone")
)]

use pbft::planted::Bug;

use crate::adversary::Vice;
use crate::network::Noise;
use crate::random::Random;
use crate::scenario::{Element, START_MS, Scenario, What};

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
}

/// What the weather of a hunt is like.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Weather {
    /// As the seed says.
    #[default]
    Drawn,
    /// Nobody errs and nothing is lost; the windows are as small as can be, and everything is asked at once.
    Calm,
    /// Half of all messages are lost until the network heals.
    Gale,
}

const NONE: Bias = Bias {
    count: None,
    vices: &[],
    fast_path: None,
    latency_ms: None,
    drift_ms: None,
    weather: Weather::Drawn,
};

/// The bugs by name, each with the kind of seeds that hunts it.
pub const BUGS: [(&str, Bug, Bias); 15] = [
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
            vices: &[Vice::Withhold, Vice::ViewChangeLies],
            fast_path: Some(true),
            weather: Weather::Gale,
            ..NONE
        },
    ),
    (
        "one-view-change-too-many",
        Bug::OneViewChangeTooMany,
        Bias {
            count: Some(4),
            vices: &[Vice::ViewChangeLies, Vice::Withhold],
            fast_path: Some(true),
            ..NONE
        },
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
        Bias { count: Some(4), latency_ms: Some(10), weather: Weather::Calm, vices: &[Vice::Silent], ..NONE },
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
        Weather::Calm => {
            scenario.elements.retain(|(_, element)| matches!(element.what, What::Request { .. }));
            scenario.elements.iter_mut().for_each(|(_, element)| element.at_ms = START_MS + 10);
            let tuning = &mut scenario.tuning;
            tuning.pipeline = tuning.pipeline.min(2);
            tuning.checkpoint_interval = tuning.pipeline;
            tuning.window = 2 * tuning.pipeline;
            tuning.batch_entries = 1;
        }
        Weather::Gale => {
            let noise =
                Noise { loss_percent: random.choose(&[30, 50, 60]), duplicate_percent: 0, jitter_ms: 20 };
            let number = scenario.elements.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
            let what = What::Noise { noise, ms: 100_000 };
            scenario.elements.push((number, Element { at_ms: START_MS, what }));
        }
    }
    if !bias.vices.is_empty() {
        let replica =
            if random.percent(60) { 0 } else { random.below(u64::from(scenario.shape.count)) as u8 };
        scenario.corrupt(replica, bias.vices);
    }
    scenario
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
        let options = Options { switch: Switch(Some(bug)), ..Options::default() };
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
        assert_eq!(named("all").len(), 15);
        for (name, _, bias) in BUGS {
            assert_eq!(named(name).len(), 1, "{name}");
            for seed in 0..50 {
                let scenario = scenario(seed, bias);
                assert!(scenario.byzantine().len() <= scenario.shape.faults as usize, "{name} seed {seed}");
            }
        }
    }
}
