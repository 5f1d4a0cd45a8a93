//! One byte string for one value: what decodes encodes to the same bytes, and nothing else decodes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fmt::Debug;

use certificate::codec::{Decode, DecodeError, Encode};
use certificate::leaf::{Class, Leaf, Outcome, Question, RrSet};
use certificate::{CertifiedAnswer, Denial, QuorumCertificate, SlotHeader};
use support::{Fixture, TIME, blocked, every_outcome, flagged, question, rrset, wire};

/// Round trip, every truncation, and a byte too many.
fn is_strict<T: Encode + Decode + PartialEq + Debug>(value: &T) {
    let bytes = value.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(value));
    for length in 0..bytes.len() {
        assert!(T::from_bytes(&bytes[..length]).is_err(), "cut to {length} of {}", bytes.len());
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(T::from_bytes(&longer), Err(DecodeError::TrailingBytes { offset: bytes.len(), found: 1 }));
}

/// Whatever a change of one byte decodes to encodes to the changed bytes.
fn is_canonical<T: Encode + Decode>(value: &T) {
    let bytes = value.to_bytes();
    for position in 0..bytes.len() {
        for change in 1..=255u8 {
            let mut changed = bytes.clone();
            changed[position] ^= change;
            if let Ok(read) = T::from_bytes(&changed) {
                assert_eq!(read.to_bytes(), changed, "byte {position} ^ {change}");
            }
        }
    }
}

#[test]
fn every_truncation_and_trailing_byte_is_refused() {
    let fixture = Fixture::four();
    let leaves = every_outcome(&fixture);
    for (index, leaf) in leaves.iter().enumerate() {
        is_strict(leaf);
        is_strict(&leaf.subject);
        is_strict(&fixture.certify(&leaves, index));
    }
    is_strict(&fixture.header(&leaves));
    is_strict(&fixture.certify(&leaves, 0).certificate);
}

#[test]
fn changed_bytes_are_refused_or_another_value() {
    let fixture = Fixture::four();
    for leaf in every_outcome(&fixture) {
        is_canonical::<Leaf>(&leaf);
    }
    is_canonical::<SlotHeader>(&fixture.header(&[fixture.positive()]));
}

#[test]
fn magic_version_and_scheme_are_checked() {
    let fixture = Fixture::four();
    let bytes = fixture.certify(&[fixture.positive()], 0).to_bytes();
    for position in 0..5 {
        let mut changed = bytes.clone();
        changed[position] += 1;
        assert!(
            matches!(CertifiedAnswer::from_bytes(&changed), Err(DecodeError::Invalid { .. })),
            "{position}"
        );
    }
}

#[test]
fn bitmap_beyond_31_replicas_is_refused() {
    let fixture = Fixture::four();
    let mut certificate = fixture.certify(&[fixture.positive()], 0).certificate;
    certificate.signers.0 = 0x8000_0003;
    assert!(matches!(
        QuorumCertificate::from_bytes(&certificate.to_bytes()),
        Err(DecodeError::Invalid { field: "signers", .. })
    ));
}

#[test]
fn unknown_kinds_in_a_header_are_refused() {
    let mut header = Fixture::four().header(&[]);
    for kinds in 0..=255 {
        header.kinds.0 = kinds;
        assert_eq!(SlotHeader::from_bytes(&header.to_bytes()).is_ok(), kinds < 32, "{kinds}");
    }
}

#[test]
fn proof_longer_than_the_bound_is_refused() {
    let fixture = Fixture::four();
    let mut answer = fixture.certify(&[fixture.positive()], 0);
    answer.proof = vec![certificate::Digest::ZERO; 16];
    assert!(CertifiedAnswer::from_bytes(&answer.to_bytes()).is_ok());
    answer.proof.push(certificate::Digest::ZERO);
    assert!(CertifiedAnswer::from_bytes(&answer.to_bytes()).is_err());
}

#[test]
fn leaf_longer_than_the_bound_is_refused() {
    let fixture = Fixture::four();
    let with = |length: usize| {
        let set = rrset("www.example.org", 16, 300, &[&vec![1; 32_000], &vec![2; length]]);
        let leaf =
            fixture.leaf(question("www.example.org", 16), Class::Strong, 300, Outcome::Answer(vec![set]));
        let bytes = leaf.to_bytes().len();
        (bytes, CertifiedAnswer::from_bytes(&fixture.certify(&[leaf], 0).to_bytes()))
    };
    let (bytes, answer) = with(33_406);
    assert_eq!((bytes, answer.is_ok()), (65_535, true));
    let (_, answer) = with(33_407);
    assert!(matches!(answer, Err(DecodeError::Invalid { field: "leaf length", found: 65_536, .. })));
}

