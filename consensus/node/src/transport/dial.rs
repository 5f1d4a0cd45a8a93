//! When a peer is dialled, and which of two connections stays.

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

/// One of two connections between the same replicas, as both ends see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Origin {
    pub dialled_by: ReplicaId,
    /// The peer's, from its Hello.
    pub instance: u64,
}

/// Whether `new` replaces `kept`. Both ends come to the same result, in whatever order the two connections reach them.
///
/// A connection of the lower id stays. A replica dials only when it has no connection, so a second one from the same end means that
/// the first is dead; and so does another run of the peer's process.
pub(crate) fn replaces(new: Origin, kept: Origin) -> bool {
    new.instance != kept.instance || new.dialled_by <= kept.dialled_by
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(dialled_by: u8, instance: u64) -> Origin {
        Origin { dialled_by: ReplicaId(dialled_by), instance }
    }

    #[test]
    fn of_two_live_connections_both_ends_keep_the_one_of_the_lower_id() {
        let (low, high) = (origin(0, 9), origin(3, 9));
        assert!(replaces(low, high));
        assert!(!replaces(high, low));
    }

    #[test]
    fn new_connection_of_the_same_end_or_of_a_restarted_peer_replaces_the_dead_one() {
        assert!(replaces(origin(3, 9), origin(3, 9)));
        assert!(replaces(origin(3, 10), origin(0, 9)));
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
