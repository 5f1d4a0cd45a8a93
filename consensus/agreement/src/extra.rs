//! Records served beside an agreed value and not part of it: the SOA of a negative answer, and for a client that asks for DNSSEC the RRSIGs, NSEC and NSEC3.
//!
//! They come from one replica alone, so nothing else may stand among them: no record that a client would take for an answer.

use std::collections::BTreeSet;

use certificate::Digest;
use certificate::codec::{DecodeError, Reader, Writer};
use certificate::leaf::{Question, RrSet};
use certificate::name::is_canonical;
use certificate::rrset::TTL_SECONDS_MAX;
use hickory_proto::op::Message;

use crate::name;
use crate::rdata::{self, rtype};
use crate::record::RawRecord;

/// The most bytes of such records.
pub const EXTRA_BYTES_MAX: usize = 2048;

/// The most such records.
pub const EXTRA_RECORDS_MAX: usize = 32;

/// A record served beside an answer. Its order is that of owner, type, class, data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtraRecord {
    /// Owner in wire form, lower case.
    pub owner: Vec<u8>,
    /// SOA, RRSIG, NSEC or NSEC3.
    pub rtype: u16,
    /// Class.
    pub rclass: u16,
    /// Canonical data.
    pub rdata: Vec<u8>,
    /// Seconds, as the one replica saw it.
    pub ttl: u32,
}

/// Writes records, sorted, without duplicates: owner, type, class, TTL, length of data, data, one after the other as on the wire.
pub fn encode(records: &BTreeSet<ExtraRecord>) -> Vec<u8> {
    let mut writer = Writer::new();
    for record in records {
        writer.raw(&record.owner);
        writer.u16(record.rtype);
        writer.u16(record.rclass);
        writer.u32(record.ttl);
        writer.bytes16(&record.rdata);
    }
    writer.finish()
}

/// Reads what [`encode`] wrote.
///
/// Errors: another type than the four, names or data that are not canonical, records out of order or twice, more than the bounds.
pub fn decode(bytes: &[u8]) -> Result<Vec<ExtraRecord>, DecodeError> {
    if bytes.len() > EXTRA_BYTES_MAX {
        return Err(Reader::invalid(0, "extra", "at most 2048 bytes", bytes.len() as u64));
    }
    let mut reader = Reader::new(bytes);
    let mut records: Vec<ExtraRecord> = Vec::new();
    while reader.remaining() > 0 {
        let offset = reader.offset();
        let invalid = |expected| Reader::invalid(offset, "extra record", expected, records.len() as u64);
        let length = name::length(&bytes[offset..]).ok_or_else(|| invalid("an uncompressed owner name"))?;
        let owner = reader.raw(length)?.to_vec();
        let (rtype, rclass, ttl) = (reader.u16()?, reader.u16()?, reader.u32()?);
        let record = ExtraRecord { owner, rtype, rclass, rdata: reader.bytes16()?.to_vec(), ttl };
        if !is_extra_type(rtype) || ttl > TTL_SECONDS_MAX {
            return Err(invalid("SOA, RRSIG, NSEC or NSEC3"));
        }
        if !is_canonical(&record.owner) || !rdata::is_canonical(rtype, &record.rdata) {
            return Err(invalid("canonical names and data"));
        }
        let in_order = records.last().is_none_or(|last| identity(last) < identity(&record));
        if !in_order || records.len() == EXTRA_RECORDS_MAX {
            return Err(invalid("at most 32 records in order, none twice"));
        }
        records.push(record);
    }
    Ok(records)
}

/// The digest that a leaf holds of such records: `Digest::ZERO` of none.
pub fn digest(extra: &[u8]) -> Digest {
    if extra.is_empty() { Digest::ZERO } else { Digest::of(extra) }
}

/// What makes two records one, whatever their TTLs.
fn identity(record: &ExtraRecord) -> (&[u8], u16, u16, &[u8]) {
    (&record.owner, record.rtype, record.rclass, &record.rdata)
}

fn is_extra_type(rtype: u16) -> bool {
    [rtype::SOA, rtype::RRSIG, rtype::NSEC, rtype::NSEC3].contains(&rtype)
}

/// Takes from `response` what is served beside `value`: all of it, or when that is over the bounds the SOA alone.
pub(crate) fn collect(
    question: &Question,
    value: &[RrSet],
    soa: Option<&RrSet>,
    response: &Message,
) -> Vec<u8> {
    let soa = soa_record(soa);
    if question.flags & Question::DNSSEC_OK == 0 {
        return within_bounds(&soa).unwrap_or_default();
    }
    let mut all = soa.clone();
    let complete = collect_dnssec(question, value, response, &mut all);
    let all = if complete.is_some() { within_bounds(&all) } else { None };
    all.or_else(|| within_bounds(&soa)).unwrap_or_default()
}

/// What is left of `extra` without its DNSSEC records.
pub(crate) fn soa_only(extra: &[u8]) -> Vec<u8> {
    let records = decode(extra).unwrap_or_default();
    encode(&records.into_iter().filter(|record| record.rtype == rtype::SOA).collect())
}

