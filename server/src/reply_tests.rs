//! Tests of writing: golden bytes, sizes, truncation at the byte, flags.

use std::str::FromStr;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::{A, NS, TXT};

use super::*;
use crate::message::{Received, read};

/// `eXample.org. A`, id 0x1234, RD.
const QUERY: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07eXample\x03org\x00\x00\x01\x00\x01";
const OPT: &[u8] = b"\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00\x00";

fn with_opt() -> Vec<u8> {
    let mut wire = [QUERY, OPT].concat();
    wire[11] = 1;
    wire
}

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

fn address(owner: &str, last: u8) -> Record {
    Record::from_rdata(name(owner), 300, RData::A(A::new(192, 0, 2, last)))
}

fn text(owner: &str, length: usize) -> Record {
    let bytes = vec![b'x'; length];
    Record::from_rdata(name(owner), 300, RData::TXT(TXT::from_bytes(bytes.chunks(255).collect())))
}

fn delegation(owner: &str, server: &str) -> Record {
    Record::from_rdata(name(owner), 300, RData::NS(NS(name(server))))
}

fn response(answers: Vec<Record>) -> Response {
    Response { answers, ..Response::new(ResponseCode::NoError, "test") }
}

/// The reply to `query`, at most `bytes_max` long, with an OPT record exactly when the query has one.
fn reply(query: &[u8], response: &Response, bytes_max: usize) -> Reply {
    let Received::Asked(asked) = read(query) else { panic!("not a query") };
    let opt = asked.envelope.edns.map(|edns| Opt::new(1232, edns.dnssec_ok));
    write(&asked.envelope, &asked.name, response, opt, Bounds { bytes_max, pad: false }).unwrap()
}

fn decoded(reply: &Reply) -> Message {
    Message::from_vec(&reply.bytes).unwrap()
}

#[test]
fn reply_is_these_bytes() {
    let response = response(vec![address("example.org.", 1)]);
    assert_eq!(
        reply(QUERY, &response, 512).bytes,
        b"\x12\x34\x81\x00\x00\x01\x00\x01\x00\x00\x00\x00\x07eXample\x03org\x00\x00\x01\x00\x01\
          \xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x01"
            .to_vec()
    );
}

#[test]
fn rejection_repeats_header_and_question_and_is_no_longer_than_the_query() {
    let wire = with_opt();
    let Received::Asked(asked) = read(&wire) else { panic!("not a query") };
    let mut bytes = vec![7; 3];
    reject(&asked.envelope, ResponseCode::BADVERS, 1232, &mut bytes);
    let expected = [
        &b"\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x01"[..],
        &QUERY[12..],
        b"\x00\x00\x29\x04\xd0\x01\x00\x80\x00\x00\x00",
    ];
    assert_eq!(bytes, expected.concat());
    assert!(bytes.len() <= wire.len());
}

#[test]
fn question_keeps_the_case_in_which_it_was_asked() {
    let reply = reply(QUERY, &response(vec![address("example.org.", 1)]), 512);
    assert_eq!(&reply.bytes[12..QUERY.len()], &QUERY[12..]);
    assert_eq!(decoded(&reply).answers[0].name.to_string(), "eXample.org.");
}

#[test]
fn flags_are_those_of_query_and_response() {
    let mut response = response(vec![]);
    (response.authoritative, response.recursion_available, response.authentic_data) = (true, true, true);
    let mut query = QUERY.to_vec();
    query[3] = FLAG_CD;
    assert_eq!(reply(&query, &response, 512).bytes[2..4], [0x85, 0x90], "AD is not understood");
    query[3] = FLAG_AD;
    assert_eq!(reply(&query, &response, 512).bytes[2..4], [0x85, 0xa0]);
    assert_eq!(reply(&with_opt(), &response, 512).bytes[2..4], [0x85, 0xa0], "DO implies it");
}

#[test]
fn opt_is_there_exactly_when_the_query_had_one() {
    let response = response(vec![address("example.org.", 1)]);
    assert!(decoded(&reply(QUERY, &response, 512)).edns.is_none());
    let with = decoded(&reply(&with_opt(), &response, 512)).edns.unwrap();
    assert_eq!((with.max_payload(), with.flags().dnssec_ok, with.version()), (1232, true, 0));
}

#[test]
fn reply_is_truncated_exactly_where_it_no_longer_fits() {
    let response = response((1..=20).map(|last| address("example.org.", last)).collect());
    let whole = reply(QUERY, &response, 65_535);
    let length = whole.bytes.len();
    assert_eq!(length, QUERY.len() + 20 * 16);
    assert!(!decoded(&whole).truncation);
    assert_eq!(reply(QUERY, &response, length), whole);
    let cut = reply(QUERY, &response, length - 1);
    assert!(cut.shortened && decoded(&cut).truncation);
    assert_eq!(decoded(&cut).answers.len(), 0, "an RRset is whole or absent");
    let with = with_opt();
    assert!(!reply(&with, &response, length + 11).shortened);
    let cut = reply(&with, &response, length + 10);
    assert!(cut.shortened && decoded(&cut).edns.is_some(), "OPT stays");
}

