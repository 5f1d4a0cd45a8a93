//! CT logs, watched: their heads, whether each grows out of the one before, and whether they keep their promises.
//!
//! Every log has a task of its own, which asks for one thing at a time: a log that is down, slow or lying holds up no other.

pub(crate) mod asked;
pub mod audit;
pub mod condition;
mod consistency;
pub mod head;
pub mod history;
mod scan;
pub mod watched;
pub mod watcher;

pub use audit::{Auditor, Promised};
pub use condition::Condition;
pub use head::{HeadError, SignedHead};
pub use watched::WatchedLog;
pub use watcher::LogWatcher;
