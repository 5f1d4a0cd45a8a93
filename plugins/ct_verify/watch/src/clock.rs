//! Where the time comes from: tests and replays bring their own.

use std::time::SystemTime;

use transparency::Moment;

/// A clock on the wall.
pub trait Clock: Send + Sync {
    /// What it shows.
    fn now(&self) -> Moment;
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        SystemTime::now().into()
    }
}

/// A clock that stands at one time.
impl Clock for Moment {
    fn now(&self) -> Moment {
        *self
    }
}
