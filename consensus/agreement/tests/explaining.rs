//! Why this answer? The account of a decision names who saw what and whose observations count for which record.

#![allow(clippy::unwrap_used, reason = "a test that cannot be arranged should fail")]

mod world;

use agreement::explain::{Explanation, explain};
use agreement::{NoProofs, Observed, ObservedOutcome};
use certificate::Policy;
use world::{NOW_MS, addresses, four, history, ids, nxdomain, round, saw, www};

fn explanation(policy: Policy, observed: &[Observed]) -> Explanation {
    let cluster = four(policy);
    let observations = round(observed);
    let leaf = agreement::decide(&cluster, &www(), &observations, &NoProofs).leaf;
    explain(&cluster, &leaf, &observations).unwrap()
}

#[test]
fn supporters_are_told_from_those_who_differ() {
    let a = |host| saw(addresses(&[host], 60));
    let account = explanation(Policy::Corroborated, &[a(1), a(2), a(1)]);
    let roles: Vec<bool> = account.views.iter().map(|view| view.supports).collect();
    assert_eq!(roles, [true, false, true]);
    assert_eq!(account.views[1].saw, ["www.example.org. 60 A 192.0.2.2"]);
    assert_eq!(
        (account.views[1].name.as_str(), account.views[1].upstream_group.as_str()),
        ("replica-1", "isp-1")
    );
    assert_eq!((account.threshold, account.quorum, account.zone.as_str()), (2, 3, "."));
    assert_eq!(account.parts.len(), 1);
    assert_eq!(
        (account.parts[0].text.as_str(), ids(account.parts[0].now)),
        ("www.example.org. 60 A 192.0.2.1", vec![0, 2])
    );
}

#[test]
fn support_by_memory_is_told_from_support_by_sight() {
    let pool = history(&[1], 60, 30_000);
    let remembers = |host| Observed { history: pool.clone(), ..saw(addresses(&[host], 60)) };
    let account = explanation(Policy::Records, &[saw(addresses(&[1], 60)), remembers(2), remembers(3)]);
    assert_eq!((ids(account.parts[0].now), ids(account.parts[0].history)), (vec![0], vec![1, 2]));
}

#[test]
fn observation_that_did_not_count_is_named_as_such() {
    let cluster = four(Policy::Records);
    let observed = [
        saw(addresses(&[1], 60)),
        saw(addresses(&[1], 60)),
        saw(addresses(&[1], 60)),
        saw(addresses(&[1], 60)),
    ];
    let mut observations = round(&observed);
    observations[3].time_ms = NOW_MS - 60_000;
    let leaf = agreement::decide(&cluster, &www(), &observations, &NoProofs).leaf;
    let account = explain(&cluster, &leaf, &observations).unwrap();
    assert_eq!(account.views.iter().map(|view| view.counted).collect::<Vec<_>>(), [true, true, true, false]);
    assert!(!account.views[3].supports);
}

#[test]
fn account_reads_as_text() {
    let denial = || saw(nxdomain(60, 30));
    let account =
        explanation(Policy::Records, &[denial(), saw(ObservedOutcome::TimedOut), denial(), denial()]);
    let expected = "\
www.example.org. IN A: strong
policy records of .: 3 equal of a quorum of 3
  NXDOMAIN by example.org. minimum 60 for 30 s
      seen now by 0 2 3
replica 0 replica-0 via isp-0: supports
    NXDOMAIN by example.org. minimum 60 for 30 s
replica 1 replica-1 via isp-1: differs
    no answer in time
replica 2 replica-2 via isp-2: supports
    NXDOMAIN by example.org. minimum 60 for 30 s
replica 3 replica-3 via isp-3: supports
    NXDOMAIN by example.org. minimum 60 for 30 s
";
    assert_eq!(account.to_string(), expected);
}
