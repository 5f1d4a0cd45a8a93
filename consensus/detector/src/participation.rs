//! In how many of the last slots a replica took part, of those that it could have.
//!
//! A slot counts for a replica only if its channel was up all the while and most others were heard in it: not to be connected is absence, and a slot
//! that this replica did not follow itself says nothing of anybody.

/// The last so many slots count.
pub const SLOTS_MAX: u32 = 128;

/// The outcomes of the last slots that count, newest in the lowest bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Participation {
    bits: u128,
    counted: u32,
}

impl Participation {
    pub(crate) fn add(&mut self, took_part: bool) {
        self.bits = self.bits << 1 | u128::from(took_part);
        self.counted = (self.counted + 1).min(SLOTS_MAX);
    }

    pub(crate) fn counted(self) -> u32 {
        self.counted
    }

    /// 0 to 1; 1 while nothing counts.
    pub(crate) fn rate(self) -> f64 {
        if self.counted == 0 {
            return 1.0;
        }
        f64::from(self.bits.count_ones()) / f64::from(self.counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_slots_count() {
        let mut participation = Participation::default();
        (0..500).for_each(|_| participation.add(false));
        assert_eq!((participation.rate(), participation.counted()), (0.0, SLOTS_MAX));
        (0..SLOTS_MAX).for_each(|_| participation.add(true));
        assert_eq!(participation.rate(), 1.0);
    }

    #[test]
    fn replica_of_which_nothing_is_known_missed_nothing() {
        assert_eq!(Participation::default().rate(), 1.0);
    }
}