/// The field that a leaf is refused for; `None` when it is accepted.
fn refused(leaf: &Leaf) -> Option<&'static str> {
    match Leaf::from_bytes(&leaf.to_bytes()) {
        Ok(read) => {
            assert_eq!(read, *leaf);
            None
        }
        Err(DecodeError::Invalid { field, .. }) => Some(field),
        Err(other) => panic!("expected an invalid field, found {other}"),
    }
}

fn leaf_with(outcome: Outcome, ttl: u32) -> Leaf {
    Fixture::four().leaf(question("www.example.org", 1), Class::Strong, ttl, outcome)
}

fn cname(owner: &str, target: &str) -> RrSet {
    rrset(owner, 5, 300, &[&wire(target)])
}

fn address(owner: &str) -> RrSet {
    rrset(owner, 1, 300, &[&[192, 0, 2, 1]])
}

#[test]
fn class_and_outcome_must_agree() {
    let fixture = Fixture::four();
    let answer = Outcome::Answer(vec![address("www.example.org")]);
    let denial =
        Outcome::Negative { chain: Vec::new(), denial: Denial::NoData, zone: wire("org"), minimum: 300 };
    for (class, outcome, accepted) in [
        (Class::NoAgreement, Outcome::None, true),
        (Class::NoAgreement, Outcome::Failure(2), false),
        (Class::NoAgreement, answer.clone(), false),
        (Class::Failure, Outcome::Failure(2), true),
        (Class::Failure, Outcome::None, false),
        (Class::Failure, denial.clone(), false),
        (Class::Records, answer, true),
        (Class::Strong, denial, true),
        (Class::Strong, Outcome::None, false),
        (Class::Secure, Outcome::Failure(2), false),
    ] {
        let leaf = fixture.leaf(question("www.example.org", 1), class, 1, outcome);
        assert_eq!(refused(&leaf).is_none(), accepted, "{class} {:?}", leaf.outcome);
    }
}

#[test]
fn verdict_of_a_resolve_is_one_remark_or_nothing() {
    let fixture = Fixture::four();
    let nothing = fixture.leaf(question("www.example.org", 1), Class::NoAgreement, 1, Outcome::None);
    let failure = fixture.leaf(question("www.example.org", 1), Class::Failure, 5, Outcome::Failure(2));
    for leaf in [fixture.positive(), failure] {
        let with = |verdict: Vec<u8>| Leaf { verdict, ..leaf.clone() };
        assert_eq!(leaf.remark(), None);
        let remarked = with(flagged().to_bytes());
        assert_eq!((refused(&remarked), remarked.remark()), (None, Some(flagged())));
        for verdict in [vec![1], b"trusted".to_vec(), [flagged().to_bytes(), blocked().to_bytes()].concat()] {
            let leaf = with(verdict);
            assert_eq!((refused(&leaf), leaf.remark()), (Some("verdict"), None), "{leaf:?}");
        }
    }
    let remarked = Leaf { verdict: flagged().to_bytes(), ..nothing };
    assert_eq!(refused(&remarked), Some("class"));
}

#[test]
fn verdict_of_other_kinds_is_not_looked_into() {
    let fixture = Fixture::four();
    let mut leaf = fixture.validated(Class::Strong);
    leaf.verdict = flagged().to_bytes();
    assert_eq!((refused(&leaf), leaf.remark()), (None, None));
    leaf.verdict = vec![1; 4096];
    assert_eq!(refused(&leaf), None);
    leaf.verdict.push(1);
    assert_eq!(refused(&leaf), Some("verdict length"));
    leaf.verdict = vec![1];
    leaf.outcome = fixture.positive().outcome;
    assert_eq!(refused(&leaf), Some("class"));
    (leaf.class, leaf.outcome) = (Class::Failure, Outcome::Failure(2));
    assert_eq!(refused(&leaf), Some("class"));
    leaf.verdict.clear();
    assert_eq!(refused(&leaf), None);
    (leaf.class, leaf.outcome, leaf.verdict) = (Class::NoAgreement, Outcome::None, vec![1]);
    assert_eq!(refused(&leaf), Some("class"));
}

#[test]
fn records_must_answer_the_question() {
    let chain = |sets: &[RrSet]| refused(&leaf_with(Outcome::Answer(sets.to_vec()), 300));
    assert_eq!(chain(&[address("www.example.org")]), None);
    assert_eq!(chain(&[cname("www.example.org", "a.org"), address("a.org")]), None);
    assert_eq!(chain(&[cname("www.example.org", "a.org"), cname("a.org", "b.org")]), None);
    for sets in [
        &[][..],
        &[address("example.org")],
        &[rrset("www.example.org", 28, 300, &[&[1; 16]])],
        &[address("www.example.org"), address("www.example.org")],
        &[cname("www.example.org", "a.org"), address("b.org")],
        &[cname("a.org", "b.org"), cname("www.example.org", "a.org")],
        &[address("a.org"), cname("www.example.org", "a.org")],
        &[rrset("www.example.org", 5, 300, &[&wire("a.org"), &wire("b.org")]), address("a.org")],
    ] {
        assert_eq!(chain(sets), Some("records"), "{sets:?}");
    }
    let mut other_class = address("www.example.org");
    other_class.rclass = 3;
    assert_eq!(chain(&[other_class]), Some("records"));
}

