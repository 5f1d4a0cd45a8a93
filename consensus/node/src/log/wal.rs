//! The log itself: append, one sync for many records, recovery, and dropping what a stable checkpoint made needless.
//!
//! An error of the disk is final: the log refuses everything after it, because nobody knows what a disk holds whose sync has
//! failed. What a restart finds is either every record that was ever synced, or a refusal that names the place.

use std::io;

use thiserror::Error;
use tracing::info;

use super::record::{HEADER_BYTES, PREFIX_BYTES, RECORD_BYTES_MAX, SegmentHeader, StoredRecord};
use super::recover::{Tail, check_header, damaged, judge_tail, read_records};
use super::storage::Storage;

/// Size of a segment unless told otherwise. A longer record gets a segment of a multiple of it.
pub const SEGMENT_BYTES: u64 = 16 << 20;

/// Records that wait for a write, in bytes, before they are written without being asked.
const PENDING_BYTES_MAX: usize = 1 << 20;

/// Why the log cannot be used. After any of these the replica must not vote.
#[derive(Debug, Error)]
pub enum LogError {
    /// There is no log at all.
    #[error("no log in `{folder}`")]
    Missing {
        /// The state folder.
        folder: String,
    },
    /// A log is there already where a first one was to be written.
    #[error("`{file}` exists: the first log is written only once, into an empty state folder")]
    Exists {
        /// The segment that is there.
        file: String,
    },
    /// A record that had been synced is not readable any more.
    #[error(
        "`{file}`: expected {expected} at byte {offset}, found damage: this replica may have voted for what is lost, \
         so it does not vote; move the state folder away and it learns from the others, and votes again later"
    )]
    Damaged {
        /// The segment.
        file: String,
        /// The byte where the damage starts.
        offset: u64,
        /// What should be there.
        expected: String,
    },
    /// The disk refused.
    #[error("{action} `{file}`: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The segment, or the folder.
        file: String,
        /// The answer of the operating system.
        #[source]
        source: io::Error,
    },
    /// An earlier error was final.
    #[error("the log takes no more records since its disk failed")]
    Failed,
    /// A record is empty, or longer than any that a replica writes.
    #[error("expected a record of 1 to {RECORD_BYTES_MAX} bytes, got {bytes}")]
    RecordLength {
        /// Its length.
        bytes: usize,
    },
}

/// What was on disk.
pub struct Recovered {
    /// The log, ready to be appended to.
    pub wal: Wal,
    /// The payloads of all records, oldest first.
    pub records: Vec<Vec<u8>>,
    /// Where an unfinished write was found and discarded, if there was one: the segment's path and the byte.
    pub discarded: Option<(String, u64)>,
}

/// A log that one thread appends to.
pub struct Wal {
    storage: Box<dyn Storage>,
    segment_bytes: u64,
    segments: Vec<u64>,
    /// Size of the segment that is written to.
    current_bytes: u64,
    /// Where the next write goes in it.
    offset: u64,
    next_record: u64,
    /// The first record that is not known to be on disk.
    group: u64,
    pending: Vec<u8>,
    unsynced: bool,
    /// Segments below this one go at the next sync.
    discard_below: Option<u64>,
    failed: bool,
}

impl Wal {
    /// Writes the first log: one record, synced.
    ///
    /// Errors: `Exists` when the storage holds a segment already, `Io` when the disk refuses.
    pub fn create(storage: Box<dyn Storage>, segment_bytes: u64, first: &[u8]) -> Result<Wal, LogError> {
        let mut wal = Wal {
            storage,
            segment_bytes,
            segments: Vec::new(),
            current_bytes: 0,
            offset: 0,
            next_record: 1,
            group: 1,
            pending: Vec::new(),
            unsynced: false,
            discard_below: None,
            failed: false,
        };
        let found = wal.storage.segments().map_err(|source| wal.io_error("listing", source))?;
        if let Some(&segment) = found.first() {
            return Err(LogError::Exists { file: wal.storage.name(segment) });
        }
        check_length(first)?;
        // The record is in the segment before the segment has its name: a crash leaves a whole first log or none.
        let header = wal.header(1, first, true);
        let mut head = header.encode().to_vec();
        StoredRecord { number: 1, group: 1, payload: first }.encode_onto(&mut head);
        wal.storage.create(1, header.bytes, &head).map_err(|source| LogError::Io {
            action: "creating",
            file: wal.storage.name(1),
            source,
        })?;
        wal.segments.push(1);
        wal.current_bytes = header.bytes;
        wal.offset = head.len() as u64;
        wal.next_record = 2;
        wal.group = 2;
        Ok(wal)
    }

