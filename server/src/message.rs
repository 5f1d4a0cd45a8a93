//! Reads a received message: strict, each byte once, nothing allocated before the counts are believed.
//!
//! Decides what deserves no answer, what is refused from the header and the question alone, and what is a query. Knows no zones
//! and no plugins: those are for `engine.rs`.

use std::sync::Arc;

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use crate::cookie;

/// What a received message is.
#[derive(Debug)]
pub enum Received<'a> {
    /// Nobody must get an answer to this: too short, or itself a response.
    Silent,
    /// Answered with an rcode and no data.
    Rejected(Envelope<'a>, ResponseCode),
    /// A query of opcode QUERY with one question.
    Asked(Box<Asked<'a>>),
}

/// What a reply repeats of its query, or must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The message id.
    pub id: u16,
    /// The opcode, four bits.
    pub opcode: u8,
    /// RD
    pub recursion_desired: bool,
    /// AD: the client understands AD, RFC 6840 §5.7.
    pub authentic_data: bool,
    /// CD
    pub checking_disabled: bool,
    /// The question as asked: name, type and class. `None` when it cannot be read.
    pub question: Option<&'a [u8]>,
    /// What the OPT record says, when there is exactly one.
    pub edns: Option<EdnsAsked>,
}

/// The fixed part of a query's OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdnsAsked {
    /// The client's UDP payload size, as sent.
    pub payload_size: u16,
    /// DO
    pub dnssec_ok: bool,
    /// VERSION
    version: u8,
}

/// A query of opcode QUERY.
#[derive(Debug)]
pub struct Asked<'a> {
    /// What the reply repeats.
    pub envelope: Envelope<'a>,
    /// The name as asked, case kept.
    pub name: Name,
    /// The type asked for.
    pub qtype: RecordType,
    /// The class asked for.
    pub qclass: DNSClass,
    /// The OPT record, decoded.
    pub edns: Option<Arc<Edns>>,
    /// The options of the OPT record, undecoded.
    pub options: &'a [u8],
}

impl<'a> Asked<'a> {
    /// The value of the first option with `code`.
    pub fn option(&self, code: u16) -> Option<&'a [u8]> {
        options(self.options).find(|option| option.0 == code).map(|option| option.1)
    }
}

/// Reads a message.
pub fn read(wire: &[u8]) -> Received<'_> {
    let Some((header, body)) = wire.split_first_chunk::<HEADER_BYTES>() else {
        return Received::Silent;
    };
    if header[2] & FLAG_QR != 0 {
        return Received::Silent;
    }
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let mut envelope = Envelope {
        id: count(0),
        opcode: header[2] >> 3 & 0xf,
        recursion_desired: header[2] & FLAG_RD != 0,
        authentic_data: header[3] & FLAG_AD != 0,
        checking_disabled: header[3] & FLAG_CD != 0,
        question: None,
        edns: None,
    };
    if envelope.opcode != OPCODE_QUERY {
        return Received::Rejected(envelope, ResponseCode::NotImp);
    }
    // Before anything is decoded, so that a count that lies costs nothing. RFC 9619 §4.
    if count(4) != 1 {
        return Received::Rejected(envelope, ResponseCode::FormErr);
    }
    let Some(question) = name_length(body).and_then(|name| body.get(..name + 4)) else {
        return Received::Rejected(envelope, ResponseCode::FormErr);
    };
    envelope.question = Some(question);
    match read_records(wire, HEADER_BYTES + question.len(), [count(6), count(8), count(10)]) {
        Ok(opt) => read_query(envelope, question, opt),
        Err(Malformed) => Received::Rejected(envelope, ResponseCode::FormErr),
    }
}

/// Judges the question and the OPT record of a message that is whole.
fn read_query<'a>(
    mut envelope: Envelope<'a>,
    question: &'a [u8],
    opt: Option<(EdnsAsked, &'a [u8])>,
) -> Received<'a> {
    envelope.edns = opt.map(|opt| opt.0);
    // RFC 6891 §6.1.3: before anything else, since a later version may read the rest differently.
    if envelope.edns.is_some_and(|edns| edns.version > EDNS_VERSION) {
        return Received::Rejected(envelope, ResponseCode::BADVERS);
    }
    let options = opt.map_or(&[][..], |opt| opt.1);
    let (name, tail) = question.split_at(question.len() - 4);
    let (qtype, qclass) = (u16::from_be_bytes([tail[0], tail[1]]), u16::from_be_bytes([tail[2], tail[3]]));
    if let Some(rcode) = rejection_of(qtype, qclass) {
        return Received::Rejected(envelope, rcode);
    }
    let (Some(name), Some(decoded)) = (decode_name(name), decode_options(options)) else {
        return Received::Rejected(envelope, ResponseCode::FormErr);
    };
    let edns = envelope.edns.map(|asked| {
        let mut edns = decoded;
        edns.set_version(EDNS_VERSION).set_max_payload(asked.payload_size).set_dnssec_ok(asked.dnssec_ok);
        Arc::new(edns)
    });
    Received::Asked(Box::new(Asked {
        envelope,
        name,
        qtype: qtype.into(),
        qclass: qclass.into(),
        edns,
        options,
    }))
}

/// The rcode for a type or class that no data can have.
///
/// Source: RFC 6895 §3.1 and §3.2, RFC 6891 §6.1.1 (OPT), RFC 8945 §5 (TSIG), RFC 9824 §3.2 (128, NXNAME).
fn rejection_of(qtype: u16, qclass: u16) -> Option<ResponseCode> {
    match (qtype, qclass) {
        (_, 0 | CLASS_NONE) => Some(ResponseCode::FormErr),
        (0 | TYPE_OPT | TYPE_NXNAME | TYPE_TSIG, _) => Some(ResponseCode::FormErr),
        (TYPE_IXFR | TYPE_AXFR | TYPE_ANY, _) => None,
        (129..=254, _) => Some(ResponseCode::NotImp),
        _ => None,
    }
}

