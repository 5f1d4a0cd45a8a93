//! Slots that a new view fixed: who votes for them, what is decided there, and what is proposed behind them. Castro & Liskov 1999 §4.4.

use certificate::{Digest, MessageType, Sequence, SlotHeader, View};

use super::bench::*;
use super::cluster::*;
use super::new_views::*;
use super::peers::*;
use super::toy::*;
use crate::select;
use crate::*;

use MessageType::{Commit, Prepare};

#[test]
fn two_prepared_digests_of_one_view_stop_the_replica_that_sees_them() {
    let [one, two] =
        [(0, A), (2, B)].map(|(of, digest)| claiming(of, 2, vec![claims_prepared(0, 1, digest)]));
    let mut bench = Bench::new(1);
    let third = gives_up(3, 2);
    let new_view = {
        let plan = select::Plan { base: Sequence(0), chosen: vec![A] };
        NewView::sign(View(2), &[&one, &two, &third], &plan, &parameters(1, 4, 1), &ToyKeys::of(2))
    };
    for message in [&one, &two, &third] {
        bench.hear_view_change(message);
    }
    let ready = bench.hear_new_view(&new_view);
    assert_eq!(ready.faults, [Fault::Contradiction { view: View(0), first: A, second: B }]);
    assert_eq!(bench.replica.status().standing, Standing::Diverged);
}

#[test]
fn backup_stores_the_new_view_and_then_votes_for_what_it_fixes() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let digest = proposal.header.digest();
    bench.hear(0, Message::PrePrepare(proposal));
    let others = [0, 2, 3]
        .map(|of| claiming(of, 2, vec![claims_prepared(0, 1, digest), claims_prepared(0, 3, null(3))]));
    let ready = bench.enter(2, &others);
    assert!(matches!(ready.persist[0], Record::Entered { .. }));
    let prepares = sent(&ready, Prepare);
    let fixed = [(1, digest), (2, null(2)), (3, null(3))];
    let own = fixed.map(|(sequence, digest)| vote(Prepare, 2, sequence, digest, 1));
    assert_eq!(prepares, own);
    let accepted = ready.persist.iter().filter_map(|record| match record {
        Record::Accepted { proposal, prepare } => Some((proposal.header.digest(), *prepare)),
        _ => None,
    });
    let stored: Vec<(Digest, Option<Vote>)> = accepted.collect();
    assert_eq!(stored, own.map(|vote| (vote.digest, Some(vote))), "null slots too");
    assert!(ready.sync());
}

#[test]
fn primary_of_a_new_view_votes_by_its_signature_in_it_alone() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let digest = proposal.header.digest();
    bench.hear(0, Message::PrePrepare(proposal));
    let others = [2, 3].map(|of| claiming(of, 1, vec![claims_prepared(0, 1, digest)]));
    let ready = bench.enter(1, &others);
    assert_eq!(sent(&ready, Prepare), []);
    let accepted = |record: &Record| matches!(record, Record::Accepted { prepare: None, proposal } if proposal.view == View(1));
    assert!(ready.persist.iter().any(accepted));
    assert_eq!(sent(&bench.hear(2, Message::Prepare(vote(Prepare, 1, 1, digest, 2))), Commit), []);
    let ready = bench.hear(3, Message::Prepare(vote(Prepare, 1, 1, digest, 3)));
    assert_eq!(sent(&ready, Commit), [vote(Commit, 1, 1, digest, 1)]);
}

#[test]
fn null_slot_is_decided_by_commits_and_decides_nothing() {
    let mut bench = Bench::new(1);
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 2, null(2))]));
    bench.enter(2, &others);
    let mut decided = Vec::new();
    for sequence in [1, 2] {
        for from in [0, 3] {
            bench.hear(from, Message::Prepare(vote(Prepare, 2, sequence, null(sequence), from)));
        }
        for from in [0, 2, 3] {
            let commit = Message::Commit(vote(Commit, 2, sequence, null(sequence), from));
            decided.extend(bench.hear(from, commit).decided);
        }
    }
    let nothing = |it: &Decided| it.operations.is_empty() && it.leaves.is_empty() && it.view == View(2);
    assert!(decided.len() == 2 && decided.iter().all(nothing));
    assert_eq!(bench.replica.log.last().time_ms, 0, "nor does it move the log's time");
    let back = bench.restarted();
    assert_eq!(back.replica.status().executed, Sequence(2));
}

