//! The names and numbers of record types, algorithms and kinds of certificates.

use hickory_proto::rr::RecordType;

/// Types that hickory-proto has no name for.
const FURTHER_TYPES: [(&str, u16); 25] = [
    ("MD", 3),
    ("MF", 4),
    ("MB", 7),
    ("MG", 8),
    ("MR", 9),
    ("MINFO", 14),
    ("RP", 17),
    ("AFSDB", 18),
    ("X25", 19),
    ("ISDN", 20),
    ("RT", 21),
    ("NSAP-PTR", 23),
    ("PX", 26),
    ("LOC", 29),
    ("KX", 36),
    ("APL", 42),
    ("IPSECKEY", 45),
    ("DHCID", 49),
    ("HIP", 55),
    ("ZONEMD", 63),
    ("SPF", 99),
    ("EUI48", 108),
    ("EUI64", 109),
    ("URI", 256),
    ("DLV", 32769),
];

/// The type that `text` names, in any case; `TYPE731` is type 731. RFC 3597 §5. Types of queries only are none.
pub fn rtype_named(text: &str) -> Option<u16> {
    let name = text.to_ascii_uppercase();
    let number = match name.strip_prefix("TYPE") {
        Some(digits) => digits.parse().ok(),
        None => match name.parse::<RecordType>() {
            Ok(RecordType::ANAME) => None,
            Ok(known) => Some(known.into()),
            Err(_) => FURTHER_TYPES.iter().find(|(further, _)| *further == name).map(|(_, number)| *number),
        },
    };
    // 41 is OPT, 249 to 255 are TKEY, TSIG and types of queries: RFC 6895 §3.1.
    number.filter(|number| !matches!(number, 0 | 41 | 249..=255))
}

/// The bitmap of `types`: RFC 4034 §4.1.2.
pub fn type_bitmap(mut types: Vec<u16>) -> Vec<u8> {
    types.sort_unstable();
    let mut wire = Vec::new();
    for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bits = [0_u8; 32];
        for rtype in window {
            bits[usize::from(rtype & 0xff) / 8] |= 0x80 >> (rtype & 7);
        }
        let length = usize::from(window[window.len() - 1] & 0xff) / 8 + 1;
        wire.extend([(window[0] >> 8) as u8, length as u8]);
        wire.extend_from_slice(&bits[..length]);
    }
    wire
}

/// The DNSSEC algorithm that `text` names, by mnemonic or number. RFC 4034 appendix A.1 and IANA's registry.
pub fn algorithm(text: &str) -> Option<u8> {
    Some(match text.to_ascii_uppercase().as_str() {
        "RSAMD5" => 1,
        "DH" => 2,
        "DSA" => 3,
        "RSASHA1" => 5,
        "DSA-NSEC3-SHA1" => 6,
        "RSASHA1-NSEC3-SHA1" => 7,
        "RSASHA256" => 8,
        "RSASHA512" => 10,
        "ECC-GOST" => 12,
        "ECDSAP256SHA256" => 13,
        "ECDSAP384SHA384" => 14,
        "ED25519" => 15,
        "ED448" => 16,
        "PRIVATEDNS" => 253,
        "PRIVATEOID" => 254,
        number => return number.parse().ok(),
    })
}

/// The type of certificate that `text` names, by mnemonic or number. RFC 4398 §2.1.
pub fn certificate_type(text: &str) -> Option<u16> {
    Some(match text.to_ascii_uppercase().as_str() {
        "PKIX" => 1,
        "SPKI" => 2,
        "PGP" => 3,
        "IPKIX" => 4,
        "ISPKI" => 5,
        "IPGP" => 6,
        "ACPKIX" => 7,
        "IACPKIX" => 8,
        "URI" => 253,
        "OID" => 254,
        number => return number.parse().ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_names_and_numbers() {
        assert_eq!(rtype_named("a"), Some(1));
        assert_eq!(rtype_named("URI"), Some(256));
        assert_eq!(rtype_named("type65280"), Some(65280));
        assert_eq!(rtype_named("ANY"), None);
        assert_eq!(rtype_named("TYPE255"), None);
        assert_eq!(rtype_named("BOGUS"), None);
    }

    #[test]
    fn bitmap_is_that_of_the_rfcs_example() {
        let expected = b"\x00\x06\x40\x01\x00\x00\x00\x03\x04\x1b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20";
        assert_eq!(type_bitmap(vec![1234, 1, 15, 46, 47]), expected);
    }
}
