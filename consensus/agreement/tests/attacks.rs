//! The attack table: what b liars and p honest replicas behind a poisoned path can do to a decision, with a primary that picks the subset.

mod world;

use agreement::{Dnssec, NoProofs, Observation, Observed, ObservedOutcome, Proofs};
use certificate::{Class, Leaf, Policy, Question};
use world::{NOW_MS, addresses, cluster, decide, decide_with, four, history, hosts, ids, round, saw, www};

const FALSE: u8 = 66;

fn truth() -> Observed {
    saw(addresses(&[1], 60))
}

fn lie() -> Observed {
    saw(addresses(&[FALSE], 60))
}

fn certifies_the_lie(leaf: &Leaf) -> bool {
    hosts(leaf).contains(&FALSE)
}

/// Decides `liars` lies among `count` observations, the rest true.
fn with_lies(policy: Policy, n: u32, f: u32, liars: usize, count: usize) -> Leaf {
    let observed: Vec<Observed> = (0..count).map(|id| if id < liars { lie() } else { truth() }).collect();
    decide(&cluster(n, f, policy), &observed)
}

#[test]
fn false_value_is_corroborated_only_by_more_than_f_who_hold_it() {
    for (n, f) in [(4, 1), (7, 2), (10, 3)] {
        let quorum = cluster(n, f, Policy::Records).replicas.quorum();
        for policy in [Policy::Corroborated, Policy::Records] {
            for count in quorum..=n as usize {
                assert!(
                    !certifies_the_lie(&with_lies(policy, n, f, f as usize, count)),
                    "n {n}, {policy}, {count}"
                );
            }
            let majority = quorum / 2 + 1;
            let enough = majority.max(f as usize + 1);
            assert!(certifies_the_lie(&with_lies(policy, n, f, enough, quorum)), "n {n}, {policy}");
        }
    }
}

#[test]
fn false_value_is_strong_only_by_a_quorum_who_hold_it() {
    for (n, f) in [(4, 1), (7, 2)] {
        let quorum = cluster(n, f, Policy::Strong).replicas.quorum();
        for liars in 0..quorum {
            assert!(
                !certifies_the_lie(&with_lies(Policy::Strong, n, f, liars, n as usize)),
                "n {n}, {liars}"
            );
        }
        assert!(certifies_the_lie(&with_lies(Policy::Strong, n, f, quorum, n as usize)));
    }
}

#[test]
fn liar_and_one_poisoned_path_need_a_primary_that_leaves_out_one_honest_replica() {
    let chosen = [lie(), lie(), truth()];
    assert_eq!(decide(&four(Policy::Corroborated), &chosen).class, Class::Corroborated);
    assert!(certifies_the_lie(&decide(&four(Policy::Corroborated), &chosen)));
    assert!(!certifies_the_lie(&decide(&four(Policy::Corroborated), &[lie(), lie(), truth(), truth()])));
    assert!(!certifies_the_lie(&decide(&four(Policy::Strong), &chosen)));
}

#[test]
fn one_poisoned_path_and_no_liar_changes_nothing() {
    for policy in [Policy::Corroborated, Policy::Strong, Policy::Records] {
        let leaf = decide(&four(policy), &[lie(), truth(), truth(), truth()]);
        assert_eq!((leaf.class, hosts(&leaf)), (Class::Strong, vec![1]), "{policy}");
    }
}

#[test]
fn liar_can_withhold_an_answer_that_honest_replicas_do_not_share_and_nothing_else() {
    let differing = [lie(), truth(), saw(addresses(&[2], 60))];
    assert_eq!(decide(&four(Policy::Corroborated), &differing).class, Class::NoAgreement);
    assert_eq!(decide(&four(Policy::Strong), &[lie(), truth(), truth()]).class, Class::NoAgreement);
}

#[test]
fn one_upstream_for_all_is_said_in_the_leaf() {
    let mut shared = four(Policy::Records);
    shared.members.iter_mut().for_each(|member| member.group = 0);
    let leaf = decide(&shared, &[lie(), lie(), lie(), lie()]);
    assert!(certifies_the_lie(&leaf) && leaf.single_path);
}

/// Validates the true value alone, as a zone key would.
struct ZoneKey;

