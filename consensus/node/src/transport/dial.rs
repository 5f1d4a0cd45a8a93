//! When a peer is dialled, and which of two connections stays.

use std::cmp::Ordering;
use std::time::Duration;

use certificate::ReplicaId;

/// The first wait after a connection failed or was lost.
pub(crate) const BACK_OFF_LEAST: Duration = Duration::from_millis(50);

/// The longest wait.
pub(crate) const BACK_OFF_MOST: Duration = Duration::from_secs(2);

/// Waits between attempts: doubling, between half and the whole of the step, so that replicas do not dial in lockstep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackOff {
    step: Duration,
}

impl BackOff {
    pub(crate) fn new() -> BackOff {
        BackOff { step: BACK_OFF_LEAST }
    }

    /// The next wait; `random` is any number.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        let half = self.step / 2;
        let jitter = half.mul_f64((random % 1024) as f64 / 1023.0);
        self.step = (self.step * 2).min(BACK_OFF_MOST);
        half + jitter
    }
}

/// One of two connections between the same replicas, as one end sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Origin {
    pub dialled_by: ReplicaId,
    /// The peer's, from its Hello.
    pub instance: u64,
    /// The peer's, from its Hello.
    pub losses: u64,
}

/// Whether `new` replaces `kept`.
///
/// Another run of the peer's process, or a loss that the peer has seen, means that the kept one is dead at its end. Otherwise both
/// have dialled at once; then the connection of the lower id stays, and both ends come to this result in whatever order the two
/// connections reach them. A replica dials only when it has none, so a second one of the same end replaces the first.
pub(crate) fn replaces(new: Origin, kept: Origin) -> bool {
    if new.instance != kept.instance {
        return true;
    }
    match new.losses.cmp(&kept.losses) {
        Ordering::Less => false,
        Ordering::Equal => new.dialled_by <= kept.dialled_by,
        Ordering::Greater => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(dialled_by: u8, instance: u64, losses: u64) -> Origin {
        Origin { dialled_by: ReplicaId(dialled_by), instance, losses }
    }

    #[test]
    fn of_two_live_connections_both_ends_keep_the_one_of_the_lower_id() {
        let (low, high) = (origin(0, 9, 1), origin(3, 9, 1));
        assert!(replaces(low, high));
        assert!(!replaces(high, low));
    }

    #[test]
    fn new_connection_of_the_same_end_or_of_a_restarted_peer_replaces_the_dead_one() {
        assert!(replaces(origin(3, 9, 0), origin(3, 9, 0)));
        assert!(replaces(origin(3, 10, 0), origin(0, 9, 4)));
    }

    #[test]
    fn connection_that_the_peer_has_lost_is_replaced_whoever_dialled() {
        assert!(replaces(origin(3, 9, 2), origin(0, 9, 1)));
        assert!(!replaces(origin(0, 9, 1), origin(3, 9, 2)));
    }

    #[test]
    fn back_off_doubles_to_its_bound_and_keeps_half_of_the_step() {
        let (mut least, mut most) = (BackOff::new(), BackOff::new());
        let expected = [50, 100, 200, 400, 800, 1600, 2000, 2000];
        for step in expected.map(Duration::from_millis) {
            assert_eq!(least.next(0), step / 2);
            assert_eq!(most.next(1023), step);
        }
    }
}