#[test]
fn alias_asked_for_is_not_followed() {
    let fixture = Fixture::four();
    let aliases = |sets: &[RrSet]| {
        refused(&fixture.leaf(
            question("www.example.org", 5),
            Class::Strong,
            300,
            Outcome::Answer(sets.to_vec()),
        ))
    };
    assert_eq!(aliases(&[cname("www.example.org", "a.org")]), None);
    assert_eq!(aliases(&[cname("www.example.org", "a.org"), cname("a.org", "b.org")]), Some("records"));
}

#[test]
fn answer_to_any_has_the_sets_of_the_name_by_type() {
    let fixture = Fixture::four();
    let any = |sets: &[RrSet]| {
        refused(&fixture.leaf(
            question("www.example.org", 255),
            Class::Strong,
            300,
            Outcome::Answer(sets.to_vec()),
        ))
    };
    let text = rrset("www.example.org", 16, 300, &[b"\x01a"]);
    assert_eq!(any(&[address("www.example.org"), text.clone()]), None);
    assert_eq!(any(&[text.clone(), address("www.example.org")]), Some("records"));
    assert_eq!(any(&[text.clone(), text]), Some("records"));
    assert_eq!(any(&[address("a.org")]), Some("records"));
    assert_eq!(any(&[]), Some("records"));
}

#[test]
fn denial_stands_at_the_end_of_a_chain() {
    let denial = |chain: &[RrSet], zone: Vec<u8>| {
        let outcome =
            Outcome::Negative { chain: chain.to_vec(), denial: Denial::NxDomain, zone, minimum: 300 };
        refused(&leaf_with(outcome, 300))
    };
    assert_eq!(denial(&[], wire("org")), None);
    assert_eq!(denial(&[cname("www.example.org", "a.org")], wire(".")), None);
    assert_eq!(denial(&[cname("a.org", "b.org")], wire("org")), Some("records"));
    assert_eq!(denial(&[address("www.example.org")], wire("org")), Some("records"));
    assert_eq!(denial(&[], b"\x03ORG\x00".to_vec()), Some("denying zone"));
}

#[test]
fn ttl_is_at_most_that_of_every_part() {
    let positive = |ttl| {
        refused(&leaf_with(Outcome::Answer(vec![cname("www.example.org", "a.org"), address("a.org")]), ttl))
    };
    assert_eq!(positive(300), None);
    assert_eq!(positive(0), None);
    assert_eq!(positive(301), Some("ttl"));
    let negative = |ttl, minimum| {
        let zone = wire("org");
        let chain = vec![cname("www.example.org", "a.org")];
        refused(&leaf_with(Outcome::Negative { chain, denial: Denial::NoData, zone, minimum }, ttl))
    };
    assert_eq!(negative(60, 60), None);
    assert_eq!(negative(61, 60), Some("ttl"));
    assert_eq!(negative(301, 900), Some("ttl"));
}

#[test]
fn end_follows_from_time_and_ttl() {
    let mut leaf = Fixture::four().positive();
    leaf.not_after_ms += 1;
    assert_eq!(refused(&leaf), Some("not after"));
    leaf.not_after_ms = TIME;
    assert_eq!(refused(&leaf), Some("not after"));
    leaf.time_ms = u64::MAX;
    leaf.not_after_ms = u64::MAX;
    assert_eq!(refused(&leaf), Some("not after"));
    leaf.ttl = 0;
    assert_eq!(refused(&leaf), None);
}

#[test]
fn rcodes_that_are_no_failure_are_refused() {
    let fixture = Fixture::four();
    for rcode in 0..=255 {
        let leaf = fixture.leaf(question("a.org", 1), Class::Failure, 1, Outcome::Failure(rcode));
        let accepted = (1..16).contains(&rcode) && rcode != 3;
        assert_eq!(refused(&leaf), (!accepted).then_some("failure rcode"), "{rcode}");
    }
}

#[test]
fn answer_with_more_sets_than_the_bound_is_refused() {
    let names: Vec<String> = (0..66).map(|i| format!("n{i}.org")).collect();
    let chain = |count: usize| {
        let sets = names.windows(2).take(count).map(|pair| cname(&pair[0], &pair[1])).collect();
        let asked = Question { name: wire("n0.org"), qtype: 1, qclass: 1, flags: 0 };
        refused(&Fixture::four().leaf(asked, Class::Records, 300, Outcome::Answer(sets)))
    };
    assert_eq!(chain(64), None);
    assert_eq!(chain(65), Some("rrset count"));
}
