//! RDATA from presentation form to wire form, by a table of fields per type.
//!
//! hickory-proto's own text parser lacks DNAME, all signed types, RFC 3597 types, and misreads `\DDD` and quotes in parentheses. So
//! text becomes wire form here, and hickory reads the wire form, which it does well.
//! A type that the table lacks is written `TYPE731 \# 3 ab01cd`, and so may be any other. RFC 3597 §5.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hickory_proto::rr::RData;
use hickory_proto::serialize::binary::{BinDecoder, Restrict};
use hickory_proto::serialize::txt::parse_ttl;

use super::lexer::{Word, unescape};
use super::name::parse_name;
use super::svcb::service_parameters;
use super::types::{algorithm, certificate_type, rtype_named, type_bitmap};

/// Why a word of RDATA is not what its type wants; the word's index in the entry's RDATA, when it is one word's fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RdataError {
    /// Which word of the RDATA, from 0.
    pub word: usize,
    /// What was expected, then what came.
    pub message: String,
}

/// One field of RDATA, as it is written.
#[derive(Clone, Copy)]
enum Field {
    U8,
    U16,
    U32,
    /// Seconds, or with units: `1h30m`.
    Ttl,
    /// Seconds since 1970, or YYYYMMDDHHmmSS. RFC 4034 §3.2.
    Time,
    Type,
    /// A DNSSEC algorithm, number or mnemonic.
    Algorithm,
    /// A certificate type of RFC 4398 §2.1, number or mnemonic.
    CertType,
    Ipv4,
    Ipv6,
    Name,
    /// One character-string.
    Text,
    /// One or more character-strings up to the end.
    Texts,
    /// One word whose bytes fill the rest, without a length.
    Bytes,
    /// All further words, hexadecimal.
    Hex,
    /// All further words, base64.
    Base64,
    /// Hexadecimal with a length byte; `-` is empty. RFC 5155 §3.3.
    Salt,
    /// Base32hex with a length byte. RFC 5155 §3.3.
    Hash32,
    /// A list of types. RFC 4034 §4.1.2.
    Bitmap,
    /// RFC 9460 §2.1
    Service,
    /// `xx-xx-..`, as many bytes. RFC 7043.
    Eui(usize),
}

/// What each type is made of.
fn fields(rtype: u16) -> Option<&'static [Field]> {
    use Field::*;
    Some(match rtype {
        1 => &[Ipv4],                                                          // A
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 23 | 39 => &[Name], // NS .. CNAME .. PTR NSAP-PTR DNAME
        6 => &[Name, Name, U32, Ttl, Ttl, Ttl, Ttl],         // SOA
        13 => &[Text, Text],                                 // HINFO
        14 | 17 => &[Name, Name],                            // MINFO RP
        15 | 18 | 21 | 36 | 107 => &[U16, Name],             // MX AFSDB RT KX LP
        16 | 99 => &[Texts],                                 // TXT SPF
        19 => &[Text],                                       // X25
        20 => &[Texts],                                      // ISDN
        24 | 46 => &[Type, Algorithm, U8, Ttl, Time, Time, U16, Name, Base64], // SIG RRSIG
        25 | 48 | 60 => &[U16, U8, Algorithm, Base64],       // KEY DNSKEY CDNSKEY
        26 => &[U16, Name, Name],                            // PX
        28 => &[Ipv6],                                       // AAAA
        33 => &[U16, U16, U16, Name],                        // SRV
        35 => &[U16, U16, Text, Text, Text, Name],           // NAPTR
        37 => &[CertType, U16, Algorithm, Base64],           // CERT
        43 | 59 | 32768 | 32769 => &[U16, Algorithm, U8, Hex], // DS CDS TA DLV
        44 => &[U8, U8, Hex],                                // SSHFP
        47 => &[Name, Bitmap],                               // NSEC
        49 | 61 => &[Base64],                                // DHCID OPENPGPKEY
        50 => &[U8, U8, U16, Salt, Hash32, Bitmap],          // NSEC3
        51 => &[U8, U8, U16, Salt],                          // NSEC3PARAM
        52 | 53 => &[U8, U8, U8, Hex],                       // TLSA SMIMEA
        62 => &[U32, U16, Bitmap],                           // CSYNC
        63 => &[U32, U8, U8, Hex],                           // ZONEMD
        64 | 65 => &[U16, Name, Service],                    // SVCB HTTPS
        108 => &[Eui(6)],                                    // EUI48
        109 => &[Eui(8)],                                    // EUI64
        256 => &[U16, U16, Bytes],                           // URI
        257 => &[U8, Text, Bytes],                           // CAA
        _ => return None,
    })
}