    /// Reads the log back. An unfinished write at its end is discarded: nothing that depended on it has left the process.
    ///
    /// Errors: `Missing`; `Damaged` when a record is not readable although it had been synced; `Io`.
    pub fn open(
        mut storage: Box<dyn Storage>,
        segment_bytes: u64,
        folder: &str,
    ) -> Result<Recovered, LogError> {
        let segments = storage.segments().map_err(|source| LogError::Io {
            action: "listing",
            file: folder.to_owned(),
            source,
        })?;
        let Some(&last) = segments.last() else {
            return Err(LogError::Missing { folder: folder.to_owned() });
        };
        let mut records = Vec::new();
        let mut expected = None;
        let mut end = None;
        for (index, &segment) in segments.iter().enumerate() {
            let file = storage.name(segment);
            let bytes = storage.read(segment).map_err(|source| LogError::Io {
                action: "reading",
                file: file.clone(),
                source,
            })?;
            let header = check_header(&bytes, &file, segments[0] + index as u64, expected)?;
            let (next, offset) = read_records(&bytes, header.first_record, &mut records);
            if segment == last {
                let tail = judge_tail(&bytes, &file, offset, next)?;
                end = Some((header.bytes, next, offset, tail));
            }
            expected = Some((next, file, offset));
        }
        if records.is_empty() {
            return Err(damaged(storage.name(segments[0]), HEADER_BYTES, "the first record of the log"));
        }
        let (current_bytes, next_record, offset, tail) = end.expect("the last segment was read");
        let mut wal = Wal {
            storage,
            segment_bytes,
            segments,
            current_bytes,
            offset: offset as u64,
            next_record,
            group: next_record,
            pending: Vec::new(),
            unsynced: false,
            discard_below: None,
            failed: false,
        };
        if tail != Tail::Clear {
            wal.clear_tail()?;
        }
        let discarded = (tail == Tail::Torn).then(|| (wal.storage.name(last), wal.offset));
        if let Some((file, offset)) = &discarded {
            info!(%file, offset, "discarded an unfinished write at the end of the log");
        }
        Ok(Recovered { wal, records, discarded })
    }

    /// Queues a record. It is on disk only after `commit(true)`.
    ///
    /// Errors: `RecordLength`; `Io` when the segment had to be written or a new one begun, and that failed; `Failed`.
    pub fn append(&mut self, record: &[u8]) -> Result<(), LogError> {
        self.check_usable()?;
        check_length(record)?;
        let stored = (PREFIX_BYTES + record.len()) as u64;
        if self.offset + self.pending.len() as u64 + stored > self.current_bytes {
            self.begin_segment(record, false)?;
        }
        self.push(record);
        if self.pending.len() > PENDING_BYTES_MAX {
            self.write_pending()?;
        }
        Ok(())
    }

    /// Queues a record that makes all records before it needless: it heads a new segment, and the segments before that go once
    /// it is synced.
    ///
    /// Errors: as `append`.
    pub fn append_head(&mut self, record: &[u8]) -> Result<(), LogError> {
        self.check_usable()?;
        check_length(record)?;
        self.begin_segment(record, true)?;
        self.discard_below = self.segments.last().copied();
        self.push(record);
        Ok(())
    }

    /// Writes what is queued; with `sync` all records so far are on disk on return.
    ///
    /// Errors: `Io`, and from then on `Failed`: a write or sync that failed is never tried again.
    pub fn commit(&mut self, sync: bool) -> Result<(), LogError> {
        self.check_usable()?;
        self.write_pending()?;
        if sync {
            self.sync()?;
            self.discard_needless()?;
        }
        Ok(())
    }