#[test]
fn interleaved_sets_are_not_split_either() {
    let mut answers = Vec::new();
    for last in 1..=10 {
        answers.push(address("a.example.org.", last));
        answers.push(address("b.example.org.", last));
    }
    answers.insert(0, address("example.org.", 99));
    let cut = decoded(&reply(QUERY, &response(answers), 300));
    assert_eq!(cut.answers.len(), 1);
    assert!(cut.truncation);
}

#[test]
fn additional_records_go_first_and_silently() {
    let mut response = response(vec![address("example.org.", 1)]);
    response.authorities.push(delegation("example.org.", "ns.example.org."));
    response.additionals.push(text("x.example.org.", 200));
    let whole = reply(QUERY, &response, 512).bytes.len();
    let cut = decoded(&reply(QUERY, &response, whole - 1));
    assert_eq!((cut.answers.len(), cut.authorities.len(), cut.additionals.len()), (1, 1, 0));
    assert!(!cut.truncation);
    let tighter = decoded(&reply(QUERY, &response, QUERY.len() + 20));
    assert_eq!((tighter.answers.len(), tighter.authorities.len()), (1, 0));
    assert!(!tighter.truncation, "name servers beside an answer are a courtesy");
}

#[test]
fn referral_without_its_glue_is_truncated() {
    let mut response = response(vec![]);
    response.authorities.push(delegation("sub.example.org.", "ns.sub.example.org."));
    response.additionals.push(address("ns.sub.example.org.", 1));
    let whole = reply(QUERY, &response, 512);
    assert!(!decoded(&whole).truncation);
    assert!(decoded(&reply(QUERY, &response, whole.bytes.len() - 1)).truncation);
}

#[test]
fn glue_beside_an_answer_goes_silently() {
    let mut response = response(vec![address("example.org.", 1)]);
    response.authorities.push(delegation("example.org.", "ns.example.org."));
    response.additionals.push(address("ns.example.org.", 1));
    let whole = reply(QUERY, &response, 512).bytes.len();
    let cut = reply(QUERY, &response, whole - 1);
    assert!(cut.shortened && !decoded(&cut).truncation);
}

#[test]
fn denial_without_its_authority_is_truncated() {
    let mut response = Response::new(ResponseCode::NXDomain, "test");
    response.authorities.push(text("example.org.", 300));
    assert!(decoded(&reply(QUERY, &response, 200)).truncation);
}

#[test]
fn text_of_an_extended_error_gives_way_to_records() {
    let wire = with_opt();
    let Received::Asked(asked) = read(&wire) else { panic!("not a query") };
    let mut opt = Opt::new(1232, true);
    opt.push_errors([(3, "x".repeat(100).as_str())]);
    let response = response(vec![text("example.org.", 380)]);
    let bounds = Bounds { bytes_max: 512, pad: false };
    let reply = write(&asked.envelope, &asked.name, &response, Some(opt), bounds).unwrap();
    assert!(!reply.shortened);
    assert_eq!(decoded(&reply).edns.unwrap().options().as_ref().len(), 1, "the code stays");
}

#[test]
fn padded_reply_is_a_multiple_of_the_block() {
    let wire = with_opt();
    let Received::Asked(asked) = read(&wire) else { panic!("not a query") };
    let bounds = Bounds { bytes_max: 65_535, pad: true };
    let opt = Some(Opt::new(1232, true));
    let reply = write(&asked.envelope, &asked.name, &response(vec![address("example.org.", 1)]), opt, bounds)
        .unwrap();
    assert_eq!(reply.bytes.len(), 468);
}

#[test]
fn dnssec_records_are_for_those_who_ask() {
    let nsec =
        RData::Unknown { code: RecordType::NSEC, rdata: hickory_proto::rr::rdata::NULL::with(vec![0, 0]) };
    let mut response = response(vec![address("example.org.", 1)]);
    response.authorities.push(Record::from_rdata(name("example.org."), 300, nsec));
    assert!(decoded(&reply(QUERY, &response, 512)).authorities.is_empty());
    let wire = with_opt();
    assert_eq!(&reply(&wire, &response, 512).bytes[8..10], [0, 1]);
}

#[test]
fn answer_longer_than_any_message_is_cut_at_whole_sets() {
    let answers: Vec<Record> = (0..400).map(|index| text(&format!("n{index}.example.org."), 250)).collect();
    let cut = reply(QUERY, &response(answers), 65_535);
    let message = decoded(&cut);
    assert!(cut.shortened && message.truncation);
    assert!(message.answers.len() > 230 && cut.bytes.len() <= 65_535, "{} answers", message.answers.len());
}
