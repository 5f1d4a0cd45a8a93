//! From a leaf back to a response, a response compared with its leaf, and a decision that the verifier of certificates accepts.

#![allow(clippy::unwrap_used, reason = "a test that cannot be arranged should fail")]

mod world;

use agreement::{
    Decision, Dnssec, Mismatch, NoProofs, Observed, ObservedOutcome, Proofs, Served, matches, serve,
};
use certificate::codec::Encode;
use certificate::verify::verify;
use certificate::{
    CertifiedAnswer, Class, Cluster, Digest, Kinds, MessageType, OperationKind, Policy, Question,
    QuorumCertificate, ReplicaId, SeedKey, Sequence, SlotHeader, View, merkle,
};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use hickory_proto::serialize::binary::BinDecodable;
use world::{NOW_MS, addresses, four, outcome, question, read, response, round, saw, www};

const SOA: &str = "example.org. 300 SOA ns.example.org. hostmaster.example.org. 7 3600 600 86400 60";
const SIGNATURE: &str = "www.example.org. 60 TYPE46 \\# 000108030000003c6a0000006900000000010000";

fn agreed(question: &Question, rcode: ResponseCode, lines: &[&str]) -> Decision {
    let reading = read(question, rcode, lines).unwrap();
    let observed = vec![Observed { extra: reading.extra, ..saw(reading.outcome) }; 3];
    agreement::decide(&four(Policy::Records), question, &round(&observed), &NoProofs)
}

/// The response that a client receives: written to the wire and read again.
fn sent(question: &Question, served: Served) -> Message {
    let mut message = response(question, served.rcode, &[]);
    message.add_answers(served.answers);
    message.add_authorities(served.authorities);
    Message::from_bytes(&message.to_vec().unwrap()).unwrap()
}

fn types(records: &[Record]) -> Vec<u16> {
    records.iter().map(|record| record.record_type().into()).collect()
}

fn ttls(records: &[Record]) -> Vec<u32> {
    records.iter().map(|record| record.ttl).collect()
}

fn cases() -> Vec<(Question, ResponseCode, Vec<&'static str>)> {
    let dnssec = Question { flags: Question::DNSSEC_OK, ..www() };
    let (ok, nxdomain) = (ResponseCode::NoError, ResponseCode::NXDomain);
    vec![
        (www(), ok, vec!["www.example.org. 60 A 192.0.2.1", "www.example.org. 60 A 192.0.2.2"]),
        (www(), ok, vec!["www.example.org. 30 CNAME b.example.org.", "b.example.org. 20 A 192.0.2.1"]),
        (www(), ok, vec!["www.example.org. 30 CNAME b.example.org."]),
        (www(), ok, vec!["--", SOA]),
        (www(), nxdomain, vec!["--", SOA]),
        (www(), nxdomain, vec!["www.example.org. 30 CNAME b.example.org.", "--", SOA]),
        (www(), nxdomain, vec![]),
        (dnssec, ok, vec!["www.example.org. 60 A 192.0.2.1", SIGNATURE]),
        (question("example.org", 15), ok, vec!["example.org. 60 MX 10 Mail.Example.ORG."]),
        (question("www.example.org", 65), ok, vec!["www.example.org. 60 HTTPS 1 . alpn=h2,h3"]),
        (question("www.example.org", 65280), ok, vec!["www.example.org. 60 TYPE65280 \\# 00ff"]),
        (
            question("www.example.org", 255),
            ok,
            vec!["www.example.org. 60 A 192.0.2.1", "www.example.org. 60 TXT \"t\""],
        ),
        (www(), ResponseCode::Refused, vec![]),
        (www(), ResponseCode::ServFail, vec![]),
    ]
}

#[test]
fn served_answer_matches_its_leaf_at_every_moment_of_its_life() {
    for (question, rcode, lines) in cases() {
        let Decision { leaf, extra } = agreed(&question, rcode, &lines);
        for age_ms in [0, 1, 999, 1000, 1001, 59_999, 60_000, 100_000] {
            let now_ms = leaf.time_ms + age_ms;
            let message = sent(&question, serve(&leaf, &extra, now_ms));
            assert_eq!(matches(&leaf, &message, now_ms), Ok(()), "{lines:?} after {age_ms} ms");
        }
    }
}

#[test]
fn served_sections_are_those_of_the_response_that_was_observed() {
    for (question, rcode, lines) in cases() {
        let Decision { leaf, extra } = agreed(&question, rcode, &lines);
        let served = serve(&leaf, &extra, leaf.time_ms);
        let observed = response(&question, rcode, &lines);
        assert_eq!(served.rcode, rcode, "{lines:?}");
        assert_eq!(types(&served.answers), types(&observed.answers), "{lines:?}");
        assert_eq!(types(&served.authorities), types(&observed.authorities), "{lines:?}");
    }
}

