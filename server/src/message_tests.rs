//! Tests of reading: rule by rule, then broken messages.

use super::*;

/// `example.org. A`, id 1, RD, without OPT.
const PLAIN: &[u8] =
    b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07eXample\x03org\x00\x00\x01\x00\x01";
/// An OPT record of 1232 bytes, DO, and one option 10 of eight bytes.
const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x0c\x00\x0a\x00\x0812345678";

fn with_opt(opt: &[u8]) -> Vec<u8> {
    let mut wire = [PLAIN, opt].concat();
    wire[11] = 1;
    wire
}

fn with(wire: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut wire = wire.to_vec();
    wire[at] = byte;
    wire
}

fn asking(qtype: u16, qclass: u16) -> Vec<u8> {
    let question = PLAIN.len() - 4;
    [&PLAIN[..question], &qtype.to_be_bytes(), &qclass.to_be_bytes()].concat()
}

/// The rcode and whether the question and OPT are known, of a message that is rejected.
fn rejected(wire: &[u8]) -> Option<(ResponseCode, bool, bool)> {
    match read(wire) {
        Received::Rejected(envelope, rcode) => {
            Some((rcode, envelope.question.is_some(), envelope.edns.is_some()))
        }
        _ => None,
    }
}

fn is_silent(wire: &[u8]) -> bool {
    matches!(read(wire), Received::Silent)
}

#[test]
fn query_is_read_whole() {
    let wire = with_opt(OPT);
    let Received::Asked(asked) = read(&wire) else { panic!("not a query") };
    assert_eq!(asked.name.to_string(), "eXample.org.");
    assert_eq!((asked.qtype, asked.qclass), (RecordType::A, DNSClass::IN));
    assert_eq!((asked.envelope.id, asked.envelope.recursion_desired), (1, true));
    assert_eq!(asked.envelope.question, Some(&PLAIN[12..]));
    assert_eq!(asked.option(10), Some(&b"12345678"[..]));
    let edns = asked.edns.unwrap();
    assert!(edns.flags().dnssec_ok);
    assert_eq!(edns.max_payload(), 1232);
    assert_eq!(edns.options().as_ref().len(), 1);
}

#[test]
fn short_messages_and_responses_get_silence() {
    for length in 0..12 {
        assert!(is_silent(&PLAIN[..length]), "{length} bytes");
    }
    assert!(is_silent(&with(PLAIN, 2, 0x81)), "QR");
    assert!(is_silent(&with(PLAIN, 2, 0xa9)), "QR and another opcode");
}

#[test]
fn other_opcodes_are_not_implemented() {
    for opcode in 1..16 {
        let wire = with(PLAIN, 2, opcode << 3);
        assert_eq!(rejected(&wire), Some((ResponseCode::NotImp, false, false)), "opcode {opcode}");
    }
}

#[test]
fn any_count_but_one_question_is_a_format_error() {
    for (high, low) in [(0, 0), (0, 2), (255, 255)] {
        let wire = with(&with(PLAIN, 4, high), 5, low);
        assert_eq!(rejected(&wire), Some((ResponseCode::FormErr, false, false)));
        assert_eq!(rejected(&wire[..12]), Some((ResponseCode::FormErr, false, false)));
    }
}

#[test]
fn question_that_cannot_be_read_is_a_format_error_without_question() {
    let label = |length: usize| [&[length as u8][..], &vec![b'a'; length]].concat();
    for (what, name) in [
        ("a pointer to itself", b"\xc0\x0c".to_vec()),
        ("a pointer into the header", b"\xc0\x00".to_vec()),
        ("half a pointer", b"\xc0".to_vec()),
        ("a label of 64 bytes", [label(64), vec![0]].concat()),
        ("an unknown label type", b"\x81a\x00".to_vec()),
        ("a name of 256 bytes", [label(63), label(63), label(63), label(62), vec![0]].concat()),
        ("no root label", b"\x03org".to_vec()),
    ] {
        let wire = [&PLAIN[..12], &name, &[0, 1, 0, 1]].concat();
        let cut = if what.contains("no root") || what.contains("half") { wire.len() - 4 } else { wire.len() };
        assert_eq!(rejected(&wire[..cut]), Some((ResponseCode::FormErr, false, false)), "{what}");
    }
    let longest = [label(63), label(63), label(63), label(61), vec![0]].concat();
    assert!(
        matches!(read(&[&PLAIN[..12], &longest, &[0, 1, 0, 1]].concat()), Received::Asked(_)),
        "255 bytes"
    );
}

#[test]
fn counts_that_lie_and_bytes_after_the_end_are_format_errors_with_the_question() {
    let expected = Some((ResponseCode::FormErr, true, false));
    for at in 6..12 {
        assert_eq!(rejected(&with(PLAIN, at, 1)), expected, "count at {at}");
        assert_eq!(rejected(&with(PLAIN, at, 255)), expected, "count at {at}");
    }
    assert_eq!(rejected(&[PLAIN, &[0]].concat()), expected, "a byte after the question");
    assert_eq!(rejected(&[&with_opt(OPT), &[0][..]].concat()), expected, "a byte after OPT");
}