fn soa_record(soa: Option<&RrSet>) -> BTreeSet<ExtraRecord> {
    let first = soa.and_then(|soa| soa.rdatas.first().map(|rdata| (soa, rdata)));
    let record = first.map(|(soa, rdata)| ExtraRecord {
        owner: soa.owner.clone(),
        rtype: rtype::SOA,
        rclass: soa.rclass,
        rdata: rdata.clone(),
        ttl: soa.ttl,
    });
    record.into_iter().collect()
}

/// Adds the denials of the authority section, and every RRSIG of a record that is served. `None` when one of them has no canonical form.
fn collect_dnssec(
    question: &Question,
    value: &[RrSet],
    response: &Message,
    all: &mut BTreeSet<ExtraRecord>,
) -> Option<()> {
    let sections = || response.answers.iter().chain(&response.authorities).map(RawRecord::new);
    let served_class = |record: &RawRecord| record.rclass == question.qclass;
    for record in response.authorities.iter().map(RawRecord::new).filter(served_class) {
        if [rtype::NSEC, rtype::NSEC3].contains(&record.rtype) {
            insert(all, &record)?;
        }
    }
    let covered: BTreeSet<(Vec<u8>, u16)> = value
        .iter()
        .map(|rrset| (rrset.owner.clone(), rrset.rtype))
        .chain(all.iter().map(|record| (record.owner.clone(), record.rtype)))
        .collect();
    for record in sections().filter(served_class).filter(|record| record.rtype == rtype::RRSIG) {
        let Some(covers) = record.data.as_deref().and_then(rdata::rrsig_covered) else {
            continue;
        };
        let is_value = covered.contains(&(record.owner.clone(), rtype::RRSIG));
        if !is_value && covered.contains(&(record.owner.clone(), covers)) {
            insert(all, &record)?;
        }
    }
    Some(())
}

/// Inserts a record once, with the least TTL it was seen with.
fn insert(records: &mut BTreeSet<ExtraRecord>, raw: &RawRecord) -> Option<()> {
    let RawRecord { owner, rtype, rclass, ttl, .. } = raw.clone();
    let mut record = ExtraRecord { owner, rtype, rclass, rdata: raw.canonical().ok()?, ttl };
    let twin = records.iter().find(|other| identity(other) == identity(&record)).cloned();
    if let Some(twin) = twin {
        record.ttl = record.ttl.min(twin.ttl);
        records.remove(&twin);
    }
    records.insert(record);
    Some(())
}

fn within_bounds(records: &BTreeSet<ExtraRecord>) -> Option<Vec<u8>> {
    let bytes = encode(records);
    (records.len() <= EXTRA_RECORDS_MAX && bytes.len() <= EXTRA_BYTES_MAX).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(rtype: u16, last: u8) -> ExtraRecord {
        ExtraRecord { owner: b"\x03org\x00".to_vec(), rtype, rclass: 1, rdata: vec![0, last], ttl: 60 }
    }

    /// The bytes of records in this order, whatever they are.
    fn bytes(records: &[ExtraRecord]) -> Vec<u8> {
        records.iter().flat_map(|record| encode(&BTreeSet::from([record.clone()]))).collect()
    }

    #[test]
    fn denials_read_back() {
        let records = vec![record(rtype::NSEC, 1), record(rtype::NSEC, 2), record(rtype::NSEC3, 0)];
        assert_eq!(decode(&bytes(&records)), Ok(records));
        assert_eq!(digest(&[]), Digest::ZERO);
    }

    #[test]
    fn record_that_could_pass_for_an_answer_is_refused() {
        for rtype in [16, rtype::CNAME, rtype::DNAME, rtype::OPT, 65280] {
            assert!(decode(&bytes(&[record(rtype, 0)])).is_err(), "type {rtype}");
        }
        let long = ExtraRecord { ttl: TTL_SECONDS_MAX + 1, ..record(rtype::NSEC, 0) };
        assert!(decode(&bytes(&[long])).is_err());
    }

    #[test]
    fn records_out_of_order_or_twice_are_refused() {
        let (first, second) = (record(rtype::NSEC, 1), record(rtype::NSEC, 2));
        assert!(decode(&bytes(&[second, first.clone()])).is_err());
        let twin = ExtraRecord { ttl: 61, ..first.clone() };
        assert!(decode(&bytes(&[first, twin])).is_err());
    }

    #[test]
    fn records_above_the_bounds_are_neither_written_nor_read() {
        let many: Vec<ExtraRecord> =
            (0..=EXTRA_RECORDS_MAX as u8).map(|last| record(rtype::NSEC, last)).collect();
        assert!(decode(&bytes(&many[1..])).is_ok());
        assert!(decode(&bytes(&many)).is_err());
        assert!(within_bounds(&many[1..].iter().cloned().collect()).is_some());
        assert!(within_bounds(&many.into_iter().collect()).is_none());
        let large = ExtraRecord { rdata: vec![0; EXTRA_BYTES_MAX], ..record(rtype::NSEC, 0) };
        assert!(decode(&bytes(&[large])).is_err());
    }
}
