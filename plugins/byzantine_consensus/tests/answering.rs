//! From a decision to a response.

use std::sync::Arc;

use agreement::{Decision, to_hickory};
use certificate::codec::Decode;
use certificate::leaf::{Class, Leaf, Policy, Question};
use certificate::{CertifiedAnswer, ReplicaId, Replicas, name};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::four::reasons;
use super::setting::{Setting, question};
use super::upstream::{address, nxdomain};
use crate::byzantine_consensus::answer::{certificate_text, response, undecided};
use crate::byzantine_consensus::store::Held;
use crate::error::code;
use crate::query::Query;
use crate::rehearsal::{a, answer, query, with_edns};
use crate::response::Response;

const TIME: u64 = 1_795_357_560_000;
const NAME: &str = "www.example.org.";
const RRSIG: u16 = 46;

/// What `held` says `after_ms` after it was made.
fn served(held: &Held, query: &Query, after_ms: u64) -> Response {
    response(held, query, Replicas::new(4, 1).unwrap(), TIME + after_ms)
}

/// The decision of four that see `seen`.
fn unanimous(question: &Question, seen: Response) -> Arc<Held> {
    let setting = Setting::new();
    setting.held(1, setting.unanimous(question, TIME, seen))
}

/// What follows when the replicas see these.
fn decided(seen: &[Response]) -> Arc<Held> {
    let setting = Setting::new();
    setting.held(1, setting.decision(&question(NAME), TIME, seen))
}

fn ttls(records: &[Record]) -> Vec<u32> {
    records.iter().map(|record| record.ttl).collect()
}

#[test]
fn ttls_age_from_the_time_of_the_leaf() {
    let held = unanimous(&question(NAME), address(NAME, 1));
    for (after_ms, expected) in
        [(0, 300), (10_000, 290), (10_001, 289), (299_000, 1), (300_000, 0), (999_000, 0)]
    {
        let response = served(&held, &query(NAME, RecordType::A), after_ms);
        assert_eq!(ttls(&response.answers), [expected], "after {after_ms} ms");
        assert_eq!(response.cache_ttl_s, Some(expected), "after {after_ms} ms");
    }
}

#[test]
fn answer_is_cached_no_longer_than_its_shortest_record() {
    let held = unanimous(
        &question("alias.example.org"),
        answer(vec![crate::rehearsal::cname("alias.example.org.", 20, NAME), a(NAME, 300, 1)]),
    );
    let response = served(&held, &query("alias.example.org.", RecordType::A), 5_000);
    assert_eq!((ttls(&response.answers), response.cache_ttl_s), (vec![15, 295], Some(15)));
}

#[test]
fn denial_is_served_with_its_soa() {
    let held = unanimous(&question(NAME), nxdomain());
    let response = served(&held, &query(NAME, RecordType::A), 10_000);
    assert_eq!(response.rcode, ResponseCode::NXDomain);
    assert_eq!(response.authorities.len(), 1);
    assert_eq!((ttls(&response.authorities), response.cache_ttl_s), (vec![50], Some(50)));
    assert!(response.extended_errors.is_empty());
}

#[test]
fn ad_is_set_for_what_dnssec_proves_and_for_nothing_else() {
    let setting = Setting::new();
    let Decision { leaf, extra } = setting.unanimous(&question(NAME), TIME, address(NAME, 1));
    for class in [Class::Records, Class::Corroborated, Class::Strong, Class::Secure] {
        let decision = Decision { leaf: Leaf { class, ..leaf.clone() }, extra: extra.clone() };
        let response = served(&setting.held(1, decision), &query(NAME, RecordType::A), 0);
        assert_eq!(response.authentic_data, class == Class::Secure, "{class}");
    }
}

/// `www.example.org. 300 IN RRSIG A ...`
fn rrsig() -> Record {
    let owner = name::parse(NAME).unwrap();
    let mut data = vec![0, 1, 13, 3, 0, 0, 1, 44, 0x6b, 0, 0, 0, 0x6a, 0, 0, 0, 0, 7];
    data.extend(name::parse("example.org").unwrap());
    data.extend([9; 64]);
    to_hickory(&owner, RRSIG, 1, 300, &data).unwrap()
}

fn types(response: &Response) -> Vec<RecordType> {
    response.answers.iter().map(Record::record_type).collect()
}

#[test]
fn signatures_are_served_to_those_who_ask_for_dnssec_only() {
    let with_do = Question { flags: Question::DNSSEC_OK, ..question(NAME) };
    let held = unanimous(&with_do, answer(vec![a(NAME, 300, 1), rrsig()]));
    let plain = query(NAME, RecordType::A);
    let with_do = with_edns(plain.clone(), true);
    assert_eq!(types(&served(&held, &with_do, 0)), [RecordType::A, RecordType::RRSIG]);
    assert_eq!(types(&served(&held, &plain, 0)), [RecordType::A]);
    assert_eq!(types(&served(&held, &with_edns(plain, false), 0)), [RecordType::A]);
}