#[test]
fn ttls_age_from_the_time_of_the_leaf_rounded_down_and_never_below_zero() {
    let lines = ["www.example.org. 30 CNAME b.example.org.", "b.example.org. 20 A 192.0.2.1"];
    let Decision { leaf, extra } = agreed(&www(), ResponseCode::NoError, &lines);
    for (age_ms, expected) in
        [(0, [30, 20]), (1, [29, 19]), (1000, [29, 19]), (20_000, [10, 0]), (90_000, [0, 0])]
    {
        assert_eq!(ttls(&serve(&leaf, &extra, leaf.time_ms + age_ms).answers), expected, "{age_ms}");
    }
    assert_eq!(ttls(&serve(&leaf, &extra, leaf.time_ms - 5000).answers), [30, 20]);
}

#[test]
fn soa_and_signature_live_no_longer_than_what_they_stand_beside() {
    let denial = agreed(&www(), ResponseCode::NXDomain, &["--", SOA]);
    assert_eq!(ttls(&serve(&denial.leaf, &denial.extra, denial.leaf.time_ms + 1000).authorities), [59]);
    let dnssec = Question { flags: Question::DNSSEC_OK, ..www() };
    let signed = agreed(&dnssec, ResponseCode::NoError, &["www.example.org. 10 A 192.0.2.1", SIGNATURE]);
    assert_eq!(ttls(&serve(&signed.leaf, &signed.extra, signed.leaf.time_ms).answers), [10, 10]);
}

#[test]
fn records_whose_digest_is_not_the_leafs_are_left_out() {
    let denial = agreed(&www(), ResponseCode::NXDomain, &["--", SOA]);
    let other = agreed(&www(), ResponseCode::NXDomain, &["--", &SOA.replace(" 7 ", " 8 ")]);
    assert!(serve(&denial.leaf, &other.extra, denial.leaf.time_ms).authorities.is_empty());
}

#[test]
fn no_agreement_is_served_as_servfail() {
    let observed = [saw(addresses(&[1], 60)), saw(addresses(&[2], 60)), saw(addresses(&[3], 60))];
    let leaf = agreement::decide(&four(Policy::Records), &www(), &round(&observed), &NoProofs).leaf;
    let served = serve(&leaf, &[], leaf.time_ms);
    assert_eq!(served, Served { rcode: ResponseCode::ServFail, answers: vec![], authorities: vec![] });
    assert_eq!(matches(&leaf, &sent(&www(), served), leaf.time_ms), Ok(()));
}

#[test]
fn response_that_says_something_else_does_not_match() {
    let answer = "www.example.org. 60 A 192.0.2.1";
    let leaf = agreed(&www(), ResponseCode::NoError, &[answer]).leaf;
    let differs = |question: &Question, rcode, lines: &[&str]| {
        matches(&leaf, &response(question, rcode, lines), leaf.time_ms)
    };
    let ok = ResponseCode::NoError;
    assert_eq!(differs(&www(), ok, &[answer]), Ok(()));
    assert_eq!(differs(&www(), ok, &["www.example.org. 60 A 192.0.2.2"]), Err(Mismatch::Records));
    assert_eq!(differs(&www(), ok, &[answer, "www.example.org. 60 A 192.0.2.2"]), Err(Mismatch::Records));
    assert_eq!(differs(&www(), ok, &["--", SOA]), Err(Mismatch::Records));
    let nxdomain = differs(&www(), ResponseCode::NXDomain, &["--", SOA]);
    assert_eq!(nxdomain, Err(Mismatch::Rcode { expected: 0, found: 3 }));
    assert_eq!(differs(&question("www.example.org", 28), ok, &[answer]), Err(Mismatch::Question));
    assert_eq!(differs(&question("mail.example.org", 1), ok, &[answer]), Err(Mismatch::Question));
    let mut none = response(&www(), ok, &[answer]);
    none.queries.clear();
    assert_eq!(matches(&leaf, &none, leaf.time_ms), Err(Mismatch::Question));
    let too_long = differs(&www(), ok, &["www.example.org. 61 A 192.0.2.1"]);
    assert_eq!(too_long, Err(Mismatch::Ttl { owner: www().name, rtype: 1, expected: 60, found: 61 }));
}

