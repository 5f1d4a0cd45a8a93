//! A count that forgets: exponential decay by half-life, in constant space.

/// A count of which half is left after each half-life.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Decaying {
    pub(crate) value: f64,
    pub(crate) at_ms: u64,
}

impl Decaying {
    /// Adds to what is left.
    pub(crate) fn add(&mut self, amount: f64, now_ms: u64, half_life_ms: u64) {
        self.value = self.now(now_ms, half_life_ms) + amount;
        self.at_ms = now_ms.max(self.at_ms);
    }

    /// What is left.
    pub(crate) fn now(&self, now_ms: u64, half_life_ms: u64) -> f64 {
        self.value * remains(now_ms.saturating_sub(self.at_ms), half_life_ms)
    }
}

/// The part that is left after so long, 0 to 1.
pub(crate) fn remains(elapsed_ms: u64, half_life_ms: u64) -> f64 {
    if elapsed_ms == 0 {
        return 1.0;
    }
    (-(elapsed_ms as f64) / half_life_ms.max(1) as f64).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_left_after_each_half_life() {
        let mut count = Decaying::default();
        count.add(8.0, 1000, 500);
        assert_eq!(count.now(1500, 500), 4.0);
        count.add(1.0, 2000, 500);
        assert_eq!(count.now(2000, 500), 3.0);
    }

    #[test]
    fn clock_that_steps_back_changes_nothing() {
        let mut count = Decaying::default();
        count.add(8.0, 1000, 500);
        assert_eq!(count.now(10, 500), 8.0);
        count.add(1.0, 10, 500);
        assert_eq!(count, Decaying { value: 9.0, at_ms: 1000 });
    }
}
