//! Places of queries that wait for a decision.

use std::sync::Arc;
use std::time::Duration;

use certificate::Digest;
use tokio::time::Instant;

use super::setting::{Setting, question};
use super::upstream::address;
use crate::byzantine_consensus::admission::{LIMIT_FIRST, OVERDUE, Overloaded};
use crate::byzantine_consensus::store::Held;
use crate::byzantine_consensus::waiting::{ABANDONED, ASK_AGAIN, Place, Waiting};

const KEY: Digest = Digest([1; 32]);

fn held() -> Arc<Held> {
    let setting = Setting::new();
    let decision = setting.unanimous(&question("www.example.org"), 0, address("www.example.org.", 1));
    setting.held(1, decision)
}

/// What the place was told so far.
pub async fn told(place: &mut Place) -> Option<Arc<Held>> {
    tokio::select! {
        biased;
        held = place.decision() => Some(held),
        () = std::future::ready(()) => None,
    }
}

#[test]
fn only_the_first_query_for_a_question_asks() {
    let (waiting, now) = (Arc::new(Waiting::default()), Instant::now());
    let first = waiting.join(KEY, now).unwrap();
    let second = waiting.join(KEY, now + ASK_AGAIN / 2).unwrap();
    assert!(first.asks && !second.asks);
}

#[test]
fn a_question_that_always_has_somebody_waiting_is_asked_again() {
    let (waiting, now) = (Arc::new(Waiting::default()), Instant::now());
    let _first = waiting.join(KEY, now).unwrap();
    let second = waiting.join(KEY, now + ASK_AGAIN).unwrap();
    let third = waiting.join(KEY, now + ASK_AGAIN + ASK_AGAIN / 2).unwrap();
    assert!(second.asks && !third.asks);
}

#[test]
fn question_is_forgotten_with_its_last_place() {
    let (waiting, now) = (Arc::new(Waiting::default()), Instant::now());
    let first = waiting.join(KEY, now).unwrap();
    let second = waiting.join(KEY, now).unwrap();
    drop(first);
    assert_eq!(waiting.len(), 1);
    drop(second);
    assert_eq!(waiting.len(), 0);
    assert!(waiting.join(KEY, now).unwrap().asks);
}

#[test]
fn question_that_the_cluster_has_stays_open_when_nobody_waits() {
    let (waiting, now) = (Arc::new(Waiting::default()), Instant::now());
    for ended in [true, false] {
        let place = waiting.join(KEY, now).unwrap();
        place.handed();
        drop(place);
        assert_eq!(waiting.len(), 1);
        match ended {
            true => waiting.tell(&KEY, &held(), now),
            false => waiting.not_taken(&KEY),
        }
        assert_eq!(waiting.len(), 0);
    }
}

#[test]
fn question_that_is_not_taken_keeps_those_who_wait() {
    let (waiting, now) = (Arc::new(Waiting::default()), Instant::now());
    let place = waiting.join(KEY, now).unwrap();
    place.handed();
    waiting.not_taken(&KEY);
    assert_eq!(waiting.len(), 1);
    drop(place);
    assert_eq!(waiting.len(), 0);
}

#[test]
fn question_that_is_never_decided_is_given_up() {
    let (waiting, now) = (Arc::new(Waiting::default()), Instant::now());
    let place = waiting.join(KEY, now).unwrap();
    place.handed();
    drop(place);
    let other = |after| drop(waiting.join(Digest([2; 32]), now + after).unwrap());
    other(ABANDONED - Duration::from_millis(200));
    assert_eq!(waiting.len(), 1);
    other(ABANDONED + Duration::from_millis(200));
    assert_eq!(waiting.len(), 0);
}

#[test]
fn questions_beyond_the_limit_get_no_place() {
    let (waiting, now) = (Arc::new(Waiting::default()), Instant::now());
    let key = |i: usize| Digest::of(&i.to_be_bytes());
    let most = LIMIT_FIRST as usize;
    let places: Vec<Place> = (0..most).map(|i| waiting.join(key(i), now).unwrap()).collect();
    let refused = waiting.join(key(most), now).err();
    assert_eq!(refused, Some(Overloaded { open: most, limit: most }));
    assert!(waiting.join(key(0), now).is_ok(), "a question that is waited for already costs nothing");
    drop(places);
    assert!(waiting.join(key(most), now).is_ok());
}

#[test]
fn limit_is_halved_when_questions_are_overdue() {
    let (waiting, now) = (Arc::new(Waiting::default()), Instant::now());
    let key = |i: usize| Digest::of(&i.to_be_bytes());
    let places: Vec<Place> = (0..200).map(|i| waiting.join(key(i), now).unwrap()).collect();
    assert!(waiting.join(key(999), now + OVERDUE / 2).is_ok(), "nothing is overdue yet");
    let refused = waiting.join(key(1000), now + OVERDUE + Duration::from_millis(200)).err();
    assert_eq!(refused, Some(Overloaded { open: 200, limit: 100 }));
    let refused = waiting.join(key(1000), now + OVERDUE + Duration::from_millis(400)).err();
    assert_eq!(refused, Some(Overloaded { open: 200, limit: 100 }), "halved once for what came before");
    drop(places);
}

#[tokio::test]
async fn everybody_who_waits_is_told() {
    let (waiting, now, held) = (Arc::new(Waiting::default()), Instant::now(), held());
    let mut places = [waiting.join(KEY, now).unwrap(), waiting.join(KEY, now).unwrap()];
    waiting.tell(&KEY, &held, now);
    for place in &mut places {
        assert!(Arc::ptr_eq(&told(place).await.expect("it was told"), &held));
    }
}

#[tokio::test]
async fn nobody_is_told_what_another_question_came_to() {
    let (waiting, now) = (Arc::new(Waiting::default()), Instant::now());
    let mut place = waiting.join(KEY, now).unwrap();
    waiting.tell(&Digest([2; 32]), &held(), now);
    assert!(told(&mut place).await.is_none());
}

#[tokio::test]
async fn who_comes_after_a_decision_waits_for_the_next() {
    let (waiting, now) = (Arc::new(Waiting::default()), Instant::now());
    let _told = waiting.join(KEY, now).unwrap();
    waiting.tell(&KEY, &held(), now);
    let mut late = waiting.join(KEY, now).unwrap();
    assert!(late.asks && told(&mut late).await.is_none());
}

#[test]
fn place_that_was_told_takes_no_other_place_with_it() {
    let (waiting, now) = (Arc::new(Waiting::default()), Instant::now());
    let told = waiting.join(KEY, now).unwrap();
    waiting.tell(&KEY, &held(), now);
    let _late = waiting.join(KEY, now).unwrap();
    drop(told);
    assert_eq!(waiting.len(), 1);
}

#[tokio::test]
async fn more_than_may_be_open_is_refused_until_there_is_room() {
    let (waiting, now) = (Arc::new(Waiting::of_at_most(2)), Instant::now());
    let keys = [Digest::of(b"1"), Digest::of(b"2"), Digest::of(b"3")];
    let mut places: Vec<_> = keys[..2].iter().map(|key| waiting.join(*key, now).unwrap()).collect();
    assert_eq!(waiting.join(keys[2], now).err(), Some(Overloaded { open: 2, limit: 2 }));
    assert!(waiting.join(keys[0], now).is_ok(), "one that is open has room for everybody");
    places.pop();
    assert!(waiting.join(keys[2], now).is_ok());
}
