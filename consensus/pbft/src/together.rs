//! Which observations of one operation count together, and which of two of one replica is held.
//!
//! **Invariant H.** Let a backup hold q observations that count together, in a batch of them alone. Whoever holds all of these but those of
//! one replica, and whatever else, and is told these too, holds q that count together from then on. So the primary can propose what a
//! backup passes on to it, and no message of a liar takes that away from either of them.
//!
//! *Proof.* More observations never hurt: of any that count together take as many from the latest one downwards; their median is no
//! earlier, so these count together as well, and [`together`] looks at every such run. And of two of one replica that one is held with which q count
//! together, if there is one ([`Worth`]). It is about one log: what grew stale or was used by the prefix of the one and not by that of
//! the other is theirs to catch up with.

use std::cmp::Reverse;
use std::ops::Range;

use certificate::{Digest, ReplicaId};

use crate::held::Held;
use crate::judge::{self, Standing};
use crate::planted::Bug;
use crate::replica::Replica;
use crate::requests::Request;
use crate::{Application, Keyring, Observation};

/// The longest run of these ascending times that may be in one batch, none later than the batch's time by more than the window; of equally long ones
/// the earliest. `None` when none has `quorum` of them.
pub(crate) fn together(times: &[u64], quorum: usize, log_ms: u64, window_ms: u64) -> Option<Range<usize>> {
    let counts = |run: &Range<usize>| {
        let middle = times[run.start + (run.len() - 1) / 2];
        times[run.end - 1] <= middle.max(log_ms).saturating_add(window_ms)
    };
    let lengths = (quorum.max(1)..=times.len()).rev();
    let mut runs = lengths.flat_map(|length| (0..=times.len() - length).map(move |from| from..from + length));
    runs.find(counts)
}

/// How good an observation is to hold, whatever is held of the other replicas; the greater one is held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Worth {
    /// It grew stale, or is used.
    Nothing,
    /// It is not among q that count together. There may be too few yet to tell why, so the own clock has a say here, of two that one replica signed: what is
    /// ahead of it by more than half a window is the worse the later it is. Of the rest the latest lasts longest.
    Alone(Clock),
    /// It is among q that count together. The latest lasts longest.
    Counts { time_ms: u64, after: u64 },
}

