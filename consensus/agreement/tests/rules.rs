//! The rules of the decision, one test a rule: what counts, what wins, what a TTL may be.

#![allow(clippy::unwrap_used, reason = "a test that cannot be arranged should fail")]

mod world;

use agreement::decide::{FAILURE_TTL_SECONDS, NO_AGREEMENT_TTL_SECONDS};
use agreement::{Dnssec, NoProofs, Observation, Observed, ObservedOutcome, Proofs, settled};
use certificate::codec::{Decode, Encode};
use certificate::{Class, Cluster, Denial, Digest, Leaf, Outcome, Policy, Question, ReplicaId};
use hickory_proto::op::ResponseCode;
use world::{
    NOW_MS, addresses, cluster, decide, decide_with, denied, four, history, hosts, ids, nxdomain, outcome,
    read, round, saw, www,
};

const FAILED: ObservedOutcome = ObservedOutcome::Failure(2);
const REFUSED: ObservedOutcome = ObservedOutcome::Failure(5);

fn a(hosts: &[u8]) -> Observed {
    saw(addresses(hosts, 60))
}

/// The leaf of one answer a replica, checked to be one that the format accepts.
fn leaf_of(cluster: &Cluster, observed: &[Observed]) -> Leaf {
    let leaf = decide(cluster, observed);
    assert_eq!(Leaf::from_bytes(&leaf.to_bytes()), Ok(leaf.clone()));
    leaf
}

// Rule 1: what counts.

#[test]
fn fewer_than_a_quorum_of_observations_is_no_agreement() {
    let leaf = decide(&four(Policy::Records), &[a(&[1]), a(&[1])]);
    assert_eq!((leaf.class, leaf.outcome), (Class::NoAgreement, Outcome::None));
}

#[test]
fn observations_far_from_the_median_do_not_count() {
    let cluster = four(Policy::Records);
    let observed = [a(&[1]), a(&[1]), a(&[1]), a(&[2])];
    let mut observations = round(&observed);
    observations[3].time_ms = NOW_MS + cluster.observation_window_ms + 1;
    let late = agreement::decide(&cluster, &www(), &observations, &NoProofs).leaf;
    assert_eq!((late.class, late.time_ms, ids(late.support)), (Class::Strong, NOW_MS, vec![0, 1, 2]));
    observations[2].time_ms = NOW_MS - cluster.observation_window_ms - 1;
    let two_off = agreement::decide(&cluster, &www(), &observations, &NoProofs).leaf;
    assert_eq!(two_off.class, Class::NoAgreement);
    assert_eq!(two_off.observers.len(), 4);
    observations[2].time_ms = NOW_MS - cluster.observation_window_ms;
    let at_the_edge = agreement::decide(&cluster, &www(), &observations, &NoProofs).leaf;
    assert_eq!(at_the_edge.class, Class::Strong);
}

#[test]
fn replica_that_is_there_twice_counts_once_whatever_the_order() {
    let cluster = four(Policy::Records);
    let observed = [a(&[1]), a(&[1]), a(&[2])];
    let mut observations = round(&observed);
    let twice = Observation { replica: ReplicaId(1), time_ms: NOW_MS + 1, observed: &observed[2] };
    observations.push(twice);
    let forward = agreement::decide(&cluster, &www(), &observations, &NoProofs);
    observations.reverse();
    assert_eq!(agreement::decide(&cluster, &www(), &observations, &NoProofs), forward);
    assert_eq!((forward.leaf.class, ids(forward.leaf.support)), (Class::Corroborated, vec![0, 1]));
}

#[test]
fn stranger_does_not_count() {
    let observed = [a(&[1]), a(&[1]), a(&[1])];
    let mut observations = round(&observed);
    observations[2].replica = ReplicaId(9);
    let leaf = agreement::decide(&four(Policy::Records), &www(), &observations, &NoProofs).leaf;
    assert_eq!((leaf.class, ids(leaf.observers)), (Class::NoAgreement, vec![0, 1]));
}

#[test]
fn time_of_a_leaf_is_the_lower_median_of_what_counts() {
    let observed = [a(&[1]), a(&[1]), a(&[1]), a(&[1])];
    let mut observations = round(&observed);
    for (observation, offset_ms) in observations.iter_mut().zip([9000, 100, 300, 200]) {
        observation.time_ms = NOW_MS + offset_ms;
    }
    let leaf = agreement::decide(&four(Policy::Records), &www(), &observations, &NoProofs).leaf;
    assert_eq!((leaf.time_ms, leaf.not_after_ms), (NOW_MS + 200, NOW_MS + 200 + 60_000));
}

