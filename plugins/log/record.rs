//! What a line of the query log tells of: a query and what became of it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::Name;

use crate::error::ServeError;
use crate::query::{Query, Transport};
use crate::response::Response;
use crate::view::QueryView;

/// A query and what became of it. Made on the query's own way, so it holds values and no text.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it was answered.
    pub time: SystemTime,
    /// Who asked.
    pub remote: SocketAddr,
    /// Whom.
    pub local: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// The message id.
    pub id: u16,
    /// The name as asked, wire form.
    pub name: Vec<u8>,
    /// The type.
    pub qtype: u16,
    /// The class.
    pub qclass: u16,
    /// Length of the query.
    pub size: usize,
    /// DO
    pub dnssec_ok: bool,
    /// The UDP payload size of the client; 512 without EDNS.
    pub payload_size: u16,
    /// What became of it.
    pub outcome: Outcome,
    /// Time from its arrival.
    pub duration: Duration,
}

/// What became of a query.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The rcode.
    pub rcode: u16,
    /// The third and fourth byte of the reply's header.
    pub flags: [u8; 2],
    /// Which class of answers it belongs to.
    pub class: Class,
    /// The plugin that made the answer, empty for none.
    pub origin: &'static str,
    /// Whether a quorum signed it, where that is known.
    pub certified: Option<bool>,
    /// How long the reply is.
    pub size: Size,
}

/// The length of a reply.
#[derive(Clone, Debug)]
pub enum Size {
    /// So many bytes.
    Bytes(usize),
    /// As long as this answer is, to be found out by who writes the line; the engine encodes it later than the log sees it.
    Of(Box<Response>),
}

/// Classes of answers, as CoreDNS tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// NOERROR with records, or a referral.
    Success,
    /// NXDOMAIN or NODATA.
    Denial,
    /// All else.
    Error,
}

impl Record {
    /// The record of a query that was answered at a glance with `reply`; an empty one is silence, which is told as the long way tells it.
    pub fn of_glance(query: &QueryView<'_>, reply: &[u8], duration: Duration, time: SystemTime) -> Record {
        let flags = [reply.get(2), reply.get(3)].map(|byte| byte.copied().unwrap_or_default());
        let count = |at: usize| reply.get(at..at + 2).is_some_and(|count| count != [0, 0]);
        let rcode = if reply.is_empty() { REFUSED } else { u16::from(flags[1] & 0x0f) };
        let outcome = Outcome {
            rcode,
            flags,
            class: class(rcode, count(6), count(8)),
            origin: if reply.is_empty() || flags[0] & TC != 0 { "" } else { GLANCED },
            certified: None,
            size: Size::Bytes(reply.len()),
        };
        Record {
            time,
            remote: query.client.address,
            local: query.client.local,
            transport: query.client.transport,
            id: query.id(),
            name: query.name.to_vec(),
            qtype: query.qtype,
            qclass: query.qclass,
            size: query.wire.len(),
            dnssec_ok: query.dnssec_ok(),
            payload_size: query.edns.map_or(PLAIN_PAYLOAD, |edns| edns.payload_size),
            outcome,
            duration,
        }
    }

    /// The record of a query that took the long way.
    pub fn of_query(
        query: &Query,
        result: &Result<Response, ServeError>,
        duration: Duration,
        time: SystemTime,
    ) -> Record {
        let mut name = Vec::new();
        for label in query.name_as_asked.iter() {
            name.push(u8::try_from(label.len()).expect("a label has at most 63 bytes"));
            name.extend_from_slice(label);
        }
        name.push(0);
        Record {
            time,
            remote: query.client.address,
            local: query.client.local,
            transport: query.client.transport,
            id: query.id,
            name,
            qtype: query.qtype.into(),
            qclass: query.qclass.into(),
            size: query.size,
            dnssec_ok: query.dnssec_ok(),
            payload_size: query.edns.as_ref().map_or(PLAIN_PAYLOAD, |edns| edns.max_payload()),
            outcome: Outcome::of(query, result),
            duration,
        }
    }

    /// How long the reply is; before truncation and without options where the engine made it.
    pub fn reply_size(&self) -> usize {
        let response = match &self.outcome.size {
            Size::Bytes(bytes) => return *bytes,
            Size::Of(response) => response,
        };
        let mut message = Message::new(0, MessageType::Response, OpCode::Query);
        message.answers.clone_from(&response.answers);
        message.authorities.clone_from(&response.authorities);
        message.additionals.clone_from(&response.additionals);
        if let Ok(asked) = Name::from_labels(labels(&self.name)) {
            // an owner that is the name asked for takes two bytes, whatever its case
            let sections = [&mut message.answers, &mut message.authorities, &mut message.additionals];
            let records = sections.into_iter().flatten();
            records.filter(|record| record.name == asked).for_each(|record| record.name = asked.clone());
            message.add_query(hickory_proto::op::Query::query(asked, self.qtype.into()));
        }
        message.to_vec().map_or(0, |bytes| bytes.len())
    }
}

impl Outcome {
    fn of(query: &Query, result: &Result<Response, ServeError>) -> Outcome {
        let failed;
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                failed = Response::new(error.rcode(), "");
                &failed
            }
        };
        let rcode = u16::from(response.rcode);
        let denied = !response.authorities.is_empty();
        let bit = |flag: bool, bit: u8| if flag { bit } else { 0 };
        let understands = query.authentic_data || query.dnssec_ok();
        let high = QR
            | bit(response.authoritative, AA)
            | bit(response.truncated, TC)
            | bit(query.recursion_desired, RD);
        let low = bit(response.recursion_available, RA)
            | bit(response.authentic_data && understands, AD)
            | bit(query.checking_disabled, CD);
        Outcome {
            rcode,
            flags: [high, low],
            class: class(rcode, !response.answers.is_empty(), denied),
            origin: response.origin,
            certified: Some(response.certificate.is_some()),
            size: match result {
                Err(ServeError::Dropped) => Size::Bytes(0),
                _ => Size::Of(Box::new(response.clone())),
            },
        }
    }
}

/// The class of an answer.
fn class(rcode: u16, answers: bool, authorities: bool) -> Class {
    match rcode {
        0 if !answers && authorities => Class::Denial,
        0 => Class::Success,
        3 => Class::Denial,
        _ => Class::Error,
    }
}

/// The labels of a name in wire form.
pub fn labels(mut name: &[u8]) -> Vec<&[u8]> {
    let mut labels = Vec::new();
    while let Some((&length, rest)) = name.split_first()
        && length > 0
        && let Some((label, rest)) = rest.split_at_checked(length.into())
    {
        labels.push(label);
        name = rest;
    }
    labels
}

/// Who answers at a glance. The cache leaves to the engine what has to be truncated; such a reply is another's.
const GLANCED: &str = "cache";
/// What stands for the rcode of a query that gets no reply.
const REFUSED: u16 = 5;
/// What a client without EDNS takes over UDP.
const PLAIN_PAYLOAD: u16 = 512;

/// Bits of the third byte of the header.
pub const QR: u8 = 0x80;
/// AA
pub const AA: u8 = 0x04;
/// TC
pub const TC: u8 = 0x02;
/// RD
pub const RD: u8 = 0x01;
/// Bits of the fourth byte of the header.
pub const RA: u8 = 0x80;
/// Z
pub const Z: u8 = 0x40;
/// AD
pub const AD: u8 = 0x20;
/// CD
pub const CD: u8 = 0x10;
