//! How much a peer may make us do within a while: slots, batches, states, certified answers and content cost us their sending, news their reading,
//! and the peer nothing.
//!
//! What is not sent is asked for again, by an honest peer from somebody else.

use std::time::{Duration, Instant};

use pbft::{Message, STATE_CHUNK_BYTES_MAX};

/// Bytes of answers, before compression, that a peer may cause within `ANSWER_WINDOW`: 32 parts of a state. Content by digest has half of it, so that
/// who fetches content can also catch up.
pub const ANSWER_BYTES_PER_WINDOW_MAX: usize = 32 * STATE_CHUNK_BYTES_MAX;

/// See `ANSWER_BYTES_PER_WINDOW_MAX`.
pub const ANSWER_WINDOW: Duration = Duration::from_millis(100);

/// Streams on which a peer may fetch from us at once. More than an honest one needs: a stream that it gave up lives for another round trip.
pub const FETCH_STREAMS_MAX: u8 = 8;

/// Times that a peer may ask for content within `FETCH_WINDOW`.
pub const FETCHES_PER_WINDOW_MAX: usize = 32;

/// See `FETCHES_PER_WINDOW_MAX`.
pub const FETCH_WINDOW: Duration = Duration::from_secs(1);

/// Pieces of news that a node tells within `NEWS_WINDOW`; what is more is lost.
pub const NEWS_TOLD_PER_WINDOW_MAX: usize = 32;

/// Pieces of news that a peer is heard with in `NEWS_WINDOW`. Twice what an honest one tells: two windows of its own may fall into one of ours.
pub const NEWS_HEARD_PER_WINDOW_MAX: usize = 2 * NEWS_TOLD_PER_WINDOW_MAX;

/// See `NEWS_TOLD_PER_WINDOW_MAX`.
pub const NEWS_WINDOW: Duration = Duration::from_secs(1);

/// Whether a message is such an answer. A status is short, and says what else is missing. A view change that is handed on looks like one of our own,
/// which no allowance may hold back; `pbft` sends so few to a peer at its own pace.
pub(super) fn is_answer(message: &Message) -> bool {
    matches!(
        message,
        Message::Slot(_) | Message::Batch { .. } | Message::StableCheckpoint(_) | Message::Answer { .. }
    )
}

/// So much of something in each window of time, and what the current window has had.
pub(super) struct Allowance {
    most: usize,
    window: Duration,
    since: Option<Instant>,
    spent: usize,
}

impl Allowance {
    pub(super) const fn new(most: usize, window: Duration) -> Allowance {
        Allowance { most, window, since: None, spent: 0 }
    }

    /// Bytes of answers to one peer.
    pub(super) const fn of_answers() -> Allowance {
        Allowance::new(ANSWER_BYTES_PER_WINDOW_MAX, ANSWER_WINDOW)
    }

    /// Whether something is left; the last one may go beyond it.
    pub(super) fn is_left(&mut self, now: Instant) -> bool {
        self.spent_by(now) < self.most
    }

    /// Whether more than half is left.
    pub(super) fn is_half_left(&mut self, now: Instant) -> bool {
        self.spent_by(now) < self.most / 2
    }

    /// So much was had.
    pub(super) fn spend(&mut self, much: usize) {
        self.spent = self.spent.saturating_add(much);
    }

    /// Takes one, if one is left.
    pub(super) fn take_one(&mut self, now: Instant) -> bool {
        let left = self.is_left(now);
        self.spend(usize::from(left));
        left
    }

    fn spent_by(&mut self, now: Instant) -> usize {
        if self.since.is_none_or(|since| now.duration_since(since) >= self.window) {
            self.since = Some(now);
            self.spent = 0;
        }
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_gives_what_it_has_and_the_next_one_as_much_again() {
        let (mut three, now) = (Allowance::new(3, Duration::from_secs(1)), Instant::now());
        let taken = |three: &mut Allowance, at| (0..10).filter(|_| three.take_one(at)).count();
        assert_eq!(taken(&mut three, now), 3);
        assert_eq!(taken(&mut three, now + Duration::from_millis(999)), 0);
        assert_eq!(taken(&mut three, now + Duration::from_secs(1)), 3);
    }

    #[test]
    fn half_is_left_until_half_is_spent() {
        let (mut bytes, now) = (Allowance::of_answers(), Instant::now());
        assert!(bytes.is_half_left(now));
        bytes.spend(ANSWER_BYTES_PER_WINDOW_MAX / 2);
        assert!(!bytes.is_half_left(now) && bytes.is_left(now));
        assert!(bytes.is_half_left(now + ANSWER_WINDOW));
    }
}