// Rule 2: what DNSSEC proves.

/// The tests' own validator: believes every claim that comes without a history.
struct Believes;

impl Proofs for Believes {
    fn validates(&self, _: &Question, observed: &Observed, _: u64) -> bool {
        observed.history.is_empty()
    }
}

/// Knows that the zone is signed from any observation that claims so, and believes no value.
struct KnowsItIsSigned;

impl Proofs for KnowsItIsSigned {
    fn validates(&self, _: &Question, _: &Observed, _: u64) -> bool {
        false
    }

    fn signed(&self, _: &Question, observed: &Observed, _: u64) -> bool {
        observed.dnssec == Dnssec::Secure
    }
}

fn secure(outcome: ObservedOutcome) -> Observed {
    Observed { dnssec: Dnssec::Secure, ..saw(outcome) }
}

#[test]
fn claim_of_secure_without_a_proof_counts_as_any_value() {
    for policy in [Policy::Strong, Policy::Corroborated, Policy::Records, Policy::Dnssec] {
        let claimed = decide(&four(policy), &[secure(addresses(&[9], 60)), a(&[1]), a(&[1]), a(&[1])]);
        let plain = decide(&four(policy), &[a(&[9]), a(&[1]), a(&[1]), a(&[1])]);
        assert_eq!(claimed, plain, "{policy}");
    }
}

#[test]
fn proven_value_wins_with_one_supporter_under_every_policy() {
    for policy in [Policy::Strong, Policy::Corroborated, Policy::Records, Policy::Dnssec, Policy::Observe] {
        let observed = [secure(addresses(&[7], 60)), a(&[1]), a(&[1]), a(&[1])];
        let leaf = decide_with(&four(policy), &observed, &Believes).leaf;
        assert_eq!(
            (leaf.class, hosts(&leaf), ids(leaf.support)),
            (Class::Secure, vec![7], vec![0]),
            "{policy}"
        );
        assert!(leaf.single_path);
    }
}

#[test]
fn claim_whose_proof_fails_does_not_win() {
    let forged = Observed { history: history(&[7], 60, 1000), ..secure(addresses(&[7], 60)) };
    let leaf = decide_with(&four(Policy::Records), &[forged, a(&[1]), a(&[1]), a(&[1])], &Believes).leaf;
    assert_eq!((leaf.class, hosts(&leaf)), (Class::Strong, vec![1]));
}

#[test]
fn of_two_proven_values_the_one_with_more_supporters_wins_then_the_later_signature_then_the_smaller_digest() {
    let observed =
        [secure(addresses(&[9], 60)), secure(addresses(&[1], 60)), secure(addresses(&[9], 60)), a(&[1])];
    let leaf = decide_with(&four(Policy::Records), &observed, &Believes).leaf;
    assert_eq!((hosts(&leaf), ids(leaf.support)), (vec![9], vec![0, 2]));

    let signed_at = |inception: &str| {
        let dnssec = Question { flags: Question::DNSSEC_OK, ..www() };
        let line = format!("www.example.org. 60 TYPE46 \\# 000108030000003c70000000{inception}00010000");
        read(&dnssec, ResponseCode::NoError, &["www.example.org. 60 A 192.0.2.1", &line]).unwrap().extra
    };
    for (old, new) in [(1, 9), (9, 1)] {
        let replayed = Observed { extra: signed_at("69000000"), ..secure(addresses(&[old], 60)) };
        let fresh = Observed { extra: signed_at("69000001"), ..secure(addresses(&[new], 60)) };
        let leaf = decide_with(&four(Policy::Records), &[replayed, fresh, a(&[3])], &Believes).leaf;
        assert_eq!(hosts(&leaf), [new]);
    }

    let one = decide_with(
        &four(Policy::Records),
        &[secure(addresses(&[1], 60)), secure(addresses(&[9], 60)), a(&[3])],
        &Believes,
    );
    let other = decide_with(
        &four(Policy::Records),
        &[secure(addresses(&[9], 60)), secure(addresses(&[1], 60)), a(&[3])],
        &Believes,
    );
    assert_eq!(hosts(&one.leaf), hosts(&other.leaf));
}

