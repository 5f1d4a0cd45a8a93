//! The canonical form of RDATA: names inside the types that RFC 4034 §6.2 lists are lower-cased and uncompressed; everything else is opaque.

use thiserror::Error;

use crate::name;

/// Numbers of record types that this crate knows by name.
pub mod rtype {
    /// RFC 1035 §3.2.2.
    pub const A: u16 = 1;
    /// RFC 1035 §3.2.2.
    pub const CNAME: u16 = 5;
    /// RFC 1035 §3.2.2.
    pub const SOA: u16 = 6;
    /// RFC 2535 §4.1, the signature of old.
    pub const SIG: u16 = 24;
    /// RFC 3596 §2.1.
    pub const AAAA: u16 = 28;
    /// RFC 6672 §2.1.
    pub const DNAME: u16 = 39;
    /// RFC 6891 §6.1.
    pub const OPT: u16 = 41;
    /// RFC 4034 §3.
    pub const RRSIG: u16 = 46;
    /// RFC 4034 §4.
    pub const NSEC: u16 = 47;
    /// RFC 5155 §3.
    pub const NSEC3: u16 = 50;
    /// RFC 1035 §3.2.3: every type.
    pub const ANY: u16 = 255;

    /// Whether records of this type can stand in an answer: not 0, OPT or a QTYPE or meta type (RFC 6895 §3.1).
    pub fn is_data(rtype: u16) -> bool {
        rtype != 0 && rtype != OPT && !(128..=255).contains(&rtype)
    }
}

/// Why RDATA has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RdataError {
    /// A name inside it is cut short, too long, or compressed: what a pointer means is lost with the message around it.
    #[error("record of type {rtype}: expected an uncompressed name at offset {offset} of its data")]
    Name {
        /// The record type.
        rtype: u16,
        /// Where the name should start.
        offset: usize,
    },
    /// It ends inside a field, or bytes follow the last one.
    #[error("record of type {rtype}: expected {expected} bytes of data, found {found}")]
    Length {
        /// The record type.
        rtype: u16,
        /// How many bytes its fields take.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

/// One field of RDATA, as far as the canonical form cares.
#[derive(Clone, Copy)]
enum Field {
    /// So many bytes.
    Bytes(usize),
    /// A name, to be lower-cased.
    Name,
    /// A byte of length and so many bytes.
    Text,
    /// Whatever follows.
    Rest,
}

/// The fields of the types in RFC 4034 §6.2 and RFC 3597 §7, without NSEC (RFC 6840 §5.1), and of addresses, whose length is known.
fn layout(rtype: u16) -> &'static [Field] {
    use Field::{Bytes, Name, Rest, Text};
    match rtype {
        rtype::A => &[Bytes(4)],
        rtype::AAAA => &[Bytes(16)],
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME
        2..=5 | 7..=9 | 12 | rtype::DNAME => &[Name],
        rtype::SOA => &[Name, Name, Bytes(20)],
        // MINFO, RP
        14 | 17 => &[Name, Name],
        // MX, AFSDB, RT, KX
        15 | 18 | 21 | 36 => &[Bytes(2), Name],
        rtype::SIG | rtype::RRSIG => &[Bytes(18), Name, Rest],
        // PX
        26 => &[Bytes(2), Name, Name],
        // NXT
        30 => &[Name, Rest],
        // SRV
        33 => &[Bytes(6), Name],
        // NAPTR
        35 => &[Bytes(4), Text, Text, Text, Name],
        _ => &[Rest],
    }
}

/// Returns the canonical form of `rdata`, which must be uncompressed.
///
/// Errors: a name or a length that the type does not allow; such a record has no canonical form, since one more reader could see another record in it.
///
/// Source: RFC 4034 §6.2, RFC 6840 §5.1, RFC 3597 §5 for unknown types. Deviates: A6 (RFC 6563, historic) is opaque.
pub fn canonical(rtype: u16, rdata: &[u8]) -> Result<Vec<u8>, RdataError> {
    let mut canonical = rdata.to_vec();
    let mut offset = 0;
    for field in layout(rtype) {
        let rest = &mut canonical[offset..];
        let length = match field {
            Field::Bytes(count) => *count,
            Field::Name => {
                let length = name::length(rest).ok_or(RdataError::Name { rtype, offset })?;
                lower(&mut rest[..length]);
                length
            }
            Field::Text => 1 + usize::from(rest.first().copied().unwrap_or(0)),
            Field::Rest => rest.len(),
        };
        offset += length;
        if offset > rdata.len() {
            return Err(RdataError::Length { rtype, expected: offset, found: rdata.len() });
        }
    }
    if offset != rdata.len() {
        return Err(RdataError::Length { rtype, expected: offset, found: rdata.len() });
    }
    Ok(canonical)
}

