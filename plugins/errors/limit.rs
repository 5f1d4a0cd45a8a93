//! How many lines a second: when everything fails, the first failures say why, and a count says how many more there were.

use std::time::{Duration, Instant};

/// Lines in the current second.
#[derive(Debug, Default)]
pub struct Limit {
    second: Option<Instant>,
    lines: u32,
    left_out: u64,
}

/// What to do about an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Log it; before it so many were left out.
    Log {
        /// Errors left out since the last line.
        left_out: u64,
    },
    /// Leave it out.
    LeaveOut,
}

impl Limit {
    /// Decides about an error at `now`.
    pub fn judge(&mut self, now: Instant) -> Verdict {
        if self.second.is_none_or(|second| now.saturating_duration_since(second) >= SECOND) {
            self.second = Some(now);
            self.lines = 0;
        }
        if self.lines == LINES_PER_SECOND_MAX {
            self.left_out += 1;
            return Verdict::LeaveOut;
        }
        self.lines += 1;
        Verdict::Log { left_out: std::mem::take(&mut self.left_out) }
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// Lines in a second.
pub const LINES_PER_SECOND_MAX: u32 = 20;
