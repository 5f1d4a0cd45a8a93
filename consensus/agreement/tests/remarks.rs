//! Remarks: which one stands in a leaf, and that no liar puts one there, changes an answer with one, or takes the life of an answer by one.

#![allow(clippy::unwrap_used, reason = "a test that cannot be arranged should fail")]

mod world;

use agreement::explain::explain;
use agreement::{Dnssec, NoProofs, Observation, Observed, ObservedOutcome, Proofs};
use certificate::codec::{Decode, Encode};
use certificate::{Class, Cluster, Leaf, Policy, Question, ReplicaId};
use world::{
    NOW_MS, Numbers, addresses, cluster, decide, decide_with, four, history, ids, permutations, remark,
    remarked, round, saw, verifies, www,
};

const BAD: &str = "ct-verify: CERT invalid: not_enough_logs";
const LIE: &str = "ct-verify: CERT valid";

const SHAPES: [(u32, u32); 4] = [(4, 1), (5, 1), (6, 1), (7, 2)];

fn a(host: u8) -> Observed {
    saw(addresses(&[host], 60))
}

fn failed() -> Observed {
    saw(ObservedOutcome::Failure(2))
}

/// The text of the agreed remark, of a leaf that the format accepts and whose certificate verifies.
fn agreed(cluster: &Cluster, leaf: &Leaf) -> Option<String> {
    assert_eq!(Leaf::from_bytes(&leaf.to_bytes()).as_ref(), Ok(leaf));
    assert!(verifies(cluster, leaf), "{leaf:?}");
    leaf.remark().map(|remark| remark.text)
}

fn decided(cluster: &Cluster, observed: &[Observed]) -> (Class, Option<String>) {
    let leaf = decide(cluster, observed);
    (leaf.class, agreed(cluster, &leaf))
}

#[test]
fn remark_of_all_supporters_stands_in_the_leaf() {
    let cluster = four(Policy::Records);
    for (observed, class) in [(a(1), Class::Strong), (failed(), Class::Failure)] {
        let all = vec![remarked(observed, BAD); 4];
        assert_eq!(decide(&cluster, &all).verdict, remark(BAD).to_bytes());
        assert_eq!(decided(&cluster, &all), (class, Some(BAD.to_owned())));
    }
}

#[test]
fn remark_needs_more_than_half_of_the_supporters_and_f_plus_one() {
    for (n, f) in SHAPES {
        for kind in [a(1), failed()] {
            let cluster = cluster(n, f, Policy::Corroborated);
            for supporters in cluster.replicas.quorum()..=n as usize {
                for makers in 0..=supporters {
                    let mut observed = vec![remarked(kind.clone(), BAD); makers];
                    observed.resize(supporters, kind.clone());
                    let enough = makers * 2 > supporters && makers > f as usize;
                    let found = decided(&cluster, &observed).1;
                    assert_eq!(found.is_some(), enough, "n {n}, {makers} of {supporters}");
                }
            }
        }
    }
}

#[test]
fn liars_alone_never_get_a_remark() {
    for (n, f) in SHAPES {
        for policy in [Policy::Strong, Policy::Corroborated, Policy::Records] {
            let cluster = cluster(n, f, policy);
            for count in cluster.replicas.quorum()..=n as usize {
                for honest in [a(1), failed(), remarked(a(1), BAD)] {
                    let mut observed = vec![remarked(honest.clone(), LIE); f as usize];
                    observed.resize(count, honest.clone());
                    let (class, text) = decided(&cluster, &observed);
                    assert_ne!(text.as_deref(), Some(LIE), "n {n}, {policy}, {count}");
                    let without: Vec<Observed> =
                        observed.iter().map(|one| Observed { remark: None, ..one.clone() }).collect();
                    assert_eq!(class, decide(&cluster, &without).class);
                }
            }
        }
    }
}

#[test]
fn liars_cannot_withhold_what_all_honest_supporters_of_a_strong_answer_remark() {
    for (n, f) in SHAPES {
        let cluster = cluster(n, f, Policy::Strong);
        for count in cluster.replicas.quorum()..=n as usize {
            for lie in [a(1), remarked(a(1), LIE), remarked(a(2), LIE)] {
                let mut observed = vec![lie; f as usize];
                observed.resize(count, remarked(a(1), BAD));
                let (class, text) = decided(&cluster, &observed);
                let expected = (class == Class::Strong).then(|| BAD.to_owned());
                assert_eq!(text, expected, "n {n}, {count}");
            }
        }
    }
}

#[test]
fn differing_remarks_withhold_the_remark_and_nothing_else() {
    let cluster = four(Policy::Strong);
    let observed = [remarked(a(1), "one"), remarked(a(1), "two"), remarked(a(1), "three"), a(1)];
    let without = [a(1), a(1), a(1), a(1)];
    assert_eq!(decide(&cluster, &observed), decide(&cluster, &without));
    let halves = [remarked(a(1), "one"), remarked(a(1), "one"), remarked(a(1), "two"), remarked(a(1), "two")];
    assert_eq!(decided(&cluster, &halves), (Class::Strong, None));
}

#[test]
fn remark_differs_by_every_part_of_it() {
    let cluster = four(Policy::Strong);
    let first = remark(BAD);
    for other in [
        certificate::Remark { judged: certificate::Judged::Valid, ..first.clone() },
        certificate::Remark { info_code: 15, ..first.clone() },
        certificate::Remark { text: BAD.to_uppercase(), ..first.clone() },
    ] {
        let made = |remark| Observed { remark: Some(remark), ..a(1) };
        let halves = [made(first.clone()), made(first.clone()), made(other.clone()), made(other)];
        assert_eq!(decided(&cluster, &halves), (Class::Strong, None));
    }
}