#[test]
fn slot_that_is_fixed_is_voted_for_also_where_it_was_decided_before() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(1);
    let digest = proposal.header.digest();
    bench.decide(&proposal);
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 1, digest)]));
    let ready = bench.enter(2, &others);
    assert_eq!(sent(&ready, Prepare), [vote(Prepare, 2, 1, digest, 1)]);
    let mut said = Vec::new();
    for from in [0, 3] {
        said.push(bench.hear(from, Message::Prepare(vote(Prepare, 2, 1, digest, from))));
    }
    let commits: Vec<Vote> = said.iter().flat_map(|ready| sent(ready, Commit)).collect();
    assert_eq!(commits, [vote(Commit, 2, 1, digest, 1)]);
    for from in [0, 2, 3] {
        said.push(bench.hear(from, Message::Commit(vote(Commit, 2, 1, digest, from))));
    }
    assert!(
        said.iter().all(|ready| ready.decided.is_empty() && ready.early.is_empty()),
        "it is executed once"
    );
}

#[test]
fn view_that_fixes_another_digest_than_was_decided_stops_the_replica() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(1);
    bench.decide(&proposal);
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(1, 1, A)]));
    for one in &others {
        bench.hear_view_change(one);
    }
    let ready = bench.hear_new_view(&begins(&parameters(1, 4, 1), 2, &others.each_ref()));
    assert!(matches!(ready.faults[..], [Fault::Contradiction { .. }]), "{:?}", ready.faults);
    assert_eq!((sent(&ready, Prepare), bench.replica.status().standing), (vec![], Standing::Diverged));
}

#[test]
fn new_primary_proposes_behind_what_it_fixed() {
    let mut bench = Bench::new(1);
    let others = [2, 3].map(|of| claiming(of, 1, vec![claims_prepared(0, 2, null(2))]));
    bench.enter(1, &others);
    let mut proposed = Vec::new();
    for from in [0, 2, 3] {
        let set = bench.observed(from, 7, b"seen");
        let ready = bench.hear(from, Message::Observe(set));
        proposed.extend(super::demand::proposals(&ready).into_iter().map(|it| (it.view, it.header.sequence)));
    }
    let ready = bench.wait(10);
    proposed.extend(super::demand::proposals(&ready).into_iter().map(|it| (it.view, it.header.sequence)));
    assert_eq!(proposed, [(View(1), Sequence(3))]);
}

#[test]
fn null_slot_of_a_view_that_was_passed_over_is_held_against_nobody() {
    let mut bench = Bench::new(3);
    for of in [0, 1] {
        bench.hear_view_change(&gives_up(of, 2));
    }
    assert_eq!((bench.replica.status().view, bench.replica.status().standing), (View(2), Standing::Changing));
    let null = SlotHeader::null(Sequence(4), Digest::of(b"cluster file"));
    let fixed = bench.signed(1, null.clone(), Batch::default());
    assert_eq!(bench.hear(1, Message::PrePrepare(fixed)).faults, [], "the new view that fixed it never came");
    let mut bench = Bench::new(3);
    let stray = bench.signed(0, null, Batch::default());
    let ready = bench.hear(0, Message::PrePrepare(stray));
    assert!(matches!(refusal(&ready), Some(Refusal::PrefixSequence { .. })), "view 0 fixes nothing");
}

#[test]
fn proposal_at_or_below_the_base_of_the_view_is_not_looked_at() {
    let mut bench = Bench::new(1);
    let decided = Some(commits(0, 5, A, &[0, 2, 3]));
    let others = [0, 2, 3].map(|of| signed(ViewChange { decided: decided.clone(), ..gives_up(of, 2) }));
    bench.enter(2, &others);
    let proposal = bench.proposal_in(2, 7);
    let ready = bench.hear(2, Message::PrePrepare(proposal));
    assert!(sent(&ready, Prepare).is_empty() && ready.faults.is_empty(), "slots 1 and 2 are decided");
    assert_eq!(bench.replica.slots.get(&Sequence(1)).and_then(|slot| slot.seen), None);
}

#[test]
fn replica_behind_the_base_of_a_new_view_fetches_and_takes_part() {
    let mut cluster = Cluster::new(5, CALM, |id| tiny(parameters(id, 4, 1)));
    cluster.cut_off(3);
    for number in 0..11 {
        cluster.request(1, number);
        cluster.run_for(40);
    }
    cluster.crash(0, 0);
    cluster.heal();
    cluster.request(1, 100);
    cluster.run_for(2500);
    for id in 1..4 {
        assert!(cluster.operations(id).ends_with(&[100]), "node {id}: {:?}", cluster.status(id));
    }
    assert_eq!(cluster.executed(3), cluster.executed(1));
}
