//! The `records` policy on what it is for: pools that rotate, CDNs whose aliases differ, and what a liar can and cannot do with a history.

#![allow(clippy::unwrap_used, reason = "a test that cannot be arranged should fail")]

mod world;

use agreement::history::History;
use agreement::observation::Seen;
use agreement::{NoProofs, Observed, ObservedOutcome};
use certificate::codec::{Decode, Encode};
use certificate::{Class, Cluster, Denial, Leaf, Outcome, Policy, Question};
use world::{
    NOW_MS, addresses, decide, denied, four, history, hosts, ids, nxdomain, outcome, question, round, saw,
    www,
};

fn a(hosts: &[u8]) -> Observed {
    saw(addresses(hosts, 60))
}

fn remembering(observed: Observed, history: Vec<Seen>) -> Observed {
    Observed { history, ..observed }
}

fn cdn(edge: &str, host: u8, ttl: u32) -> ObservedOutcome {
    let alias = format!("www.example.org. {ttl} CNAME {edge}.cdn.example.org.");
    outcome(&www(), &[&alias, &format!("{edge}.cdn.example.org. 20 A 192.0.2.{host}")])
}

/// What `History` hands out after having seen these outcomes a minute ago.
fn seen(outcomes: &[ObservedOutcome]) -> Vec<Seen> {
    let mut history = History::new(600_000);
    outcomes.iter().for_each(|outcome| history.remember(outcome, NOW_MS - 60_000));
    history.of(&www(), NOW_MS)
}

fn decide_checked(cluster: &Cluster, observed: &[Observed]) -> Leaf {
    let leaf = decide(cluster, observed);
    assert_eq!(Leaf::from_bytes(&leaf.to_bytes()), Ok(leaf.clone()));
    leaf
}

#[test]
fn record_in_enough_observations_stands_although_no_two_answers_are_equal() {
    let observed = [a(&[1, 2]), a(&[1, 3]), a(&[1, 4]), a(&[5])];
    let leaf = decide_checked(&four(Policy::Records), &observed);
    assert_eq!((leaf.class, hosts(&leaf), ids(leaf.support)), (Class::Records, vec![1], vec![0, 1, 2]));
    let leaf = decide_checked(&four(Policy::Corroborated), &observed);
    assert_eq!(leaf.class, Class::NoAgreement);
}

#[test]
fn rotating_pool_finds_support_through_history() {
    let pool = history(&[1, 2, 3, 4], 60, 30_000);
    let observed: Vec<Observed> = (1..=4).map(|host| remembering(a(&[host]), pool.clone())).collect();
    let leaf = decide_checked(&four(Policy::Records), &observed);
    assert_eq!((leaf.class, hosts(&leaf)), (Class::Records, vec![1, 2, 3, 4]));
    let forgetful: Vec<Observed> = (1..=4).map(|host| a(&[host])).collect();
    assert_eq!(decide_checked(&four(Policy::Records), &forgetful).class, Class::NoAgreement);
}

#[test]
fn observe_and_bypass_are_decided_like_records() {
    let observed = [a(&[1, 2]), a(&[1, 3]), a(&[1, 4])];
    let ours = |policy| decide(&four(policy), &observed);
    let records = ours(Policy::Records);
    for policy in [Policy::Observe, Policy::Bypass] {
        assert_eq!(Leaf { policy, ..records.clone() }, ours(policy));
    }
}

#[test]
fn record_that_nobody_sees_now_stays_dead() {
    let pool = history(&[1, 9], 60, 30_000);
    let observed: Vec<Observed> = (1..=4).map(|host| remembering(a(&[host]), pool.clone())).collect();
    assert_eq!(hosts(&decide_checked(&four(Policy::Records), &observed)), [1]);
}

#[test]
fn replica_counts_once_for_a_record_that_it_sees_and_remembers() {
    let observed = [remembering(a(&[1]), history(&[1], 60, 1000)), a(&[2]), a(&[3])];
    assert_eq!(decide_checked(&four(Policy::Records), &observed).class, Class::NoAgreement);
}

#[test]
fn memory_older_than_the_history_or_from_the_future_does_not_count() {
    let cluster = four(Policy::Records);
    let with_age = |age_ms: u64| {
        let observed = [a(&[1]), remembering(a(&[2]), history(&[1], 60, age_ms)), a(&[3])];
        hosts(&decide(&cluster, &observed))
    };
    assert_eq!(with_age(cluster.history_ms), [1]);
    assert_eq!(with_age(cluster.history_ms + 1), []);
    let mut future = history(&[1], 60, 0);
    assert_eq!(with_age(0), [1]);
    future[0].records[0].last_seen_ms = NOW_MS + 1;
    let observed = [a(&[1]), remembering(a(&[2]), future), a(&[3])];
    assert_eq!(hosts(&decide(&cluster, &observed)), []);
}

