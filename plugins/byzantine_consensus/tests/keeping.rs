//! Decisions that are kept: which replaces which, and how long one is of use.

use std::sync::Arc;

use certificate::{ReplicaId, Sequence};

use super::setting::{Setting, question};
use super::upstream::{address, nxdomain};
use crate::byzantine_consensus::judge::key;
use crate::byzantine_consensus::store::{Evidence, Held, Store};
use crate::certification::Completion;
use crate::rehearsal::{a, answer};

const TIME: u64 = 1_795_357_560_000;

fn held(sequence: u64) -> Arc<Held> {
    let setting = Setting::new();
    let decision = setting.unanimous(&question("www.example.org"), TIME, address("www.example.org.", 1));
    setting.held(sequence, decision)
}

fn slot(held: &Held) -> Sequence {
    held.sequence
}

#[test]
fn later_slot_replaces_an_earlier_one() {
    let (store, key) = (Store::default(), key(&question("www.example.org")));
    store.insert(key, &held(7));
    store.insert(key, &held(8));
    assert_eq!(store.get(&key).map(|held| slot(&held)), Some(Sequence(8)));
}

#[test]
fn earlier_slot_never_replaces_a_later_one() {
    let (store, key) = (Store::default(), key(&question("www.example.org")));
    store.insert(key, &held(8));
    store.insert(key, &held(7));
    assert_eq!(store.get(&key).map(|held| slot(&held)), Some(Sequence(8)));
}

#[test]
fn a_handed_out_copy_does_not_replace_the_decision_with_its_observations() {
    let (store, key) = (Store::default(), key(&question("www.example.org")));
    let own = held(8);
    store.insert(key, &own);
    store.insert(key, &held(8));
    assert!(Arc::ptr_eq(&store.get(&key).unwrap(), &own));
}

#[test]
fn reference_outlives_the_next_decision_about_its_question() {
    let (store, key) = (Store::default(), key(&question("www.example.org")));
    let (first, second) = (held(7), held(8));
    let reference = |held: &Held| held.certificate.get().unwrap().reference;
    assert_ne!(reference(&first), reference(&second));
    for held in [&first, &second] {
        store.insert(key, held);
    }
    for held in [first, second] {
        assert!(Arc::ptr_eq(&store.referenced(&reference(&held)).unwrap(), &held));
        let of_slot = store.of_slot(held.sequence);
        assert!(of_slot.len() == 1 && Arc::ptr_eq(&of_slot[0], &held));
    }
    assert!(store.of_slot(Sequence(9)).is_empty() && store.referenced(&[2; 33]).is_none());
}

#[test]
fn answer_has_its_reference_when_its_certificate_is_complete_and_its_observations_with_it() {
    let (store, key) = (Store::default(), key(&question("www.example.org")));
    let complete = held(7);
    let certified = complete.certificate.get().unwrap();
    let early = Arc::new(Held {
        sequence: Sequence(7),
        leaf: complete.leaf.clone(),
        certificate: Completion::open(65_321),
        extra: Vec::new(),
        evidence: vec![Evidence { replica: ReplicaId(1), time_ms: TIME, payload: Vec::new() }],
    });
    store.insert(key, &early);
    assert!(store.referenced(&certified.reference).is_none());
    store.insert(key, &complete);
    assert!(Arc::ptr_eq(&store.referenced(&certified.reference).unwrap(), &early));
    // A copy that comes when the question has a later decision changes nothing.
    store.insert(key, &held(8));
    store.insert(key, &complete);
    assert!(Arc::ptr_eq(&store.referenced(&certified.reference).unwrap(), &early));
}

#[test]
fn own_decision_with_its_observations_replaces_the_copy_that_was_handed_out_before() {
    let (store, key) = (Store::default(), key(&question("www.example.org")));
    let copy = held(7);
    let certified = copy.certificate.get().unwrap();
    let own = Held {
        sequence: Sequence(7),
        leaf: copy.leaf.clone(),
        certificate: Completion::open(65_321),
        extra: Vec::new(),
        evidence: vec![Evidence { replica: ReplicaId(1), time_ms: TIME, payload: Vec::new() }],
    };
    own.certificate.complete(certified.clone());
    let own = Arc::new(own);
    for held in [&copy, &own, &copy] {
        store.insert(key, held);
    }
    assert!(Arc::ptr_eq(&store.get(&key).unwrap(), &own));
    assert!(Arc::ptr_eq(&store.referenced(&certified.reference).unwrap(), &own));
}

#[test]
fn decision_is_valid_until_its_last_millisecond() {
    let (store, key) = (Store::default(), key(&question("www.example.org")));
    store.insert(key, &held(1));
    let end = TIME + 300_000;
    assert!(store.valid(&key, end - 1).is_some());
    assert!(store.valid(&key, end).is_none());
    assert!(store.get(&key).is_some(), "it is kept for those who ask why");
}

#[test]
fn answers_with_less_than_a_tenth_of_their_life_are_not_handed_out() {
    let held = held(1);
    assert!(held.is_worth_handing_out(TIME + 269_999));
    assert!(!held.is_worth_handing_out(TIME + 270_000));
}

#[test]
fn answers_with_less_than_a_second_are_not_handed_out() {
    let setting = Setting::new();
    let short = answer(vec![a("www.example.org.", 2, 1)]);
    let held = setting.held(1, setting.unanimous(&question("www.example.org"), TIME, short));
    assert!(held.is_worth_handing_out(TIME + 999));
    assert!(!held.is_worth_handing_out(TIME + 1000));
}

#[test]
fn denials_are_answers_and_disagreement_is_none() {
    let setting = Setting::new();
    let asked = question("www.example.org");
    let denied = setting.held(1, setting.unanimous(&asked, TIME, nxdomain()));
    let different = [1, 2, 3, 4].map(|last| address("www.example.org.", last));
    let disagreed = setting.held(2, setting.decision(&asked, TIME, &different));
    assert!(denied.is_answer() && !disagreed.is_answer());
}
