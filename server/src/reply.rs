//! From a plugin's response to the bytes of a reply: id, flags, the question as asked, compression, the size limit, OPT.
//!
//! Pure. What a reply says beside its records (cookie, certificate, extended errors) is decided by `engine.rs`.

use std::collections::HashSet;

use hickory_proto::ProtoError;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, Name, Record, RecordData, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};
use plugins::Response;

use crate::edns::Opt;
use crate::message::{Envelope, FLAG_AD, FLAG_CD, FLAG_QR, FLAG_RD, HEADER_BYTES};

/// A reply, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The message.
    pub bytes: Vec<u8>,
    /// Whether records had to be left out.
    pub shortened: bool,
}

/// What a reply has to keep to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Longest message in bytes.
    pub bytes_max: usize,
    /// Whether to pad it, RFC 7830.
    pub pad: bool,
}

/// Writes the reply to a message that is answered from its header and question alone, into `reply`.
///
/// It is never longer than the message it answers.
pub fn reject(envelope: &Envelope<'_>, rcode: ResponseCode, payload_size: u16, reply: &mut Vec<u8>) {
    reply.clear();
    reply.extend_from_slice(&header(envelope, rcode, 0, 0));
    if let Some(question) = envelope.question {
        reply[5] = 1;
        reply.extend_from_slice(question);
    }
    if let Some(edns) = envelope.edns {
        reply[11] = 1;
        let mut opt = Opt::new(payload_size, edns.dnssec_ok);
        opt.rcode_high = rcode.high();
        opt.write(reply, false);
    }
}

/// Writes the reply to a query for `name`.
///
/// `opt` is the OPT record, present exactly when the query had one. What does not fit is left out from the end, RRset by RRset:
/// additional records silently, others with TC set. OPT always stays.
///
/// Errors: a record that cannot be encoded.
///
/// Source: RFC 2181 §9; RFC 9471 §3 (glue that is left out of a referral sets TC); RFC 6891 §7.
pub fn write(
    envelope: &Envelope<'_>,
    name: &Name,
    response: &Response,
    mut opt: Option<Opt>,
    bounds: Bounds,
) -> Result<Reply, ProtoError> {
    let dnssec_ok = envelope.edns.is_some_and(|edns| edns.dnssec_ok);
    let question = envelope.question.unwrap_or_default();
    let records = records(response, question, dnssec_ok);
    let encoded = encode(name, question, &records)?;
    if let Some(opt) = &mut opt {
        opt.rcode_high = response.rcode.high();
        opt.fit(bounds.bytes_max.saturating_sub(HEADER_BYTES + question.len()));
        if encoded.end(records.len()).is_none_or(|end| end + opt.length() > bounds.bytes_max) {
            opt.drop_texts();
        }
    }
    let room = bounds.bytes_max.saturating_sub(opt.as_ref().map_or(0, Opt::length));
    let kept = whole_sets(&records, encoded.ends.partition_point(|&end| end <= room));
    let mut bytes = encoded.bytes;
    bytes.truncate(kept.checked_sub(1).map_or(encoded.question_end, |last| encoded.ends[last]));
    let rcode = match response.rcode {
        rcode if rcode.high() > 0 && opt.is_none() => ResponseCode::ServFail,
        rcode => rcode,
    };
    let head = header(envelope, rcode, flags_high(response, &records, kept), flags_low(response, envelope));
    bytes[..HEADER_BYTES].copy_from_slice(&head);
    bytes[5] = 1;
    for section in [Section::Answer, Section::Authority, Section::Additional] {
        let opts = usize::from(section == Section::Additional && opt.is_some());
        let count = records[..kept].iter().filter(|record| record.0 == section).count() + opts;
        let count = u16::try_from(count).expect("a message of 65 535 bytes holds fewer records");
        bytes[section as usize..section as usize + 2].copy_from_slice(&count.to_be_bytes());
    }
    if let Some(opt) = opt {
        opt.write(&mut bytes, bounds.pad);
    }
    Ok(Reply { bytes, shortened: kept < records.len() })
}

/// A section, as the place of its count in the header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Section {
    Answer = 6,
    Authority = 8,
    Additional = 10,
}

/// All records in order, without DNSSEC records that the client did not ask for. RFC 4035 §3.2.1.
fn records<'a>(response: &'a Response, question: &[u8], dnssec_ok: bool) -> Vec<(Section, &'a Record)> {
    let qtype = question.last_chunk::<4>().map_or(0, |tail| u16::from_be_bytes([tail[0], tail[1]]));
    let wanted = |record: &&Record| {
        let rtype = record.record_type();
        let dnssec = matches!(rtype, RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3);
        rtype != RecordType::OPT
            && (dnssec_ok || !dnssec || qtype == u16::from(rtype) || qtype == u16::from(RecordType::ANY))
    };
    let section =
        |section, records: &'a [Record]| records.iter().filter(wanted).map(move |record| (section, record));
    section(Section::Answer, &response.answers)
        .chain(section(Section::Authority, &response.authorities))
        .chain(section(Section::Additional, &response.additionals))
        .collect()
}

