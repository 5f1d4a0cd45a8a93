//! The write-ahead log: what a replica has promised, on disk before anyone hears of it.
//!
//! `record.rs` says how bytes stand in a segment, `storage.rs` where segments live, `wal.rs` when they are written, synced
//! and dropped, `recover.rs` what a restart makes of them. Only `owner.rs`, which looks at a log from outside, knows what a record means.

mod folder;
#[cfg(test)]
pub(crate) mod memory;
mod owner;
mod record;
mod recover;
mod storage;
#[cfg(test)]
mod tests;
mod wal;

pub use folder::{FolderError, SegmentFolder, StateFolder};
pub use owner::{Owner, owner};
pub use record::RECORD_BYTES_MAX;
pub use storage::Storage;
pub use wal::{LogError, Recovered, SEGMENT_BYTES, Wal};
