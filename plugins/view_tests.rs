//! Tests of the view: rule by rule, and against hickory's decoder on random and broken messages.

use std::net::SocketAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, Name, RecordType};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::query::Transport;

fn client() -> Client {
    let here = SocketAddr::from(([192, 0, 2, 1], 5353));
    Client { address: here, local: here, transport: Transport::Udp }
}

/// `example.org. A`, id 1, RD, without OPT.
const PLAIN: &[u8] =
    b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07eXample\x03org\x00\x00\x01\x00\x01";
/// The same with an OPT record of 1232 bytes, DO, and one option 10 of eight bytes.
const WITH_OPT: &[u8] =
    b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x07eXample\x03org\x00\x00\x01\x00\x01\
    \x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x0c\x00\x0a\x00\x0812345678";

fn refused(wire: &[u8]) -> bool {
    QueryView::parse(wire, &client(), Instant::now()).is_none()
}

/// `PLAIN` with the byte at `at` set.
fn plain_with(at: usize, byte: u8) -> Vec<u8> {
    let mut wire = PLAIN.to_vec();
    wire[at] = byte;
    wire
}

/// `WITH_OPT` with the byte `at` bytes after the question set.
fn opt_with(at: usize, byte: u8) -> Vec<u8> {
    let mut wire = WITH_OPT.to_vec();
    wire[PLAIN.len() + at] = byte;
    wire
}

#[test]
fn plain_query_is_seen_whole() {
    let client = client();
    let view = QueryView::parse(PLAIN, &client, Instant::now()).unwrap();
    assert_eq!((view.id(), view.name, view.qtype, view.qclass), (1, &b"\x07eXample\x03org\x00"[..], 1, 1));
    assert!(view.recursion_desired() && !view.authentic_data() && !view.checking_disabled());
    assert!(view.edns.is_none() && !view.dnssec_ok());
}

#[test]
fn opt_record_is_seen_with_its_options() {
    let client = client();
    let view = QueryView::parse(WITH_OPT, &client, Instant::now()).unwrap();
    let edns = view.edns.unwrap();
    assert_eq!((edns.payload_size, edns.dnssec_ok), (1232, true));
    assert_eq!(edns.options().collect::<Vec<_>>(), [(10, &b"12345678"[..])]);
}

#[test]
fn ad_and_cd_are_told_apart() {
    let client = client();
    let (ad, cd) = (plain_with(3, 0x20), plain_with(3, 0x10));
    let ad = QueryView::parse(&ad, &client, Instant::now()).unwrap();
    assert!(ad.authentic_data() && !ad.checking_disabled());
    let cd = QueryView::parse(&cd, &client, Instant::now()).unwrap();
    assert!(!cd.authentic_data() && cd.checking_disabled());
}

#[test]
fn responses_other_opcodes_and_odd_flags_are_not_plain() {
    for (what, at, byte) in [
        ("QR", 2, 0x81),
        ("opcode NOTIFY", 2, 0x21),
        ("AA", 2, 0x05),
        ("TC", 2, 0x03),
        ("RA", 3, 0x80),
        ("Z", 3, 0x40),
        ("an rcode", 3, 0x01),
    ] {
        assert!(refused(&plain_with(at, byte)), "{what}");
    }
}

#[test]
fn any_count_but_one_question_and_one_opt_is_not_plain() {
    for (what, at, byte) in [
        ("no question", 5, 0),
        ("two questions", 5, 2),
        ("257 questions", 4, 1),
        ("an answer", 7, 1),
        ("256 answers", 6, 1),
        ("an authority", 9, 1),
        ("an additional that is missing", 11, 1),
        ("256 additionals", 10, 1),
    ] {
        assert!(refused(&plain_with(at, byte)), "{what}");
    }
    let mut two = WITH_OPT.to_vec();
    two[11] = 2;
    two.extend_from_slice(&WITH_OPT[PLAIN.len()..]);
    assert!(refused(&two));
}

#[test]
fn compressed_and_overlong_names_are_not_plain() {
    assert!(refused(&plain_with(12, 0xc0)), "a pointer");
    assert!(refused(&plain_with(12, 0x47)), "an extended label");
    let name_of = |labels: &[usize]| {
        let mut wire = PLAIN[..12].to_vec();
        for &length in labels {
            wire.push(length as u8);
            wire.resize(wire.len() + length, b'a');
        }
        wire.extend_from_slice(&[0, 0, 1, 0, 1]);
        wire
    };
    assert!(!refused(&name_of(&[63, 63, 63, 61])), "255 bytes");
    assert!(refused(&name_of(&[63, 63, 63, 62])), "256 bytes");
    assert!(refused(&name_of(&[64])), "a label of 64 bytes");
}

#[test]
fn types_and_classes_that_are_no_data_are_not_plain() {
    let ask = |qtype: u16, qclass: u16| {
        let mut wire = PLAIN.to_vec();
        let at = wire.len() - 4;
        wire[at..at + 2].copy_from_slice(&qtype.to_be_bytes());
        wire[at + 2..].copy_from_slice(&qclass.to_be_bytes());
        wire
    };
    for qtype in [0, 41, 128, 249, 250, 251, 252, 255] {
        assert!(refused(&ask(qtype, 1)), "type {qtype}");
    }
    for qtype in [1, 28, 64, 65, 127, 256, 257, 65321] {
        assert!(!refused(&ask(qtype, 1)), "type {qtype}");
    }
    for qclass in [0, 254, 255] {
        assert!(refused(&ask(1, qclass)), "class {qclass}");
    }
    assert!(!refused(&ask(16, 3)), "class CH");
}

