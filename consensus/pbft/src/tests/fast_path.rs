//! The fast path: Qf PREPAREs of one view are as good as a decision, nothing waits for them, and a view change respects them.

use certificate::{Digest, MessageType, ReplicaId, Replicas, Sequence, View};

use super::bench::*;
use super::cluster::*;
use super::peers::*;
use super::toy::*;
use crate::select::{self, Claim};
use crate::*;

use MessageType::{Commit, Prepare};

fn prepare(bench: &mut Bench, proposal: &PrePrepare, from: u8) -> Ready {
    let (sequence, digest) = (proposal.header.sequence.0, proposal.header.digest());
    bench.hear(from, Message::Prepare(vote(Prepare, proposal.view.0, sequence, digest, from)))
}

#[test]
fn answer_is_released_by_the_last_of_the_fast_quorum_and_never_before() {
    for (count, faults, needed) in [(4, 1, 4), (5, 1, 5), (6, 1, 5), (7, 2, 7), (10, 3, 10)] {
        let mut bench = Bench::with(parameters(1, count, faults));
        let proposal = bench.proposal_in(0, 7);
        let mut votes = 2;
        assert_eq!(
            bench.hear(0, Message::PrePrepare(proposal.clone())).early,
            [],
            "the primary's vote and ours"
        );
        for from in 2..count as u8 {
            let early = prepare(&mut bench, &proposal, from).early;
            votes += 1;
            assert_eq!(early.len(), usize::from(votes == needed), "{votes} of {count}");
        }
    }
}

#[test]
fn what_is_released_is_what_the_commits_decide_later() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    prepare(&mut bench, &proposal, 2);
    let early = prepare(&mut bench, &proposal, 3).early.remove(0);
    let mut decided = Vec::new();
    for from in [0, 2, 3] {
        let commit = vote(Commit, 0, 1, proposal.header.digest(), from);
        decided.extend(bench.hear(from, Message::Commit(commit)).decided);
    }
    let Decided { header, view, leaves, operations, evidence, .. } = decided.remove(0);
    assert_eq!(early, Early { header, view, leaves, operations, evidence });
    let status = bench.replica.status();
    assert_eq!((status.fast, status.slow), (1, 0));
}

#[test]
fn released_slot_still_gets_its_commit_and_its_certificate() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    let prepared = prepare(&mut bench, &proposal, 2);
    assert_eq!(sent(&prepared, Commit).len(), 1, "at once, without a wait for the rest");
    let released = prepare(&mut bench, &proposal, 3);
    assert!(released.early.len() == 1 && released.decided.is_empty() && released.persist.is_empty());
    assert_eq!(bench.replica.status().executed, Sequence(0), "prepares decide nothing in the log");
}

#[test]
fn slot_that_the_commits_decide_first_is_not_released() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    prepare(&mut bench, &proposal, 2);
    for from in [0, 2] {
        let commit = vote(Commit, 0, 1, proposal.header.digest(), from);
        bench.hear(from, Message::Commit(commit));
    }
    assert_eq!(bench.replica.status().executed, Sequence(1));
    assert_eq!(prepare(&mut bench, &proposal, 3).early, []);
    let status = bench.replica.status();
    assert_eq!((status.fast, status.slow), (0, 1));
}

#[test]
fn votes_of_two_views_or_digests_or_twice_of_one_replica_release_nothing() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let digest = proposal.header.digest();
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    let said = [
        prepare(&mut bench, &proposal, 2),
        prepare(&mut bench, &proposal, 2),
        bench.hear(3, Message::Prepare(vote(Prepare, 1, 1, digest, 3))),
        bench.hear(3, Message::Prepare(vote(Prepare, 0, 1, Digest::of(b"other"), 3))),
        bench.hear(3, Message::Prepare(vote(Prepare, 0, 1, digest, 3))),
    ];
    assert!(said.iter().all(|ready| ready.early.is_empty()));
}

#[test]
fn forged_vote_releases_nothing() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    prepare(&mut bench, &proposal, 2);
    let forged = Vote { replica: ReplicaId(3), ..vote(Prepare, 0, 1, proposal.header.digest(), 2) };
    let ready = bench.hear(3, Message::Prepare(forged));
    assert!(ready.early.is_empty() && matches!(ready.faults[..], [Fault::InvalidSignature { .. }]));
    assert_eq!(prepare(&mut bench, &proposal, 3).early.len(), 1, "an honest one does");
}

#[test]
fn fast_path_that_is_off_releases_nothing_and_changes_no_message() {
    let run = |fast_path| {
        let mut bench = Bench::with(Parameters { fast_path, ..parameters(1, 4, 1) });
        let said: Vec<Ready> = (1..=3).flat_map(|number| bench.decide_in(0, number)).collect();
        let early = said.iter().map(|ready| ready.early.len()).sum::<usize>();
        let rest: Vec<_> = said.into_iter().map(|it| (it.persist, it.send, it.decided, it.faults)).collect();
        (early, rest)
    };
    let ((on, with), (off, without)) = (run(true), run(false));
    assert_eq!((on, off), (3, 0));
    assert!(with == without);
}