/// The wire form of the RDATA that `words` spell. `origin` completes names, in wire form.
///
/// Errors: a word that is not what the type wants, missing or superfluous words, a type without presentation form here.
pub fn rdata_wire(rtype: u16, words: &[Word<'_>], origin: &[u8]) -> Result<Vec<u8>, RdataError> {
    if words.first().is_some_and(|word| word.text == r"\#" && !word.quoted) {
        return opaque(words);
    }
    let Some(fields) = fields(rtype) else {
        let message = format!("records of type {rtype} are written `TYPE{rtype} \\# LENGTH HEX` here");
        return Err(RdataError { word: 0, message });
    };
    let mut reader = Reader { words, next: 0, origin, wire: Vec::new() };
    for field in fields {
        reader
            .field(*field)
            .map_err(|message| RdataError { word: reader.next.saturating_sub(1), message })?;
    }
    if let Some(extra) = words.get(reader.next) {
        let message = format!("expected the end of the record, got `{}`", extra.text);
        return Err(RdataError { word: reader.next, message });
    }
    if reader.wire.len() > usize::from(u16::MAX) {
        return Err(RdataError { word: 0, message: "more than 65535 bytes of data".to_owned() });
    }
    Ok(reader.wire)
}

/// The RDATA that `wire` holds.
///
/// Errors: data that is not of this type, as hickory-proto judges it.
pub fn rdata_of(rtype: u16, wire: &[u8]) -> Result<RData, RdataError> {
    let length = u16::try_from(wire.len())
        .map_err(|_| RdataError { word: 0, message: "more than 65535 bytes of data".to_owned() })?;
    RData::read(&mut BinDecoder::new(wire), rtype.into(), Restrict::new(length))
        .map_err(|error| RdataError { word: 0, message: format!("not data of this type: {error}") })
}

/// `\# LENGTH HEX..`: RFC 3597 §5.
fn opaque(words: &[Word<'_>]) -> Result<Vec<u8>, RdataError> {
    let length = words.get(1).and_then(|word| word.text.parse::<u16>().ok()).ok_or_else(|| RdataError {
        word: 1.min(words.len() - 1),
        message: r"expected the length behind `\#`".to_owned(),
    })?;
    let bytes = hex(&words[2..]).map_err(|message| RdataError { word: words.len() - 1, message })?;
    if bytes.len() != usize::from(length) {
        let message = format!("expected {length} bytes, got {}", bytes.len());
        return Err(RdataError { word: 1, message });
    }
    Ok(bytes)
}

struct Reader<'a> {
    words: &'a [Word<'a>],
    next: usize,
    origin: &'a [u8],
    wire: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn word(&mut self, expected: &str) -> Result<Word<'a>, String> {
        let word = self.words.get(self.next).copied();
        self.next += 1;
        word.ok_or_else(|| format!("expected {expected}, got the end of the record"))
    }

    fn rest(&mut self) -> &'a [Word<'a>] {
        let rest = self.words.get(self.next..).unwrap_or_default();
        self.next = self.words.len();
        rest
    }

    fn number<T: std::str::FromStr>(&mut self, expected: &str) -> Result<T, String> {
        let word = self.word(expected)?;
        word.text.parse().map_err(|_| format!("expected {expected}, got `{}`", word.text))
    }

    fn field(&mut self, field: Field) -> Result<(), String> {
        match field {
            Field::U8 => {
                let value: u8 = self.number("a number from 0 to 255")?;
                self.wire.push(value);
            }
            Field::U16 => {
                let value: u16 = self.number("a number from 0 to 65535")?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::U32 => {
                let value: u32 = self.number("a number from 0 to 4294967295")?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::Ttl => {
                let word = self.word("a time in seconds")?;
                let value =
                    parse_ttl(word.text).map_err(|_| expected("a time such as `3600` or `1h`", word))?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::Time => {
                let word = self.word("a time")?;
                let value = time(word.text).ok_or_else(|| expected("a time as YYYYMMDDHHmmSS", word))?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::Type => {
                let word = self.word("a record type")?;
                let value = rtype_named(word.text).ok_or_else(|| expected("a record type", word))?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::Algorithm => {
                let word = self.word("a DNSSEC algorithm")?;
                let value = algorithm(word.text).ok_or_else(|| expected("a DNSSEC algorithm", word))?;
                self.wire.push(value);
            }
            Field::CertType => {
                let word = self.word("a certificate type")?;
                let value =
                    certificate_type(word.text).ok_or_else(|| expected("a certificate type", word))?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::Ipv4 => {
                let address: Ipv4Addr = self.number("an IPv4 address")?;
                self.wire.extend(address.octets());
            }
            Field::Ipv6 => {
                let address: Ipv6Addr = self.number("an IPv6 address")?;
                self.wire.extend(address.octets());
            }
            Field::Name => {
                let word = self.word("a name")?;
                self.wire.extend(parse_name(word.text, self.origin)?);
            }
            other => return self.long_field(other),
        }
        Ok(())
    }

    /// The fields that take several words or bring their own length.
    fn long_field(&mut self, field: Field) -> Result<(), String> {
        match field {
            Field::Text => {
                let word = self.word("a string")?;
                self.counted(&unescape(word.text)?, "a string holds at most 255 bytes")?;
            }
            Field::Texts => {
                self.word("a string")?;
                self.next -= 1;
                for word in self.rest() {
                    self.counted(&unescape(word.text)?, "a string holds at most 255 bytes: write several")?;
                }
            }
            Field::Bytes => {
                let word = self.word("a value")?;
                self.wire.extend(unescape(word.text)?);
            }
            Field::Hex => {
                let bytes = hex(self.rest())?;
                self.wire.extend(bytes);
            }
            Field::Base64 => {
                let text: String = self.rest().iter().map(|word| word.text).collect();
                self.wire.extend(BASE64.decode(&text).map_err(|error| format!("not base64: {error}"))?);
            }
            Field::Salt => {
                let word = self.word("a salt")?;
                let salt = if word.text == "-" { Vec::new() } else { hex(&[word])? };
                self.counted(&salt, "a salt holds at most 255 bytes")?;
            }
            Field::Hash32 => {
                let word = self.word("a hash")?;
                let hash = base32hex(word.text).ok_or_else(|| expected("base32 of RFC 4648 §7", word))?;
                self.counted(&hash, "a hash holds at most 255 bytes")?;
            }
            Field::Bitmap => {
                let mut types = Vec::new();
                for word in self.rest() {
                    types.push(rtype_named(word.text).ok_or_else(|| expected("a record type", *word))?);
                }
                self.wire.extend(type_bitmap(types));
            }
            Field::Service => {
                let texts: Vec<&str> = self.rest().iter().map(|word| word.text).collect();
                self.wire.extend(service_parameters(&texts)?);
            }
            Field::Eui(length) => {
                let word = self.word("an EUI address")?;
                let digits: Option<Vec<u8>> = word
                    .text
                    .split('-')
                    .map(|pair| u8::from_str_radix(pair, 16).ok().filter(|_| pair.len() == 2))
                    .collect();
                let bytes = digits.filter(|bytes| bytes.len() == length);
                self.wire.extend(bytes.ok_or_else(|| expected("hexadecimal pairs joined by `-`", word))?);
            }
            _ => unreachable!("`field` handles the short ones"),
        }
        Ok(())
    }

    fn counted(&mut self, bytes: &[u8], too_long: &str) -> Result<(), String> {
        self.wire.push(u8::try_from(bytes.len()).map_err(|_| too_long.to_owned())?);
        self.wire.extend_from_slice(bytes);
        Ok(())
    }
}

fn expected(what: &str, word: Word<'_>) -> String {
    format!("expected {what}, got `{}`", word.text)
}

fn hex(words: &[Word<'_>]) -> Result<Vec<u8>, String> {
    let text: String = words.iter().map(|word| word.text).collect();
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            Ok(digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
        }
        Some(_) => Err("expected pairs of hexadecimal digits, got an odd number of digits".to_owned()),
        None => Err(format!("expected hexadecimal digits, got `{text}`")),
    }
}

/// RFC 4648 §7 without padding, either case.
pub(super) fn base32hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut held) = (0_u32, 0);
    for digit in text.chars() {
        bits = (bits << 5 | digit.to_digit(32)?) & 0xfff;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    (held < 5 && bits & ((1 << held) - 1) == 0).then_some(bytes)
}

/// Seconds since 1970 as a 32-bit serial number, from YYYYMMDDHHmmSS or seconds. RFC 4034 §3.2.
fn time(text: &str) -> Option<u32> {
    if !text.is_ascii() || text.len() != 14 {
        return text.parse().ok();
    }
    let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().ok();
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(8..10)?, part(10..12)?, part(12..14)?);
    let fits =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !fits {
        return None;
    }
    // Days of the civil calendar, with years that begin in March so that the leap day is the last.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = shifted_year * 365 + shifted_year / 4 - shifted_year / 100
        + shifted_year / 400
        + (shifted_month * 153 + 2) / 5
        + day
        - 1
        - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::lexer::Lexer;

    const ORIGIN: &[u8] = b"\x07example\x03org\x00";

    fn wire(rtype: u16, text: &str) -> Result<Vec<u8>, RdataError> {
        let entry = Lexer::new(text).next_entry().expect("well-formed").expect("an entry");
        let wire = rdata_wire(rtype, &entry.words, ORIGIN)?;
        let rdata = rdata_of(rtype, &wire)?;
        assert_eq!(u16::from(rdata.record_type()), rtype, "hickory reads the type");
        Ok(wire)
    }

    #[test]
    fn every_type_of_the_table_is_read_by_the_codec() {
        for (rtype, text) in [
            (1, "192.0.2.1"),
            (2, "ns1"),
            (5, "www"),
            (6, "ns1 host 1 2h 1h 1w 5m"),
            (12, "www"),
            (13, "cpu \"an os\""),
            (15, "10 mail"),
            (16, "one \"two words\""),
            (17, "mbox txt"),
            (18, "1 afs"),
            (28, "2001:db8::1"),
            (33, "1 2 443 www"),
            (35, "100 10 \"u\" \"sip+E2U\" \"!^.*$!sip:info@example.org!\" ."),
            (37, "PKIX 0 0 AQID"),
            (39, "target"),
            (43, "60485 RSASHA1 1 2BB183AF5F22588179A53B0A 98631FAD1A292118"),
            (44, "1 1 dd465c09cfa51fb45020cc83316fff21b9ec74ac"),
            (46, "A 13 2 3600 20261222000000 20261122000000 1 example.org. AQID"),
            (47, "www A MX RRSIG NSEC TYPE1234"),
            (48, "257 3 13 AQID"),
            (50, "1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG"),
            (51, "1 0 0 -"),
            (52, "3 1 1 aabb"),
            (61, "AQID"),
            (62, "66 3 A NS AAAA"),
            (63, "2018031500 1 1 aabb"),
            (64, "0 svc"),
            (65, "1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1"),
            (108, "00-00-5e-00-53-2a"),
            (256, "10 1 \"https://example.org/\""),
            (257, "0 issue \"ca.example.org\""),
        ] {
            wire(rtype, text).unwrap_or_else(|error| panic!("type {rtype} `{text}`: {}", error.message));
        }
    }

    #[test]
    fn unknown_types_and_known_ones_are_read_from_opaque_form() {
        assert_eq!(wire(65280, r"\# 4 0a000001").as_deref(), Ok(&[10, 0, 0, 1][..]));
        assert_eq!(wire(1, r"\# 4 c000 0201").as_deref(), Ok(&[192, 0, 2, 1][..]));
        assert_eq!(wire(65280, r"\# 0").as_deref(), Ok(&[][..]));
        assert!(wire(65280, r"\# 3 0a000001").is_err());
        assert!(wire(65280, "10.0.0.1").expect_err("no presentation form").message.contains("TYPE65280"));
    }

    #[test]
    fn the_word_at_fault_is_named() {
        assert_eq!(wire(15, "10 mail extra").expect_err("three words").word, 2);
        assert_eq!(wire(15, "ten mail").expect_err("not a number").word, 0);
        assert_eq!(
            wire(1, "192.0.2.256").expect_err("no address").message,
            "expected an IPv4 address, got `192.0.2.256`"
        );
        assert!(wire(15, "10").expect_err("one word").message.contains("end of the record"));
    }

    #[test]
    fn signature_times_are_read_in_both_forms() {
        assert_eq!(time("19700101000000"), Some(0));
        assert_eq!(time("20000301000000"), Some(951_868_800));
        assert_eq!(time("20261122120000"), Some(1_795_348_800));
        assert_eq!(time("1795348800"), Some(1_795_348_800));
        assert_eq!(time("20261322120000"), None);
    }

    #[test]
    fn strings_above_255_bytes_are_refused() {
        assert!(wire(16, &"a".repeat(255)).is_ok());
        assert!(wire(16, &"a".repeat(256)).is_err());
    }

    #[test]
    fn hashes_are_read_from_base32hex() {
        assert_eq!(base32hex("CPNMUOJ1E8").as_deref(), Some(&b"foobar"[..]));
        assert_eq!(base32hex("z"), None);
    }
}
