//! What a restart makes of a segment: its records in order, and whether its end is an unfinished write or damage.

use super::record::{HEADER_BYTES, SegmentHeader, StoredRecord};
use super::wal::LogError;

/// Checks a segment's header and that it continues the segment before, given as its next record, its path and its end.
pub(super) fn check_header(
    bytes: &[u8],
    file: &str,
    number: u64,
    before: Option<(u64, String, usize)>,
) -> Result<SegmentHeader, LogError> {
    let header = SegmentHeader::decode(bytes).ok_or_else(|| damaged(file, 0, "a segment's header"))?;
    if header.segment != number {
        return Err(damaged(file, 8, format!("segment {number}, which is missing")));
    }
    if header.bytes != bytes.len() as u64 {
        let expected = format!("{} bytes in all, found {}: the rest", header.bytes, bytes.len());
        return Err(damaged(file, bytes.len(), expected));
    }
    match before {
        None if !header.head => Err(damaged(file, 32, "the segment that a log starts with")),
        Some((next, before, end)) if next < header.first_record => {
            Err(damaged(before, end, format!("record {next}")))
        }
        Some((next, _, _)) if next > header.first_record => Err(damaged(file, 16, format!("record {next}"))),
        _ => Ok(header),
    }
}

/// Reads records in order; returns the number of the next one and where it would stand.
pub(super) fn read_records(bytes: &[u8], first: u64, records: &mut Vec<Vec<u8>>) -> (u64, usize) {
    let mut next = first;
    let mut offset = HEADER_BYTES;
    while let Some(record) = StoredRecord::at(bytes, offset, next).filter(|record| record.number == next) {
        records.push(record.payload.to_vec());
        offset += record.stored_bytes();
        next += 1;
    }
    (next, offset)
}

/// What follows the last readable record of the last segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tail {
    /// Zeros.
    Clear,
    /// Records of an older use of the file.
    Leftover,
    /// A write that no sync completed.
    Torn,
}

/// Judges what follows the readable records. Refuses it when a later record shows that record `next` had been synced; a record
/// of the same group as `next` shows nothing, because a crash may lose any part of a group.
pub(super) fn judge_tail(bytes: &[u8], file: &str, offset: usize, next: u64) -> Result<Tail, LogError> {
    let tail = &bytes[offset..];
    let Some(last_used) = tail.iter().rposition(|byte| *byte != 0) else { return Ok(Tail::Clear) };
    let begun = tail.get(8..16).is_some_and(|number| number == next.to_be_bytes());
    let mut judgement = if begun { Tail::Torn } else { Tail::Leftover };
    let mut at = offset;
    while at <= offset + last_used {
        match StoredRecord::at(bytes, at, next) {
            Some(record) if record.group > next => {
                return Err(damaged(file, offset, format!("record {next}")));
            }
            Some(record) => {
                judgement = Tail::Torn;
                at += record.stored_bytes();
            }
            None => at += 1,
        }
    }
    Ok(judgement)
}

pub(super) fn damaged(file: impl Into<String>, offset: usize, expected: impl Into<String>) -> LogError {
    LogError::Damaged { file: file.into(), offset: offset as u64, expected: expected.into() }
}