#[test]
fn no_majority_of_stripped_answers_beats_a_proof_that_the_zone_is_signed() {
    let observed = [secure(addresses(&[7], 60)), a(&[1]), a(&[1]), a(&[1])];
    let leaf = decide_with(&four(Policy::Records), &observed, &KnowsItIsSigned).leaf;
    assert_eq!(leaf.class, Class::NoAgreement);
    let failing = [secure(addresses(&[7], 60)), saw(FAILED), saw(FAILED), saw(FAILED)];
    let leaf = decide_with(&four(Policy::Records), &failing, &KnowsItIsSigned).leaf;
    assert_eq!(leaf.class, Class::Failure);
}

#[test]
fn policy_dnssec_gives_nothing_that_is_not_proven() {
    let leaf = leaf_of(&four(Policy::Dnssec), &[a(&[1]), a(&[1]), a(&[1]), a(&[1])]);
    assert_eq!(leaf.class, Class::NoAgreement);
    let leaf = leaf_of(&four(Policy::Dnssec), &[saw(FAILED), saw(FAILED), saw(FAILED), a(&[1])]);
    assert_eq!(leaf.class, Class::Failure);
}

#[test]
fn bogus_answer_is_a_failure_unless_the_client_checks_itself() {
    let bogus = Observed { dnssec: Dnssec::Bogus, ..a(&[1]) };
    let observed = [bogus.clone(), bogus.clone(), bogus];
    assert_eq!(decide(&four(Policy::Records), &observed).class, Class::Failure);
    let checking = Question { flags: Question::CHECKING_DISABLED, ..www() };
    let leaf = agreement::decide(&four(Policy::Records), &checking, &round(&observed), &NoProofs).leaf;
    assert_eq!((leaf.class, hosts(&leaf)), (Class::Strong, vec![1]));
}

// Rule 3: equal values.

#[test]
fn quorum_of_equal_values_is_strong_under_every_policy_that_can_give_it() {
    for policy in [Policy::Strong, Policy::Corroborated, Policy::Records, Policy::Observe, Policy::Bypass] {
        let leaf = leaf_of(&four(policy), &[a(&[1]), a(&[1]), a(&[1]), a(&[2])]);
        assert_eq!(
            (leaf.class, hosts(&leaf), ids(leaf.support)),
            (Class::Strong, vec![1], vec![0, 1, 2]),
            "{policy}"
        );
    }
}

#[test]
fn majority_and_one_more_than_the_faults_is_corroborated() {
    for policy in [Policy::Corroborated, Policy::Records, Policy::Observe] {
        let leaf = leaf_of(&four(policy), &[a(&[1]), a(&[2]), a(&[1])]);
        assert_eq!(
            (leaf.class, hosts(&leaf), ids(leaf.support)),
            (Class::Corroborated, vec![1], vec![0, 2]),
            "{policy}"
        );
    }
}

#[test]
fn half_of_the_observations_is_no_majority() {
    let leaf = leaf_of(&four(Policy::Corroborated), &[a(&[1]), a(&[2]), a(&[1]), a(&[3])]);
    assert_eq!(leaf.class, Class::NoAgreement);
}

#[test]
fn threshold_grows_with_what_is_included() {
    let seven = cluster(7, 2, Policy::Corroborated);
    let five = [a(&[1]), a(&[1]), a(&[1]), a(&[2]), a(&[3])];
    assert_eq!(leaf_of(&seven, &five).class, Class::Corroborated);
    let six = [&five[..], &[a(&[4])]].concat();
    assert_eq!(leaf_of(&seven, &six).class, Class::NoAgreement);
}

#[test]
fn policy_strong_gives_nothing_less_than_a_quorum() {
    let leaf = leaf_of(&four(Policy::Strong), &[a(&[1]), a(&[1]), a(&[2]), a(&[3])]);
    assert_eq!(leaf.class, Class::NoAgreement);
    let leaf = leaf_of(&four(Policy::Strong), &[a(&[1]), a(&[1]), a(&[2])]);
    assert_eq!(leaf.class, Class::NoAgreement);
    let leaf = leaf_of(&four(Policy::Strong), &[saw(FAILED), saw(FAILED), a(&[1])]);
    assert_eq!(leaf.class, Class::NoAgreement);
}