/// What follows it would begin behind the end.
#[test]
fn owner_name_that_ends_within_its_pointer_is_a_format_error() {
    for pointer in [0xc0, 0xff] {
        let wire = with(&[PLAIN, &[pointer]].concat(), 11, 1);
        assert_eq!(rejected(&wire), Some((ResponseCode::FormErr, true, false)));
    }
}

#[test]
fn opt_record_must_be_one_in_its_place_and_owned_by_the_root() {
    let expected = Some((ResponseCode::FormErr, true, false));
    assert_eq!(rejected(&with(&[&with_opt(OPT), OPT].concat(), 11, 2)), expected, "two");
    assert_eq!(rejected(&with(&with(&with_opt(OPT), 11, 0), 7, 1)), expected, "in the answer section");
    assert_eq!(rejected(&with_opt(&[b"\x01a", OPT].concat())), expected, "owned by another name");
}

#[test]
fn opt_record_with_broken_options_is_a_format_error_with_opt() {
    let expected = Some((ResponseCode::FormErr, true, true));
    for (what, at, byte) in [("too long", 14, 9), ("too short", 14, 7), ("cut header", 10, 11)] {
        let wire = with_opt(&with(OPT, at, byte));
        let wire = if byte == 11 { &wire[..wire.len() - 1] } else { &wire[..] };
        assert_eq!(rejected(wire), expected, "{what}");
    }
}

#[test]
fn later_version_of_edns_is_refused_as_such() {
    for version in [1, 255] {
        let wire = with_opt(&with(OPT, 6, version));
        assert_eq!(rejected(&wire), Some((ResponseCode::BADVERS, true, true)));
    }
}

#[test]
fn unknown_flags_and_options_are_ignored() {
    let flags = with_opt(&with(&with(OPT, 7, 0xff), 8, 0xff));
    assert!(matches!(read(&flags), Received::Asked(_)));
    let option = with_opt(&with(&with(OPT, 11, 0xfd), 12, 0xe9));
    assert!(matches!(read(&option), Received::Asked(_)));
}

#[test]
fn cookie_of_a_length_that_cannot_be_is_a_format_error() {
    for length in 0..=64_u8 {
        let opt = [b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00", &[length + 4, 0, 10, 0, length][..]].concat();
        let wire = with_opt(&[opt, vec![1; usize::from(length)]].concat());
        let legal = matches!(length, 8 | 16..=40);
        assert_eq!(matches!(read(&wire), Received::Asked(_)), legal, "{length} bytes");
        assert_eq!(rejected(&wire).is_some(), !legal, "{length} bytes");
    }
}

#[test]
fn number_of_options_is_bounded() {
    let many = |count: u16| {
        let length = (count * 4).to_be_bytes();
        let opt =
            [&b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00"[..], &length, &[0xfd, 0xe9, 0, 0].repeat(count.into())]
                .concat();
        with_opt(&opt)
    };
    assert!(matches!(read(&many(32)), Received::Asked(_)));
    assert_eq!(rejected(&many(33)), Some((ResponseCode::FormErr, true, true)));
}

#[test]
fn types_and_classes_that_are_no_data_are_rejected() {
    for (qtype, rcode) in [
        (0, ResponseCode::FormErr),
        (41, ResponseCode::FormErr),
        (128, ResponseCode::FormErr),
        (249, ResponseCode::NotImp),
        (250, ResponseCode::FormErr),
        (253, ResponseCode::NotImp),
        (254, ResponseCode::NotImp),
    ] {
        assert_eq!(rejected(&asking(qtype, 1)), Some((rcode, true, false)), "type {qtype}");
    }
    for qtype in [1, 64, 127, 251, 252, 255, 256, 65_400] {
        assert!(matches!(read(&asking(qtype, 1)), Received::Asked(_)), "type {qtype}");
    }
    for qclass in [0, 254] {
        assert_eq!(
            rejected(&asking(1, qclass)),
            Some((ResponseCode::FormErr, true, false)),
            "class {qclass}"
        );
    }
}

#[test]
fn other_records_of_a_query_are_ignored_when_whole() {
    let record = b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x00\x00\x02\x01a";
    let wire = with(&[PLAIN, record].concat(), 11, 1);
    assert!(matches!(read(&wire), Received::Asked(_)));
    let looped = b"\xc0\x1d\x00\x10\x00\x01\x00\x00\x00\x00\x00\x02\x01a";
    let wire = with(&[PLAIN, looped].concat(), 11, 1);
    assert_eq!(rejected(&wire), Some((ResponseCode::FormErr, true, false)), "a pointer to itself");
}

#[test]
fn no_truncation_of_a_query_is_a_query() {
    let wire = with_opt(OPT);
    for length in 0..wire.len() {
        assert!(!matches!(read(&wire[..length]), Received::Asked(_)), "{length} bytes");
    }
}
