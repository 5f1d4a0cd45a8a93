//! An answer as bytes: encoded once, then copied for each reply with id, flags, case and TTLs put in.
//!
//! The image holds header, question and the three sections without OPT. The engine writes the same reply on the long way; what
//! it alone can do (truncate, answer options) is left to it.

use hickory_proto::ProtoError;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use crate::query::Transport;
use crate::response::Response;
use crate::view::{FLAG_AD, FLAG_CD, FLAG_DO, FLAG_RD, QueryView};

/// An encoded answer.
#[derive(Debug)]
pub struct Image {
    /// Header with id 0, question in lower case, sections.
    wire: Box<[u8]>,
    /// Where the TTLs stand in `wire`.
    ttls: Box<[u16]>,
    /// Encoded EDNS options, for clients that sent EDNS.
    options: Box<[u8]>,
    /// Whether DNSSEC validated the answer.
    authentic_data: bool,
}

/// What an image answers.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The name, in lower case.
    pub name: &'a Name,
    /// The type.
    pub qtype: RecordType,
    /// The class.
    pub qclass: DNSClass,
    /// DO
    pub dnssec_ok: bool,
}

/// How TTLs are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// Less so many seconds.
    Aged(u32),
    /// All `STALE_TTL_S`, with this INFO-CODE beside the answer. RFC 8767 §4
    Stale(u16),
}

