//! What must come to pass once the network is healed and at most f replicas err: L1 to L4.
//!
//! L1 every request that a client still waits for is decided within a patience; L2 views stop changing; L3 everybody honest arrives at the same
//! slot, and votes in the same view, also who lost its disk; L4 with nobody erring and nothing lost, the fast path decides nearly all. A run is over when all of it has come to pass, or the patience is.

use certificate::{Sequence, View};
use pbft::Standing::{Active, Changing, Learning};
use pbft::Status;

use crate::invariants::{Check, Violation};
use crate::scenario::Scenario;

/// How long nothing may change before a run is over, in milliseconds.
const REST_MS: u64 = 1500;
/// Who lacks what was executed so long ago is behind, in milliseconds.
const BEHIND_MS: u64 = 1000;
/// A view is begun for the sake of one replica once in so long, in milliseconds.
const HELP_MS: u64 = 610_000;

/// What the judge of liveness looks at, one for each honest replica.
pub struct Standing {
    /// Who.
    pub replica: u8,
    /// How it stands; `None` when it does not run.
    pub status: Option<Status>,
    /// The number and age of the oldest request that a client of it waits for.
    pub oldest: Option<(u64, u64)>,
}

/// Why not everybody stands together.
struct Apart {
    check: Check,
    /// Somebody waits for a view to begin for its sake.
    alone: bool,
    found: String,
}

/// How far a run is from its end.
pub struct Liveness {
    heal_ms: u64,
    last_ms: u64,
    patience_ms: u64,
    views_most: u64,
    view_at_heal: Option<View>,
    /// Since when everybody is in this view.
    rest: Option<(u64, View)>,
    /// What was executed at each look.
    reached: Vec<(u64, Sequence)>,
}

impl Liveness {
    /// Before the first event.
    pub fn new(scenario: &Scenario) -> Liveness {
        let last_ms = scenario.elements.iter().map(|(_, element)| element.at_ms).max().unwrap_or(0);
        let faults = u64::from(scenario.shape.faults);
        // Each of f faulty primaries in a row costs a timer, which the storm may have doubled a few times.
        let changes: u64 = (0..faults).map(|number| (1000 << (number + 4).min(10)).min(60_000)).sum();
        Liveness {
            heal_ms: scenario.heal_ms,
            last_ms: last_ms.max(scenario.heal_ms),
            patience_ms: 30_000 + changes,
            views_most: faults + 12,
            view_at_heal: None,
            rest: None,
            reached: Vec::new(),
        }
    }

    /// Looks at how everybody honest stands; `true` when all has come to pass.
    pub fn look(&mut self, now_ms: u64, all: &[Standing]) -> Result<bool, Violation> {
        if now_ms < self.heal_ms {
            return Ok(false);
        }
        let fail = |check, found| Err(Violation { check, at_ms: now_ms, found });
        let statuses: Vec<Status> = all.iter().filter_map(|one| one.status).collect();
        let view = statuses.iter().map(|status| status.view).max().unwrap_or_default();
        let first = *self.view_at_heal.get_or_insert(view);
        if view.0 > first.0 + self.views_most {
            return fail(Check::L2, format!("view {first} at the healing, {view} now"));
        }
        let late = |one: &&Standing| one.oldest.is_some_and(|(_, since)| self.is_over(now_ms, since));
        if let Some(late) = all.iter().find(late) {
            let found =
                format!("replica {}: request {:?} (number, since) is not decided", late.replica, late.oldest);
            return fail(Check::L1, found);
        }
        if now_ms <= self.last_ms || all.iter().any(|one| one.oldest.is_some()) {
            self.rest = None;
            return Ok(false);
        }
        self.reached.push((now_ms, statuses.iter().map(|status| status.executed).max().unwrap_or_default()));
        let goal = self.reached.iter().rev().find(|(at_ms, _)| at_ms + BEHIND_MS <= now_ms);
        let goal = goal.map_or(Sequence(0), |(_, executed)| *executed);
        match (together(all, goal), self.rest) {
            (Ok(view), Some((since_ms, before))) if view == before => {
                return Ok(now_ms >= since_ms + REST_MS);
            }
            (Ok(view), _) => {
                self.rest = Some((now_ms, view));
                if self.is_over(now_ms, self.last_ms + self.patience_ms + HELP_MS) {
                    return fail(Check::L2, format!("no rest, now in view {view}"));
                }
            }
            (Err(apart), _) => {
                self.rest = None;
                // It is helped once, and if it was helped already in the storm, not before that is long ago.
                let help_ms = if apart.alone { HELP_MS } else { 0 };
                if self.is_over(now_ms, self.last_ms + help_ms) {
                    return fail(apart.check, apart.found);
                }
            }
        }
        Ok(false)
    }

    fn is_over(&self, now_ms: u64, since_ms: u64) -> bool {
        now_ms > since_ms.max(self.heal_ms) + self.patience_ms
    }
}

