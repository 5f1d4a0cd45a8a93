//! The message that goes out, and what counts as its reply.

use hickory_proto::rr::RecordType;

use crate::forward::message::{Judgement, Outgoing};
use crate::testing_blocks::question;

#[test]
fn the_case_of_names_is_drawn_and_must_come_back() {
    let query = question(&format!("{}.example.org.", "w".repeat(63)), RecordType::A);
    let outgoing = Outgoing::new(&query, Some(&mut rand::rng()));
    let other = Outgoing::new(&query, Some(&mut rand::rng()));
    let mut reply = outgoing.with_id(7);
    reply[2] |= 0x80;
    assert_eq!(outgoing.judge(7, &reply), Judgement::Reply);
    assert_eq!(outgoing.judge(8, &reply), Judgement::Foreign);
    assert_eq!(other.judge(7, &reply), Judgement::OtherCase, "73 letters: two draws are not equal");
    reply[2] |= 0x02;
    assert_eq!(outgoing.judge(7, &reply), Judgement::Truncated);
    assert_eq!(outgoing.judge(7, &reply[..11]), Judgement::Foreign);
    assert_eq!(outgoing.judge(7, &reply[..20]), Judgement::Foreign);
}

#[test]
fn types_that_differ_by_the_bit_of_case_are_other_questions() {
    // A is 1 and 33 is SRV: they differ in 0x20. 65 is HTTPS, 97 is none: letters, which only case would tell apart.
    let query = question("www.example.org.", RecordType::HTTPS);
    let outgoing = Outgoing::new(&query, None);
    let mut reply = outgoing.with_id(7);
    reply[2] |= 0x80;
    let type_low = 12 + "www.example.org.".len() + 1 + 1;
    assert_eq!(reply[type_low], 65);
    reply[type_low] = 97;
    assert_eq!(outgoing.judge(7, &reply), Judgement::Foreign);
}

#[test]
fn errors_without_a_question_are_known_as_such() {
    let outgoing = Outgoing::new(&question("www.example.org.", RecordType::A), None);
    let reply = [0, 7, 0x81, 0x85, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(outgoing.judge(7, &reply), Judgement::NoQuestion);
    let empty = [0, 7, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(outgoing.judge(7, &empty), Judgement::Foreign);
}
