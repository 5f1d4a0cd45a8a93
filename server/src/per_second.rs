//! So many a second: for what strangers can cause and this program writes down.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts what happens in a second.
pub struct PerSecond {
    most: u32,
    /// When the current second began, and how many were asked for in it.
    second: Mutex<Option<(Instant, u32)>>,
}

impl PerSecond {
    /// Lets `most` pass in a second.
    pub fn new(most: u32) -> PerSecond {
        PerSecond { most, second: Mutex::default() }
    }

    /// Whether one more at `now` is not too many.
    pub fn may(&self, now: Instant) -> bool {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, asked) = match *second {
            Some((began, asked)) if now.saturating_duration_since(began) < SECOND => (began, asked),
            _ => (now, 0),
        };
        *second = Some((began, asked.saturating_add(1)));
        asked < self.most
    }

    /// How many were asked for in the current second.
    #[cfg(test)]
    pub fn count(&self) -> u32 {
        self.second.lock().unwrap_or_else(PoisonError::into_inner).map_or(0, |(_, asked)| asked)
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flood_lets_so_many_a_second_pass() {
        let (limit, now) = (PerSecond::new(10), Instant::now());
        let after = |wait| (0..1000).filter(|_| limit.may(now + wait)).count();
        assert_eq!(after(Duration::ZERO), 10);
        assert_eq!(after(Duration::from_millis(999)), 0);
        assert_eq!(after(SECOND), 10);
    }
}
