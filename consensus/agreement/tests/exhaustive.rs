//! The decision over every vector of observations of four replicas, and over many random ones of seven: one result whatever the order, no record
//! that liars alone saw, no longer life than an honest supporter signed, nothing called strong below a quorum, and always a leaf that the format accepts.

mod world;

use agreement::observation::Seen;
use agreement::{Dnssec, NoProofs, Observation, Observed, ObservedOutcome, Proofs};
use certificate::codec::{Decode, Encode};
use certificate::{Class, Cluster, Leaf, Outcome, Policy, Question, ReplicaId, ReplicaSet};
use world::{
    NOW_MS, Numbers, addresses, cluster, four, history, ids, nxdomain, outcome, permutations, saw, www,
};

/// Believes every claim of `secure`.
struct Believes;

impl Proofs for Believes {
    fn validates(&self, _: &Question, _: &Observed, _: u64) -> bool {
        true
    }
}

/// Three values that overlap record by record, each proven or not, and a time-out; TTLs tell the replicas apart.
fn views(replica: u8) -> Vec<Observed> {
    let ttl = 10 * u32::from(replica + 1);
    let values = [addresses(&[1, 2], ttl), addresses(&[2, 3], ttl), nxdomain(100, ttl)];
    let mut views = vec![saw(ObservedOutcome::TimedOut)];
    for value in values {
        views.push(Observed { dnssec: Dnssec::Insecure, ..saw(value.clone()) });
        views.push(Observed { dnssec: Dnssec::Secure, ..saw(value) });
    }
    views
}

const VIEWS: usize = 7;

/// Calls `judge` with every vector of views of four replicas.
fn every_vector(mut judge: impl FnMut(&[Observed; 4])) {
    let views: Vec<Vec<Observed>> = (0..4).map(views).collect();
    for code in 0..VIEWS.pow(4) {
        let view = |replica: usize| views[replica][code / VIEWS.pow(replica as u32) % VIEWS].clone();
        judge(&[view(0), view(1), view(2), view(3)]);
    }
}

/// Every subset of the four that is at least a quorum.
const SUBSETS: [&[u8]; 5] = [&[0, 1, 2, 3], &[0, 1, 2], &[0, 1, 3], &[0, 2, 3], &[1, 2, 3]];

fn included<'a>(observed: &'a [Observed], subset: &[u8]) -> Vec<Observation<'a>> {
    let observation = |id: &u8| Observation {
        replica: ReplicaId(*id),
        time_ms: NOW_MS + 100 * u64::from(*id),
        observed: &observed[usize::from(*id)],
    };
    subset.iter().map(observation).collect()
}

fn decide(cluster: &Cluster, observations: &[Observation<'_>], proofs: &dyn Proofs) -> Leaf {
    agreement::decide(cluster, &www(), observations, proofs).leaf
}

fn holds(observed: &Observed, owner: &[u8], rtype: u16, rdata: &Vec<u8>) -> bool {
    let rrsets = observed.outcome.rrsets();
    rrsets.iter().any(|rrset| rrset.owner == owner && rrset.rtype == rtype && rrset.rdatas.contains(rdata))
}

fn remembers(observed: &Observed, owner: &[u8], rtype: u16, rdata: &[u8]) -> bool {
    let sets = observed.history.iter().filter(|set| set.owner == owner && set.rtype == rtype);
    sets.flat_map(|set| &set.records).any(|record| record.rdata == rdata)
}

/// What every decision owes, told from the observations alone by another road than the decision takes.
fn check(cluster: &Cluster, included: &[Observation<'_>], leaf: &Leaf) {
    let near = |observation: &&Observation<'_>| {
        observation.time_ms.abs_diff(leaf.time_ms) <= cluster.observation_window_ms
    };
    let observations: &[Observation<'_>] = &included.iter().filter(near).copied().collect::<Vec<_>>();
    let context = || format!("{leaf:?} of {observations:?}");
    assert_eq!(Leaf::from_bytes(&leaf.to_bytes()).as_ref(), Ok(leaf), "{}", context());
    assert_eq!(leaf.support.0 & !leaf.observers.0, 0, "{}", context());
    assert!(leaf.policy == Policy::Bypass || leaf.policy.can_give(leaf.class), "{}", context());
    assert_eq!(leaf.groups, cluster.groups_of(leaf.support));
    let few_groups = leaf.groups.count_ones() < cluster.min_groups;
    assert_eq!(leaf.single_path, leaf.class >= Class::Records && few_groups, "{}", context());
    let weak = if leaf.class == Class::Secure { 1 } else { cluster.replicas.weak_quorum() };
    for rrset in leaf.outcome.rrsets().unwrap_or_default() {
        for rdata in &rrset.rdatas {
            let now = |observation: &&Observation<'_>| {
                holds(observation.observed, &rrset.owner, rrset.rtype, rdata)
            };
            let ever = |observation: &&Observation<'_>| {
                now(observation) || remembers(observation.observed, &rrset.owner, rrset.rtype, rdata)
            };
            assert!(observations.iter().filter(ever).count() >= weak, "{}", context());
            assert!(observations.iter().any(|observation| now(&observation)), "{}", context());
        }
        let supports = |observation: &&Observation<'_>| leaf.support.contains(observation.replica);
        let trusted = |observation: &&Observation<'_>| observation.observed.dnssec != Dnssec::Bogus;
        for supporter in observations.iter().filter(supports).filter(trusted) {
            let seen = supporter.observed.outcome.rrsets().iter();
            let mut same = seen.filter(|seen| {
                (&seen.owner, seen.rtype) == (&rrset.owner, rrset.rtype)
                    && seen.rdatas.iter().any(|rdata| rrset.rdatas.contains(rdata))
            });
            assert!(same.all(|seen| rrset.ttl <= seen.ttl), "{}", context());
        }
        assert!(leaf.ttl <= rrset.ttl && rrset.ttl <= cluster.ttl_max_s, "{}", context());
    }
    let equal: Vec<ReplicaSet> = observations.iter().map(|one| equals(observations, one)).collect();
    match leaf.class {
        Class::Strong => {
            assert!(leaf.support.len() >= cluster.replicas.quorum(), "{}", context());
            assert!(equal.contains(&leaf.support), "{}", context());
        }
        Class::Corroborated => {
            assert!(leaf.support.len() > observations.len() / 2, "{}", context());
            assert!(equal.contains(&leaf.support), "{}", context());
        }
        Class::Failure | Class::NoAgreement => assert!(leaf.ttl >= 1, "{}", context()),
        Class::Records | Class::Secure => {}
    }
}

