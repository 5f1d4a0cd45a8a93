//! Exhaustive models of the view change: every interleaving of honest replicas, with f faulty ones who do all that signatures allow.
//!
//! Two models ask the product which digest a new view chooses: `single_slot.rs` for the fast path (`pbft::select::choose`), `several_slots.rs` for
//! bases, pipelines and null slots (`pbft::select::plan`). `cases.rs` lists what is searched, the near misses that must be found included.
//! They check the rules. Whether the replica follows them is for the rest of this crate.

mod cases;
mod rule;
mod search;
mod several_slots;
mod single_slot;
mod step;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use cases::{Case, Expected, Weight};
use search::Outcome;

/// Searches every model and prints a line for each, then how each violation comes about. `deep` takes minutes and gigabytes instead of a
/// minute. Says whether all came out as they must.
pub fn run(deep: bool) -> bool {
    let most = if deep { Weight::Heavy } else { Weight::Medium };
    let mut cases: Vec<Case> = cases::all().into_iter().filter(|case| case.weight <= most).collect();
    cases.sort_by_key(|case| case.expected == Expected::Violated);
    println!("{:<58}{:<28}{:>13}{:>7}{:>9}  verdict", "model", "size", "states", "steps", "seconds");
    let mut found: Vec<Option<Outcome>> = vec![None; cases.len()];
    run_all(&cases, |at, outcome, took| {
        println!("{}", line(&cases[at], &outcome, took));
        found[at] = Some(outcome);
    });
    let mut all_hold = true;
    for (case, outcome) in cases.iter().zip(found) {
        let outcome = outcome.expect("every case was run");
        all_hold &= case.holds(&outcome);
        let Some(violation) = outcome.violation else { continue };
        println!("\n{} ({}): {}", case.name, case.sizes(), violation.claim);
        violation.trace.iter().for_each(|step| println!("    {step}"));
    }
    println!("\n{}", if all_hold { "all as expected" } else { "NOT as expected" });
    all_hold
}

/// Runs the cases on all cores, the heaviest first, and hands over each as it ends.
fn run_all(cases: &[Case], mut each: impl FnMut(usize, Outcome, Duration)) {
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(cases[*at].weight));
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let (done, next, order) = (done.clone(), &next, &order);
            scope.spawn(move || {
                while let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let outcome = cases[*at].run();
                    done.send((*at, outcome, began.elapsed())).expect("the receiver waits for all");
                }
            });
        }
        drop(done);
        results.iter().for_each(|(at, outcome, took)| each(at, outcome, took));
    });
}

fn line(case: &Case, outcome: &Outcome, took: Duration) -> String {
    let verdict = match (&outcome.violation, outcome.exhausted) {
        (Some(_), _) => "violated",
        (None, true) => "safe",
        (None, false) => "given up",
    };
    let expected = if case.holds(outcome) { "" } else { "  NOT AS EXPECTED" };
    let (states, depth, seconds) = (outcome.states, outcome.depth, took.as_secs_f64());
    format!("{:<58}{:<28}{states:>13}{depth:>7}{seconds:>9.1}  {verdict}{expected}", case.name, case.sizes())
}
