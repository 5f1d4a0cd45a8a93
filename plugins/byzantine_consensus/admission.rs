//! How many questions may be open at once: as many as are decided in time.
//!
//! The cluster decides the oldest request first. With more of them than it can decide, and no end to what is taken, every decision
//! would come after its client has gone. So the limit grows while decisions come in time and is halved when questions are overdue:
//! additive increase, multiplicative decrease, with a slow start (Jacobson 1988, `Congestion Avoidance and Control`).

use std::time::Duration;

use thiserror::Error;

/// A question that is open for so long is overdue: longer than a lookup and its decision take, shorter than a client waits.
pub const OVERDUE: Duration = Duration::from_secs(1);

/// Questions that may be overdue: some names are slow everywhere.
pub const OVERDUE_MAX: usize = 32;

/// Questions that may be open in any case.
pub const LIMIT_LEAST: f64 = 64.0;

/// Questions that may be open before anything is known.
pub const LIMIT_FIRST: f64 = 256.0;

/// Questions that may ever be open at once. The peers take no more of one replica than a third above this: what was decided here just now
/// may be open there yet, and who asks for more than its quota looks like a flood.
pub const LIMIT_MOST: f64 = (pbft::OPEN_REQUESTS_PER_ORIGIN_MAX / 4 * 3) as f64;

/// After so long without a refusal the limit grows fast again, from the first one.
pub const CALM: Duration = Duration::from_secs(10);

/// Why a question is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("overloaded: {open} questions wait for a decision, {limit} are decided in time")]
pub struct Overloaded {
    /// Open questions of this replica.
    pub open: usize,
    /// The limit.
    pub limit: usize,
}

/// The limit. Times are since any origin.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Admission {
    limit: f64,
    /// When it was last halved. What was taken before that is not held against it again.
    halved: Option<Duration>,
    /// When a question was last refused.
    refused: Duration,
}

impl Default for Admission {
    fn default() -> Admission {
        Admission { limit: LIMIT_FIRST, halved: None, refused: Duration::ZERO }
    }
}

impl Admission {
    /// Questions that were asked before this are not held against the limit.
    pub fn since(&self) -> Duration {
        self.halved.unwrap_or_default()
    }

    /// Whether another question may be opened when `open` are, `overdue` of which were asked after `since` and are overdue.
    ///
    /// Errors: the limit is reached.
    pub fn admit(&mut self, open: usize, overdue: usize, now: Duration) -> Result<(), Overloaded> {
        if overdue > OVERDUE_MAX {
            self.limit = (self.limit.min(open as f64) / 2.0).max(LIMIT_LEAST);
            self.halved = Some(now);
        } else if self.halved.is_some() && now.saturating_sub(self.refused) >= CALM {
            self.limit = self.limit.max(LIMIT_FIRST);
            self.halved = None;
        }
        let limit = self.limit as usize;
        if open < limit {
            return Ok(());
        }
        self.refused = now;
        Err(Overloaded { open, limit })
    }

    /// A question was decided `after` it was asked; `open` more are. A limit that is not used says nothing about what would be decided in
    /// time, and stays (RFC 7661 §4.3).
    pub fn decided(&mut self, after: Duration, open: usize) {
        if after < OVERDUE && open as f64 >= self.limit / 2.0 {
            let step = if self.halved.is_some() { 1.0 / self.limit } else { 1.0 };
            self.limit = (self.limit + step).min(LIMIT_MOST);
        }
    }
}
