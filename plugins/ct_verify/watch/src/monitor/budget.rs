//! How much a monitor takes: entries a second, bytes an hour. What is not used is saved up, for a while.

use transparency::Moment;

/// How much a monitor may take, and how far it may fall behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Entries of all logs together, a second.
    pub entries_per_second: u64,
    /// Bytes of all logs together, an hour.
    pub bytes_per_hour: u64,
    /// Entries of one log that are caught up with; who is further behind skips to the head, with an alarm.
    pub entries_behind_max: u64,
}

impl Default for Rates {
    /// Enough for the logs of 2026, whose entries have some 1 600 bytes each.
    fn default() -> Self {
        Rates { entries_per_second: 500, bytes_per_hour: 4 << 30, entries_behind_max: 2_000_000 }
    }
}

/// What may be taken now.
#[derive(Debug)]
pub(super) struct Budget {
    entries: Bucket,
    bytes: Bucket,
}

impl Budget {
    pub fn new(rates: &Rates, now: Moment) -> Self {
        let entries = Bucket::new(rates.entries_per_second.saturating_mul(1000), 1_000_000, SAVED_MS, now);
        let bytes = Bucket::new(rates.bytes_per_hour, 3_600_000, SAVED_MS, now);
        Budget { entries, bytes }
    }

    /// Whether anything may be taken now.
    pub fn has_room(&mut self, now: Moment) -> bool {
        self.entries.has_room(now) && self.bytes.has_room(now)
    }

    /// Takes so much; what is too much is missing later.
    pub fn take(&mut self, entries: u64, bytes: u64) {
        self.entries.take(entries);
        self.bytes.take(bytes);
    }
}

/// Something that is filled steadily, up to a limit.
#[derive(Debug)]
struct Bucket {
    /// So much is filled in ...
    amount: u128,
    /// ... so many milliseconds.
    milliseconds: u128,
    /// In amounts times `milliseconds`, so that nothing is lost by rounding.
    level: i128,
    full: i128,
    filled: Moment,
}

impl Bucket {
    fn new(amount: u64, milliseconds: u64, saved_ms: u64, now: Moment) -> Self {
        let full = (u128::from(amount) * u128::from(saved_ms)) as i128;
        let (amount, milliseconds) = (u128::from(amount), u128::from(milliseconds));
        Bucket { amount, milliseconds, level: full, full, filled: now }
    }

    fn has_room(&mut self, now: Moment) -> bool {
        let passed = now.milliseconds().saturating_sub(self.filled.milliseconds());
        self.filled = self.filled.max(now);
        let more = self.amount.saturating_mul(u128::from(passed)) as i128;
        self.level = self.level.saturating_add(more).min(self.full);
        self.level > 0
    }

    fn take(&mut self, amount: u64) {
        let weight = u128::from(amount).saturating_mul(self.milliseconds) as i128;
        self.level = self.level.saturating_sub(weight);
    }
}

/// What is not used in five minutes is lost.
const SAVED_MS: u64 = 300_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_missing_until_it_is_filled_again() {
        let rates = Rates { entries_per_second: 10, bytes_per_hour: u64::MAX >> 20, entries_behind_max: 1 };
        let start = Moment::from_seconds(1000);
        let mut budget = Budget::new(&rates, start);
        assert!(budget.has_room(start));
        budget.take(3_050, 0);
        assert!(!budget.has_room(start));
        assert!(!budget.has_room(start.plus_seconds(5)));
        assert!(budget.has_room(start.plus_seconds(6)));
    }

    #[test]
    fn bytes_are_counted_by_the_hour() {
        let rates = Rates { entries_per_second: 1_000, bytes_per_hour: 3_600, entries_behind_max: 1 };
        let start = Moment::from_seconds(1000);
        let mut budget = Budget::new(&rates, start);
        budget.take(0, 400);
        assert!(!budget.has_room(start.plus_seconds(99)));
        assert!(budget.has_room(start.plus_seconds(101)));
    }

    #[test]
    fn a_long_silence_is_not_saved_up() {
        let rates = Rates { entries_per_second: 10, bytes_per_hour: u64::MAX >> 20, entries_behind_max: 1 };
        let start = Moment::from_seconds(1000);
        let mut budget = Budget::new(&rates, start);
        let later = start.plus_seconds(86_400);
        assert!(budget.has_room(later));
        budget.take(3_000, 0);
        assert!(!budget.has_room(later));
    }
}
