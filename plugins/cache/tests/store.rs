//! How entries age, and what stays when there is no room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, Name, RecordType};

use crate::cache::entry::{Age, Entry, Keeping, Prefetch};
use crate::cache::flights::{Boarding, FLIGHTS_MAX, Flights, WAITING_MAX};
use crate::cache::image::{Question, Shown};
use crate::cache::key::Key;
use crate::cache::lifetime::{Admitted, Kind};
use crate::cache::store::{Capacity, Lookup, Store, Tally};
use crate::query::Query;
use crate::rehearsal::{a, answer, certified, denial, query_at, soa, with_edns};
use crate::response::Response;
use crate::zones::Zones;

const ROOMY: Capacity = Capacity { success: 1000, denial: 1000, bytes: 64 << 20 };

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An entry of `kind` that lives a minute and may be served stale for an hour.
fn entry(kind: Kind, now: Instant) -> Arc<Entry> {
    let response = match kind {
        Kind::Success => answer(vec![a("example.org.", 60, 1)]),
        Kind::Denial => denial(ResponseCode::NXDomain, soa("example.org.", 60, 60)),
        Kind::Failure => Response::new(ResponseCode::ServFail, "test"),
    };
    keep(response, kind, Keeping { stale_window: s(3600), keep_ttl: false }, now)
}

fn keep(response: Response, kind: Kind, keeping: Keeping, now: Instant) -> Arc<Entry> {
    let name = Name::root();
    let question = Question { name: &name, qtype: RecordType::A, qclass: DNSClass::IN, dnssec_ok: false };
    Arc::new(Entry::new(response, question, Admitted { kind, lifetime: s(60) }, keeping, now).unwrap())
}

fn key(number: u32) -> Key {
    Key::of_query(&query_at(&format!("host-{number}.example.org."), RecordType::A, Instant::now()))
}

fn new_store(capacity: Capacity) -> (Store, Tally, Tally) {
    let (success, denial) = (Tally::default(), Tally::default());
    (Store::new(capacity, success.clone(), denial.clone()), success, denial)
}

#[test]
fn entry_is_fresh_then_stale_then_gone() {
    let now = Instant::now();
    let entry = entry(Kind::Success, now);
    assert_eq!(entry.age(now), Age::Fresh(Shown::Aged(0)));
    assert_eq!(entry.age(now + s(59)), Age::Fresh(Shown::Aged(59)));
    assert_eq!(entry.age(now + s(60)), Age::Stale(Shown::Stale(3)));
    assert_eq!(entry.age(now + s(3659)), Age::Stale(Shown::Stale(3)));
    assert_eq!(entry.age(now + s(3660)), Age::Gone);
}

#[test]
fn stale_nxdomain_has_its_own_code_and_failures_are_never_stale() {
    let now = Instant::now();
    assert_eq!(entry(Kind::Denial, now).age(now + s(61)), Age::Stale(Shown::Stale(19)));
    assert_eq!(entry(Kind::Failure, now).age(now + s(61)), Age::Gone);
}

#[test]
fn query_older_than_the_entry_sees_it_at_age_zero() {
    let now = Instant::now();
    assert_eq!(entry(Kind::Success, now + s(5)).age(now), Age::Fresh(Shown::Aged(0)));
}

#[test]
fn kept_ttl_is_shown_as_it_came_but_not_for_certified_answers() {
    let (now, keeping) = (Instant::now(), Keeping { stale_window: s(0), keep_ttl: true });
    let response = answer(vec![a("example.org.", 60, 1)]);
    let plain = keep(response.clone(), Kind::Success, keeping, now);
    assert_eq!(plain.age(now + s(30)), Age::Fresh(Shown::Aged(0)));
    let certified = keep(certified(response), Kind::Success, keeping, now);
    assert_eq!(certified.age(now + s(30)), Age::Fresh(Shown::Aged(30)));
}

#[test]
fn long_way_shows_the_same_ttls_and_keeps_the_certificate() {
    let (now, keeping) = (Instant::now(), Keeping { stale_window: s(3600), keep_ttl: false });
    let entry = keep(certified(answer(vec![a("example.org.", 60, 1)])), Kind::Success, keeping, now);
    let aged = entry.response(Shown::Aged(20));
    assert_eq!((aged.answers[0].ttl, aged.origin, aged.certificate.is_some()), (40, "cache", true));
    assert!(aged.extended_errors.is_empty());
    let stale = entry.response(Shown::Stale(3));
    assert_eq!((stale.answers[0].ttl, stale.certificate.is_some()), (30, true));
    assert_eq!(stale.extended_errors[0].code, 3);
}