#[test]
fn policy_is_that_of_the_longest_zone() {
    let mut cluster = four(Policy::Records);
    cluster.policies.insert(world::wire("example.org"), Policy::Strong);
    let leaf = leaf_of(&cluster, &[a(&[1]), a(&[1]), a(&[2])]);
    assert_eq!((leaf.policy, leaf.class), (Policy::Strong, Class::NoAgreement));
}

#[test]
fn supporters_of_too_few_upstream_groups_are_flagged() {
    let mut cluster = four(Policy::Records);
    let all_equal = [a(&[1]), a(&[1]), a(&[1]), a(&[1])];
    let leaf = leaf_of(&cluster, &all_equal);
    assert_eq!((leaf.single_path, leaf.groups), (false, 0b1111));
    cluster.members.iter_mut().for_each(|member| member.group = 3);
    let leaf = leaf_of(&cluster, &all_equal);
    assert_eq!((leaf.class, leaf.single_path, leaf.groups), (Class::Strong, true, 0b1000));
}

#[test]
fn group_is_that_of_the_cluster_file_whatever_the_payload_claims() {
    let mut cluster = four(Policy::Records);
    cluster.members.iter_mut().for_each(|member| member.group = 0);
    let observed: Vec<Observed> = (0..4).map(|group| Observed { group, ..a(&[1]) }).collect();
    assert_eq!(leaf_of(&cluster, &observed).groups, 1);
}

#[test]
fn ttl_is_the_least_of_the_supporters_rrset_by_rrset_and_capped() {
    let chain = |alias_ttl: u32, ttl: u32| {
        let alias = format!("www.example.org. {alias_ttl} CNAME b.example.org.");
        saw(outcome(&www(), &[&alias, &format!("b.example.org. {ttl} A 192.0.2.1")]))
    };
    let mut cluster = four(Policy::Records);
    let observed = [chain(100, 20), chain(30, 50), chain(90, 40), saw(addresses(&[9], 1))];
    let leaf = leaf_of(&cluster, &observed);
    let ttls =
        |leaf: &Leaf| -> Vec<u32> { leaf.outcome.rrsets().unwrap().iter().map(|rrset| rrset.ttl).collect() };
    assert_eq!((ttls(&leaf), leaf.ttl), (vec![30, 20], 20));
    assert_eq!(leaf.not_after_ms, leaf.time_ms + 20_000);
    cluster.ttl_max_s = 25;
    let leaf = leaf_of(&cluster, &observed);
    assert_eq!((ttls(&leaf), leaf.ttl), (vec![25, 20], 20));
}

#[test]
fn ttl_has_no_floor() {
    let leaf = leaf_of(&four(Policy::Records), &[saw(addresses(&[1], 0)), a(&[1]), a(&[1])]);
    assert_eq!((leaf.ttl, leaf.not_after_ms), (0, leaf.time_ms));
}

#[test]
fn records_beside_the_answer_are_those_of_the_lowest_supporter_and_the_leaf_binds_them() {
    let beside = |serial: u32| {
        let soa = format!("example.org. 300 SOA ns.example.org. h.example.org. {serial} 3600 600 86400 60");
        let reading = read(&www(), ResponseCode::NXDomain, &["--", &soa]).unwrap();
        Observed { extra: reading.extra, ..saw(reading.outcome) }
    };
    let observed = [a(&[1]), beside(8), beside(9), beside(7)];
    let decision = decide_with(&four(Policy::Records), &observed, &NoProofs);
    assert_eq!(decision.extra, observed[1].extra);
    assert_eq!(decision.leaf.extra_digest, Digest::of(&decision.extra));
    assert_eq!(ids(decision.leaf.support), [1, 2, 3]);
    assert_eq!(leaf_of(&four(Policy::Records), &[a(&[1]), a(&[1]), a(&[1])]).extra_digest, Digest::ZERO);
}

// Rule 4: denials are values.

#[test]
fn nxdomain_and_nodata_are_different_values() {
    let nodata = saw(denied(Denial::NoData, 60, 60));
    let leaf = leaf_of(
        &four(Policy::Corroborated),
        &[saw(nxdomain(60, 60)), saw(nxdomain(60, 60)), nodata.clone(), nodata],
    );
    assert_eq!(leaf.class, Class::NoAgreement);
}