#[test]
fn ttl_longer_than_what_is_left_does_not_match() {
    let lines = ["www.example.org. 60 A 192.0.2.1"];
    let leaf = agreed(&www(), ResponseCode::NoError, &lines).leaf;
    let message = response(&www(), ResponseCode::NoError, &lines);
    assert_eq!(matches(&leaf, &message, leaf.time_ms + 999), Ok(()));
    let late = matches(&leaf, &message, leaf.time_ms + 1000);
    assert_eq!(late, Err(Mismatch::Ttl { owner: www().name, rtype: 1, expected: 59, found: 60 }));
    let leaf = agreed(&www(), ResponseCode::NXDomain, &["--", SOA]).leaf;
    let message = response(&www(), ResponseCode::NXDomain, &["--", SOA]);
    assert_eq!(matches(&leaf, &message, leaf.time_ms), Ok(()));
    assert!(matches!(matches(&leaf, &message, leaf.time_ms + 1000), Err(Mismatch::Ttl { rtype: 6, .. })));
}

#[test]
fn unreadable_record_data_is_served_as_it_was_agreed_on() {
    let rtype = 257;
    let rdata = b"\x00\x09cut".to_vec();
    let record = agreement::to_hickory(&www().name, rtype, 1, 60, &rdata).unwrap();
    assert_eq!(record.record_type(), RecordType::CAA);
    let mut message = response(&question("www.example.org", rtype), ResponseCode::NoError, &[]);
    message.add_answer(record);
    let bytes = message.to_vec().unwrap();
    assert!(bytes.ends_with(&[&[0, 5], &rdata[..]].concat()));
}

/// Believes every claim of `secure`.
struct Believes;

impl Proofs for Believes {
    fn validates(&self, _: &Question, _: &Observed, _: u64) -> bool {
        true
    }
}

/// What a slot of this one leaf, committed by a quorum, is certified with.
fn certified(cluster: &Cluster, decision: &Decision) -> CertifiedAnswer {
    let leaves = [decision.leaf.to_bytes()];
    let header = SlotHeader {
        sequence: Sequence(1),
        kinds: Kinds::from_iter([OperationKind::Resolve]),
        entries: 1,
        leaves_root: merkle::root(&leaves),
        observations_root: Digest::ZERO,
        time_ms: decision.leaf.time_ms,
        cluster_digest: cluster.digest(),
        prefix_sequence: Sequence(0),
        prefix_digest: Digest::ZERO,
    };
    let signers = || (0..cluster.replicas.quorum() as u8).map(ReplicaId);
    let preimage =
        cluster.domain().vote_preimage(MessageType::Commit, View(0), header.sequence, header.digest());
    let sign = |id: ReplicaId| SeedKey::new([id.0 + 1; 32]).signing_key().sign(&preimage);
    let signatures = signers().map(sign).collect();
    let certificate = QuorumCertificate {
        domain: cluster.domain(),
        view: View(0),
        header,
        signers: signers().collect(),
        signatures,
    };
    CertifiedAnswer::of_slot(&certificate, &leaves).unwrap().remove(0)
}

#[test]
fn decision_of_every_class_is_one_that_the_verifier_accepts() {
    let cluster = four(Policy::Records);
    let a = |hosts: &[u8]| saw(addresses(hosts, 60));
    let secure = Observed { dnssec: Dnssec::Secure, ..a(&[9]) };
    let failed = || saw(ObservedOutcome::TimedOut);
    let far = [a(&[1]), a(&[1]), a(&[1]), a(&[1])];
    let chain =
        outcome(&www(), &["www.example.org. 30 CNAME b.example.org.", "b.example.org. 20 A 192.0.2.1"]);
    let cases = [
        (Class::Secure, vec![secure, a(&[1]), a(&[1])]),
        (Class::Strong, far.to_vec()),
        (Class::Strong, vec![saw(chain); 3]),
        (Class::Corroborated, vec![a(&[1]), a(&[1]), a(&[2])]),
        (Class::Records, vec![a(&[1, 2]), a(&[1, 3]), a(&[1, 4])]),
        (Class::Failure, vec![failed(), failed(), a(&[1])]),
        (Class::NoAgreement, vec![a(&[1]), a(&[2]), a(&[3])]),
    ];
    for (class, observed) in cases {
        let decision = agreement::decide(&cluster, &www(), &round(&observed), &Believes);
        let verified =
            verify(&certified(&cluster, &decision), &cluster, Some(&www()), NOW_MS, 0, Class::NoAgreement);
        assert_eq!(verified.map(|verified| verified.class), Ok(class));
    }
    let mut observations = round(&far);
    observations[2].time_ms += 60_000;
    observations[3].time_ms -= 60_000;
    let scattered = agreement::decide(&cluster, &www(), &observations, &NoProofs);
    let verified =
        verify(&certified(&cluster, &scattered), &cluster, Some(&www()), NOW_MS, 0, Class::NoAgreement);
    assert_eq!(verified.map(|verified| verified.class), Ok(Class::NoAgreement));
}
