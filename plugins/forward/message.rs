//! Queries as they go to an upstream, and whether a message that comes back is the reply to one. Pure.
//!
//! A query carries what the question needs and no more: no client subnet, no cookie, nothing else of the client's OPT but DO.

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::rdata::{CNAME, MX, NS, PTR, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use rand::Rng;

use crate::error::ExtendedError;
use crate::query::Query;
use crate::response::Response;

/// The UDP payload size that we offer: what crosses the Internet without fragments.
pub const PAYLOAD_SIZE: u16 = 1232;

/// Length of the header.
const HEADER: usize = 12;

/// Longest text of an extended error that is handed on, in bytes.
const EXTENDED_TEXT_BYTES_MAX: usize = 256;

/// A query in wire form, whose id is set when it is sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    bytes: Vec<u8>,
    /// Where the question ends.
    question_end: usize,
}

/// What a message is to a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// Its reply.
    Reply,
    /// Its reply, cut short: TC.
    Truncated,
    /// It has the right id, but the name in other case: forged, or from an upstream that does not keep the case.
    OtherCase,
    /// It has the right id and an error, but no question that could be compared.
    NoQuestion,
    /// Something else.
    Foreign,
}

impl Outgoing {
    /// The query that asks an upstream what `query` asks us. With `random`, the case of the name's letters is drawn: what a forger
    /// must guess besides id and port.
    pub fn new(query: &Query, random: Option<&mut dyn rand::RngCore>) -> Outgoing {
        let mut bytes = Vec::with_capacity(HEADER + 255 + 4 + 11);
        bytes.extend([0, 0, u8::from(query.recursion_desired), flags_low(query), 0, 1, 0, 0, 0, 0, 0, 1]);
        for label in query.name.iter() {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label);
        }
        bytes.push(0);
        if let Some(random) = random {
            scramble(&mut bytes[HEADER..], random);
        }
        bytes.extend(u16::from(query.qtype).to_be_bytes());
        bytes.extend(u16::from(query.qclass).to_be_bytes());
        let question_end = bytes.len();
        // OPT, RFC 6891 §6.1.2: root, type 41, payload size, extended rcode and version 0, DO, no options.
        bytes.extend([0, 0, 41]);
        bytes.extend(PAYLOAD_SIZE.to_be_bytes());
        bytes.extend([0, 0, if query.dnssec_ok() { 0x80 } else { 0 }, 0, 0, 0]);
        Outgoing { bytes, question_end }
    }

    /// A question for the NS records of `name`, as a sign of life.
    pub fn probe(name: &Name, recursion_desired: bool) -> Outgoing {
        let now = std::time::Instant::now();
        let class = hickory_proto::rr::DNSClass::IN;
        let query =
            Query { recursion_desired, ..Query::internal(name.clone(), RecordType::NS, class, false, now) };
        Outgoing::new(&query, None)
    }

    /// The message with `id`.
    pub fn with_id(&self, id: u16) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[..2].copy_from_slice(&id.to_be_bytes());
        bytes
    }

    /// What `message` is to this query, sent with `id`.
    ///
    /// Source: RFC 5452 §9.1 and, for the case, draft-vixie-dnsext-dns0x20-00.
    pub fn judge(&self, id: u16, message: &[u8]) -> Judgement {
        let Some(header) = message.get(..HEADER) else { return Judgement::Foreign };
        let is_response = header[2] & 0xf8 == 0x80;
        if header[..2] != id.to_be_bytes() || !is_response {
            return Judgement::Foreign;
        }
        let ours = &self.bytes[HEADER..self.question_end];
        match (u16::from_be_bytes([header[4], header[5]]), message.get(HEADER..self.question_end)) {
            (0, _) if header[3] & 0x0f != 0 => Judgement::NoQuestion,
            (1, Some(theirs)) if theirs == ours => {
                if header[2] & 0x02 != 0 {
                    Judgement::Truncated
                } else {
                    Judgement::Reply
                }
            }
            // Type and class are the last four bytes, where case means nothing else than other numbers.
            (1, Some(theirs))
                if theirs.eq_ignore_ascii_case(ours)
                    && theirs[theirs.len() - 4..] == ours[ours.len() - 4..] =>
            {
                Judgement::OtherCase
            }
            _ => Judgement::Foreign,
        }
    }
}

/// AD, since whoever sets it understands it (RFC 6840 §5.7), and CD.
fn flags_low(query: &Query) -> u8 {
    let mut flags = 0;
    if query.authentic_data {
        flags |= 0x20;
    }
    if query.checking_disabled {
        flags |= 0x10;
    }
    flags
}

/// Flips the case of letters in a name in wire form by chance. Lengths are at most 63, below every letter.
fn scramble(name: &mut [u8], random: &mut dyn rand::RngCore) {
    for byte in name.iter_mut().filter(|byte| byte.is_ascii_alphabetic()) {
        if random.random() {
            *byte ^= 0x20;
        }
    }
}

/// The answer that `message`, an upstream's reply to `query`, is for our client. OPT and TSIG go, extended errors stay.
pub fn response(query: &Query, mut message: Message, origin: &'static str) -> Response {
    let extended_errors = message.edns.as_ref().map(extended_errors).unwrap_or_default();
    let sections = [&mut message.answers, &mut message.authorities, &mut message.additionals];
    for record in sections.into_iter().flatten() {
        settle_case(record);
    }
    let wants_ad = query.authentic_data || query.dnssec_ok();
    Response {
        authoritative: message.metadata.authoritative,
        recursion_available: message.metadata.recursion_available,
        authentic_data: message.metadata.authentic_data && wants_ad,
        answers: message.answers,
        authorities: message.authorities,
        additionals: message.additionals,
        extended_errors,
        ..Response::new(message.metadata.response_code, origin)
    }
}

/// Puts names into lower case, where our drawn case may have come back through compression: owners, and the names that
/// RFC 4034 §6.2 puts into lower case to sign them.
fn settle_case(record: &mut Record) {
    record.name = record.name.to_lowercase();
    match &mut record.data {
        RData::CNAME(CNAME(name)) | RData::NS(NS(name)) | RData::PTR(PTR(name)) => {
            *name = name.to_lowercase();
        }
        RData::MX(MX { exchange, .. }) => *exchange = exchange.to_lowercase(),
        RData::SRV(SRV { target, .. }) => *target = target.to_lowercase(),
        RData::SOA(SOA { mname, rname, .. }) => {
            *mname = mname.to_lowercase();
            *rname = rname.to_lowercase();
        }
        _ => {}
    }
}

/// RFC 8914 §2.
fn extended_errors(edns: &Edns) -> Vec<ExtendedError> {
    let option = |option: &EdnsOption| match option {
        EdnsOption::Unknown(15, bytes) if bytes.len() >= 2 => {
            let text = &bytes[2..bytes.len().min(2 + EXTENDED_TEXT_BYTES_MAX)];
            let code = u16::from_be_bytes([bytes[0], bytes[1]]);
            Some(ExtendedError { code, text: String::from_utf8_lossy(text).into_owned() })
        }
        _ => None,
    };
    edns.options().get_all(EdnsCode::Unknown(15)).into_iter().filter_map(option).collect()
}

/// Whether `response` says that the name exists, but not with this type. RFC 2308 §2.2.
pub fn is_nodata(response: &Response) -> bool {
    response.rcode == ResponseCode::NoError && response.answers.is_empty()
}
