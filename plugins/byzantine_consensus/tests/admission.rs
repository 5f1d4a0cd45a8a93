//! The limit, held against a cluster that decides so many questions a second, the oldest first.

use std::collections::VecDeque;
use std::time::Duration;

use crate::byzantine_consensus::admission::{Admission, LIMIT_FIRST, LIMIT_LEAST, OVERDUE};

/// A client waits so long.
const PATIENCE: Duration = Duration::from_millis(1800);

struct Outcome {
    taken: usize,
    refused: usize,
    in_time: usize,
}

/// `seconds` of `asked` questions a second at a replica whose cluster decides `decided` a second, each `lookup` after it was asked at
/// the soonest. Counts from the tenth second on.
fn run(seconds: u64, asked: u64, decided: u64, lookup: Duration) -> Outcome {
    let (mut admission, mut open, mut outcome) =
        (Admission::default(), VecDeque::new(), Outcome { taken: 0, refused: 0, in_time: 0 });
    let mut credit = 0.0;
    for ms in 0..seconds * 1000 {
        let now = Duration::from_millis(ms);
        let counts = ms >= 10_000;
        for _ in 0..(ms + 1) * asked / 1000 - ms * asked / 1000 {
            let is_overdue =
                |since: &&Duration| **since >= admission.since() && now.saturating_sub(**since) > OVERDUE;
            let overdue = open
                .iter()
                .take_while(|since: &&Duration| now - **since > OVERDUE)
                .filter(is_overdue)
                .count();
            match admission.admit(open.len(), overdue, now) {
                Ok(()) => {
                    open.push_back(now);
                    outcome.taken += usize::from(counts);
                }
                Err(_) => outcome.refused += usize::from(counts),
            }
        }
        credit = (credit + decided as f64 / 1000.0).min(decided as f64 / 10.0);
        while credit >= 1.0 && open.front().is_some_and(|since| now.saturating_sub(*since) >= lookup) {
            credit -= 1.0;
            let after = now - open.pop_front().expect("looked at");
            admission.decided(after, open.len());
            outcome.in_time += usize::from(counts && after < PATIENCE);
        }
    }
    outcome
}

#[test]
fn four_times_too_much_is_decided_at_full_speed_and_in_time() {
    let outcome = run(60, 2000, 500, Duration::from_millis(20));
    assert!(outcome.in_time > 50 * 500 * 9 / 10, "{} of {}", outcome.in_time, 50 * 500);
    assert!(outcome.taken - outcome.in_time < outcome.taken / 10);
}

#[test]
fn slow_upstreams_are_no_overload() {
    let outcome = run(30, 400, 2000, Duration::from_millis(850));
    assert_eq!(outcome.refused, 0);
}

#[test]
fn first_seconds_of_a_flood_are_not_lost() {
    let (mut calm, mut flooded) = (Admission::default(), Admission::default());
    for _ in 0..100_000 {
        calm.decided(Duration::from_millis(5), 10);
    }
    assert_eq!(calm, flooded, "a limit that is not used does not grow");
    for _ in 0..100 {
        flooded.decided(Duration::from_millis(5), LIMIT_FIRST as usize);
    }
    assert!(
        flooded.admit(LIMIT_FIRST as usize + 99, 0, Duration::from_secs(1)).is_ok(),
        "one that is used does, fast"
    );
}

#[test]
fn limit_recovers_when_the_flood_is_over() {
    let mut admission = Admission::default();
    let second = Duration::from_secs;
    for at in 2..20 {
        let _ = admission.admit(900, 100, second(at));
    }
    assert!(admission.admit(LIMIT_LEAST as usize, 0, second(20)).is_err());
    assert!(admission.admit(LIMIT_FIRST as usize - 1, 0, second(30)).is_ok());
}

#[test]
fn limit_is_never_below_its_least() {
    let mut admission = Admission::default();
    for at in 2..100 {
        let _ = admission.admit(40, 39, Duration::from_secs(at));
    }
    assert!(admission.admit(LIMIT_LEAST as usize - 1, 0, Duration::from_secs(100)).is_ok());
}