/// The replicas whose value is that of `one`.
fn equals(observations: &[Observation<'_>], one: &Observation<'_>) -> ReplicaSet {
    let trusted = observations.iter().filter(|other| other.observed.dnssec != Dnssec::Bogus);
    let same = trusted.filter(|other| other.observed.outcome.same_value(&one.observed.outcome));
    same.map(|other| other.replica).collect()
}

#[test]
fn every_vector_of_four_under_every_policy_keeps_what_is_owed() {
    for policy in Policy::ALL {
        let cluster = four(policy);
        every_vector(|observed| {
            for subset in SUBSETS {
                let observations = included(observed, subset);
                check(&cluster, &observations, &decide(&cluster, &observations, &NoProofs));
                check(&cluster, &observations, &decide(&cluster, &observations, &Believes));
            }
        });
    }
}

#[test]
fn every_order_of_every_vector_of_four_gives_the_same_decision() {
    let cluster = four(Policy::Records);
    every_vector(|observed| {
        for subset in SUBSETS {
            let mut observations = included(observed, subset);
            let first = decide(&cluster, &observations, &Believes);
            permutations(&mut observations, 0, &mut |order| {
                assert_eq!(decide(&cluster, order, &Believes), first, "{order:?}");
            });
        }
    });
}

#[test]
fn every_grouping_of_four_changes_the_flag_and_nothing_else() {
    let plain = four(Policy::Records);
    for code in 0..4usize.pow(4) {
        let groups: Vec<u8> = (0..4).map(|replica| (code / 4usize.pow(replica) % 4) as u8).collect();
        let first_appearance = groups.iter().enumerate().all(|(replica, group)| {
            *group == 0 || groups[..replica].iter().any(|earlier| *earlier + 1 == *group)
        });
        if !first_appearance {
            continue;
        }
        let mut grouped = plain.clone();
        grouped.members.iter_mut().zip(&groups).for_each(|(member, group)| member.group = *group);
        every_vector(|observed| {
            let observations = included(observed, SUBSETS[0]);
            let leaf = decide(&grouped, &observations, &NoProofs);
            let alike = decide(&plain, &observations, &NoProofs);
            let supporters: std::collections::BTreeSet<u8> =
                ids(leaf.support).iter().map(|id| groups[usize::from(*id)]).collect();
            assert_eq!(leaf.groups, supporters.iter().fold(0, |bits, group| bits | 1 << group));
            assert_eq!(leaf.single_path, leaf.class >= Class::Records && supporters.len() < 2, "{groups:?}");
            assert_eq!(Leaf { groups: alike.groups, single_path: alike.single_path, ..leaf }, alike);
        });
    }
}

#[test]
fn one_liar_among_four_inserts_nothing_that_no_honest_replica_saw() {
    for policy in Policy::ALL {
        let cluster = four(policy);
        every_vector(|observed| {
            for subset in SUBSETS {
                let observations = included(observed, subset);
                let leaf = decide(&cluster, &observations, &NoProofs);
                for liar in subset {
                    let honest = || observations.iter().filter(|observation| observation.replica.0 != *liar);
                    for rrset in leaf.outcome.rrsets().unwrap_or_default() {
                        for rdata in &rrset.rdatas {
                            let saw_it = |observation: &Observation<'_>| {
                                holds(observation.observed, &rrset.owner, rrset.rtype, rdata)
                            };
                            assert!(
                                honest().any(saw_it),
                                "replica {liar} inserted {rdata:?}: {observations:?}"
                            );
                        }
                    }
                    if let Outcome::Negative { .. } = leaf.outcome {
                        let denies = |observation: &Observation<'_>| {
                            matches!(observation.observed.outcome, ObservedOutcome::Negative { .. })
                        };
                        assert!(honest().any(denies), "replica {liar} denied alone: {observations:?}");
                    }
                }
            }
        });
    }
}