#[test]
fn prefetch_is_due_for_the_popular_near_their_end_and_once() {
    let (now, prefetch) = (Instant::now(), Some(Prefetch { hits: 3, gap: s(10), percent: 10 }));
    let entry = entry(Kind::Success, now);
    assert!(!entry.prefetch_due(now + s(55), None), "not configured");
    for at in [50, 52] {
        assert!(!entry.prefetch_due(now + s(at), prefetch), "at {at} s");
        entry.hit(now + s(at), prefetch);
    }
    assert!(!entry.prefetch_due(now + s(54), prefetch), "6 s left are 10 %, not less");
    assert!(entry.prefetch_due(now + s(55), prefetch));
    assert!(entry.begin_refresh(now + s(55)));
    assert!(!entry.begin_refresh(now + s(55)) && !entry.prefetch_due(now + s(56), prefetch));
}

#[test]
fn gap_between_queries_starts_the_count_anew() {
    let (now, prefetch) = (Instant::now(), Some(Prefetch { hits: 2, gap: s(10), percent: 90 }));
    let entry = entry(Kind::Success, now);
    entry.hit(now + s(20), prefetch);
    assert!(entry.prefetch_due(now + s(30), prefetch), "a gap of 10 s");
    assert!(!entry.prefetch_due(now + s(31), prefetch), "a gap of 11 s");
}

#[test]
fn refreshed_entry_stays_popular() {
    let (now, prefetch) = (Instant::now(), Some(Prefetch { hits: 3, gap: s(60), percent: 90 }));
    let former = entry(Kind::Success, now);
    (50..55).for_each(|at| former.hit(now + s(at), prefetch));
    let next = entry(Kind::Success, now + s(55));
    assert!(!next.prefetch_due(now + s(70), prefetch), "a new entry is asked for the first time");
    next.inherit_hits(&former, now + s(55), prefetch);
    assert!(next.prefetch_due(now + s(70), prefetch));
}

#[test]
fn refresh_of_one_entry_waits_half_a_minute() {
    let now = Instant::now();
    let entry = entry(Kind::Success, now);
    assert!(entry.begin_refresh(now) && !entry.refresh_due(now + s(29)));
    assert!(entry.refresh_due(now + s(30)) && entry.begin_refresh(now + s(30)));
}

#[test]
fn key_tells_type_class_do_and_cd_but_not_case() {
    let ask = |name: &str| query_at(name, RecordType::A, Instant::now());
    let bytes = |query: &Query| Key::of_query(query).as_bytes().to_vec();
    let plain = bytes(&ask("example.org."));
    assert_eq!(plain, bytes(&ask("EXAMPLE.org.")));
    assert_ne!(plain, bytes(&ask("example.net.")));
    assert_ne!(plain, bytes(&Query { qtype: RecordType::AAAA, ..ask("example.org.") }));
    assert_ne!(plain, bytes(&Query { qclass: DNSClass::CH, ..ask("example.org.") }));
    let cd = bytes(&Query { checking_disabled: true, ..ask("example.org.") });
    let dnssec = bytes(&with_edns(ask("example.org."), true));
    assert!(plain != cd && plain != dnssec && cd != dnssec);
    assert_eq!(plain, bytes(&with_edns(ask("example.org."), false)), "EDNS alone changes nothing");
}

#[test]
fn zone_covers_itself_and_names_below_it_alone() {
    let zones = Zones::new(vec!["Example.org.".parse().unwrap()]);
    let covers =
        |name: &str| zones.cover_wire(Key::of_query(&query_at(name, RecordType::A, Instant::now())).name());
    assert!(covers("example.org.") && covers("a.b.EXAMPLE.org."));
    assert!(
        !covers("org.") && !covers("notexample.org.") && !covers("example.org.example.net.") && !covers(".")
    );
    assert!(Zones::new(vec![Name::root()]).cover_wire(&[0]));
}