impl Proofs for ZoneKey {
    fn validates(&self, _: &Question, observed: &Observed, _: u64) -> bool {
        observed.outcome.same_value(&addresses(&[1], 60))
    }
}

#[test]
fn one_honest_relay_of_a_signed_zone_beats_any_number_of_liars() {
    let secure = |observed: Observed| Observed { dnssec: Dnssec::Secure, ..observed };
    let observed = [secure(lie()), secure(lie()), secure(lie()), secure(truth())];
    let leaf = decide_with(&four(Policy::Records), &observed, &ZoneKey).leaf;
    assert_eq!((leaf.class, hosts(&leaf), ids(leaf.support)), (Class::Secure, vec![1], vec![3]));
    let hidden = decide_with(&four(Policy::Dnssec), &observed[..3], &ZoneKey).leaf;
    assert_eq!(hidden.class, Class::NoAgreement);
}

#[test]
fn replayed_observation_does_not_meet_those_of_now() {
    let cluster = four(Policy::Records);
    let observed = [lie(), lie(), truth(), truth()];
    let mut observations = round(&observed);
    observations[0].time_ms = NOW_MS - 3_600_000;
    let leaf = agreement::decide(&cluster, &www(), &observations, &NoProofs).leaf;
    assert_eq!((leaf.class, hosts(&leaf), ids(leaf.support)), (Class::Corroborated, vec![1], vec![2, 3]));
}

#[test]
fn tarpit_upstream_is_a_certified_failure() {
    let timed_out = || saw(ObservedOutcome::TimedOut);
    let leaf = decide(&four(Policy::Records), &[timed_out(), timed_out(), timed_out(), truth()]);
    assert_eq!(leaf.class, Class::Failure);
}

#[test]
fn liar_can_shorten_a_life_and_never_extend_it() {
    for (claimed, expected) in [(0, 0), (1, 1), (u32::MAX >> 1, 60)] {
        let observed = [saw(addresses(&[1], claimed)), truth(), truth()];
        assert_eq!(decide(&four(Policy::Records), &observed).ttl, expected);
    }
}

#[test]
fn liar_cannot_move_the_time_beyond_the_honest_ones() {
    let observed = [truth(), truth(), truth()];
    for offset_ms in [i64::MIN / 4, -9_000, -1, 1, 9_000, 1 << 40] {
        let mut observations: Vec<Observation<'_>> = round(&observed);
        observations[1].time_ms = NOW_MS + 50;
        observations[0].time_ms = NOW_MS.saturating_add_signed(offset_ms);
        let leaf = agreement::decide(&four(Policy::Corroborated), &www(), &observations, &NoProofs).leaf;
        assert!((NOW_MS..=NOW_MS + 50).contains(&leaf.time_ms), "{offset_ms}");
    }
}

#[test]
fn liar_with_a_history_of_lies_inserts_nothing() {
    let poisoned = Observed { history: history(&[FALSE, 67, 68], 60, 1000), ..lie() };
    for honest in [[1, 1, 1], [1, 2, 3], [1, 1, 2]] {
        let mut observed = vec![poisoned.clone()];
        observed.extend(honest.iter().map(|host| saw(addresses(&[*host], 60))));
        for count in [3, 4] {
            assert!(!certifies_the_lie(&decide(&four(Policy::Records), &observed[..count])), "{honest:?}");
        }
    }
}

#[test]
fn liar_can_revive_a_record_that_honest_replicas_remember_and_the_class_says_so() {
    let memory =
        |host: u8| Observed { history: history(&[FALSE], 60, 30_000), ..saw(addresses(&[host], 60)) };
    let leaf = decide(&four(Policy::Records), &[lie(), memory(1), memory(2), memory(3)]);
    assert_eq!((leaf.class, hosts(&leaf)), (Class::Records, vec![FALSE]));
    let agreeing = decide(&four(Policy::Records), &[lie(), memory(1), memory(1), memory(1)]);
    assert_eq!((agreeing.class, hosts(&agreeing)), (Class::Strong, vec![1]));
    for policy in [Policy::Corroborated, Policy::Strong] {
        let leaf = decide(&four(policy), &[lie(), memory(1), memory(2), memory(3)]);
        assert_eq!(leaf.class, Class::NoAgreement, "{policy}");
    }
}
