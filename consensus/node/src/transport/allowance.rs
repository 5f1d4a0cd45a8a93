//! How much a peer may make us answer: slots, batches, states and certified answers cost us their encoding, and the peer nothing.
//!
//! What is not sent is asked for again, by an honest peer from somebody else.

use std::time::{Duration, Instant};

use pbft::{Message, STATE_CHUNK_BYTES_MAX};

/// Bytes of answers, before compression, that a peer may cause within `ANSWER_WINDOW`: 32 parts of a state.
pub const ANSWER_BYTES_PER_WINDOW_MAX: usize = 32 * STATE_CHUNK_BYTES_MAX;

/// See `ANSWER_BYTES_PER_WINDOW_MAX`.
pub const ANSWER_WINDOW: Duration = Duration::from_millis(100);

/// Whether a message is such an answer. A status is short, and says what else is missing. A view change that is handed on looks like one of our own,
/// which no allowance may hold back; `pbft` sends so few to a peer at its own pace.
pub(super) fn is_answer(message: &Message) -> bool {
    matches!(
        message,
        Message::Slot(_) | Message::Batch { .. } | Message::StableCheckpoint(_) | Message::Answer { .. }
    )
}

/// What one peer has had in the current window.
#[derive(Default)]
pub(super) struct Allowance {
    since: Option<Instant>,
    bytes: usize,
}

impl Allowance {
    /// Whether something is left; the last answer may go beyond it.
    pub(super) fn is_left(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= ANSWER_WINDOW) {
            self.since = Some(now);
            self.bytes = 0;
        }
        self.bytes < ANSWER_BYTES_PER_WINDOW_MAX
    }

    /// An answer of `bytes` bytes was encoded.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }
}