#[test]
fn time_outs_lend_their_memory() {
    let timed_out = remembering(saw(ObservedOutcome::TimedOut), history(&[1], 60, 30_000));
    let leaf = decide_checked(&four(Policy::Records), &[a(&[1]), timed_out.clone(), timed_out]);
    assert_eq!((leaf.class, hosts(&leaf), ids(leaf.support)), (Class::Records, vec![1], vec![0, 1, 2]));
}

#[test]
fn alias_that_rotates_is_followed_along_the_best_supported_link() {
    let both = seen(&[cdn("a", 1, 30), cdn("b", 2, 30)]);
    let view = |edge, host| remembering(saw(cdn(edge, host, 30)), both.clone());
    let leaf =
        decide_checked(&four(Policy::Records), &[view("b", 2), view("a", 1), view("b", 2), view("a", 1)]);
    assert_eq!((leaf.class, hosts(&leaf)), (Class::Records, vec![1]));
    let leaf = decide_checked(
        &four(Policy::Corroborated),
        &[view("b", 2), view("a", 1), view("b", 2), view("a", 1)],
    );
    assert_eq!(leaf.class, Class::NoAgreement);
    let leaf =
        decide_checked(&four(Policy::Records), &[view("b", 2), view("b", 3), view("b", 4), view("a", 1)]);
    assert_eq!((leaf.class, hosts(&leaf)), (Class::Records, vec![2]));
}

#[test]
fn chain_without_support_at_one_link_ends_there() {
    let observed = [saw(cdn("a", 1, 30)), saw(cdn("b", 1, 30)), saw(cdn("c", 1, 30))];
    assert_eq!(decide_checked(&four(Policy::Records), &observed).class, Class::NoAgreement);
}