/// A message without OPT, and where each of its records ends. Cut at such an end it is still well formed, since compression
/// points backwards.
struct Encoded {
    bytes: Vec<u8>,
    question_end: usize,
    /// One for each record that was written; fewer than all when the message got too long for any transport.
    ends: Vec<usize>,
}

impl Encoded {
    /// Where the first `count` records end, unless fewer were written.
    fn end(&self, count: usize) -> Option<usize> {
        count.checked_sub(1).map_or(Some(self.question_end), |last| self.ends.get(last).copied())
    }
}

fn encode(name: &Name, question: &[u8], records: &[(Section, &Record)]) -> Result<Encoded, ProtoError> {
    let mut bytes = Vec::with_capacity(512);
    let mut ends = Vec::with_capacity(records.len());
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.emit_vec(&[0; HEADER_BYTES])?;
    name.emit(&mut encoder)?;
    encoder.emit_vec(question.last_chunk::<4>().map_or(&[], |tail| &tail[..]))?;
    let question_end = encoder.offset();
    for (_, record) in records {
        match encode_record(&mut encoder, record, name) {
            Ok(()) => ends.push(encoder.offset()),
            Err(ProtoError::MaxBufferSizeExceeded(_)) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Encoded { bytes, question_end, ends })
}

/// Encodes a record; an owner that is the name asked for becomes a pointer to it, which repeats the client's case.
fn encode_record(encoder: &mut BinEncoder<'_>, record: &Record, asked: &Name) -> Result<(), ProtoError> {
    if !asked.is_root() && record.name.eq_ignore_root(asked) {
        encoder.emit_u16(POINTER_TO_QUESTION)?;
    } else {
        record.name.emit(encoder)?;
    }
    record.record_type().emit(encoder)?;
    record.dns_class.emit(encoder)?;
    encoder.emit_u32(record.ttl)?;
    let length = encoder.place::<u16>()?;
    if !record.data.is_update() {
        record.data.emit(encoder)?;
    }
    let written =
        u16::try_from(encoder.len_since_place(&length)).map_err(|_| ProtoError::from("record too long"))?;
    length.replace(encoder, written)
}

/// The greatest number of records up to `fit` that does not split an RRset.
fn whole_sets(records: &[(Section, &Record)], mut fit: usize) -> usize {
    type Key<'a> = (Section, &'a Name, RecordType, DNSClass);
    fn key<'a>((section, record): &(Section, &'a Record)) -> Key<'a> {
        (*section, &record.name, record.record_type(), record.dns_class)
    }
    let mut cut: HashSet<Key<'_>> = records[fit..].iter().map(key).collect();
    while let Some(first) = records[..fit].iter().position(|record| cut.contains(&key(record))) {
        cut.extend(records[first..fit].iter().map(key));
        fit = first;
    }
    fit
}

/// Whether leaving out all but the first `kept` records has to be told by TC.
fn is_truncated(response: &Response, records: &[(Section, &Record)], kept: usize) -> bool {
    let referral =
        response.rcode == ResponseCode::NoError && response.answers.is_empty() && !response.authoritative;
    records[kept..].iter().any(|(section, record)| match section {
        Section::Answer => true,
        // The zone's name servers beside an answer are a courtesy; what proves an answer or a denial is not.
        Section::Authority => {
            response.answers.is_empty()
                || matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3)
        }
        Section::Additional => referral && response.authorities.iter().any(|ns| is_glue(ns, record)),
    })
}

/// Whether `record` is the address of the server that the NS record `ns` names, below the zone that it delegates.
fn is_glue(ns: &Record, record: &Record) -> bool {
    let address = matches!(record.record_type(), RecordType::A | RecordType::AAAA);
    ns.record_type() == RecordType::NS && address && ns.name.zone_of(&record.name)
}

fn flags_high(response: &Response, records: &[(Section, &Record)], kept: usize) -> u8 {
    let authoritative = if response.authoritative { FLAG_AA } else { 0 };
    let truncated = if response.truncated || is_truncated(response, records, kept) { FLAG_TC } else { 0 };
    authoritative | truncated
}

/// AD only for a client that understands it, RFC 6840 §5.8.
fn flags_low(response: &Response, envelope: &Envelope<'_>) -> u8 {
    let understands = envelope.authentic_data || envelope.edns.is_some_and(|edns| edns.dnssec_ok);
    let authentic = if response.authentic_data && understands { FLAG_AD } else { 0 };
    let available = if response.recursion_available { FLAG_RA } else { 0 };
    authentic | available
}

/// A header without counts: QR, what the query's header had to be repeated, and the given flags.
fn header(envelope: &Envelope<'_>, rcode: ResponseCode, high: u8, low: u8) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..2].copy_from_slice(&envelope.id.to_be_bytes());
    header[2] = FLAG_QR | envelope.opcode << 3 | high | if envelope.recursion_desired { FLAG_RD } else { 0 };
    header[3] = rcode.low() | low | if envelope.checking_disabled { FLAG_CD } else { 0 };
    header
}

/// A compression pointer to the byte behind the header.
const POINTER_TO_QUESTION: u16 = 0xc000 | HEADER_BYTES as u16;
const FLAG_AA: u8 = 0x04;
const FLAG_TC: u8 = 0x02;
const FLAG_RA: u8 = 0x80;

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
