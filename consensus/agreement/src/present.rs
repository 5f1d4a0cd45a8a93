//! Records in presentation form, for people: what is shown is what was agreed on, byte for byte.

use std::fmt::Write as _;

use certificate::leaf::RrSet;
use certificate::name::Presentation;
use certificate::question::TypeName;
use hickory_proto::rr::{RData, RecordType};

use crate::record::to_hickory;

/// The types that hickory prints as a master file has them.
const PRINTED: [RecordType; 14] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CAA,
    RecordType::CNAME,
    RecordType::DNSKEY,
    RecordType::DS,
    RecordType::MX,
    RecordType::NAPTR,
    RecordType::NS,
    RecordType::PTR,
    RecordType::SOA,
    RecordType::SRV,
    RecordType::SSHFP,
    RecordType::TLSA,
];

/// A record of `rrset` as one line: owner, TTL in seconds, type, data. Data of types without a sure text form is printed as RFC 3597 §5 says.
pub fn record(rrset: &RrSet, rdata: &[u8]) -> String {
    let (owner, rtype) = (Presentation(&rrset.owner), TypeName(rrset.rtype));
    format!("{owner} {} {rtype} {}", rrset.ttl, data(rrset, rdata))
}

fn data(rrset: &RrSet, rdata: &[u8]) -> String {
    let rtype = RecordType::from(rrset.rtype);
    if rtype == RecordType::TXT
        && let Some(strings) = character_strings(rdata)
    {
        return strings;
    }
    let printed = PRINTED
        .contains(&rtype)
        .then(|| to_hickory(&rrset.owner, rrset.rtype, rrset.rclass, rrset.ttl, rdata))
        .flatten();
    match printed.map(|record| record.data) {
        Some(RData::Unknown { .. } | RData::Update0(_)) | None => unknown(rdata),
        Some(data) => data.to_string(),
    }
}

/// RFC 3597 §5.
fn unknown(rdata: &[u8]) -> String {
    let mut text = format!("\\# {}", rdata.len());
    if !rdata.is_empty() {
        text.push(' ');
    }
    for byte in rdata {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Character strings in quotes, with the escapes of RFC 1035 §5.1. `None` when the data is no sequence of them.
fn character_strings(mut rdata: &[u8]) -> Option<String> {
    let mut strings = Vec::new();
    while let Some((length, rest)) = rdata.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(*length))?;
        rdata = rest;
        let mut text = String::from("\"");
        for byte in string {
            match byte {
                b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
                b' '..=b'~' => text.push(char::from(*byte)),
                _ => {
                    let _ = write!(text, "\\{byte:03}");
                }
            }
        }
        strings.push(text + "\"");
    }
    Some(strings.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rtype: RecordType, rdata: &[u8]) -> String {
        let owner = certificate::name::parse("www.example.org").unwrap();
        let rrset = RrSet { owner, rtype: rtype.into(), rclass: 1, ttl: 60, rdatas: vec![rdata.to_vec()] };
        record(&rrset, rdata)
    }

    #[test]
    fn address_is_printed_as_in_a_master_file() {
        assert_eq!(shown(RecordType::A, &[192, 0, 2, 80]), "www.example.org. 60 A 192.0.2.80");
    }

    #[test]
    fn strings_of_a_txt_record_can_be_told_apart() {
        let rdata = b"\x03a b\x03c\"d\x02\\\x07";
        assert_eq!(shown(RecordType::TXT, rdata), r#"www.example.org. 60 TXT "a b" "c\"d" "\\\007""#);
    }

    #[test]
    fn types_without_a_sure_text_form_are_printed_byte_for_byte() {
        assert_eq!(
            shown(RecordType::from(65280), &[10, 0, 0, 1]),
            "www.example.org. 60 TYPE65280 \\# 4 0a000001"
        );
        assert_eq!(shown(RecordType::HTTPS, &[0, 1, 0]), "www.example.org. 60 HTTPS \\# 3 000100");
    }

    #[test]
    fn broken_data_is_printed_byte_for_byte() {
        assert_eq!(shown(RecordType::TXT, &[5, 1]), "www.example.org. 60 TXT \\# 2 0501");
        assert_eq!(shown(RecordType::A, &[1]), "www.example.org. 60 A \\# 1 01");
    }
}
