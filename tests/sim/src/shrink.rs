//! From a failing run to a small one: elements are left out, in halves and then fewer, as long as the same check still fails.

use std::collections::BTreeSet;

use crate::run::run;
use crate::scenario::Scenario;
use crate::world::Options;

/// So many runs are tried.
const TRIES_MAX: usize = 400;

/// The smallest failing scenario that was found, and the numbers of the elements that it does without.
pub fn shrink(scenario: &Scenario, options: Options) -> (Scenario, BTreeSet<usize>) {
    let options = Options { verbose: false, ..options };
    let Some(violation) = run(scenario, options).violation else {
        return (scenario.clone(), BTreeSet::new());
    };
    let fails = |dropped: &BTreeSet<usize>| {
        let smaller = scenario.without(|number| dropped.contains(&number));
        run(&smaller, options).violation.is_some_and(|found| found.check == violation.check)
    };
    let all: Vec<usize> = scenario.elements.iter().map(|(number, _)| *number).collect();
    let dropped = smallest(&all, fails);
    (scenario.without(|number| dropped.contains(&number)), dropped)
}

/// What can be left out of `all` while `fails` holds. Chunks of half of it, then of a quarter, down to single ones, until none can go.
fn smallest(all: &[usize], fails: impl Fn(&BTreeSet<usize>) -> bool) -> BTreeSet<usize> {
    let mut dropped = BTreeSet::new();
    let mut tries = 0;
    let mut size = all.len().div_ceil(2);
    while size > 0 && tries < TRIES_MAX {
        let kept: Vec<usize> = all.iter().filter(|number| !dropped.contains(*number)).copied().collect();
        let mut shrunk = false;
        for chunk in kept.chunks(size) {
            let more: BTreeSet<usize> = dropped.iter().chain(chunk).copied().collect();
            tries += 1;
            if tries <= TRIES_MAX && fails(&more) {
                dropped = more;
                shrunk = true;
            }
        }
        if !shrunk || size > 1 {
            size /= 2;
        }
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_failure_needs_is_kept() {
        let all: Vec<usize> = (0..40).collect();
        let fails = |dropped: &BTreeSet<usize>| !dropped.contains(&7) && !dropped.contains(&31);
        let dropped = smallest(&all, fails);
        let kept: Vec<usize> = all.into_iter().filter(|number| !dropped.contains(number)).collect();
        assert_eq!(kept, [7, 31]);
    }
}