    /// Whether older records were made needless, but wait for a sync to go.
    pub fn wants_sync(&self) -> bool {
        self.discard_below.is_some()
    }

    /// How many bytes the segment that is written to holds.
    pub fn used_bytes(&self) -> u64 {
        self.offset + self.pending.len() as u64
    }

    /// How many bytes all segments take.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The size of a segment.
    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    fn push(&mut self, payload: &[u8]) {
        StoredRecord { number: self.next_record, group: self.group, payload }.encode_onto(&mut self.pending);
        self.next_record += 1;
    }

    fn begin_segment(&mut self, first: &[u8], head: bool) -> Result<(), LogError> {
        self.write_pending()?;
        // The next segment's existence says that this one is complete.
        self.sync()?;
        let segment = self.segments.last().map_or(1, |last| last + 1);
        let header = self.header(segment, first, head);
        if let Err(source) = self.storage.create(segment, header.bytes, &header.encode()) {
            self.failed = true;
            return Err(LogError::Io { action: "creating", file: self.storage.name(segment), source });
        }
        self.segments.push(segment);
        self.current_bytes = header.bytes;
        self.offset = HEADER_BYTES as u64;
        Ok(())
    }

    fn header(&self, segment: u64, first: &[u8], head: bool) -> SegmentHeader {
        let needed = (HEADER_BYTES + PREFIX_BYTES + first.len()) as u64;
        // Few different sizes: a file that is not needed any more can take the place of the next.
        let bytes = needed.next_multiple_of(self.segment_bytes.max(1));
        SegmentHeader { segment, first_record: self.next_record, bytes, head }
    }

    fn write_pending(&mut self) -> Result<(), LogError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let segment = self.current();
        let written = self.storage.write(segment, self.offset, &self.pending);
        self.fail_on("writing", written)?;
        self.offset += self.pending.len() as u64;
        self.pending.clear();
        self.unsynced = true;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), LogError> {
        if !self.unsynced {
            return Ok(());
        }
        let segment = self.current();
        let synced = self.storage.sync(segment);
        self.fail_on("syncing", synced)?;
        self.unsynced = false;
        self.group = self.next_record;
        Ok(())
    }

    fn discard_needless(&mut self) -> Result<(), LogError> {
        let Some(keep) = self.discard_below.take() else { return Ok(()) };
        while self.segments[0] < keep {
            let removed = self.storage.remove(self.segments[0]);
            self.fail_on("removing", removed)?;
            self.segments.remove(0);
        }
        Ok(())
    }

    /// Overwrites all that follows the last record with zeros, so that no later record can be mistaken for it.
    fn clear_tail(&mut self) -> Result<(), LogError> {
        let segment = self.current();
        let zeros = vec![0; PENDING_BYTES_MAX];
        let mut at = self.offset;
        while at < self.current_bytes {
            let length = (self.current_bytes - at).min(zeros.len() as u64);
            let written = self.storage.write(segment, at, &zeros[..length as usize]);
            self.fail_on("writing", written)?;
            at += length;
        }
        let synced = self.storage.sync(segment);
        self.fail_on("syncing", synced)
    }

    fn current(&self) -> u64 {
        *self.segments.last().expect("a log has at least one segment")
    }

    fn check_usable(&self) -> Result<(), LogError> {
        if self.failed { Err(LogError::Failed) } else { Ok(()) }
    }

    fn fail_on(&mut self, action: &'static str, result: io::Result<()>) -> Result<(), LogError> {
        result.map_err(|source| {
            self.failed = true;
            self.io_error(action, source)
        })
    }

    fn io_error(&self, action: &'static str, source: io::Error) -> LogError {
        let segment = self.segments.last().copied().unwrap_or(1);
        LogError::Io { action, file: self.storage.name(segment), source }
    }
}

fn check_length(record: &[u8]) -> Result<(), LogError> {
    match record.len() {
        1..=RECORD_BYTES_MAX => Ok(()),
        bytes => Err(LogError::RecordLength { bytes }),
    }
}
