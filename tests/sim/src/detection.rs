//! How well the detector finds who errs: for each vice a number of clusters under steady load, with bad weather and names that do not look the same everywhere,
//! in which one replica has that vice, and as many in which nobody errs.

use std::collections::BTreeMap;

use certificate::ReplicaSet;

use crate::adversary::Vice;
use crate::application::Matter;
use crate::invariants::Violation;
use crate::network::Noise;
use crate::parallel;
use crate::random::Random;
use crate::scenario::{START_MS, Scenario, Shape, Tuning, What};
use crate::watch::Finding;
use crate::world::{Options, World};

/// A run lasts so long, in milliseconds.
const RUN_MS: u64 = 75_000;
/// Somebody asks for something so often, in milliseconds.
const PACE_MS: u64 = 100;
/// Clients ask for so many different names, again and again.
const NAMES: u64 = 40;

/// What came of one run.
struct Found {
    /// The first who labelled the liar or shut it out.
    first: Option<Finding>,
    /// Whether a proof was found.
    proven: bool,
    /// Whether anything at all stood out about it in the end, and how it was said to behave.
    noticed: Option<&'static str>,
    /// The check that failed; S12 is a false accusation.
    violation: Option<Violation>,
}

/// Runs so many clusters for each vice and prints the table; whether nobody honest was accused, and nothing else failed.
pub fn run(seeds: u64, threads: usize) -> bool {
    println!("{RUN_MS} ms of virtual time a run, a request every {PACE_MS} ms for one of {NAMES} names");
    println!("| vice | labelled | with proof | noticed | as | slots: median | p90 | max | false |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut held = true;
    for vice in [None].into_iter().chain(Vice::ALL.map(Some)) {
        let found = parallel::map(seeds, threads, |seed| observe(seed, vice, RUN_MS));
        held &= print(vice, &found);
    }
    held
}

fn print(vice: Option<Vice>, found: &[Found]) -> bool {
    let share = |count: usize| format!("{} %", count * 100 / found.len().max(1));
    let mut slots: Vec<u64> = found.iter().filter_map(|one| one.first).map(|first| first.slots).collect();
    slots.sort_unstable();
    let part = |percent: usize| {
        let place = (slots.len().saturating_sub(1) * percent).div_ceil(100);
        slots.get(place).map_or("-".to_string(), u64::to_string)
    };
    let mut patterns: BTreeMap<&str, usize> = BTreeMap::new();
    for pattern in found.iter().filter_map(|one| one.noticed) {
        *patterns.entry(pattern).or_default() += 1;
    }
    let usual = patterns.iter().max_by_key(|(_, count)| **count).map_or("-", |(pattern, _)| pattern);
    let accused = found.iter().filter(|one| one.violation.is_some()).count();
    println!(
        "| {} | {} | {} | {} | {usual} | {} | {} | {} | {accused} |",
        vice.map_or("nobody errs".to_string(), |vice| format!("{vice:?}")),
        share(slots.len()),
        share(found.iter().filter(|one| one.proven).count()),
        share(found.iter().filter(|one| one.noticed.is_some()).count()),
        part(50),
        part(90),
        part(100),
    );
    for (seed, violation) in
        found.iter().enumerate().filter_map(|(seed, one)| Some((seed, one.violation.as_ref()?)))
    {
        println!("seed {seed}: {violation}");
    }
    accused == 0
}

fn observe(seed: u64, vice: Option<Vice>, run_ms: u64) -> Found {
    let scenario = scenario(seed, vice, run_ms);
    let liar = scenario.byzantine().iter().next();
    let mut world = World::new(&scenario, Options { safety_only: true, ..Options::default() });
    let violation = world.run();
    let findings: Vec<Finding> =
        world.findings().iter().filter(|one| Some(one.about) == liar).copied().collect();
    let assessments = liar.map_or(Vec::new(), |liar| world.assessments(liar));
    // Reputation alone is what all others come to.
    let stands_out = |one: &&detector::Assessment| {
        one.indicators.iter().any(|indicator| *indicator != detector::Indicator::LowReputation)
    };
    let noticed = assessments.iter().filter(stands_out).map(|one| one.pattern.name()).min();
    Found {
        first: findings.iter().min_by_key(|one| one.slots).copied(),
        proven: findings.iter().any(|one| one.proven)
            || assessments.iter().any(|one| one.indicators.contains(&detector::Indicator::Proven)),
        noticed,
        violation,
    }
}

/// A cluster with one liar, in half of the runs the first primary.
fn scenario(seed: u64, vice: Option<Vice>, run_ms: u64) -> Scenario {
    let mut random = Random::numbered(seed, "detection", vice.map_or(u64::MAX, |vice| vice as u64));
    let shape = if seed % 4 == 3 { Shape { count: 7, faults: 2 } } else { Shape { count: 4, faults: 1 } };
    let tuning = Tuning {
        checkpoint_interval: 100,
        window: 132,
        pipeline: 3,
        batch_entries: 50,
        fast_path: true,
        latency_ms: random.choose(&[1, 3, 10, 20, 60]),
        drift_ms: random.choose(&[0, 500, 4000]),
        lookup_ms: random.choose(&[1, 10, 60]),
        hand_out: false,
    };
    let mut scenario = Scenario {
        seed,
        shape,
        tuning,
        matter: random.choose(&[Matter::Toy, Matter::Toy, Matter::Toy, Matter::Corroborated]),
        ed25519: false,
        wire: false,
        heal_ms: START_MS + run_ms,
        elements: Vec::new(),
    };
    let count = u64::from(shape.count);
    let liar = if seed.is_multiple_of(2) { 0 } else { random.below(count) as u8 };
    scenario.corrupt(liar, vice.as_slice());
    let honest = |random: &mut Random| loop {
        let replica = random.below(count) as u8;
        if replica != liar {
            return replica;
        }
    };
    for at_ms in (START_MS..scenario.heal_ms).step_by(PACE_MS as usize) {
        let (replica, number) = (honest(&mut random), random.below(NAMES));
        scenario.add(at_ms, What::Request { replica, number });
    }
    for at_ms in (START_MS + 3000..scenario.heal_ms).step_by(15_000) {
        let (at_ms, ms, replica) =
            (at_ms + random.below(8000), random.between(200, 4000), honest(&mut random));
        let what = match random.below(4) {
            0 => What::Crash { replica, ms, writing: random.percent(50) },
            1 => What::Cut { group: ReplicaSet(1 << replica), ms },
            _ => {
                let noise = Noise { loss_percent: 10, duplicate_percent: 5, jitter_ms: 20 };
                What::Noise { noise, ms }
            }
        };
        scenario.add(at_ms, what);
        if vice == Some(Vice::Twins) {
            scenario.add(at_ms, What::Sides);
        }
    }
    scenario.elements.sort_by_key(|(number, _)| *number);
    scenario
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equivocators_and_forgers_are_found_and_nobody_else() {
        for (vice, proven) in [(Vice::Equivocate, true), (Vice::OldEpoch, false)] {
            let found = observe(0, Some(vice), 6000);
            assert_eq!(found.violation, None, "{vice:?}");
            assert!(found.first.is_some_and(|first| first.slots < 100), "{vice:?}: {:?}", found.first);
            assert_eq!(found.proven, proven, "{vice:?}");
        }
    }

    #[test]
    fn silent_replica_is_not_accused() {
        let found = observe(0, Some(Vice::Silent), 6000);
        assert_eq!((found.violation, found.first), (None, None));
    }
}