/// L2 of calm clusters: when nobody errs and nothing is lost, nobody gives up a view.
pub fn check_calm(now_ms: u64, all: &[Standing]) -> Option<Violation> {
    let given_up: u64 = all.iter().filter_map(|one| one.status).map(|status| status.view_changes).sum();
    let found = format!("{given_up} view changes in a calm cluster");
    (given_up > 0).then_some(Violation { check: Check::L2, at_ms: now_ms, found })
}

/// L4: when nobody errs and nothing is lost, at least 99 % of the slots are released by the fast path; of a few slots, all but one.
pub fn check_fast_path(now_ms: u64, all: &[Standing]) -> Option<Violation> {
    let sum = |of: fn(&Status) -> u64| all.iter().filter_map(|one| one.status.as_ref()).map(of).sum::<u64>();
    let (fast, slow) = (sum(|status| status.fast), sum(|status| status.slow));
    let found = format!("{fast} slots on the fast path, {slow} on the slow one");
    let most = (fast / 99).max(all.len() as u64);
    (slow > most).then_some(Violation { check: Check::L4, at_ms: now_ms, found })
}

/// The view of all, when everybody executed what was executed a while ago, and votes in one view.
fn together(all: &[Standing], goal: Sequence) -> Result<View, Apart> {
    let stands = all.iter().map(|one| match one.status {
        Some(status) => {
            let (view, executed) = (status.view, status.executed);
            format!("{}: v{view} s{executed} {:?}", one.replica, status.standing)
        }
        None => format!("{}: down", one.replica),
    });
    let found = || format!("not together at s{goal}: {}", stands.collect::<Vec<_>>().join(", "));
    let statuses: Vec<Status> = all.iter().filter_map(|one| one.status).collect();
    let learns = |status: &Status| status.standing == Learning;
    if statuses.len() < all.len() || statuses.iter().any(|one| one.executed < goal || learns(one)) {
        return Err(Apart { check: Check::L3, alone: statuses.iter().any(learns), found: found() });
    }
    let votes = |status: &&Status| status.standing == Active;
    let view = statuses.iter().filter(votes).map(|status| status.view).min().unwrap_or_default();
    if statuses.iter().any(|status| status.standing != Active || status.view != view) {
        let alone = statuses.iter().any(|status| status.standing == Changing);
        return Err(Apart { check: Check::L2, alone, found: found() });
    }
    Ok(view)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn liveness() -> Liveness {
        let mut scenario = Scenario::of(1, Some(4));
        scenario.elements.clear();
        scenario.heal_ms = 1000;
        Liveness::new(&scenario)
    }

    fn standing(replica: u8, view: u64, executed: u64, oldest: Option<(u64, u64)>) -> Standing {
        let status =
            Status { view: View(view), executed: Sequence(executed), standing: Active, ..Status::default() };
        Standing { replica, status: Some(status), oldest }
    }

    fn fails_with(check: Check, all: &[Standing]) -> bool {
        let mut liveness = liveness();
        let _ = liveness.look(9_000_000, all);
        liveness.look(10_000_000, all).is_err_and(|violation| violation.check == check)
    }

    #[test]
    fn undecided_request_is_l1() {
        assert!(fails_with(Check::L1, &[standing(0, 0, 5, Some((7, 1500)))]));
    }

    #[test]
    fn different_views_are_l2_and_replicas_behind_are_l3() {
        assert!(fails_with(Check::L2, &[standing(0, 0, 5, None), standing(1, 1, 5, None)]));
        assert!(fails_with(Check::L3, &[standing(0, 0, 5, None), standing(1, 0, 4, None)]));
    }

    #[test]
    fn endless_view_changes_are_l2() {
        let mut liveness = liveness();
        assert_eq!(liveness.look(1000, &[standing(0, 3, 5, None)]), Ok(false));
        let found = liveness.look(1500, &[standing(0, 90, 5, None)]);
        assert!(found.is_err_and(|violation| violation.check == Check::L2));
    }

    #[test]
    fn slow_slots_of_a_calm_cluster_are_l4() {
        let of = |fast, slow| {
            let mut standing = standing(0, 0, 100, None);
            standing.status = standing.status.map(|status| Status { fast, slow, ..status });
            check_fast_path(5, &[standing])
        };
        assert_eq!(of(99, 1), None);
        assert!(of(90, 10).is_some_and(|violation| violation.check == Check::L4));
    }

    #[test]
    fn run_is_over_when_all_stand_together_for_a_while() {
        let mut liveness = liveness();
        let all = [standing(0, 0, 5, None), standing(1, 0, 5, None)];
        assert_eq!(liveness.look(1100, &all), Ok(false));
        assert_eq!(liveness.look(1100 + REST_MS, &all), Ok(true));
    }

    #[test]
    fn replica_that_gave_up_the_view_alone_is_l2_and_one_that_only_learns_is_l3() {
        let stands = |standing_of| {
            let mut standing = standing(1, 1, 5, None);
            standing.status = standing.status.map(|status| Status { standing: standing_of, ..status });
            standing
        };
        assert!(fails_with(Check::L2, &[standing(0, 0, 5, None), stands(Changing)]));
        assert!(fails_with(Check::L3, &[standing(0, 0, 5, None), stands(Learning)]));
    }
}