#[test]
fn denials_by_different_zones_or_minimums_are_different_values() {
    let by_zone = |zone: &str| ObservedOutcome::Negative {
        chain: vec![],
        denial: Denial::NxDomain,
        zone: world::wire(zone),
        minimum: 60,
        ttl: 60,
    };
    let observed = [saw(by_zone("example.org")), saw(by_zone("org")), saw(nxdomain(61, 60))];
    assert_eq!(leaf_of(&four(Policy::Corroborated), &observed).class, Class::NoAgreement);
}

#[test]
fn denial_holds_as_long_as_its_most_cautious_supporter_says() {
    let observed = [saw(nxdomain(60, 60)), saw(nxdomain(60, 7)), saw(nxdomain(60, 50)), saw(nxdomain(61, 1))];
    let leaf = leaf_of(&four(Policy::Records), &observed);
    assert_eq!((leaf.class, leaf.ttl), (Class::Strong, 7));
    assert!(matches!(leaf.outcome, Outcome::Negative { denial: Denial::NxDomain, minimum: 60, .. }));
}

// Rule 7: failures.

#[test]
fn failures_and_time_outs_are_one_group() {
    let observed = [saw(FAILED), saw(ObservedOutcome::TimedOut), saw(REFUSED), a(&[1])];
    let leaf = leaf_of(&four(Policy::Records), &observed);
    assert_eq!((leaf.class, leaf.outcome), (Class::Failure, Outcome::Failure(2)));
    assert_eq!((leaf.ttl, ids(leaf.support)), (FAILURE_TTL_SECONDS, vec![0, 1, 2]));
}

#[test]
fn answer_too_large_to_observe_is_a_failure() {
    let leaf = leaf_of(
        &four(Policy::Records),
        &[saw(ObservedOutcome::TooLarge), saw(ObservedOutcome::TooLarge), saw(FAILED)],
    );
    assert_eq!((leaf.class, leaf.outcome), (Class::Failure, Outcome::Failure(2)));
}

#[test]
fn refused_needs_enough_replicas_of_its_own() {
    let refused = leaf_of(&four(Policy::Records), &[saw(REFUSED), saw(REFUSED), saw(REFUSED), saw(FAILED)]);
    assert_eq!((refused.outcome, ids(refused.support)), (Outcome::Failure(5), vec![0, 1, 2]));
    let mixed = leaf_of(&four(Policy::Records), &[saw(REFUSED), saw(REFUSED), saw(FAILED), saw(FAILED)]);
    assert_eq!(mixed.outcome, Outcome::Failure(2));
}

#[test]
fn failure_and_no_agreement_hold_at_least_a_second() {
    assert!((1..=5).contains(&FAILURE_TTL_SECONDS));
    assert!((1..=5).contains(&NO_AGREEMENT_TTL_SECONDS));
    let leaf = leaf_of(&four(Policy::Corroborated), &[a(&[1]), a(&[2]), a(&[3])]);
    assert_eq!((leaf.class, leaf.ttl), (Class::NoAgreement, NO_AGREEMENT_TTL_SECONDS));
    assert_eq!(leaf.not_after_ms, NOW_MS + 1000 * u64::from(NO_AGREEMENT_TTL_SECONDS));
    assert_eq!((ids(leaf.support), leaf.groups, ids(leaf.observers)), (vec![], 0, vec![0, 1, 2]));
}

// When waiting is useless.

#[test]
fn quorum_of_equal_values_or_failures_settles() {
    let cluster = four(Policy::Records);
    let settles = |observed: &[Observed]| settled(&cluster, &www(), &round(observed));
    assert!(!settles(&[a(&[1]), a(&[1])]));
    assert!(!settles(&[a(&[1]), a(&[1]), a(&[2])]));
    assert!(!settles(&[a(&[1]), a(&[1]), saw(FAILED)]));
    assert!(settles(&[a(&[1]), saw(addresses(&[1], 5)), a(&[1])]));
    assert!(settles(&[saw(FAILED), saw(ObservedOutcome::TimedOut), saw(REFUSED)]));
    assert!(settles(&[a(&[1]), a(&[2]), a(&[1]), a(&[1])]));
}

#[test]
fn equal_values_too_far_apart_do_not_settle() {
    let cluster = four(Policy::Records);
    let observed = [a(&[1]), a(&[1]), a(&[1])];
    let mut observations = round(&observed);
    observations[2].time_ms += cluster.observation_window_ms + 1;
    assert!(!settled(&cluster, &www(), &observations));
}
