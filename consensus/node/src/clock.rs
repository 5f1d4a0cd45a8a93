//! The two clocks of a step: wall time, which may step back, and monotonic time, which runs the timers.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pbft::Now;

/// Milliseconds since 1970-01-01T00:00:00Z; 0 on a clock that stands before.
pub(crate) fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A monotonic clock with its origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { origin: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall_ms: wall_ms(), monotonic_ms: self.origin.elapsed().as_millis() as u64 }
    }

    /// When the monotonic clock reads `monotonic_ms`.
    pub(crate) fn instant(&self, monotonic_ms: u64) -> Instant {
        // A deadline beyond a day is looked at again after a day.
        let wait = Duration::from_millis(monotonic_ms.min(self.now().monotonic_ms + DAY_MS));
        self.origin + wait
    }
}

const DAY_MS: u64 = 86_400_000;
