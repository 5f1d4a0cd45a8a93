//! What a reply at a glance looks like: golden bytes, and what hickory reads from them.

use std::str::FromStr;
use std::time::Instant;

use certificate::{Judged, Remark};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::cache::image::{Image, Question, Shown};
use crate::error::ExtendedError;
use crate::query::{Client, Query, Transport};
use crate::rehearsal::{a, answer, cname, denial, query_at, soa, wire, with_edns};
use crate::response::Response;
use crate::view::QueryView;

const PAYLOAD: u16 = 1232;

fn encode(response: &Response, name: &str, dnssec_ok: bool) -> Image {
    let name = Name::from_str(name).unwrap();
    let question = Question { name: &name, qtype: RecordType::A, qclass: DNSClass::IN, dnssec_ok };
    Image::encode(response, question).unwrap()
}

fn ask(name: &str) -> Query {
    query_at(name, RecordType::A, Instant::now())
}

/// The reply to `query`, if it fits.
fn written(image: &Image, query: &Query, shown: Shown) -> Option<Vec<u8>> {
    let (bytes, mut reply) = (wire(query), b"left from the last reply".to_vec());
    let view = QueryView::parse(&bytes, &query.client, query.received).unwrap();
    image.write(&view, shown, PAYLOAD, &mut reply).then_some(reply)
}

fn decoded(image: &Image, query: &Query, shown: Shown) -> Message {
    Message::from_vec(&written(image, query, shown).unwrap()).unwrap()
}

#[test]
fn reply_is_what_the_rfcs_say_byte_by_byte() {
    let mut response = answer(vec![a("example.org.", 300, 1)]);
    response.recursion_available = true;
    let mut query = with_edns(ask("eXample.ORG."), true);
    query.checking_disabled = true;
    let reply = written(&encode(&response, "example.org.", true), &query, Shown::Aged(20)).unwrap();
    let golden: &[u8] = b"\x00\x07\x81\x90\x00\x01\x00\x01\x00\x00\x00\x01\
        \x07eXample\x03ORG\x00\x00\x01\x00\x01\
        \xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x18\x00\x04\xc0\x00\x02\x01\
        \x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";
    assert_eq!(reply, golden);
}

#[test]
fn hickory_reads_all_sections_and_the_question_as_asked() {
    let mut response = answer(vec![cname("www.example.org.", 300, "Example.org."), a("example.org.", 60, 1)]);
    response.authoritative = true;
    response.authorities.push(soa("example.org.", 100, 50));
    response.additionals.push(a("ns.example.org.", 40, 2));
    let message =
        decoded(&encode(&response, "www.example.org.", false), &ask("WWW.example.Org."), Shown::Aged(0));
    assert_eq!(message.metadata.id, 7);
    assert!(message.metadata.authoritative && message.metadata.recursion_desired);
    assert_eq!(message.queries[0].name.to_string(), "WWW.example.Org.", "case as asked");
    assert_eq!(message.answers[0].name.to_string(), "WWW.example.Org.");
    assert_eq!(message.answers, response.answers);
    assert_eq!(message.authorities, response.authorities);
    assert_eq!(message.additionals, response.additionals);
    assert!(message.edns.is_none());
}

#[test]
fn ttls_age_one_by_one_and_never_below_zero() {
    let response = answer(vec![cname("www.example.org.", 300, "example.org."), a("example.org.", 60, 1)]);
    let image = encode(&response, "www.example.org.", false);
    let ttls = |shown| {
        let message = decoded(&image, &ask("www.example.org."), shown);
        message.answers.iter().map(|record| record.ttl).collect::<Vec<_>>()
    };
    assert_eq!(ttls(Shown::Aged(59)), [241, 1]);
    assert_eq!(ttls(Shown::Aged(100)), [200, 0]);
    assert_eq!(ttls(Shown::Stale(3)), [30, 30]);
}

#[test]
fn ad_is_shown_only_to_clients_that_understand_it() {
    let mut response = answer(vec![a("example.org.", 300, 1)]);
    response.authentic_data = true;
    let image = encode(&response, "example.org.", false);
    let plain = ask("example.org.");
    let asks_ad = Query { authentic_data: true, ..plain.clone() };
    for (what, query, expected) in [
        ("plain", plain.clone(), false),
        ("EDNS without DO", with_edns(plain.clone(), false), false),
        ("AD", asks_ad.clone(), true),
        ("DO", with_edns(plain, true), true),
    ] {
        assert_eq!(decoded(&image, &query, Shown::Aged(0)).metadata.authentic_data, expected, "{what}");
    }
    let unproven = encode(&answer(vec![a("example.org.", 300, 1)]), "example.org.", false);
    assert!(!decoded(&unproven, &asks_ad, Shown::Aged(0)).metadata.authentic_data, "not validated");
}

#[test]
fn rd_and_cd_are_repeated_and_ra_is_the_answers() {
    let image = encode(&answer(vec![a("example.org.", 300, 1)]), "example.org.", false);
    let query = Query { recursion_desired: false, checking_disabled: true, ..ask("example.org.") };
    let metadata = decoded(&image, &query, Shown::Aged(0)).metadata;
    assert!(!metadata.recursion_desired && metadata.checking_disabled && !metadata.recursion_available);
}

