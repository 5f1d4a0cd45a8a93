//! The bytes of an observation's payload: one encoding for one value, everything bounded, everything canonical.
//!
//! Integers are big-endian, lengths in bytes before what they measure:
//!
//! ```text
//! payload  format (1: 1 without remark, 2 with one) | DNSSEC status (1) | upstream group (1) | outcome | extra (2 + ..) | history | remark in format 2
//! outcome  1 answer: RRsets | 2 negative: denial (1: NXDOMAIN 1, NODATA 2) zone (1 + ..) MINIMUM (4) TTL (4) chain: RRsets
//!          | 3 failure: rcode (1: 2 or 5) | 4 timed out | 5 too large
//! RRsets   count (2), each as in a leaf, data canonical
//! history  count (2), each: owner (1 + ..) type (2) class (2) count (2), each: data (2 + ..) TTL (4) last seen in ms (8)
//! remark   as in a leaf (FORMAT.md §6)
//! ```
//!
//! The format is the first byte for good, so that a payload of another release can be told from one that is broken. Without a remark the bytes are those
//! of releases that know of none.

use certificate::Remark;
use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::leaf::{Denial, RrSet};
use certificate::name::is_canonical;
use certificate::rrset::TTL_SECONDS_MAX;

use crate::canonical::{REFUSED, SERVFAIL};
use crate::observation::{
    Dnssec, HISTORY_RECORDS_MAX, Observed, ObservedOutcome, PAYLOAD_BYTES_MAX, RECORDS_MAX, RRSETS_MAX, Seen,
    SeenRecord,
};
use crate::{extra, rdata};

/// The format byte of a payload without a remark.
pub const FORMAT_PLAIN: u8 = 1;

/// The format byte of a payload that ends with a remark.
pub const FORMAT_REMARKED: u8 = 2;

/// Whether a payload that begins with `format` can be read here.
pub(crate) fn is_known_format(format: u8) -> bool {
    matches!(format, FORMAT_PLAIN | FORMAT_REMARKED)
}

fn denial_byte(denial: Denial) -> u8 {
    match denial {
        Denial::NxDomain => 1,
        Denial::NoData => 2,
    }
}

const ANSWER: u8 = 1;
const NEGATIVE: u8 = 2;
const FAILURE: u8 = 3;
const TIMED_OUT: u8 = 4;
const TOO_LARGE: u8 = 5;

impl Encode for ObservedOutcome {
    fn encode(&self, writer: &mut Writer) {
        match self {
            ObservedOutcome::Answer(rrsets) => {
                writer.u8(ANSWER);
                encode_rrsets(rrsets, writer);
            }
            ObservedOutcome::Negative { chain, denial, zone, minimum, ttl } => {
                writer.u8(NEGATIVE);
                writer.u8(denial_byte(*denial));
                writer.bytes8(zone);
                writer.u32(*minimum);
                writer.u32(*ttl);
                encode_rrsets(chain, writer);
            }
            ObservedOutcome::Failure(rcode) => {
                writer.u8(FAILURE);
                writer.u8(*rcode);
            }
            ObservedOutcome::TimedOut => writer.u8(TIMED_OUT),
            ObservedOutcome::TooLarge => writer.u8(TOO_LARGE),
        }
    }
}

fn encode_rrsets(rrsets: &[RrSet], writer: &mut Writer) {
    writer.u16(u16::try_from(rrsets.len()).expect("a DNS message has fewer records"));
    rrsets.iter().for_each(|rrset| rrset.encode(writer));
}

impl Decode for ObservedOutcome {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        match reader.u8()? {
            ANSWER => Ok(ObservedOutcome::Answer(decode_rrsets(reader)?)),
            NEGATIVE => {
                let offset = reader.offset();
                let byte = reader.u8()?;
                let denial = [Denial::NxDomain, Denial::NoData]
                    .into_iter()
                    .find(|denial| denial_byte(*denial) == byte)
                    .ok_or_else(|| {
                        Reader::invalid(offset, "denial", "NXDOMAIN or NODATA", u64::from(byte))
                    })?;
                let offset = reader.offset();
                let zone = reader.bytes8()?.to_vec();
                if !is_canonical(&zone) {
                    return Err(Reader::invalid(offset, "zone", "a canonical name", zone.len() as u64));
                }
                let (minimum, ttl) = (reader.u32()?, decode_ttl(reader)?);
                Ok(ObservedOutcome::Negative { denial, zone, minimum, ttl, chain: decode_rrsets(reader)? })
            }
            FAILURE => {
                let offset = reader.offset();
                match reader.u8()? {
                    rcode @ (SERVFAIL | REFUSED) => Ok(ObservedOutcome::Failure(rcode)),
                    other => Err(Reader::invalid(offset, "rcode", "2 or 5", u64::from(other))),
                }
            }
            TIMED_OUT => Ok(ObservedOutcome::TimedOut),
            TOO_LARGE => Ok(ObservedOutcome::TooLarge),
            other => Err(Reader::invalid(offset, "outcome", "1 to 5", u64::from(other))),
        }
    }
}