#[test]
fn denial_replaces_records_and_records_replace_a_denial() {
    let ((store, ..), now, key) = (new_store(ROOMY), Instant::now(), key(1));
    let found = || match store.find(&key, now) {
        Lookup::Fresh(entry, _) => Some(entry.kind),
        _ => None,
    };
    assert_eq!(found(), None);
    for kind in [Kind::Success, Kind::Denial, Kind::Success] {
        store.keep(&key, entry(kind, now), now);
        assert_eq!(found(), Some(kind));
    }
    store.tidy();
    assert_eq!(store.count(), 1);
}

#[test]
fn failure_replaces_no_answer_that_can_still_be_served() {
    for kind in [Kind::Success, Kind::Denial] {
        let ((store, ..), now, key) = (new_store(ROOMY), Instant::now(), key(1));
        store.keep(&key, entry(kind, now), now);
        let later = now + s(600);
        store.keep(&key, entry(Kind::Failure, later), later);
        assert!(matches!(store.find(&key, later), Lookup::Stale(entry, _) if entry.kind == kind), "{kind:?}");
        let gone = now + s(9000);
        store.keep(&key, entry(Kind::Failure, gone), gone);
        assert!(matches!(store.find(&key, gone), Lookup::Fresh(entry, _) if entry.kind == Kind::Failure));
    }
}

#[test]
fn entries_are_bounded_by_number() {
    let (store, success, _) = new_store(Capacity { success: 100, denial: 100, bytes: 64 << 20 });
    let now = Instant::now();
    for number in 0..1000 {
        store.keep(&key(number), entry(Kind::Success, now), now);
    }
    store.tidy();
    assert!((50..=100).contains(&store.count()), "{} entries", store.count());
    assert_eq!(success.entries.get(), i64::try_from(store.count()).unwrap());
    assert_eq!(success.evictions.get() + store.count(), 1000);
}

#[test]
fn entries_are_bounded_by_bytes() {
    let (store, ..) = new_store(Capacity { success: 1_000_000, denial: 1_000_000, bytes: 1 << 20 });
    let now = Instant::now();
    for number in 0..5000 {
        store.keep(&key(number), entry(Kind::Success, now), now);
    }
    store.tidy();
    let weight = entry(Kind::Success, now).weight() as u64;
    assert!(store.count() > 100 && store.count() * weight <= (1 << 20) / 4 * 3, "{} entries", store.count());
}

#[test]
fn flood_of_denials_pushes_out_no_records() {
    let (store, success, denials) = new_store(Capacity { success: 100, denial: 100, bytes: 64 << 20 });
    let now = Instant::now();
    (0..50).for_each(|number| store.keep(&key(number), entry(Kind::Success, now), now));
    (50..5000).for_each(|number| store.keep(&key(number), entry(Kind::Denial, now), now));
    store.tidy();
    assert!((0..50).all(|number| matches!(store.find(&key(number), now), Lookup::Fresh(..))));
    assert_eq!((success.entries.get(), success.evictions.get()), (50, 0));
    assert!(denials.evictions.get() >= 4800);
}

#[test]
fn entries_of_a_store_that_goes_away_are_not_counted_on() {
    let (store, success, _) = new_store(ROOMY);
    let now = Instant::now();
    (0..10).for_each(|number| store.keep(&key(number), entry(Kind::Success, now), now));
    store.keep(&key(0), entry(Kind::Success, now), now);
    store.tidy();
    assert_eq!(success.entries.get(), 10);
    drop(store);
    assert_eq!(success.entries.get(), 0);
    assert_eq!(success.evictions.get(), 0);
}

#[test]
fn lookups_and_those_who_wait_are_bounded() {
    let flights = Flights::default();
    let taken: Vec<_> = (0..FLIGHTS_MAX).map(|number| flights.board(&number.to_be_bytes())).collect();
    assert!(taken.iter().all(|boarding| matches!(boarding, Boarding::Lead(..))));
    assert!(matches!(flights.board(b"one more"), Boarding::Full));
    let same = || flights.board(&7_usize.to_be_bytes());
    assert!((1..WAITING_MAX).all(|_| matches!(same(), Boarding::Follow(_))));
    assert!(matches!(same(), Boarding::Full));
    drop(taken);
    assert!(matches!(flights.board(b"one more"), Boarding::Lead(..)));
}
