//! Whom a decision proves right, and what little counts as wrong.

mod world;

use agreement::{Dnssec, NoProofs, Observation, Observed, ObservedOutcome, Proofs, accuracy};
use certificate::{Class, Cluster, Policy, Question};
use world::{NOW_MS, addresses, cluster, four, history, nxdomain, round, saw, www};

/// The records live for a minute, the history is ten.
const TTL: u32 = 60;

fn sees(host: u8) -> Observed {
    saw(addresses(&[host], TTL))
}

/// Sees `host`, and remembers these hosts.
fn remembers(host: u8, hosts: &[u8]) -> Observed {
    Observed { history: history(hosts, TTL, 30_000), ..sees(host) }
}

fn judge_at(
    cluster: &Cluster,
    observations: &[Observation<'_>],
    proofs: &dyn Proofs,
) -> (Class, Vec<(u8, bool)>) {
    let leaf = agreement::decide(cluster, &www(), observations, proofs).leaf;
    let judged = accuracy(cluster, &leaf, observations, proofs);
    (leaf.class, judged.into_iter().map(|(replica, agreed)| (replica.0, agreed)).collect())
}

fn judge(observed: &[Observed]) -> (Class, Vec<(u8, bool)>) {
    judge_at(&four(Policy::Records), &round(observed), &NoProofs)
}

#[test]
fn observer_alone_against_a_quorum_about_a_stable_name_is_wrong() {
    let stable = || remembers(1, &[1]);
    let expected = vec![(0, true), (1, true), (2, true), (3, false)];
    assert_eq!(judge(&[stable(), stable(), sees(1), sees(66)]), (Class::Strong, expected));
}

#[test]
fn denial_of_a_stable_name_is_wrong() {
    let stable = || remembers(1, &[1]);
    let judged = judge(&[stable(), stable(), stable(), saw(nxdomain(300, 300))]).1;
    assert_eq!(judged.last(), Some(&(3, false)));
}

#[test]
fn name_that_nobody_remembers_is_judged_only_by_a_ttl_as_long_as_the_history() {
    let seen_by_three = |ttl| {
        let sees = || saw(addresses(&[1], ttl));
        judge(&[sees(), sees(), sees(), saw(addresses(&[66], ttl))]).1
    };
    let agreed = vec![(0, true), (1, true), (2, true)];
    assert_eq!(seen_by_three(599), agreed);
    assert_eq!(seen_by_three(600), [agreed, vec![(3, false)]].concat());
}

#[test]
fn one_memory_is_not_enough() {
    assert_eq!(judge(&[remembers(1, &[1]), sees(1), sees(1), sees(66)]).1.len(), 3);
}

#[test]
fn pool_that_changes_excuses_everybody() {
    let pool = || remembers(1, &[1, 2]);
    assert_eq!(judge(&[pool(), pool(), remembers(1, &[1]), sees(7)]).1.len(), 3);
    let long = |hosts: &[u8]| Observed { history: history(hosts, TTL, 30_000), ..saw(addresses(&[1], 3600)) };
    assert_eq!(judge(&[long(&[2]), long(&[2]), long(&[1]), sees(7)]).1.len(), 3);
}

#[test]
fn one_liar_among_the_supporters_excuses_nobody() {
    let stable = || remembers(1, &[1]);
    let judged = judge(&[stable(), stable(), remembers(1, &[66]), sees(66)]).1;
    assert_eq!(judged.last(), Some(&(3, false)));
}

#[test]
fn two_that_see_the_same_are_a_region() {
    let cluster = cluster(7, 2, Policy::Records);
    let mut observed = vec![remembers(1, &[1]); 5];
    observed.extend([sees(7), sees(7)]);
    assert_eq!(judge_at(&cluster, &round(&observed), &NoProofs).1.len(), 5);
    observed[6] = sees(8);
    let judged = judge_at(&cluster, &round(&observed), &NoProofs).1;
    assert_eq!(judged[5..], [(5, false), (6, false)]);
}

#[test]
fn smaller_agreement_makes_nobody_wrong() {
    let stable = || remembers(1, &[1]);
    let expected = (Class::Corroborated, vec![(0, true), (1, true)]);
    assert_eq!(judge(&[stable(), stable(), sees(66)]), expected);
}

#[test]
fn records_decided_one_by_one_judge_nobody() {
    let pool = |hosts: &[u8]| saw(addresses(hosts, TTL));
    let judged = judge(&[pool(&[1]), pool(&[1, 3]), pool(&[1, 4]), pool(&[1, 5])]);
    assert_eq!(judged, (Class::Records, vec![]));
}

#[test]
fn failure_to_look_up_is_no_lie() {
    let stable = || remembers(1, &[1]);
    for failed in [ObservedOutcome::Failure(2), ObservedOutcome::TimedOut, ObservedOutcome::TooLarge] {
        assert_eq!(judge(&[stable(), stable(), stable(), saw(failed)]).1.len(), 3);
    }
}

#[test]
fn first_to_see_a_new_name_is_not_wrong() {
    let denies = || saw(nxdomain(3600, 3600));
    let judged = judge(&[denies(), denies(), denies(), sees(1)]);
    assert_eq!(judged, (Class::Strong, vec![(0, true), (1, true), (2, true)]));
}

#[test]
fn observation_out_of_time_is_judged_neither_way() {
    let stable = remembers(1, &[1]);
    let observed = [stable.clone(), stable.clone(), stable, sees(66)];
    let mut observations = round(&observed);
    observations[3].time_ms = NOW_MS - 3_600_000;
    assert_eq!(judge_at(&four(Policy::Records), &observations, &NoProofs).1.len(), 3);
}

/// Validates the addresses 1 and 2, as the key of a zone with two signed answers would.
struct ZoneKey;

impl Proofs for ZoneKey {
    fn validates(&self, _: &Question, observed: &Observed, _: u64) -> bool {
        [1, 2].iter().any(|host| observed.outcome.same_value(&addresses(&[*host], TTL)))
    }
}

#[test]
fn value_that_a_proof_contradicts_is_wrong_unless_it_has_its_own() {
    let secure = |host| Observed { dnssec: Dnssec::Secure, ..sees(host) };
    let observed = [secure(1), secure(1), secure(2), secure(66)];
    let judged = judge_at(&four(Policy::Records), &round(&observed), &ZoneKey);
    assert_eq!(judged, (Class::Secure, vec![(0, true), (1, true), (3, false)]));
    let unsigned = [secure(1), secure(1), secure(1), sees(66)];
    assert_eq!(judge_at(&four(Policy::Records), &round(&unsigned), &ZoneKey).1.last(), Some(&(3, false)));
}