#[test]
fn opt_record_that_is_not_plain_is_left_to_the_engine() {
    for (what, at, byte) in [
        ("an owner that is not the root", 0, 1),
        ("a type that is not OPT", 2, 16),
        ("an extended rcode", 5, 1),
        ("version 1", 6, 1),
        ("flags beside DO", 7, 0xc0),
        ("low flags", 8, 1),
        ("a length that is too small", 10, 11),
        ("a length that is too large", 10, 13),
        ("an option that is cut off", 14, 9),
        ("an option that ends early", 14, 7),
    ] {
        assert!(refused(&opt_with(at, byte)), "{what}");
    }
}

#[test]
fn bytes_after_the_end_are_not_plain() {
    for message in [PLAIN, WITH_OPT] {
        let mut wire = message.to_vec();
        wire.push(0);
        assert!(refused(&wire));
    }
}

#[test]
fn cut_off_messages_are_not_plain() {
    for message in [PLAIN, WITH_OPT] {
        for length in 0..message.len() {
            assert!(refused(&message[..length]), "{length} bytes");
        }
    }
}

/// A query as hickory writes it, of random name, type, flags and options.
fn random_query(random: &mut StdRng) -> Message {
    let labels: Vec<Vec<u8>> = (0..random.random_range(0..6))
        .map(|_| (0..random.random_range(1..20)).map(|_| random.random_range(b'!'..b'z')).collect())
        .collect();
    let name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
    let types =
        [RecordType::A, RecordType::AAAA, RecordType::HTTPS, RecordType::TXT, RecordType::Unknown(999)];
    let mut question = Query::query(name, types[random.random_range(0..types.len())]);
    question.set_query_class(DNSClass::IN);
    let mut message = Message::new(random.random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = random.random();
    message.metadata.checking_disabled = random.random();
    message.metadata.authentic_data = random.random();
    message.add_query(question);
    if random.random() {
        let mut edns = Edns::new();
        edns.set_version(0).set_max_payload(random.random_range(512..5000)).set_dnssec_ok(random.random());
        if random.random() {
            edns.options_mut().insert(EdnsOption::Unknown(10, vec![7; random.random_range(0..40)]));
        }
        message.set_edns(edns);
    }
    message
}

/// Whether the view says what the decoded message says.
fn agrees(view: &QueryView<'_>, message: &Message) -> bool {
    let question = &message.queries[0];
    let labels: Vec<u8> = question
        .name
        .iter()
        .flat_map(|label| std::iter::once(label.len() as u8).chain(label.iter().copied()))
        .chain([0])
        .collect();
    view.id() == message.metadata.id
        && view.name == labels
        && view.qtype == u16::from(question.query_type)
        && view.qclass == u16::from(question.query_class)
        && view.recursion_desired() == message.metadata.recursion_desired
        && view.authentic_data() == message.metadata.authentic_data
        && view.checking_disabled() == message.metadata.checking_disabled
        && view.edns.is_some() == message.edns.is_some()
        && view.edns.zip(message.edns.as_ref()).is_none_or(|(view, edns)| {
            // hickory raises small sizes to 512
            view.payload_size.max(512) == edns.max_payload() && view.dnssec_ok == edns.flags().dnssec_ok
        })
}

#[test]
fn every_plain_query_that_hickory_writes_is_seen_as_hickory_reads_it() {
    let (client, mut random) = (client(), StdRng::seed_from_u64(7));
    for _ in 0..20_000 {
        let wire = random_query(&mut random).to_vec().unwrap();
        let view = QueryView::parse(&wire, &client, Instant::now()).expect("plain");
        assert!(agrees(&view, &Message::from_vec(&wire).unwrap()), "{wire:02x?}");
    }
}

#[test]
fn whatever_is_seen_in_a_broken_message_hickory_reads_likewise() {
    let (client, mut random, mut seen) = (client(), StdRng::seed_from_u64(8), 0);
    for _ in 0..100_000 {
        let mut wire = random_query(&mut random).to_vec().unwrap();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..wire.len());
            match random.random_range(0..3) {
                0 => wire[at] = random.random(),
                1 => wire.truncate(at.max(1)),
                _ => wire.insert(at, random.random()),
            }
        }
        if let Some(view) = QueryView::parse(&wire, &client, Instant::now()) {
            seen += 1;
            match Message::from_vec(&wire) {
                Ok(message) => assert!(agrees(&view, &message), "{wire:02x?}"),
                // the view does not look into options, so nothing may be answered at a glance on their word
                Err(error) => {
                    let looked_into = view.edns.is_none_or(|edns| edns.options.is_empty());
                    assert!(!looked_into, "{error}: {wire:02x?}");
                }
            }
        }
    }
    assert!(seen > 1000, "only {seen} messages were still plain");
}