#[test]
fn lower_ttl_of_any_observer_never_lengthens_a_life() {
    let cluster = four(Policy::Records);
    every_vector(|observed| {
        let before = decide(&cluster, &included(observed, SUBSETS[0]), &Believes);
        for replica in 0..4 {
            let mut changed = observed.clone();
            match &mut changed[replica].outcome {
                ObservedOutcome::Answer(rrsets) => rrsets[0].ttl = 1,
                ObservedOutcome::Negative { ttl, .. } => *ttl = 1,
                _ => continue,
            }
            let after = decide(&cluster, &included(&changed, SUBSETS[0]), &Believes);
            assert!(after.ttl <= before.ttl, "{before:?} {after:?}");
            assert_eq!((after.class, after.support), (before.class, before.support));
        }
    });
}

/// A random view: pools with memory, aliases, denials, failures, times near and far.
fn random_view(numbers: &mut Numbers) -> (Observed, u64) {
    let ttl = numbers.below(100) as u32;
    let hosts: Vec<u8> = (1..=5).filter(|_| numbers.below(2) == 0).collect();
    let value = match numbers.below(8) {
        0 => ObservedOutcome::TimedOut,
        1 => ObservedOutcome::Failure(if numbers.below(2) == 0 { 2 } else { 5 }),
        2 => nxdomain(100, ttl),
        3 | 4 => {
            let edge = ["a", "b"][numbers.below(2) as usize];
            let alias = format!("www.example.org. {ttl} CNAME {edge}.example.org.");
            let host = 1 + numbers.below(3);
            outcome(&www(), &[&alias, &format!("{edge}.example.org. {ttl} A 192.0.2.{host}")])
        }
        _ if hosts.is_empty() => ObservedOutcome::TooLarge,
        _ => addresses(&hosts, ttl),
    };
    let memory: Vec<u8> = (1..=5).filter(|_| numbers.below(3) == 0).collect();
    let history: Vec<Seen> = if memory.is_empty() {
        vec![]
    } else {
        history(&memory, numbers.below(100) as u32, numbers.below(500_000))
    };
    let dnssec =
        [Dnssec::Indeterminate, Dnssec::Insecure, Dnssec::Secure, Dnssec::Bogus][numbers.below(4) as usize];
    let offset_ms = if numbers.below(10) == 0 { 60_000 } else { numbers.below(3000) };
    (Observed { dnssec, history, ..saw(value) }, NOW_MS + offset_ms)
}

#[test]
fn random_vectors_of_seven_keep_what_is_owed() {
    for seed in 0..4000 {
        let mut numbers = Numbers(seed);
        let policy = Policy::ALL[numbers.below(6) as usize];
        let mut cluster = cluster(7, 2, policy);
        cluster.members.iter_mut().for_each(|member| member.group = numbers.below(3) as u8);
        let views: Vec<(Observed, u64)> = (0..7).map(|_| random_view(&mut numbers)).collect();
        let mut observations: Vec<Observation<'_>> = views
            .iter()
            .enumerate()
            .map(|(id, (observed, time_ms))| Observation {
                replica: ReplicaId(id as u8),
                time_ms: *time_ms,
                observed,
            })
            .collect();
        numbers.shuffle(&mut observations);
        observations.truncate(5 + numbers.below(3) as usize);
        let proofs: &dyn Proofs = if numbers.below(4) == 0 { &Believes } else { &NoProofs };
        let first = agreement::decide(&cluster, &www(), &observations, proofs);
        check(&cluster, &observations, &first.leaf);
        for _ in 0..5 {
            numbers.shuffle(&mut observations);
            assert_eq!(agreement::decide(&cluster, &www(), &observations, proofs), first, "seed {seed}");
        }
    }
}

#[test]
fn random_vectors_reach_every_class() {
    let mut classes = std::collections::BTreeSet::new();
    for seed in 0..4000 {
        let mut numbers = Numbers(seed);
        let cluster = cluster(7, 2, Policy::Records);
        let views: Vec<(Observed, u64)> = (0..7).map(|_| random_view(&mut numbers)).collect();
        let observed: Vec<Observed> = views.into_iter().map(|(observed, _)| observed).collect();
        classes.insert(decide(&cluster, &world::round(&observed), &NoProofs).class);
    }
    let reached = [Class::NoAgreement, Class::Failure, Class::Records, Class::Corroborated];
    assert!(reached.iter().all(|class| classes.contains(class)), "{classes:?}");
}