#[test]
fn signatures_are_served_to_those_who_ask_for_them() {
    let held = unanimous(&Question { qtype: RRSIG, ..question(NAME) }, answer(vec![rrsig()]));
    let response = served(&held, &query(NAME, RecordType::RRSIG), 0);
    assert_eq!(types(&response), [RecordType::RRSIG]);
}

#[test]
fn disagreement_says_how_many_answered_and_how_many_had_to_agree() {
    let held = decided(&[1, 2, 3, 4].map(|last| address(NAME, last)));
    let response = served(&held, &query(NAME, RecordType::A), 0);
    assert_eq!(response.rcode, ResponseCode::ServFail);
    assert_eq!(response.extended_errors[0].code, code::OTHER);
    assert_eq!(
        reasons(&response),
        ["consensus: no-agreement: 4 of 4 replicas answered, no 3 of them alike, nor on each record"]
    );
}

#[test]
fn disagreement_says_what_the_policy_wanted() {
    let setting = Setting::new();
    let four = [1, 2, 3, 4].map(|last| address(NAME, last));
    for (policy, observers, wanted) in [
        (Policy::Strong, 4, "4 of 4 replicas answered, no 3 of them alike"),
        (Policy::Strong, 3, "3 of 4 replicas answered, no 3 of them alike"),
        (Policy::Corroborated, 4, "4 of 4 replicas answered, no 3 of them alike"),
        (Policy::Corroborated, 3, "3 of 4 replicas answered, no 2 of them alike"),
        (Policy::Records, 3, "3 of 4 replicas answered, no 2 of them alike, nor on each record"),
        // They may all be alike.
        (
            Policy::Dnssec,
            4,
            "4 of 4 replicas answered, none of them proven by DNSSEC, as policy `dnssec` wants",
        ),
    ] {
        let Decision { leaf, extra } = setting.decision(&question(NAME), TIME, &four);
        let observers = (0..observers).map(ReplicaId).collect();
        let held = setting.held(1, Decision { leaf: Leaf { policy, observers, ..leaf }, extra });
        let response = served(&held, &query(NAME, RecordType::A), 0);
        assert_eq!(reasons(&response), [format!("consensus: no-agreement: {wanted}")]);
    }
}

#[test]
fn failure_says_how_many_got_no_answer() {
    let failed = Response::new(ResponseCode::ServFail, "test");
    let held = decided(&[failed.clone(), failed.clone(), failed, address(NAME, 1)]);
    let response = served(&held, &query(NAME, RecordType::A), 0);
    assert_eq!(response.rcode, ResponseCode::ServFail);
    assert_eq!(response.extended_errors[0].code, code::NO_REACHABLE_AUTHORITY);
    assert_eq!(reasons(&response), ["consensus: 3 of 4 replicas saw no usable answer from upstream"]);
}

#[test]
fn failures_are_remembered_for_a_second_at_least() {
    let held = decided(&[1, 2, 3, 4].map(|last| address(NAME, last)));
    let cached = |after_ms| served(&held, &query(NAME, RecordType::A), after_ms).cache_ttl_s;
    assert_eq!([cached(0), cached(500), cached(1500)], [Some(1); 3]);
    assert_eq!(undecided(4, 4, 3).cache_ttl_s, Some(1));
}

#[test]
fn missing_decision_says_whether_replicas_or_time_were_missing() {
    let few = undecided(2, 4, 3);
    assert_eq!((few.rcode, few.extended_errors[0].code), (ResponseCode::ServFail, code::NETWORK_ERROR));
    assert_eq!(reasons(&few), ["consensus: 2 of 4 replicas answered, 3 are needed"]);
    let late = undecided(3, 4, 3);
    assert_eq!((late.rcode, late.extended_errors[0].code), (ResponseCode::ServFail, code::NOT_READY));
    assert_eq!(reasons(&late), ["consensus: 3 of 4 replicas answered, but no decision came in time"]);
}

#[test]
fn certificate_text_carries_the_certificate_and_is_not_cached() {
    let held = unanimous(&question(NAME), address(NAME, 1));
    let owner = Name::from_ascii("_certificate.www.example.org.").unwrap();

    let certified = held.certificate.get().unwrap();
    let response = certificate_text(&certified, &owner);

    let record = &response.answers[0];
    assert_eq!((&record.name, record.ttl, response.cache_ttl_s), (&owner, 0, Some(0)));
    let RData::TXT(txt) = &record.data else { panic!("a TXT record") };
    let strings: Vec<_> = txt.txt_data.iter().take(6).map(|text| String::from_utf8_lossy(text)).collect();
    assert_eq!(
        strings,
        [
            "v=quorate1",
            "class=strong",
            "slot=1",
            "signers=0,1,2",
            "time=2026-11-22T14:26:00.000Z",
            "not-after=2026-11-22T14:31:00.000Z",
        ]
    );
    let bytes = certificate::delivery::from_txt(&txt.txt_data).unwrap();
    assert_eq!(CertifiedAnswer::from_bytes(&bytes).unwrap(), certified.answer);
}
