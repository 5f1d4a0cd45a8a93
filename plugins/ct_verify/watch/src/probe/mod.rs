//! Probes: protected targets, looked at from every replica, so that the cluster can tell a local interception from a real change.
//!
//! Here is what this replica saw, and how that compares with what the cluster decided. Who decides, and how, is for others.

mod memory;
mod outcome;
mod prober;
mod slots;

pub use memory::SLOTS_KEPT;
pub use outcome::{Decided, Essence, Outcome, Seen};
pub use prober::{LOOKS_AT_ONCE_MAX, ProbeConfig, ProbeError, Prober, TARGETS_MAX};
pub use slots::Slots;
