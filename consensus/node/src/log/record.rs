//! How bytes stand in a segment.
//!
//! A segment is a header and then records, one after the other. All integers are big-endian.
//!
//! ```text
//! header: "QRTLOG" version:u16 | segment:u64 | first record:u64 | bytes:u64 | head:u8 | crc32c:u32 of the fields before it
//! record: length:u32 | crc32c:u32 of all other fields | number:u64 | group:u64 | payload
//! ```
//!
//! Record numbers grow by one and never start again, so what an older use of the file left behind is told apart by its number.
//! `group` is the number of the first record written since the last sync. A crash may lose any part of the last group, in any
//! order, but a record of a later group proves that all before its group had reached the disk.

/// The longest payload of a record: the state of a stable checkpoint is the largest.
pub const RECORD_BYTES_MAX: usize = 32 << 20;

/// Length of a segment's header.
pub(crate) const HEADER_BYTES: usize = 8 + 8 + 8 + 8 + 1 + 4;

/// Length of what stands before a record's payload.
pub(crate) const PREFIX_BYTES: usize = 4 + 4 + 8 + 8;

const MAGIC: [u8; 8] = *b"QRTLOG\0\x01";

/// The first bytes of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    /// The segment's own number.
    pub segment: u64,
    /// Number of the first record that it holds.
    pub first_record: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Whether a log may start with this segment: its first record is the genesis or a stable checkpoint.
    pub head: bool,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.segment.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.first_record.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.bytes.to_be_bytes());
        bytes[32] = u8::from(self.head);
        let checksum = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// Reads the header, or `None` when it is damaged or of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<SegmentHeader> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let checksum = u32::from_be_bytes(bytes[HEADER_BYTES - 4..].try_into().ok()?);
        if bytes[..8] != MAGIC || checksum != crc32c::crc32c(&bytes[..HEADER_BYTES - 4]) || bytes[32] > 1 {
            return None;
        }
        Some(SegmentHeader {
            segment: u64_at(bytes, 8),
            first_record: u64_at(bytes, 16),
            bytes: u64_at(bytes, 24),
            head: bytes[32] == 1,
        })
    }
}

/// A record as it stands in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoredRecord<'a> {
    pub number: u64,
    pub group: u64,
    pub payload: &'a [u8],
}

impl<'a> StoredRecord<'a> {
    pub(crate) fn encode_onto(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        let length = u32::try_from(self.payload.len()).expect("the log bounds a record at 32 MiB");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.group.to_be_bytes());
        bytes.extend_from_slice(self.payload);
        let checksum = checksum(&bytes[start..]);
        bytes[start + 4..start + 8].copy_from_slice(&checksum.to_be_bytes());
    }

    /// Reads the whole and undamaged record that starts at `offset` and whose number is at least `number_min`.
    pub(crate) fn at(segment: &'a [u8], offset: usize, number_min: u64) -> Option<StoredRecord<'a>> {
        let prefix = segment.get(offset..)?.get(..PREFIX_BYTES)?;
        let length = u32::from_be_bytes(prefix[..4].try_into().ok()?) as usize;
        let number = u64_at(prefix, 8);
        let group = u64_at(prefix, 16);
        if length == 0 || length > RECORD_BYTES_MAX || number < number_min || group > number {
            return None;
        }
        let record = segment[offset..].get(..PREFIX_BYTES + length)?;
        if record[4..8] != checksum(record).to_be_bytes() {
            return None;
        }
        Some(StoredRecord { number, group, payload: &record[PREFIX_BYTES..] })
    }

    /// How many bytes of a segment the record takes.
    pub(crate) fn stored_bytes(&self) -> usize {
        PREFIX_BYTES + self.payload.len()
    }
}

fn checksum(record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&record[..4]), &record[8..])
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(bytes[offset..offset + 8].try_into().expect("the slice has eight bytes"))
}