/// Whether `rdata` is its own canonical form.
pub fn is_canonical(rtype: u16, rdata: &[u8]) -> bool {
    canonical(rtype, rdata).is_ok_and(|canonical| canonical == rdata)
}

/// Lower-cases the labels of a valid name. Bytes of length are at most 63 and so never letters.
fn lower(name: &mut [u8]) {
    name.make_ascii_lowercase();
}

/// The MINIMUM field of a SOA's canonical RDATA.
pub(crate) fn soa_minimum(rdata: &[u8]) -> Option<u32> {
    rdata.last_chunk::<4>().map(|minimum| u32::from_be_bytes(*minimum))
}

/// The type that an RRSIG covers. RFC 4034 §3.1.1.
pub(crate) fn rrsig_covered(rdata: &[u8]) -> Option<u16> {
    rdata.first_chunk::<2>().map(|covered| u16::from_be_bytes(*covered))
}

/// When an RRSIG begins to be valid, in seconds since 1970. RFC 4034 §3.1.5.
pub(crate) fn rrsig_inception(rdata: &[u8]) -> Option<u32> {
    rdata.get(12..16)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_listed_types_are_lower_case() {
        assert_eq!(
            canonical(15, b"\x00\x0A\x04MAIL\x07Example\x03ORG\x00").unwrap(),
            b"\x00\x0A\x04mail\x07example\x03org\x00"
        );
        assert_eq!(canonical(33, b"\x00A\x00B\x00C\x03SIP\x00").unwrap(), b"\x00A\x00B\x00C\x03sip\x00");
        let soa = b"\x02NS\x00\x05HOSTS\x00ABCDEFGHIJKLMNOPQRST";
        assert_eq!(canonical(6, soa).unwrap(), b"\x02ns\x00\x05hosts\x00ABCDEFGHIJKLMNOPQRST");
        let naptr = b"\x00\x01\x00\x02\x01U\x03SIP\x02!X\x03SIP\x00";
        assert_eq!(canonical(35, naptr).unwrap(), b"\x00\x01\x00\x02\x01U\x03SIP\x02!X\x03sip\x00");
        let rrsig = [b"ABCDEFGHIJKLMNOPQR".as_slice(), b"\x03ORG\x00SIGNATURE"].concat();
        assert_eq!(
            canonical(46, &rrsig).unwrap(),
            [b"ABCDEFGHIJKLMNOPQR".as_slice(), b"\x03org\x00SIGNATURE"].concat()
        );
    }

    #[test]
    fn other_types_are_opaque() {
        for (rtype, rdata) in [
            (16, b"\x05HELLO".as_slice()),
            (65280, b"\x03ORG\x00"),
            (65, b"\x00\x01\x03ORG\x00"),
            (47, b"\x03ORG\x00\x00\x01\x40"),
        ] {
            assert_eq!(canonical(rtype, rdata).unwrap(), rdata, "type {rtype}");
        }
    }

    #[test]
    fn compressed_or_cut_data_has_no_canonical_form() {
        assert_eq!(canonical(17, b"\xc0\x0c\x00"), Err(RdataError::Name { rtype: 17, offset: 0 }));
        assert_eq!(canonical(15, b"\x00"), Err(RdataError::Length { rtype: 15, expected: 2, found: 1 }));
        assert_eq!(canonical(15, b"\x00\x0a"), Err(RdataError::Name { rtype: 15, offset: 2 }));
        assert_eq!(
            canonical(1, b"\x01\x02\x03"),
            Err(RdataError::Length { rtype: 1, expected: 4, found: 3 })
        );
        assert_eq!(canonical(28, &[0; 17]), Err(RdataError::Length { rtype: 28, expected: 16, found: 17 }));
        assert_eq!(
            canonical(5, b"\x01a\x00\x00"),
            Err(RdataError::Length { rtype: 5, expected: 3, found: 4 })
        );
        assert!(canonical(35, b"\x00\x01\x00\x02\x09U").is_err());
    }

    #[test]
    fn canonical_form_is_a_fixed_point() {
        let once = canonical(15, b"\x00\x0A\x04MAIL\x00").unwrap();
        assert!(is_canonical(15, &once));
        assert!(!is_canonical(15, b"\x00\x0A\x04MAIL\x00"));
    }
}
