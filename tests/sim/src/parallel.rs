//! Many seeds on all cores. Runs know nothing of each other, so the outcome of a seed does not depend on how many there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::invariants::Violation;
use crate::run::Outcome;

/// A line says how far it is after so many runs.
const PROGRESS_RUNS: u64 = 1000;

/// So many of the longest runs are named.
const LONGEST_MAX: usize = 5;

/// What came of many runs.
#[derive(Default)]
pub struct Tally {
    /// How many runs there were.
    pub runs: u64,
    /// Events of all.
    pub events: u64,
    /// Slots of all.
    pub decided: u64,
    /// The longest runs: events and seed.
    pub longest: BTreeSet<(u64, u64)>,
    /// The runs in which a check failed, by seed.
    pub failed: BTreeMap<u64, Violation>,
}

/// Which seeds, and when to stop.
#[derive(Clone, Copy)]
pub struct Seeds {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// On so many threads.
    pub threads: usize,
    /// No new run begins after so many failures.
    pub failures_most: usize,
    /// Whether nothing is said on the way.
    pub quiet: bool,
}

/// What `of` gives for the numbers below `count`, in their order.
pub fn map<T: Send>(count: u64, threads: usize, of: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let (next, done) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            let given = of(number);
            done.lock().expect("no thread panics while it stores").insert(number, given);
        }
    };
    thread::scope(|scope| (0..threads.max(1)).for_each(|_| drop(scope.spawn(work))));
    done.into_inner().expect("no thread panics while it stores").into_values().collect()
}

/// Runs the seeds, each as `run_one` does.
pub fn run_all(seeds: Seeds, run_one: impl Fn(u64) -> Outcome + Sync) -> Tally {
    let tally = Mutex::new(Tally::default());
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= seeds.count {
                break;
            }
            let seed = seeds.first + number;
            let outcome = run_one(seed);
            let mut tally = tally.lock().expect("no thread panics while it counts");
            tally.runs += 1;
            tally.events += outcome.events;
            tally.decided += outcome.decided as u64;
            tally.longest.insert((outcome.events, seed));
            if tally.longest.len() > LONGEST_MAX {
                tally.longest.pop_first();
            }
            if let Some(violation) = outcome.violation {
                if !seeds.quiet {
                    eprintln!("seed {seed}: {violation}");
                }
                tally.failed.insert(seed, violation);
            }
            if tally.runs.is_multiple_of(PROGRESS_RUNS) && !seeds.quiet {
                eprintln!("{} of {} seeds", tally.runs, seeds.count);
            }
            if tally.failed.len() >= seeds.failures_most {
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| (0..seeds.threads.max(1)).for_each(|_| drop(scope.spawn(work))));
    tally.into_inner().expect("no thread panics while it counts")
}
