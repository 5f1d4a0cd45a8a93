//! The clock of logs and authorities: set by hand, or the machine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use transparency::Moment;

/// Where logs and authorities read the time. Clones share it.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Milliseconds since 1970, or how far ahead of the machine.
    milliseconds: Arc<AtomicU64>,
    by_hand: bool,
}

impl Clock {
    /// A clock that stands still at a time like `2026-08-01T00:00:00Z` until it is set.
    ///
    /// # Panics
    /// When the text is no time.
    pub fn at(time: &str) -> Self {
        let moment: Moment = time.parse().expect("a time as in RFC 3339");
        Clock { milliseconds: Arc::new(AtomicU64::new(moment.milliseconds())), by_hand: true }
    }

    /// The machine's clock, for tests whose other side reads that one.
    pub fn of_the_machine() -> Self {
        Clock { milliseconds: Arc::new(AtomicU64::new(0)), by_hand: false }
    }

    /// What it shows.
    pub fn now(&self) -> Moment {
        let own = self.milliseconds.load(Ordering::Relaxed);
        let machine = if self.by_hand { 0 } else { Moment::from(SystemTime::now()).milliseconds() };
        Moment::from_milliseconds(own + machine)
    }

    /// Moves it forward; the machine's clock runs that much ahead from then on.
    pub fn advance(&self, seconds: u64) {
        self.milliseconds.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_by_hand_moves_only_when_told() {
        let clock = Clock::at("2026-08-01T00:00:00Z");
        let other = clock.clone();
        clock.advance(90);
        assert_eq!(other.now().to_string(), "2026-08-01T00:01:30Z");
    }

    #[test]
    fn the_clock_of_the_machine_can_run_ahead() {
        let clock = Clock::of_the_machine();
        let before = clock.now();
        clock.advance(1000);
        assert!(before.plus_seconds(1000) <= clock.now());
    }
}