fn decode_rrsets(reader: &mut Reader<'_>) -> Result<Vec<RrSet>, DecodeError> {
    let count = decode_count(reader, "RRsets", 0, RRSETS_MAX)?;
    let mut records = 0;
    let mut rrsets = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = reader.offset();
        let rrset = RrSet::decode(reader)?;
        records += rrset.rdatas.len();
        if records > RECORDS_MAX || !rrset.rdatas.iter().all(|rdata| rdata::is_canonical(rrset.rtype, rdata))
        {
            return Err(Reader::invalid(
                offset,
                "RRset",
                "canonical data, at most 256 records",
                records as u64,
            ));
        }
        rrsets.push(rrset);
    }
    Ok(rrsets)
}

fn decode_count(
    reader: &mut Reader<'_>,
    field: &'static str,
    min: usize,
    max: usize,
) -> Result<usize, DecodeError> {
    let offset = reader.offset();
    let count = usize::from(reader.u16()?);
    if !(min..=max).contains(&count) {
        return Err(Reader::invalid(offset, field, "a count within its bound", count as u64));
    }
    Ok(count)
}

fn decode_owner(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let offset = reader.offset();
    let owner = reader.bytes8()?;
    if !is_canonical(owner) {
        return Err(Reader::invalid(offset, "owner", "a canonical name", owner.len() as u64));
    }
    Ok(owner.to_vec())
}

fn decode_ttl(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let offset = reader.offset();
    let ttl = reader.u32()?;
    if ttl > TTL_SECONDS_MAX {
        return Err(Reader::invalid(offset, "TTL", "at most 2147483647", u64::from(ttl)));
    }
    Ok(ttl)
}

/// Reads canonical data that sorts after `last`.
fn decode_rdata(reader: &mut Reader<'_>, rtype: u16, last: Option<&Vec<u8>>) -> Result<Vec<u8>, DecodeError> {
    let offset = reader.offset();
    let rdata = reader.bytes16()?;
    if !rdata::is_canonical(rtype, rdata) || last.is_some_and(|last| last.as_slice() >= rdata) {
        return Err(Reader::invalid(offset, "data", "canonical data in order", rdata.len() as u64));
    }
    Ok(rdata.to_vec())
}

impl Encode for Observed {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(if self.remark.is_some() { FORMAT_REMARKED } else { FORMAT_PLAIN });
        writer.u8(self.dnssec as u8);
        writer.u8(self.group);
        self.outcome.encode(writer);
        writer.bytes16(&self.extra);
        writer.u16(self.history.len() as u16);
        for set in &self.history {
            writer.bytes8(&set.owner);
            writer.u16(set.rtype);
            writer.u16(set.rclass);
            writer.u16(set.records.len() as u16);
            for record in &set.records {
                writer.bytes16(&record.rdata);
                writer.u32(record.ttl);
                writer.u64(record.last_seen_ms);
            }
        }
        if let Some(remark) = &self.remark {
            remark.encode(writer);
        }
    }
}

impl Decode for Observed {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.offset();
        let format = reader.u8()?;
        if !is_known_format(format) {
            return Err(Reader::invalid(start, "format", "1 or 2", u64::from(format)));
        }
        let offset = reader.offset();
        let dnssec = match reader.u8()? {
            0 => Dnssec::Indeterminate,
            1 => Dnssec::Insecure,
            2 => Dnssec::Secure,
            3 => Dnssec::Bogus,
            other => return Err(Reader::invalid(offset, "DNSSEC status", "0 to 3", u64::from(other))),
        };
        let group = reader.u8()?;
        let outcome = ObservedOutcome::decode(reader)?;
        let extra = reader.bytes16()?.to_vec();
        extra::decode(&extra)?;
        let history = decode_history(reader)?;
        let remark = if format == FORMAT_REMARKED { Some(Remark::decode(reader)?) } else { None };
        let length = reader.offset() - start;
        if length > PAYLOAD_BYTES_MAX {
            return Err(Reader::invalid(start, "payload", "at most 4096 bytes", length as u64));
        }
        Ok(Observed { outcome, dnssec, group, extra, remark, history })
    }
}

fn decode_history(reader: &mut Reader<'_>) -> Result<Vec<Seen>, DecodeError> {
    let count = decode_count(reader, "history", 0, HISTORY_RECORDS_MAX)?;
    let mut records_total = 0;
    let mut history: Vec<Seen> = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = reader.offset();
        let owner = decode_owner(reader)?;
        let (rtype, rclass) = (reader.u16()?, reader.u16()?);
        let record_count =
            decode_count(reader, "records of history", 1, HISTORY_RECORDS_MAX - records_total)?;
        records_total += record_count;
        let mut records: Vec<SeenRecord> = Vec::with_capacity(record_count);
        for _ in 0..record_count {
            let rdata = decode_rdata(reader, rtype, records.last().map(|record| &record.rdata))?;
            let (ttl, last_seen_ms) = (decode_ttl(reader)?, reader.u64()?);
            records.push(SeenRecord { rdata, ttl, last_seen_ms });
        }
        let set = Seen { owner, rtype, rclass, records };
        if history.last().is_some_and(|last| last.key() >= set.key()) {
            return Err(Reader::invalid(offset, "history", "RRsets in order", count as u64));
        }
        history.push(set);
    }
    Ok(history)
}
