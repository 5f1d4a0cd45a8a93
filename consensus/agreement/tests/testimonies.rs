//! What each observer of a decision said, in the form in which observers are compared.

mod world;

use agreement::{Dnssec, NoProofs, Observation, Observed, ObservedOutcome, Proofs, Testimony, testimonies};
use certificate::{Class, Policy, Question};
use world::{NOW_MS, addresses, decide_with, four, round, saw, www};

fn sees(host: u8) -> Observed {
    saw(addresses(&[host], 60))
}

/// What was said in a round of a cluster of four, by replica.
fn said_by(observations: &[Observation<'_>], proofs: &dyn Proofs) -> Vec<(u8, Testimony)> {
    let cluster = four(Policy::Records);
    let leaf = agreement::decide(&cluster, &www(), observations, proofs).leaf;
    let said = testimonies(&cluster, &leaf, observations, proofs);
    said.into_iter().map(|(replica, testimony)| (replica.0, testimony)).collect()
}

fn said(observed: &[Observed]) -> Vec<Testimony> {
    said_by(&round(observed), &NoProofs).into_iter().map(|(_, testimony)| testimony).collect()
}

#[test]
fn same_value_is_the_same_testimony_whatever_the_ttl() {
    let said = said(&[sees(1), saw(addresses(&[1], 7)), sees(2), sees(1)]);
    assert!(matches!(said[0], Testimony::Value(_)));
    assert_eq!((said[0], said[0]), (said[1], said[3]));
    assert_ne!(said[0], said[2]);
}

#[test]
fn failure_to_look_up_says_nothing() {
    for failed in [ObservedOutcome::Failure(2), ObservedOutcome::TimedOut, ObservedOutcome::TooLarge] {
        assert_eq!(said(&[sees(1), sees(1), sees(1), saw(failed)])[3], Testimony::Nothing);
    }
    let bogus = Observed { dnssec: Dnssec::Bogus, ..sees(1) };
    assert_eq!(said(&[sees(1), sees(1), sees(1), bogus])[3], Testimony::Nothing);
}

#[test]
fn observation_out_of_time_is_not_heard() {
    let observed = [sees(1), sees(1), sees(1), sees(66)];
    let mut observations = round(&observed);
    observations[3].time_ms = NOW_MS - 3_600_000;
    let heard: Vec<u8> = said_by(&observations, &NoProofs).into_iter().map(|(replica, _)| replica).collect();
    assert_eq!(heard, [0, 1, 2]);
}

/// Validates the addresses 1 and 2 with their signatures, as the key of a zone with two signed answers would.
struct ZoneKey;

impl Proofs for ZoneKey {
    fn validates(&self, _: &Question, observed: &Observed, _: u64) -> bool {
        let is_true = |host: &u8| observed.outcome.same_value(&addresses(&[*host], 60));
        observed.dnssec == Dnssec::Secure && [1, 2].iter().any(is_true)
    }
}

#[test]
fn value_that_a_proof_contradicts_is_disproved_unless_it_has_its_own() {
    let secure = |host| Observed { dnssec: Dnssec::Secure, ..sees(host) };
    let observed = [secure(1), secure(1), secure(2), sees(66)];
    assert_eq!(decide_with(&four(Policy::Records), &observed, &ZoneKey).leaf.class, Class::Secure);
    let said = said_by(&round(&observed), &ZoneKey);
    assert!(said[..3].iter().all(|(_, said)| matches!(said, Testimony::Value(_))), "{said:?}");
    assert_eq!(said[3], (3, Testimony::Disproved));
}

#[test]
fn without_a_proof_nothing_is_disproved() {
    let observed = [sees(1), sees(1), sees(1), sees(66)];
    assert!(matches!(said(&observed)[3], Testimony::Value(_)));
}

#[test]
fn same_value_without_signatures_beside_a_proven_one_is_no_lie() {
    let secure = Observed { dnssec: Dnssec::Secure, ..sees(1) };
    let said = said_by(&round(&[secure.clone(), secure.clone(), secure, sees(1)]), &ZoneKey);
    assert_eq!(said[3].1, said[0].1);
}