#[test]
fn remark_of_who_does_not_support_the_answer_counts_nowhere() {
    let cluster = four(Policy::Corroborated);
    let observed = [remarked(a(1), BAD), a(1), a(1), remarked(a(2), BAD)];
    assert_eq!(decided(&cluster, &observed), (Class::Strong, None));
    let failing = [remarked(failed(), BAD), failed(), failed(), remarked(a(2), BAD)];
    assert_eq!(decided(&cluster, &failing), (Class::Failure, None));
}

#[test]
fn remark_of_another_time_counts_nowhere() {
    let cluster = four(Policy::Strong);
    let observed = [a(1), remarked(a(1), BAD), remarked(a(1), BAD), a(1)];
    let mut observations = round(&observed);
    observations[0].time_ms = NOW_MS - 60_000;
    let leaf = agreement::decide(&cluster, &www(), &observations, &NoProofs).leaf;
    assert_eq!((ids(leaf.support), agreed(&cluster, &leaf)), (vec![1, 2, 3], Some(BAD.to_owned())));
    observations[1].time_ms = NOW_MS - 60_000;
    observations[0].time_ms = NOW_MS;
    let leaf = agreement::decide(&cluster, &www(), &observations, &NoProofs).leaf;
    assert_eq!((ids(leaf.support), agreed(&cluster, &leaf)), (vec![0, 2, 3], None));
}

#[test]
fn no_agreement_has_no_remark() {
    let observed = [remarked(a(1), BAD), remarked(a(2), BAD), remarked(a(3), BAD)];
    assert_eq!(decided(&four(Policy::Strong), &observed), (Class::NoAgreement, None));
    let too_few = [remarked(a(1), BAD), remarked(a(1), BAD)];
    assert_eq!(decide(&four(Policy::Strong), &too_few).verdict, []);
}

#[test]
fn remark_on_records_is_that_of_those_who_support_any_of_them() {
    let cluster = four(Policy::Records);
    let sees = |host: u8| Observed { history: history(&[1, 2, 3], 60, 1000), ..a(host) };
    let all: Vec<Observed> = (1..=3).map(|host| remarked(sees(host), BAD)).collect();
    assert_eq!(decided(&cluster, &all), (Class::Records, Some(BAD.to_owned())));
    let one = [remarked(sees(1), BAD), sees(2), sees(3)];
    assert_eq!(decided(&cluster, &one), (Class::Records, None));
}

/// Believes every claim of `secure`.
struct Believes;

impl Proofs for Believes {
    fn validates(&self, _: &Question, _: &Observed, _: u64) -> bool {
        true
    }
}

#[test]
fn proven_answer_of_one_has_no_remark_and_that_of_enough_has() {
    let cluster = four(Policy::Records);
    let secure = |host| Observed { dnssec: Dnssec::Secure, ..remarked(a(host), BAD) };
    let alone = decide_with(&cluster, &[secure(1), a(2), a(2), a(2)], &Believes).leaf;
    assert_eq!((alone.class, agreed(&cluster, &alone)), (Class::Secure, None));
    let two = decide_with(&cluster, &[secure(1), secure(1), a(2), a(2)], &Believes).leaf;
    assert_eq!((two.class, agreed(&cluster, &two)), (Class::Secure, Some(BAD.to_owned())));
}

#[test]
fn every_order_gives_the_same_remark() {
    let cluster = cluster(5, 1, Policy::Corroborated);
    let texts = [None, Some("one"), Some("two")];
    for code in 0..3usize.pow(5) {
        let view = |replica: usize| match texts[code / 3usize.pow(replica as u32) % 3] {
            Some(text) => remarked(a(1), text),
            None => a(1),
        };
        let observed: Vec<Observed> = (0..5).map(view).collect();
        let mut observations: Vec<Observation<'_>> = round(&observed);
        observations.push(Observation { replica: ReplicaId(0), ..observations[4] });
        let first = agreement::decide(&cluster, &www(), &observations, &NoProofs);
        let mut numbers = Numbers(code as u64);
        for _ in 0..20 {
            numbers.shuffle(&mut observations);
            assert_eq!(agreement::decide(&cluster, &www(), &observations, &NoProofs), first);
        }
    }
    let observed = [remarked(a(1), "one"), remarked(a(1), "one"), remarked(a(1), "two"), a(2)];
    let mut observations = round(&observed);
    let first = agreement::decide(&cluster, &www(), &observations, &NoProofs);
    permutations(&mut observations, 0, &mut |order| {
        assert_eq!(agreement::decide(&cluster, &www(), order, &NoProofs), first);
    });
}

#[test]
fn account_of_a_decision_names_the_remarks() {
    let cluster = four(Policy::Strong);
    let observed = [remarked(a(1), BAD), remarked(a(1), BAD), a(1)];
    let observations = round(&observed);
    let leaf = agreement::decide(&cluster, &www(), &observations, &NoProofs).leaf;
    let account = explain(&cluster, &leaf, &observations).unwrap();
    assert_eq!(account.remark, Some(remark(BAD)));
    assert_eq!(account.views[2].remark, None);
    let expected = format!("\nremark invalid: {BAD}\n");
    assert!(account.to_string().contains(&expected), "{account}");
    assert_eq!(account.to_string().matches(&format!("    remark invalid: {BAD}\n")).count(), 2);
}