#[test]
fn equal_alias_with_differing_addresses_keeps_the_common_ones() {
    let edge = |hosts: &[u8]| {
        let mut lines = vec!["www.example.org. 30 CNAME a.cdn.example.org.".to_owned()];
        lines.extend(hosts.iter().map(|host| format!("a.cdn.example.org. 20 A 192.0.2.{host}")));
        saw(outcome(&www(), &lines.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let leaf = decide_checked(&four(Policy::Records), &[edge(&[1, 2]), edge(&[2, 3]), edge(&[1, 2, 3])]);
    assert_eq!((leaf.class, hosts(&leaf)), (Class::Records, vec![1, 2, 3]));
    assert_eq!(leaf.ttl, 20);
    assert_eq!(leaf.outcome.rrsets().unwrap().len(), 2);
}

#[test]
fn denial_behind_aliases_that_differ_is_agreed_on_at_its_own_name() {
    let v6 = question("www.example.org", 28);
    let soa = "example.org. 300 SOA ns.example.org. h.example.org. 7 3600 600 86400 60";
    let via = |edge: &str| {
        let first = format!("www.example.org. 30 CNAME {edge}.example.org.");
        let second = format!("{edge}.example.org. 30 CNAME pool.example.org.");
        let reading =
            world::read(&v6, hickory_proto::op::ResponseCode::NoError, &[&first, &second, "--", soa])
                .unwrap();
        Observed { extra: reading.extra, ..saw(reading.outcome) }
    };
    let mut memory = History::new(600_000);
    memory.remember(&via("a").outcome, NOW_MS - 1000);
    memory.remember(&via("b").outcome, NOW_MS - 1000);
    let seen = memory.of(&v6, NOW_MS);
    let observed: Vec<Observed> =
        ["b", "a", "b", "a"].iter().map(|edge| remembering(via(edge), seen.clone())).collect();
    let decision = agreement::decide(&four(Policy::Records), &v6, &round(&observed), &NoProofs);
    assert_eq!(Leaf::from_bytes(&decision.leaf.to_bytes()), Ok(decision.leaf.clone()));
    assert_eq!(decision.leaf.class, Class::Records);
    match decision.leaf.outcome {
        Outcome::Negative { chain, denial: Denial::NoData, .. } => assert_eq!(chain.len(), 2),
        other => panic!("{other:?}"),
    }
    assert_eq!(decision.extra, observed[0].extra);

    let mut lowest_times_out = observed.clone();
    lowest_times_out[0] = remembering(saw(ObservedOutcome::TimedOut), seen);
    let decision = agreement::decide(&four(Policy::Records), &v6, &round(&lowest_times_out), &NoProofs);
    assert!(matches!(decision.leaf.outcome, Outcome::Negative { .. }));
    assert_eq!(decision.extra, observed[1].extra);
}

#[test]
fn majority_that_denies_now_outweighs_memory() {
    let memory = history(&[1], 60, 30_000);
    let gone = remembering(saw(nxdomain(60, 60)), memory.clone());
    let leaf = decide_checked(&four(Policy::Records), &[a(&[1]), gone.clone(), gone.clone(), gone]);
    assert!(matches!(leaf.outcome, Outcome::Negative { .. }));
    let nodata = remembering(saw(denied(Denial::NoData, 60, 60)), memory);
    let leaf = decide_checked(&four(Policy::Records), &[a(&[1]), nodata.clone(), nodata]);
    assert!(matches!(leaf.outcome, Outcome::Negative { denial: Denial::NoData, .. }));
}

#[test]
fn ttl_counts_what_is_seen_now_and_memory_only_where_it_is_needed() {
    let seen_now_and_before = remembering(saw(addresses(&[1], 50)), history(&[1], 5, 30_000));
    let leaf = decide_checked(
        &four(Policy::Records),
        &[seen_now_and_before.clone(), saw(addresses(&[1, 2], 40)), a(&[3])],
    );
    assert_eq!((hosts(&leaf), leaf.ttl), (vec![1], 40));
    let from_memory = remembering(a(&[4]), history(&[1], 9, 30_000));
    let leaf = decide_checked(&four(Policy::Records), &[seen_now_and_before, from_memory, a(&[3])]);
    assert_eq!((hosts(&leaf), leaf.ttl), (vec![1], 9));
}

#[test]
fn any_keeps_each_supported_record_of_each_type() {
    let any = question("www.example.org", 255);
    let view = |lines: &[&str]| saw(outcome(&any, lines));
    let (address, text) = ("www.example.org. 60 A 192.0.2.1", "www.example.org. 60 TXT \"t\"");
    let observed = [
        view(&[address, text]),
        view(&[address]),
        view(&[text, address, "www.example.org. 60 AAAA 2001:db8::1"]),
    ];
    let leaf = agreement::decide(&four(Policy::Records), &any, &round(&observed), &NoProofs).leaf;
    assert_eq!(Leaf::from_bytes(&leaf.to_bytes()), Ok(leaf.clone()));
    let types: Vec<u16> = leaf.outcome.rrsets().unwrap().iter().map(|rrset| rrset.rtype).collect();
    assert_eq!((leaf.class, types), (Class::Records, vec![1, 16]));
}

#[test]
fn type_of_which_there_is_one_record_keeps_one() {
    let soa = Question { qtype: 6, ..question("example.org", 6) };
    let line = |serial: u32| format!("example.org. 60 SOA ns.example.org. h.example.org. {serial} 2 3 4 5");
    let mut memory = History::new(600_000);
    for serial in [1, 2] {
        memory.remember(&outcome(&soa, &[&line(serial)]), NOW_MS - 1000);
    }
    let seen = memory.of(&soa, NOW_MS);
    let observed: Vec<Observed> = [2, 1, 2, 1]
        .iter()
        .map(|serial| remembering(saw(outcome(&soa, &[&line(*serial)])), seen.clone()))
        .collect();
    let leaf = agreement::decide(&four(Policy::Records), &soa, &round(&observed), &NoProofs).leaf;
    assert_eq!(leaf.class, Class::Records);
    assert_eq!(leaf.outcome.rrsets().unwrap()[0].rdatas.len(), 1);
}

#[test]
fn links_that_lead_back_are_no_answer() {
    let x = outcome(&www(), &["www.example.org. 30 CNAME a.example.org.", "a.example.org. 30 A 192.0.2.1"]);
    let looping = outcome(&question("a.example.org", 1), &["a.example.org. 30 CNAME www.example.org."]);
    let mut memory = History::new(600_000);
    memory.remember(&x, NOW_MS - 1000);
    memory.remember(&looping, NOW_MS - 1000);
    let open = outcome(
        &www(),
        &["www.example.org. 30 CNAME a.example.org.", "a.example.org. 30 CNAME b.example.org."],
    );
    let observed = [
        remembering(saw(x), memory.of(&www(), NOW_MS)),
        remembering(saw(ObservedOutcome::TimedOut), memory.of(&www(), NOW_MS)),
        remembering(saw(open), memory.of(&www(), NOW_MS)),
    ];
    let leaf = decide_checked(&four(Policy::Records), &observed);
    assert_eq!((leaf.class, hosts(&leaf)), (Class::Records, vec![1]));
}
