//! Certificates in TXT strings, at every length.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use certificate::codec::Encode as _;
use certificate::delivery::{from_txt, to_txt};
use support::{Fixture, every_outcome};

#[test]
fn txt_strings_fit_their_length_byte_and_carry_the_certificate() {
    let fixture = Fixture::four();
    let mut answer = fixture.certify(&[every_outcome(&fixture).pop().unwrap()], 0);
    for length in 0..1100 {
        answer.leaf.verdict = vec![7; length];
        let strings = to_txt(&answer);
        assert!(strings.iter().all(|string| (1..=255).contains(&string.len())), "verdict of {length} bytes");
        assert_eq!(from_txt(&strings), Ok(answer.to_bytes()));
    }
}

#[test]
fn txt_says_for_people_what_is_in_the_certificate() {
    let fixture = Fixture::four();
    let answer = fixture.certify(&[fixture.positive()], 0);
    assert_eq!(
        to_txt(&answer)[..6],
        [
            "v=quorate1",
            "class=strong",
            "slot=1042",
            "signers=0,1,2",
            "time=2026-11-22T14:26:00.000Z",
            "not-after=2026-11-22T14:31:00.000Z",
        ]
    );
}