impl Image {
    /// Encodes `response` to a question, or returns `None` when it is too long for a message or cannot be encoded.
    ///
    /// Without `dnssec_ok`, DNSSEC records that were not asked for are left out. RFC 4035 §3.2.1
    pub fn encode(response: &Response, question: Question<'_>) -> Option<Image> {
        let mut ttls = Vec::new();
        let mut wire = Vec::with_capacity(512);
        let mut encoder = BinEncoder::new(&mut wire);
        encoder.emit_vec(&[0; HEADER_BYTES]).ok()?;
        question.name.emit(&mut encoder).ok()?;
        question.qtype.emit(&mut encoder).ok()?;
        question.qclass.emit(&mut encoder).ok()?;
        let mut counts = [0u16; 3];
        let sections = [&response.answers, &response.authorities, &response.additionals];
        for (records, count) in sections.into_iter().zip(&mut counts) {
            for record in records.iter().filter(|record| question.wants(record.record_type())) {
                ttls.push(encode_record(&mut encoder, record, question.name).ok()?);
                *count = count.checked_add(1)?;
            }
        }
        let flags_high = FLAG_QR | if response.authoritative { FLAG_AA } else { 0 };
        let flags_low = response.rcode.low() | if response.recursion_available { FLAG_RA } else { 0 };
        wire[2..6].copy_from_slice(&[flags_high, flags_low, 0, 1]);
        for (at, count) in [6, 8, 10].into_iter().zip(counts) {
            wire[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
        Some(Image {
            wire: wire.into(),
            ttls: ttls.into(),
            options: encode_options(&response.options, response.told())?.into(),
            authentic_data: response.authentic_data,
        })
    }

    /// Bytes that the image takes in memory.
    pub fn weight(&self) -> usize {
        self.wire.len() + self.ttls.len() * size_of::<u16>() + self.options.len()
    }

    /// Writes the reply to `query` into `reply`, whose former content is dropped. Returns whether it did: a reply that is longer
    /// than the client takes must be truncated by the engine.
    ///
    /// `payload_max` is the longest reply over UDP, and what the OPT record announces. `query` must be the question of this image.
    pub fn write(&self, query: &QueryView<'_>, shown: Shown, payload_max: u16, reply: &mut Vec<u8>) -> bool {
        let stale_option = match shown {
            Shown::Aged(_) => None,
            Shown::Stale(code) => Some(extended_error_header(code, 0)),
        };
        let options_bytes = self.options.len() + stale_option.map_or(0, |option| option.len());
        let opt_bytes = if query.edns.is_some() { OPT_FIXED_BYTES + options_bytes } else { 0 };
        if self.wire.len() + opt_bytes > reply_bytes_max(query, payload_max) {
            return false;
        }
        reply.clear();
        reply.extend_from_slice(&self.wire);
        self.patch_header(query, reply);
        reply[HEADER_BYTES..HEADER_BYTES + query.name.len()].copy_from_slice(query.name);
        self.patch_ttls(shown, reply);
        if query.edns.is_some() {
            let size = payload_max.to_be_bytes();
            let flags = if query.dnssec_ok() { FLAG_DO } else { 0 };
            let length = u16::try_from(options_bytes).expect("the reply fits a message").to_be_bytes();
            reply.extend_from_slice(&[0, 0, 41, size[0], size[1], 0, 0, flags, 0, length[0], length[1]]);
            reply.extend_from_slice(&self.options);
            reply.extend_from_slice(stale_option.as_ref().map_or(&[], |option| option.as_slice()));
            let additionals = u16::from_be_bytes([reply[10], reply[11]]) + 1;
            reply[10..HEADER_BYTES].copy_from_slice(&additionals.to_be_bytes());
        }
        true
    }

    /// Puts in the id and the flags that depend on the query.
    fn patch_header(&self, query: &QueryView<'_>, reply: &mut [u8]) {
        reply[..2].copy_from_slice(&query.wire[..2]);
        reply[2] |= query.wire[2] & FLAG_RD;
        reply[3] |= query.wire[3] & FLAG_CD;
        // RFC 6840 §5.8: only clients that understand AD see it
        if self.authentic_data && (query.authentic_data() || query.dnssec_ok()) {
            reply[3] |= FLAG_AD;
        }
    }

    fn patch_ttls(&self, shown: Shown, reply: &mut [u8]) {
        for &at in &self.ttls {
            let field = reply[usize::from(at)..].first_chunk_mut::<4>().expect("TTLs lie within the image");
            *field = shown.ttl(u32::from_be_bytes(*field)).to_be_bytes();
        }
    }
}

impl Question<'_> {
    /// Whether records of this type belong into a reply.
    fn wants(&self, rtype: RecordType) -> bool {
        let dnssec = matches!(rtype, RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3);
        rtype != RecordType::OPT && (self.dnssec_ok || !dnssec || self.qtype == rtype)
    }
}

impl Shown {
    /// The TTL to show for a record that was stored with `ttl_s`.
    pub fn ttl(self, ttl_s: u32) -> u32 {
        match self {
            Shown::Aged(age_s) => ttl_s.saturating_sub(age_s),
            Shown::Stale(_) => STALE_TTL_S,
        }
    }
}

/// The longest reply that `query` takes. RFC 1035 §4.2.1, RFC 6891 §6.2.3.
fn reply_bytes_max(query: &QueryView<'_>, payload_max: u16) -> usize {
    if query.client.transport != Transport::Udp {
        return MESSAGE_BYTES_MAX;
    }
    let asked = query.edns.map_or(PAYLOAD_BYTES_MIN, |edns| edns.payload_size);
    usize::from(asked.min(payload_max).max(PAYLOAD_BYTES_MIN))
}

/// Encodes `record` and returns where its TTL stands. An owner that is the name asked for becomes a pointer to it, which repeats
/// the client's case.
fn encode_record(encoder: &mut BinEncoder<'_>, record: &Record, asked: &Name) -> Result<u16, ProtoError> {
    if !asked.is_root() && record.name.eq_ignore_root(asked) {
        encoder.emit_u16(POINTER_TO_QUESTION)?;
    } else {
        record.name.emit(encoder)?;
    }
    record.record_type().emit(encoder)?;
    record.dns_class.emit(encoder)?;
    let ttl = u16::try_from(encoder.offset()).map_err(|_| ProtoError::from("message too long"))?;
    encoder.emit_u32(record.ttl)?;
    let length = encoder.place::<u16>()?;
    record.data.emit(encoder)?;
    let written = encoder.len_since_place(&length);
    length.replace(encoder, u16::try_from(written).map_err(|_| ProtoError::from("record too long"))?)?;
    Ok(ttl)
}

/// Options and what clients are told beside the answer as they stand in an OPT record; of extended errors as many and as long as the engine writes.
fn encode_options<'a>(options: &[EdnsOption], told: impl Iterator<Item = (u16, &'a str)>) -> Option<Vec<u8>> {
    let mut encoded = Vec::new();
    for option in options {
        let value = Vec::<u8>::try_from(option).ok()?;
        encoded.extend_from_slice(&u16::from(EdnsCode::from(option)).to_be_bytes());
        encoded.extend_from_slice(&u16::try_from(value.len()).ok()?.to_be_bytes());
        encoded.extend_from_slice(&value);
    }
    for (code, text) in told.take(EXTENDED_ERRORS_MAX) {
        let text = &text[..text.floor_char_boundary(EXTRA_TEXT_BYTES_MAX)];
        let length = u16::try_from(text.len()).expect("bounded above");
        encoded.extend_from_slice(&extended_error_header(code, length));
        encoded.extend_from_slice(text.as_bytes());
    }
    (encoded.len() <= MESSAGE_BYTES_MAX).then_some(encoded)
}

/// An extended error up to its text. RFC 8914 §2.
fn extended_error_header(code: u16, text_bytes: u16) -> [u8; 6] {
    let (code, length) = (code.to_be_bytes(), text_bytes.saturating_add(2).to_be_bytes());
    [0, 15, length[0], length[1], code[0], code[1]]
}

/// TTL of records that are served after their time. RFC 8767 §4
pub const STALE_TTL_S: u32 = 30;
/// What every client takes over UDP. RFC 1035 §4.2.1
const PAYLOAD_BYTES_MIN: u16 = 512;
/// Longest message.
const MESSAGE_BYTES_MAX: usize = 65_535;
/// Length of a message's header.
const HEADER_BYTES: usize = 12;
/// A compression pointer to the byte behind the header.
const POINTER_TO_QUESTION: u16 = 0xc000 | HEADER_BYTES as u16;
/// An OPT record up to its options.
const OPT_FIXED_BYTES: usize = 11;
/// Extended errors in one reply.
const EXTENDED_ERRORS_MAX: usize = 4;
/// Bytes of an extended error's text.
const EXTRA_TEXT_BYTES_MAX: usize = 160;
const FLAG_QR: u8 = 0x80;
const FLAG_AA: u8 = 0x04;
const FLAG_RA: u8 = 0x80;
