//! Slots: the spans of time in which every replica takes one look at each target.

use std::time::Duration;

use transparency::Moment;
use transparency::digest::Sha256;

/// Counts time in slots of equal length, the same at every replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    seconds: u64,
}

impl Slots {
    /// Slots of this length in seconds; at least one.
    pub fn new(seconds: u64) -> Self {
        Slots { seconds: seconds.max(1) }
    }

    /// How long a slot is, in seconds.
    pub fn seconds(self) -> u64 {
        self.seconds
    }

    /// How long a look may take, with the question for TLSA records beside it: as long as the second fifth of a slot lasts, and at most [`LOOK_MAX`].
    pub fn look_max(self) -> Duration {
        Duration::from_millis(self.seconds.saturating_mul(1000) / 5).min(LOOK_MAX)
    }

    /// The slot that this moment is in.
    pub fn slot(self, now: Moment) -> u64 {
        now.seconds() / self.seconds
    }

    /// When a slot begins.
    pub fn begin(self, slot: u64) -> Moment {
        Moment::from_milliseconds(slot.saturating_mul(self.seconds).saturating_mul(1000))
    }

    /// The newest slot in which all replicas have had time to look: two fifths of it are over.
    ///
    /// Looks begin in the first fifth; the second is for those that take long.
    pub fn settled(self, now: Moment) -> Option<u64> {
        let wait = self.seconds * 2 / 5;
        now.seconds().checked_sub(wait).map(|seconds| seconds / self.seconds)
    }

    /// When this replica looks at a target in a slot: at a time of its own in the first fifth, so that neither targets nor
    /// replicas come all at once. `seed` is the replica's.
    pub fn due(self, slot: u64, target: &str, seed: u64) -> Moment {
        let spread = self.seconds * 1000 / 5;
        let Sha256(digest) =
            Sha256::of_pieces(&[&seed.to_be_bytes(), &slot.to_be_bytes(), target.as_bytes()]);
        let (number, _) = digest.split_first_chunk::<8>().expect("a digest has 32 bytes");
        let offset = u64::from_be_bytes(*number) % spread.max(1);
        Moment::from_milliseconds(self.begin(slot).milliseconds().saturating_add(offset))
    }
}

/// How long a look may take in slots that are long enough.
pub const LOOK_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_due_in_the_first_fifth_and_not_all_at_once() {
        let slots = Slots::new(600);
        let due: Vec<u64> = (0..100)
            .map(|seed| slots.due(7, "www.example.org:443", seed).milliseconds() - 4_200_000)
            .collect();
        assert!(due.iter().all(|offset| *offset < 120_000));
        assert!(due.iter().max().unwrap() - due.iter().min().unwrap() > 60_000);
    }

    #[test]
    fn a_slot_is_settled_when_two_fifths_are_over() {
        let slots = Slots::new(600);
        assert_eq!(slots.settled(Moment::from_seconds(600 * 9 + 239)), Some(8));
        assert_eq!(slots.settled(Moment::from_seconds(600 * 9 + 240)), Some(9));
        assert_eq!(slots.settled(Moment::from_seconds(10)), None);
    }

    #[test]
    fn a_look_may_take_a_fifth_of_a_slot_and_at_most_ten_seconds() {
        for (seconds, expected) in [(10, 2), (50, 10), (86_400, 10)] {
            assert_eq!(Slots::new(seconds).look_max(), Duration::from_secs(expected), "{seconds}");
        }
    }
}
