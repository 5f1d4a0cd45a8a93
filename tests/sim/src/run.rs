//! One run: from a scenario to what came of it. A panic of the product is a finding like any other.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

use crate::invariants::{Check, Violation};
use crate::scenario::Scenario;
use crate::world::{Options, World};

/// What came of a run.
pub struct Outcome {
    /// The first check that failed.
    pub violation: Option<Violation>,
    /// A fingerprint of all that happened.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// How many slots were decided.
    pub decided: usize,
    /// When it ended, in virtual milliseconds.
    pub ended_ms: u64,
    /// A line for each event, if they were asked for.
    pub lines: Vec<String>,
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what a panic says for the outcome, instead of printing it. Once, at the start of the process.
pub fn catch_panics() {
    panic::set_hook(Box::new(|info| PANIC.with(|said| *said.borrow_mut() = info.to_string())));
}

/// Runs a scenario to its end.
pub fn run(scenario: &Scenario, options: Options) -> Outcome {
    let mut world = World::new(scenario, options);
    let ran = panic::catch_unwind(AssertUnwindSafe(|| world.run()));
    let (decided, ended_ms) = world.summary();
    let violation = ran.unwrap_or_else(|_| {
        let found = PANIC.with(|said| said.borrow().replace('\n', " "));
        Some(Violation { check: Check::Crash, at_ms: ended_ms, found })
    });
    let (hash, events) = (world.trace.hash(), world.trace.events());
    Outcome { violation, hash, events, decided, ended_ms, lines: world.trace.into_lines() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted;
    use crate::scenario::{START_MS, What};

    #[test]
    fn one_seed_replays_one_run_exactly() {
        for seed in 0..12 {
            let scenario = Scenario::of(seed, None);
            let options = Options { safety_only: true, ..Options::default() };
            let (one, other) =
                (run(&scenario, options), run(&scenario, Options { verbose: true, ..options }));
            assert_eq!((one.hash, one.events, one.decided), (other.hash, other.events, other.decided));
            assert!(one.lines.is_empty() && other.lines.len() as u64 == other.events);
        }
    }

    /// Whatever a seed found is mended with a test of its own; here nothing of it may come back in the form in which it was found.
    #[test]
    fn seeds_that_failed_once_pass() {
        for seed in [8584, 10_994, 43_204, 62_209, 102_478, 132_152] {
            let outcome = run(&Scenario::of(seed, None), Options::default());
            assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
        }
    }

    #[test]
    fn calm_clusters_of_every_size_decide_what_they_are_asked() {
        for count in [4, 5, 7, 10, 31] {
            let mut scenario = Scenario::of(3, Some(count));
            scenario.elements.retain(|(_, element)| matches!(element.what, What::Request { .. }));
            let outcome = run(&scenario, Options::default());
            assert_eq!(outcome.violation, None, "{count} replicas");
            assert!(outcome.decided > 0);
        }
    }

    /// Nobody gives up a view, as [`Scenario::is_steady`] wants.
    #[test]
    fn backup_that_signs_two_times_of_what_it_saw_deposes_nobody() {
        for seed in 0..40 {
            let scenario = planted::scenario(seed, planted::TWO_TIMES);
            assert!(scenario.is_steady());
            let violation = run(&scenario, Options::default()).violation;
            assert!(violation.is_none(), "seed {seed}: {violation:?}");
        }
    }

    #[test]
    fn replica_that_lost_its_disk_votes_again() {
        for seed in 0..4 {
            let mut scenario = Scenario::of(seed, Some(4)).without(|_| true);
            for number in 0..8 {
                let at_ms = START_MS + 40 * number;
                scenario.add(at_ms, What::Request { replica: (number % 4) as u8, number });
            }
            scenario.add(START_MS + 150, What::LoseDisk { replica: 2, ms: 100 });
            // The end is reached only when everybody votes.
            assert_eq!(run(&scenario, Options::default()).violation, None, "seed {seed}");
        }
    }
}