#[test]
fn opt_is_there_exactly_when_the_query_had_one() {
    let image = encode(&answer(vec![a("example.org.", 300, 1)]), "example.org.", false);
    assert!(decoded(&image, &ask("example.org."), Shown::Aged(0)).edns.is_none());
    for dnssec_ok in [false, true] {
        let message = decoded(&image, &with_edns(ask("example.org."), dnssec_ok), Shown::Aged(0));
        let edns = message.edns.unwrap();
        assert_eq!((edns.max_payload(), edns.version(), edns.flags().dnssec_ok), (PAYLOAD, 0, dnssec_ok));
    }
}

#[test]
fn stale_answers_and_failures_say_so_in_opt() {
    let mut response = denial(ResponseCode::NXDomain, soa("example.org.", 300, 60));
    response.extended_errors.push(ExtendedError { code: 22, text: "x".repeat(200) });
    let image = encode(&response, "example.org.", false);
    let message = decoded(&image, &with_edns(ask("example.org."), false), Shown::Stale(19));
    let options: Vec<_> =
        message.edns.unwrap().options().as_ref().iter().map(|(_, option)| option.clone()).collect();
    let mut long = vec![0, 22];
    long.extend_from_slice(&[b'x'; 160]);
    assert_eq!(options, [EdnsOption::Unknown(15, long), EdnsOption::Unknown(15, vec![0, 19])]);
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn remark_is_told_at_a_glance_and_a_valid_one_costs_nothing() {
    let plain = encode(&answer(vec![a("example.org.", 300, 1)]), "example.org.", false);
    for (judged, told) in [(Judged::Valid, false), (Judged::Invalid, true), (Judged::Indeterminate, true)] {
        let mut response = answer(vec![a("example.org.", 300, 1)]);
        response.remark = Some(Remark::new(judged, 15, "why"));
        let image = encode(&response, "example.org.", false);
        let message = decoded(&image, &with_edns(ask("example.org."), false), Shown::Aged(7));
        let options: Vec<_> =
            message.edns.unwrap().options().as_ref().iter().map(|(_, option)| option.clone()).collect();
        let expected = if told { vec![EdnsOption::Unknown(15, b"\x00\x0fwhy".to_vec())] } else { Vec::new() };
        assert_eq!(options, expected, "{judged:?}");
        assert_eq!(image.weight() > plain.weight(), told, "{judged:?}");
    }
}

/// An answer of `count` records of 16 bytes each.
fn records(count: u16) -> Response {
    answer((0..count).map(|last| a("example.org.", 300, last as u8)).collect())
}

#[test]
fn reply_that_is_too_long_for_the_client_is_left_to_the_engine() {
    let over = |transport| {
        let query = ask("example.org.");
        Query { client: Client { transport, ..query.client }, ..query }
    };
    let (udp, tcp) = (over(Transport::Udp), over(Transport::Tcp));
    let fits = |count, query: &Query| {
        written(&encode(&records(count), "example.org.", false), query, Shown::Aged(0))
    };
    // 12 + 17 + 16 n bytes, 11 more with OPT
    assert_eq!(fits(30, &udp).unwrap().len(), 509);
    assert!(fits(31, &udp).is_none(), "525 bytes without EDNS");
    assert_eq!(fits(74, &with_edns(udp.clone(), false)).unwrap().len(), 1224);
    assert!(fits(75, &with_edns(udp.clone(), false)).is_none(), "1240 bytes");
    assert!(fits(1000, &tcp).is_some());
    let mut little = with_edns(udp, false);
    std::sync::Arc::make_mut(little.edns.as_mut().unwrap()).set_max_payload(600);
    assert!(fits(34, &little).is_some(), "584 bytes of 600");
    assert!(fits(36, &little).is_none(), "616 bytes of 600");
}

#[test]
fn payload_size_below_512_counts_as_512() {
    let image = encode(&records(28), "example.org.", false);
    let mut bytes = wire(&with_edns(ask("example.org."), false));
    let at = bytes.len() - 8;
    bytes[at..at + 2].copy_from_slice(&100u16.to_be_bytes());
    let client = ask("example.org.").client;
    let view = QueryView::parse(&bytes, &client, Instant::now()).unwrap();
    assert_eq!(view.edns.unwrap().payload_size, 100);
    assert!(image.write(&view, Shown::Aged(0), PAYLOAD, &mut Vec::new()), "488 bytes");
}

#[test]
fn dnssec_records_are_for_those_who_asked_for_them() {
    let mut response = answer(vec![a("example.org.", 300, 1)]);
    let nsec3 = RecordType::NSEC3;
    let proof = RData::Unknown {
        code: nsec3,
        rdata: hickory_proto::rr::rdata::NULL::with(vec![1, 0, 0, 0, 0, 1, 0xaa, 0]),
    };
    response.authorities.push(Record::from_rdata(Name::from_str("example.org.").unwrap(), 60, proof));
    let count = |dnssec_ok| {
        let query = with_edns(ask("example.org."), dnssec_ok);
        decoded(&encode(&response, "example.org.", dnssec_ok), &query, Shown::Aged(0)).authorities.len()
    };
    assert_eq!((count(false), count(true)), (0, 1));
}

#[test]
fn answer_that_is_no_message_has_no_image() {
    let name = Name::from_str("example.org.").unwrap();
    let question = Question { name: &name, qtype: RecordType::A, qclass: DNSClass::IN, dnssec_ok: false };
    assert!(Image::encode(&records(4094), question).is_some());
    assert!(Image::encode(&records(4095), question).is_none(), "65 549 bytes");
}

#[test]
fn root_can_be_asked_for() {
    let message = decoded(&encode(&answer(vec![a(".", 300, 1)]), ".", false), &ask("."), Shown::Aged(0));
    assert!(message.answers[0].name.is_root());
}