#[test]
fn fast_path_that_is_off_releases_nothing_in_whatever_order_votes_come() {
    for (fast_path, released) in [(true, 1), (false, 0)] {
        let mut bench = Bench::with(Parameters { fast_path, ..parameters(1, 4, 1) });
        let proposal = bench.proposal(7);
        prepare(&mut bench, &proposal, 2);
        prepare(&mut bench, &proposal, 3);
        assert_eq!(bench.hear(0, Message::PrePrepare(proposal)).early.len(), released);
    }
}

#[test]
fn slots_of_a_new_view_are_released_too() {
    let mut bench = Bench::new(1);
    let others = bench.others_give_up(2);
    bench.enter(2, &others);
    let early: Vec<Early> = bench.decide_in(2, 7).into_iter().flat_map(|ready| ready.early).collect();
    assert_eq!(early.iter().map(|it| it.view).collect::<Vec<_>>(), [View(2)]);
}

#[test]
fn signature_of_a_new_primary_counts_once_beside_the_prepares_of_all_others() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let digest = proposal.header.digest();
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 1, digest)]));
    bench.enter(2, &others);
    let fixed = bench.signed(2, proposal.header.clone(), (*proposal.batch).clone());
    assert_eq!(prepare(&mut bench, &fixed, 0).early, []);
    let again = bench.hear(2, Message::PrePrepare(fixed.clone()));
    assert!(again.early.is_empty(), "its signature stood in the new view");
    assert_eq!(prepare(&mut bench, &fixed, 3).early.len(), 1);
}

#[test]
fn replica_that_gave_up_the_view_releases_nothing_of_it() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    prepare(&mut bench, &proposal, 2);
    for of in [2, 3] {
        bench.hear_view_change(&gives_up(of, 2));
    }
    assert_eq!(prepare(&mut bench, &proposal, 3).early, []);
}

/// Every way in which the n-f view changes after a fast decision can look, with f liars among the voters who say anything.
#[test]
fn digest_of_a_fast_quorum_is_chosen_whichever_view_changes_come_and_whatever_f_of_them_say() {
    for (count, faults) in [(4, 1), (5, 1), (6, 1), (7, 2), (10, 3)] {
        let replicas = Replicas::new(count, faults).unwrap();
        let (good, bad) = (Digest::of(b"decided"), Digest::of(b"lie"));
        let vote = |view, digest| Claim { prepared: None, voted: Some((View(view), digest)) };
        let honest = replicas.fast_quorum() - replicas.faults();
        let heard = replicas.view_change_quorum() - replicas.faults();
        // As many honest voters as can be are not heard.
        let silent = replicas.count() - replicas.view_change_quorum();
        let left = honest.saturating_sub(silent);
        for lie in [Claim::default(), vote(0, bad), vote(7, bad), vote(0, good)] {
            let mut claims = vec![vote(0, good); left];
            // The other honest ones that are heard were not part of it, and voted for what a lying primary told them.
            claims.resize(heard, vote(0, bad));
            claims.resize(replicas.view_change_quorum(), lie);
            let threshold = replicas.fast_threshold();
            let chosen = select::choose(threshold, &claims, planted::Switch::NONE);
            assert_eq!(chosen, Ok(Some(good)), "n = {count}, {left} honest voters left, lie {lie:?}");
        }
    }
}

#[test]
fn calm_cluster_releases_all_its_slots_early_and_one_silent_replica_ends_that() {
    let mut cluster = Cluster::calm(4, 1);
    for number in 0..20 {
        cluster.request(number as usize % 4, number);
        cluster.run_for(50);
    }
    for id in 0..4 {
        let status = cluster.status(id);
        assert_eq!((status.fast, status.slow, cluster.nodes[id].early.len()), (20, 0, 20), "node {id}");
    }
    cluster.crash(3, 0);
    for number in 20..30 {
        cluster.request(0, number);
        cluster.run_for(50);
    }
    let status = cluster.status(0);
    assert_eq!((status.fast, status.slow, status.executed), (20, 10, Sequence(30)));
}

#[test]
fn slot_that_one_replica_released_alone_is_decided_as_such_under_the_next_primary() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.request(1, 7);
    cluster.run_for(8);
    // All prepares are under way: node 1 hears those of all, and then nobody hears anything.
    assert_eq!(cluster.counts.get("prepare"), Some(&3));
    cluster.cut.extend([(0, 2), (0, 3), (2, 3)]);
    cluster.run_for(1);
    cluster.cut.extend([(0, 1), (1, 2), (1, 3)]);
    cluster.run_for(1);
    let released = cluster.nodes[1].early.clone();
    assert_eq!(released.len(), 1);
    assert!((0..4).all(|id| cluster.executed(id) == 0));
    cluster.crash(0, 0);
    cluster.cut.clear();
    cluster.run_for(3000);
    for id in 1..4 {
        let first = &cluster.nodes[id].decided[0];
        assert_eq!((first.header.clone(), &first.leaves), (released[0].header.clone(), &released[0].leaves));
    }
}