/// The message breaks the format.
#[derive(Debug)]
struct Malformed;

/// Walks over the records behind the question, to the last byte, and returns the OPT record's fixed part and options.
fn read_records(
    wire: &[u8],
    mut at: usize,
    counts: [u16; 3],
) -> Result<Option<(EdnsAsked, &[u8])>, Malformed> {
    let (mut opt, mut others) = (None, false);
    for (section, count) in counts.into_iter().enumerate() {
        for _ in 0..count {
            let owner = at;
            at += owner_length(wire.get(at..).ok_or(Malformed)?).ok_or(Malformed)?;
            let (fixed, rest) = wire[at..].split_first_chunk::<RECORD_FIXED_BYTES>().ok_or(Malformed)?;
            let data = rest.get(..usize::from(u16::from_be_bytes([fixed[8], fixed[9]]))).ok_or(Malformed)?;
            at += RECORD_FIXED_BYTES + data.len();
            if u16::from_be_bytes([fixed[0], fixed[1]]) != TYPE_OPT {
                others = true;
                continue;
            }
            // RFC 6891 §6.1.1: one, in the additional section, owned by the root.
            if opt.is_some() || section != ADDITIONAL || wire[owner] != 0 {
                return Err(Malformed);
            }
            let asked = EdnsAsked {
                payload_size: u16::from_be_bytes([fixed[2], fixed[3]]),
                dnssec_ok: fixed[6] & FLAG_DO != 0,
                version: fixed[5],
            };
            opt = Some((asked, data));
        }
    }
    // Other records mean nothing in a query, but a message that holds them must still be well formed.
    if at != wire.len() || others && Message::from_vec(wire).is_err() {
        return Err(Malformed);
    }
    Ok(opt)
}

/// The options, code and value, in the order sent. Ends early where they are cut off.
pub fn options(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (fixed, after) = rest.split_first_chunk::<4>()?;
        let (value, after) = after.split_at_checked(usize::from(u16::from_be_bytes([fixed[2], fixed[3]])))?;
        rest = after;
        Some((u16::from_be_bytes([fixed[0], fixed[1]]), value))
    })
}

/// Decodes the options, or `None` when they are cut off, too many, or one has an impossible value. RFC 6891 §7.
fn decode_options(bytes: &[u8]) -> Option<Edns> {
    let (mut edns, mut told) = (Edns::new(), 0);
    for (index, (code, value)) in options(bytes).enumerate() {
        if index == OPTIONS_MAX || code == cookie::OPTION_CODE && !cookie::is_length_legal(value.len()) {
            return None;
        }
        told += 4 + value.len();
        edns.options_mut().insert(EdnsOption::try_from((EdnsCode::from(code), value)).ok()?);
    }
    (told == bytes.len()).then_some(edns)
}

/// The name that `wire` is, which `name_length` accepted.
fn decode_name(wire: &[u8]) -> Option<Name> {
    let mut labels = Vec::with_capacity(8);
    let mut rest = wire;
    while let Some((&length @ 1.., after)) = rest.split_first() {
        let (label, after) = after.split_at_checked(usize::from(length))?;
        labels.push(label);
        rest = after;
    }
    Name::from_labels(labels).ok()
}

/// The length of the question's name that `bytes` begin with, its root label included.
///
/// `None` when it is cut off, too long, or compressed: nothing stands before it that a pointer could mean.
pub fn name_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let label = usize::from(*bytes.get(at)?);
        at += 1 + label;
        if label > LABEL_BYTES_MAX || at > NAME_BYTES_MAX {
            return None;
        }
        if label == 0 {
            return Some(at);
        }
    }
}

/// The length of the owner name that `bytes` begin with, up to its root label or its pointer. `None` when it is cut off or too long.
pub fn owner_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at <= NAME_BYTES_MAX {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            label @ 1..=63 => at += 1 + usize::from(label),
            0xc0.. => return bytes.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
    }
    None
}

/// Length of a message's header.
pub const HEADER_BYTES: usize = 12;
/// Longest name with its length bytes and the root label. RFC 1035 §2.3.4
pub const NAME_BYTES_MAX: usize = 255;
/// Options that a query may carry; those in use today are a dozen.
const OPTIONS_MAX: usize = 32;
/// Longest label. RFC 1035 §2.3.4
const LABEL_BYTES_MAX: usize = 63;
/// A record's type, class, TTL and length.
const RECORD_FIXED_BYTES: usize = 10;
/// The version of EDNS that we speak.
const EDNS_VERSION: u8 = 0;
/// Index of the additional section among those that hold records.
const ADDITIONAL: usize = 2;
const OPCODE_QUERY: u8 = 0;
const CLASS_NONE: u16 = 254;
const TYPE_OPT: u16 = 41;
const TYPE_NXNAME: u16 = 128;
const TYPE_TSIG: u16 = 250;
const TYPE_IXFR: u16 = 251;
const TYPE_AXFR: u16 = 252;
const TYPE_ANY: u16 = 255;
/// QR, in the third byte.
pub const FLAG_QR: u8 = 0x80;
/// RD, in the third byte.
pub const FLAG_RD: u8 = 0x01;
/// AD, in the fourth byte.
pub const FLAG_AD: u8 = 0x20;
/// CD, in the fourth byte.
pub const FLAG_CD: u8 = 0x10;
/// DO, in the third byte of a record's TTL when the record is OPT.
pub const FLAG_DO: u8 = 0x80;

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
