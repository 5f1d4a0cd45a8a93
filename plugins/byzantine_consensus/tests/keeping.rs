//! Decisions that are kept: which replaces which, and how long one is of use.

use std::sync::Arc;

use certificate::Sequence;

use super::setting::{Setting, question};
use super::upstream::{address, nxdomain};
use crate::byzantine_consensus::judge::key;
use crate::byzantine_consensus::store::{Held, Store};
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
