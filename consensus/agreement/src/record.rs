//! One resource record between two worlds: hickory's `Record`, and the canonical wire form that replicas compare and sign.

use certificate::rrset::TTL_SECONDS_MAX;
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, BinEncodable, BinEncoder, NameEncoding, Restrict};

use crate::name;
use crate::rdata::{self, RdataError};

/// A record whose data has not been judged yet: uncompressed where hickory knows the type, as it came otherwise.
#[derive(Clone, Debug)]
pub(crate) struct RawRecord {
    pub(crate) owner: Vec<u8>,
    pub(crate) rtype: u16,
    pub(crate) rclass: u16,
    pub(crate) ttl: u32,
    /// `None` when hickory could read the data but cannot write it again.
    pub(crate) data: Option<Vec<u8>>,
}

impl RawRecord {
    pub(crate) fn new(record: &Record) -> RawRecord {
        RawRecord {
            owner: name::to_wire(&record.name),
            rtype: record.record_type().into(),
            rclass: record.dns_class.into(),
            ttl: clamp_ttl(record.ttl),
            data: uncompressed(&record.data),
        }
    }

    /// The canonical data, or why there is none.
    pub(crate) fn canonical(&self) -> Result<Vec<u8>, RdataError> {
        let data = self.data.as_deref().ok_or(RdataError::Name { rtype: self.rtype, offset: 0 })?;
        rdata::canonical(self.rtype, data)
    }
}

/// A TTL with its highest bit set is treated as 0. RFC 2181 §8.
pub(crate) fn clamp_ttl(ttl: u32) -> u32 {
    if ttl > TTL_SECONDS_MAX { 0 } else { ttl }
}

/// The data as hickory writes it, without compression and with the case it came in.
fn uncompressed(data: &RData) -> Option<Vec<u8>> {
    if matches!(data, RData::Update0(_)) {
        return Some(Vec::new());
    }
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    data.emit(&mut encoder).ok()?;
    Some(bytes)
}

/// The hickory record with this canonical data, or `None` when `owner` is not a name.
///
/// Data that hickory cannot read, or would write differently, travels as an unknown type, so that the bytes on the wire are those that were agreed on.
pub fn to_hickory(owner: &[u8], rtype: u16, rclass: u16, ttl: u32, rdata: &[u8]) -> Option<Record> {
    let mut record = Record::from_rdata(name::from_wire(owner)?, ttl, to_rdata(rtype, rdata));
    record.dns_class = DNSClass::from(rclass);
    Some(record)
}

fn to_rdata(rtype: u16, rdata: &[u8]) -> RData {
    let record_type = RecordType::from(rtype);
    let Ok(length @ 1..) = u16::try_from(rdata.len()) else {
        return RData::Update0(record_type);
    };
    let known = RData::read(&mut BinDecoder::new(rdata), record_type, Restrict::new(length))
        .ok()
        .filter(|known| uncompressed(known).as_deref() == Some(rdata));
    known.unwrap_or_else(|| RData::Unknown { code: record_type, rdata: NULL::with(rdata.to_vec()) })
}

#[cfg(test)]
mod tests {
    use hickory_proto::serialize::binary::BinDecodable;

    use super::*;

    /// A record as a message holds it, with everything before it that its pointers point to.
    fn read(message: &[u8], start: usize) -> RawRecord {
        let mut decoder = BinDecoder::new(message).clone(start as u16);
        RawRecord::new(&Record::read(&mut decoder).unwrap())
    }

    #[test]
    fn compressed_mixed_case_names_become_plain_lower_case() {
        let mut message = b"\x07Example\x03ORG\x00".to_vec();
        message.extend(b"\xc0\x00\x00\x0f\x00\x01\x00\x00\x0e\x10\x00\x09\x00\x0a\x04MAIL\xc0\x00");
        let record = read(&message, 13);
        assert_eq!(record.owner, b"\x07example\x03org\x00");
        assert_eq!(record.canonical().unwrap(), b"\x00\x0a\x04mail\x07example\x03org\x00");
    }

    #[test]
    fn pointer_in_a_type_that_hickory_does_not_read_is_refused() {
        let mut message = b"\x07example\x03org\x00".to_vec();
        message.extend(b"\xc0\x00\x00\x11\x00\x01\x00\x00\x0e\x10\x00\x04\xc0\x00\xc0\x00");
        assert_eq!(read(&message, 13).canonical(), Err(RdataError::Name { rtype: 17, offset: 0 }));
    }

    #[test]
    fn unknown_type_keeps_its_bytes_both_ways() {
        let message = b"\x00\xff\x00\x00\x01\x00\x00\x00\x3c\x00\x05\x01\x02\xc0\x00Z";
        let record = read(message, 0);
        assert_eq!(record.canonical().unwrap(), b"\x01\x02\xc0\x00Z");
        let back = to_hickory(b"\x00", 65280, 1, 60, b"\x01\x02\xc0\x00Z").unwrap();
        assert_eq!(back.to_bytes().unwrap(), message);
    }

    #[test]
    fn every_agreed_byte_string_goes_out_as_it_is() {
        let cases: [(u16, &[u8]); 9] = [
            (62, b"\x00\x00\x00\x01\x00\x03\x00\x03\x40\x00\x00"),
            (1, &[192, 0, 2, 1]),
            (16, b"\x05hello\x00"),
            (16, b"\x09cut"),
            (65, b"\x00\x01\x00\x00\x01\x00\x03\x02h3"),
            (65, b"\x00\x01\x00\x00\x03\x00\x02\x01\xbb\x00\x01\x00\x03\x02h3"),
            (257, b"\x80\x05issueca.example.org"),
            (6, b"\x00\x00ABCDEFGHIJKLMNOPQRST"),
            (10, b""),
        ];
        for (rtype, rdata) in cases {
            let record = to_hickory(b"\x00", rtype, 1, 60, rdata).unwrap();
            assert_eq!(RawRecord::new(&record).data.as_deref(), Some(rdata), "type {rtype}");
            assert_eq!(u16::from(record.record_type()), rtype);
        }
    }

    #[test]
    fn ttl_with_the_highest_bit_is_zero() {
        assert_eq!(clamp_ttl(1 << 31), 0);
        assert_eq!(clamp_ttl(TTL_SECONDS_MAX), TTL_SECONDS_MAX);
    }
}
