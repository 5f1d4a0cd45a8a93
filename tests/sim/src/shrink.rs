//! From a failing run to a small one: elements are left out, in halves and then fewer, and what is left lasts half as long, again and again, as
//! long as the same check still fails.

use std::collections::BTreeSet;

use crate::run::run;
use crate::scenario::Scenario;
use crate::world::Options;

/// So many runs are tried.
const TRIES_MAX: usize = 400;
/// What lasts so long is short enough, in milliseconds.
const LASTS_MS_MIN: u64 = 10;

/// What a failing run can do without.
#[derive(Clone, Default, Debug)]
pub struct Less {
    /// The numbers of the elements that are left out.
    pub drop: BTreeSet<usize>,
    /// Those that last half as long, once for each time that they are named.
    pub halve: Vec<usize>,
}

impl Less {
    /// The run with so much less.
    pub fn of(&self, scenario: &Scenario) -> Scenario {
        scenario.without(|number| self.drop.contains(&number)).halved(&self.halve)
    }

    /// As arguments of the command line.
    pub fn arguments(&self) -> String {
        let list = |name: &str, numbers: Vec<usize>| {
            let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
            if numbers.is_empty() { String::new() } else { format!(" --{name} {}", numbers.join(",")) }
        };
        list("drop", self.drop.iter().copied().collect()) + &list("halve", self.halve.clone())
    }
}

/// The least failing scenario that was found, as what it does without.
pub fn shrink(scenario: &Scenario, options: Options) -> Less {
    let options = Options { verbose: false, ..options };
    let Some(violation) = run(scenario, options).violation else { return Less::default() };
    let fails = |less: &Less| {
        run(&less.of(scenario), options).violation.is_some_and(|found| found.check == violation.check)
    };
    let all: Vec<usize> = scenario.elements.iter().map(|(number, _)| *number).collect();
    let drop = smallest(&all, |drop| fails(&Less { drop: drop.clone(), halve: Vec::new() }));
    let kept = scenario.without(|number| drop.contains(&number));
    let lasting = kept.elements.into_iter().filter_map(|(number, element)| {
        let mut what = element.what;
        what.lasts_ms().map(|ms| (number, *ms))
    });
    let halve =
        shortest(lasting.collect(), |halve| fails(&Less { drop: drop.clone(), halve: halve.to_vec() }));
    Less { drop, halve }
}

/// What can be halved while `fails` holds, of elements that last so long.
fn shortest(lasting: Vec<(usize, u64)>, fails: impl Fn(&[usize]) -> bool) -> Vec<usize> {
    let mut halved = Vec::new();
    for (number, mut ms) in lasting {
        while ms > LASTS_MS_MIN {
            halved.push(number);
            if !fails(&halved) {
                halved.pop();
                break;
            }
            ms /= 2;
        }
    }
    halved
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

    #[test]
    fn what_lasts_is_halved_as_often_as_the_failure_bears() {
        let lasting = vec![(3, 800), (5, 800), (6, 15)];
        // Element 3 is needed for 200 ms at least, the others are not needed at all.
        let halved = shortest(lasting, |halve| halve.iter().filter(|number| **number == 3).count() <= 2);
        let count = |number: usize| halved.iter().filter(|halved| **halved == number).count();
        assert_eq!((count(3), count(5), count(6)), (2, 7, 1));
    }

    #[test]
    fn less_says_how_to_run_it_again() {
        let less = Less { drop: [4, 2].into_iter().collect(), halve: vec![1, 1] };
        assert_eq!(less.arguments(), " --drop 2,4 --halve 1,1");
    }
}