/// See [`Worth::Alone`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Clock {
    Ahead(Reverse<u64>),
    Near { time_ms: u64, after: u64 },
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Whether an observation is neither stale nor used at the own prefix.
    pub(crate) fn lasts(&self, time_ms: u64, digest: Digest) -> bool {
        let prefix = self.log.last();
        let log = (&self.log, &prefix);
        judge::standing(time_ms, digest, time_ms, log, &self.parameters) == Standing::Counts
    }

    /// The observations that would be in a batch of this request alone. `None` when there are fewer than q.
    ///
    /// What does not count in such a batch does not count at a backup: a liar that signs a time far from everybody's could otherwise make
    /// backups hold a quorum, and suspect a primary that holds none.
    pub(crate) fn counting<'a>(&self, request: &'a Request) -> Option<Vec<&'a Held>> {
        if request.observations.len() < self.quorum() {
            return None;
        }
        let held = request.observations.values();
        let mut held: Vec<&Held> =
            held.filter(|held| self.lasts(held.observation.time_ms, held.digest())).collect();
        held.sort_by_key(|held| held.observation.time_ms);
        let times: Vec<u64> = held.iter().map(|held| held.observation.time_ms).collect();
        let run = self.together(&times)?;
        held.truncate(run.end);
        Some(held.split_off(run.start))
    }

    fn together(&self, times: &[u64]) -> Option<Range<usize>> {
        together(times, self.quorum(), self.log.last().time_ms, self.parameters.observation_window_ms)
    }

    /// Whether an observation of a replica is to be held instead of the one that is held of it.
    pub(crate) fn replaces(
        &self,
        request: &Request,
        (replica, held): (ReplicaId, &Held),
        (observation, digest): (&Observation, Digest),
    ) -> bool {
        if self.parameters.switch.has(Bug::LatestObservationHeld) {
            return observation.time_ms > held.observation.time_ms;
        }
        let worth = |observation, digest| self.worth(request, replica, (observation, digest));
        worth(observation, digest) > worth(&held.observation, held.digest())
    }

    fn worth(
        &self,
        request: &Request,
        replica: ReplicaId,
        (observation, digest): (&Observation, Digest),
    ) -> Worth {
        let (time_ms, after) = (observation.time_ms, observation.after.0);
        if !self.lasts(time_ms, digest) {
            return Worth::Nothing;
        }
        let others = request.observations.iter().filter(|(other, held)| {
            **other != replica && self.lasts(held.observation.time_ms, held.digest())
        });
        let mut times: Vec<u64> = others.map(|(_, held)| held.observation.time_ms).collect();
        times.sort_unstable();
        let place = times.partition_point(|other| *other < time_ms);
        times.insert(place, time_ms);
        if self.together(&times).is_some_and(|run| run.contains(&place)) {
            return Worth::Counts { time_ms, after };
        }
        let near_ms = self.now.wall_ms.saturating_add(self.parameters.observation_window_ms / 2);
        Worth::Alone(if time_ms > near_ms {
            Clock::Ahead(Reverse(time_ms))
        } else {
            Clock::Near { time_ms, after }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::lower_median;

    const WINDOW_MS: u64 = 10;

    /// Whether some of these are q that may be in one batch, by looking at all subsets.
    fn by_all_subsets(times: &[u64], quorum: usize, log_ms: u64) -> bool {
        (1u32..1 << times.len()).any(|subset| {
            let some: Vec<u64> =
                times.iter().enumerate().filter(|(at, _)| subset >> at & 1 == 1).map(|(_, it)| *it).collect();
            let batch_ms = lower_median(some.clone()).unwrap().max(log_ms);
            some.len() >= quorum && some.iter().all(|time| *time <= batch_ms + WINDOW_MS)
        })
    }

    /// Every ascending vector of so many times out of these.
    fn vectors(of: &[u64], length: usize) -> Vec<Vec<u64>> {
        if length == 0 {
            return vec![Vec::new()];
        }
        let longer = |times: Vec<u64>| {
            let from = times.last().copied().unwrap_or(0);
            of.iter().filter(move |it| **it >= from).map(move |it| [&times[..], &[*it]].concat())
        };
        vectors(of, length - 1).into_iter().flat_map(longer).collect()
    }

    #[test]
    fn run_is_found_exactly_when_any_q_count_together() {
        for (count, quorum) in [(3, 3), (4, 3), (5, 4), (6, 5), (7, 5)] {
            for times in vectors(&[0, 2, 9, 10, 12, 20, 22], count) {
                for log_ms in [0, 11] {
                    let found = together(&times, quorum, log_ms, WINDOW_MS);
                    assert_eq!(found.is_some(), by_all_subsets(&times, quorum, log_ms), "{times:?}");
                    let Some(run) = found else { continue };
                    let some = times[run].to_vec();
                    let batch_ms = lower_median(some.clone()).unwrap().max(log_ms);
                    assert!(some.len() >= quorum && some.iter().all(|time| *time <= batch_ms + WINDOW_MS));
                }
            }
        }
    }

    #[test]
    fn one_more_observation_never_hurts() {
        let all = [0, 2, 9, 10, 12, 20, 22];
        for (count, quorum) in [(3, 3), (5, 5), (6, 5)] {
            for times in vectors(&all, count) {
                if together(&times, quorum, 0, WINDOW_MS).is_none() {
                    continue;
                }
                for one in all {
                    let mut more = [&times[..], &[one]].concat();
                    more.sort_unstable();
                    assert!(together(&more, quorum, 0, WINDOW_MS).is_some(), "{times:?} and {one}");
                }
            }
        }
    }

    #[test]
    fn what_is_too_early_for_the_rest_is_left_out_and_of_equally_many_the_earliest_are_taken() {
        assert_eq!(together(&[0, 3, 3, 12, 12], 4, 0, WINDOW_MS), Some(0..5));
        assert_eq!(together(&[0, 0, 0, 3, 12, 12], 5, 0, WINDOW_MS), Some(1..6));
        assert_eq!(together(&[0, 0, 1, 11], 3, 0, WINDOW_MS), Some(0..3));
    }
}
