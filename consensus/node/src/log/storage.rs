//! Where segments live, behind a trait so that tests can cut, damage and fail a log at any byte.

use std::io;

/// Numbered files of fixed size. The log is the only caller and calls from one thread.
pub trait Storage: Send {
    /// The numbers of the segments that exist, lowest first.
    fn segments(&mut self) -> io::Result<Vec<u64>>;

    /// All bytes of a segment.
    fn read(&mut self, segment: u64) -> io::Result<Vec<u8>>;

    /// Makes a segment of `bytes` bytes that starts with `head`. What follows `head` may be left over from a segment removed
    /// earlier. On return the segment and its name survive a crash.
    fn create(&mut self, segment: u64, bytes: u64, head: &[u8]) -> io::Result<()>;

    /// Overwrites a part of a segment; durable only after `sync`.
    fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes all writes to the segment durable.
    fn sync(&mut self, segment: u64) -> io::Result<()>;

    /// Removes a segment. On return its absence survives a crash.
    fn remove(&mut self, segment: u64) -> io::Result<()>;

    /// What an operator calls the segment: its path.
    fn name(&self, segment: u64) -> String;
}
