//! What went wrong in other PBFT-like systems, each as a test here.

use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, Sequence, View};

use super::bench::*;
use super::catching_up::chunk_of;
use super::checkpoints::after;
use super::cluster::*;
use super::peers::*;
use super::toy::*;
use crate::select;
use crate::*;

use MessageType::{Commit, PrePrepare as Proposal, Prepare};

/// hyperledger fabric #1111: min-s was the lowest checkpoint of a subset of the view changes, backups computed another one, and views changed for
/// ever.
#[test]
fn base_of_a_new_view_is_the_highest_of_all_its_view_changes_wherever_that_stands() {
    let (others, _) = after(4);
    let stable = Some(chunk_of(&others, 0, 0).certificate);
    let ahead = |of| signed(ViewChange { stable: stable.clone(), ..gives_up(of, 2) });
    let laggard =
        |of| claiming(of, 2, vec![claims_prepared(0, 4, Digest::of(b"decided and gone elsewhere"))]);
    for place in 0..3 {
        let mut view_changes = [0, 2, 3].map(laggard);
        view_changes[place] = ahead(view_changes[place].replica.0);
        let plan = select::plan(&tiny(parameters(1, 4, 1)), &view_changes.each_ref()).unwrap();
        assert_eq!((plan.base, plan.chosen.len()), (Sequence(4), 0));
        let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
        bench.enter(2, &view_changes);
    }
}

/// hyperledger fabric #1119: a proposal at the high water mark was dropped by those whose mark had not advanced yet; an honest primary was deposed.
#[test]
fn proposals_beyond_the_mark_of_a_replica_whose_checkpoint_is_late_depose_nobody() {
    let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
    for number in 1..=7 {
        let proposal = bench.proposal(number);
        bench.decide(&proposal);
    }
    let eighth = bench.proposal(8);
    assert_eq!(sent(&bench.hear(0, Message::PrePrepare(eighth.clone())), Prepare).len(), 1, "at the mark");
    bench.decide(&eighth);
    for number in 9..=11 {
        let batch = bench.batch_of(number, &[0, 2, 3]);
        let proposal = bench.signed(0, bench.header_over(number, &batch), batch);
        assert_eq!(sent(&bench.hear(0, Message::PrePrepare(proposal)), Prepare), [], "slot {number}");
    }
    assert!((0..100).all(|_| !bench.wait(50).suspect), "it waits for its own mark, not for the primary");
    let voted: usize = [0, 2]
        .map(|from| sent(&bench.hear(from, Message::Checkpoint(bench.checkpoint(from))), Prepare).len())
        .iter()
        .sum();
    assert_eq!(voted, 3, "none of the three was dropped");
}

/// hyperledger fabric #1485: requests that waited when the view changed were forgotten.
#[test]
fn requests_that_wait_outlive_the_view_change() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.liars.insert(0);
    for number in 0..40 {
        cluster.request(1 + number as usize % 3, number);
    }
    cluster.run_for(1000);
    for id in 1..4 {
        let mut decided = cluster.operations(id);
        decided.sort_unstable();
        assert_eq!(decided, (0..40).collect::<Vec<_>>(), "node {id}");
    }
}

/// hyperledger fabric #1731: null requests were not stored; a replica that restarted had another log than the others.
#[test]
fn null_slots_are_there_again_after_a_restart() {
    let mut bench = Bench::new(1);
    let null = |slot| certificate::SlotHeader::null(Sequence(slot), Digest::of(b"cluster file")).digest();
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 2, null(2))]));
    bench.enter(2, &others);
    let voted = bench.restarted();
    for slot in [1, 2] {
        assert_eq!(voted.replica.slots[&Sequence(slot)].accepted.as_ref().unwrap().digest, null(slot));
        for from in [0, 2, 3] {
            bench.hear(from, Message::Commit(vote(Commit, 2, slot, null(slot), from)));
        }
    }
    let back = bench.restarted();
    assert_eq!(back.replica.log, bench.replica.log);
    assert_eq!(back.replica.status().executed, Sequence(2));
}

/// hyperledger fabric #1877: a replica entered a view whose checkpoint was above what it had executed, and acted in it as if it were there.
#[test]
fn replica_behind_the_base_of_its_view_votes_only_once_it_got_there() {
    let (others, _) = after(4);
    let chunk = chunk_of(&others, 0, usize::MAX / 2);
    let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
    let ahead = |of| signed(ViewChange { stable: Some(chunk.certificate.clone()), ..gives_up(of, 2) });
    bench.enter(2, &[0, 2, 3].map(ahead));
    bench.log = others.log;
    let next = bench.proposal_in(2, 7);
    assert_eq!(next.header.sequence, Sequence(5));
    let mut said = vec![bench.hear(2, Message::PrePrepare(next))];
    let status = PeerStatus { view: View(2), executed: Sequence(4), stable: Sequence(4), learner: false };
    said.extend([0, 2, 3].map(|from| bench.hear(from, Message::Status(status))));
    said.push(bench.wait(30));
    assert!(said.iter().all(|ready| sent(ready, Prepare).is_empty()));
    let asked = said.iter().flat_map(|ready| &ready.send).find_map(|(to, message)| match (to, message) {
        (Recipients::One(to), Message::Fetch { .. }) => Some(to.0),
        _ => None,
    });
    let ready = bench.hear(asked.expect("one is asked"), Message::StableCheckpoint(chunk));
    assert_eq!(sent(&ready, Prepare).len(), 1, "the proposal was kept");
}

/// hyperledger fabric #1927: one lost VIEW-CHANGE stopped the cluster for ever.
#[test]
fn lost_view_changes_are_made_good() {
    for lossy in [(1, 2), (1, 3), (2, 3)] {
        let mut cluster = Cluster::calm(4, 1);
        cluster.request(1, 7);
        cluster.run_for(7);
        cluster.crash(0, 0);
        // Nobody is told that the channel is gone; all that is said on it for a second is lost.
        cluster.cut.insert(lossy);
        cluster.run_for(1000);
        cluster.cut.clear();
        cluster.run_for(3000);
        assert!((1..4).all(|id| cluster.operations(id) == [7]), "without {lossy:?}");
    }
}

/// hyperledger fabric #699: under load with messages lost the cluster hung between views.
#[test]
fn cluster_under_load_that_loses_messages_gets_through() {
    for seed in 0..4 {
        let lossy = Network { delay_ms: (1, 20), loss_percent: 15, duplicate_percent: 5, lookup_ms: (1, 20) };
        let mut cluster = Cluster::new(seed, lossy, |id| tiny(parameters(id, 4, 1)));
        for number in 0..100 {
            cluster.request(number as usize % 4, number);
            cluster.run_for(5);
        }
        cluster.network = CALM;
        cluster.run_for(20_000);
        cluster.request(0, 1000);
        cluster.run_for(1000);
        for id in 0..4 {
            assert!(cluster.operations(id).ends_with(&[1000]), "seed {seed}: {:?}", cluster.status(id));
        }
    }
}

/// sawtooth-pbft #98: with f = 1, f+1 is 2f, so the view change that made a primary join was also the one that completed its quorum: NEW-VIEW went
/// out twice.
#[test]
fn view_change_that_joins_and_completes_at_once_begins_the_view_once() {
    let mut bench = Bench::new(1);
    bench.hear_view_change(&gives_up(2, 1));
    let ready = bench.hear_view_change(&gives_up(3, 1));
    let begun = |ready: &Ready| ready.send.iter().filter(|(_, it)| matches!(it, Message::NewView(_))).count();
    assert_eq!((gave_up(&ready).len(), begun(&ready)), (1, 1));
    let records = ready.persist.iter().filter(|it| matches!(it, Record::Entered { .. })).count();
    assert_eq!((records, bench.replica.status().new_views), (1, 1));
    assert_eq!(begun(&bench.hear_view_change(&gives_up(0, 1))), 0);
}

/// sawtooth RFC #29: a leader that was silent from the start was never noticed.
#[test]
fn primary_that_was_silent_from_the_start_is_noticed_by_work_alone() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.crash(0, 0);
    cluster.run_for(60_000);
    assert!((1..4).all(|id| cluster.status(id).view == View(0)), "an idle cluster is left in peace");
    cluster.request(3, 7);
    cluster.run_for(400);
    assert!((1..4).all(|id| cluster.operations(id) == [7]));
}

/// NEO dBFT 2.0, neo-modules #792: a replica that had sent COMMIT could change view no more, the others could not decide, and the cluster stood.
#[test]
fn replica_that_sent_its_commit_still_changes_view_with_the_others() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.request(1, 7);
    cluster.run_for(8);
    // Only node 1 hears enough prepares to commit; then the primary is gone, and nobody else knows the proposal by votes.
    cluster.cut.extend([(0, 2), (0, 3), (2, 3)]);
    cluster.run_for(1);
    cluster.cut.extend([(1, 2), (1, 3), (0, 1)]);
    cluster.run_for(2);
    cluster.crash(0, 0);
    cluster.cut.clear();
    cluster.run_for(3000);
    assert!((1..4).all(|id| cluster.operations(id) == [7]));
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    let ready = bench.hear(2, Message::Prepare(vote(Prepare, 0, 1, proposal.header.digest(), 2)));
    assert_eq!(sent(&ready, Commit).len(), 1);
    assert!(gave_up(&bench.wait(100))[0].view == View(1));
}

/// raijin #7: any NEW-VIEW was accepted, whoever sent it and whatever it said.
#[test]
fn new_view_is_accepted_of_its_primary_with_its_proofs_alone() {
    let view_changes = [0, 2, 3].map(|of| gives_up(of, 2));
    let honest = begins(&parameters(1, 4, 1), 2, &view_changes.each_ref());
    let nothing = NewView { view_changes: Vec::new(), ..honest.clone() };
    let lies = [
        nothing.clone(),
        nothing.resign(&domain(), &ToyKeys::of(2)),
        honest.clone().resign(&domain(), &ToyKeys::of(3)),
        NewView { view: View(6), ..honest },
    ];
    for lie in lies {
        let mut bench = Bench::new(1);
        bench.hear(2, Message::NewView(Arc::new(lie)));
        view_changes.iter().for_each(|one| drop(bench.hear_view_change(one)));
        assert_eq!(bench.replica.status().new_views, 0);
    }
}

/// raijin #7: a view change that was sent twice counted twice.
#[test]
fn view_change_that_comes_again_counts_once() {
    let mut bench = Bench::with(parameters(1, 7, 2));
    for view in [1, 1, 1, 2, 2, 3] {
        for of in [5, 6] {
            assert_eq!(gave_up(&bench.hear_view_change(&gives_up(of, view))), [], "two of seven");
        }
    }
    bench.hear_view_change(&gives_up(4, 1));
    let status = bench.replica.status();
    assert_eq!(
        (status.view, status.standing),
        (View(1), Standing::Changing),
        "three, and this one: not five"
    );
}

/// raijin #8: a view change cleared what was prepared, and another request took the place of a decided one.
#[test]
fn what_was_prepared_survives_any_number_of_views() {
    let mut bench = Bench::new(3);
    let proposal = bench.proposal(7);
    let digest = proposal.header.digest();
    bench.hear(0, Message::PrePrepare(proposal));
    bench.hear(2, Message::Prepare(vote(Prepare, 0, 1, digest, 2)));
    for view in [1, 2, 4, 5, 6] {
        let mut own = Vec::new();
        for of in [0, 1, 2] {
            own.extend(gave_up(&bench.hear_view_change(&gives_up(of, view))));
        }
        assert_eq!(own[0].claim(Sequence(1)).prepared, Some((View(0), digest)), "view {view}");
    }
    // Nobody else claims anything: its certificate alone decides what the view begins with.
    let mut bench = bench.restarted();
    bench.hear_view_change(&gives_up(0, 7));
    let ready = bench.hear_view_change(&gives_up(1, 7));
    assert_eq!(began(&ready).expect("it is the primary of view 7").proposals[0].0, digest);
}

/// Themis, Delphi-BFT tool #37: the view change did not work properly when researchers scaled it up.
#[test]
fn views_change_in_clusters_of_every_size() {
    for (count, faults) in [(5, 1), (6, 1), (7, 2), (10, 3), (13, 4)] {
        let mut cluster = Cluster::calm(count, faults);
        cluster.request(faults as usize, 1);
        cluster.run_for(60);
        cluster.request(faults as usize, 7);
        cluster.run_for(7);
        (0..faults as usize).for_each(|id| cluster.crash(id, 0));
        cluster.run_for(20_000);
        for id in faults as usize..count as usize {
            assert_eq!(cluster.operations(id), [1, 7], "node {id} of {count}");
            assert_eq!(cluster.status(id).view, View(u64::from(faults)), "node {id} of {count}");
        }
    }
}

/// commonware #2050: a replica that restarted forgot its vote of the current view and voted again, for something else.
#[test]
fn restart_forgets_no_vote_of_the_current_view() {
    for view in [0, 2] {
        let mut bench = Bench::new(1);
        if view > 0 {
            let others = bench.others_give_up(view);
            bench.enter(view, &others);
        }
        let (first, second) = (bench.proposal_in(view, 7), bench.proposal_in(view, 8));
        let primary = four().primary(View(view)).0;
        let own = sent(&bench.hear(primary, Message::PrePrepare(first)), Prepare);
        let mut bench = bench.restarted();
        let ready = bench.hear(primary, Message::PrePrepare(second));
        assert_eq!(sent(&ready, Prepare), [], "view {view}");
        assert!(matches!(ready.faults[..], [Fault::Equivocation { .. }]), "{:?}", ready.faults);
        let again = sent(&bench.step(Event::Connected(ReplicaId(3))), Prepare);
        assert_eq!(again, own, "the vote itself is sent again");
    }
}

/// commonware #2797: evidence of equivocation was lost with a restart.
#[test]
fn primary_that_equivocates_across_our_restart_is_proven() {
    for restarts in 0..3 {
        let mut bench = Bench::new(1);
        let others = bench.others_give_up(2);
        bench.enter(2, &others);
        let (first, second) = (bench.proposal_in(2, 7), bench.proposal_in(2, 8));
        bench.hear(2, Message::PrePrepare(first.clone()));
        for _ in 0..restarts {
            bench = bench.restarted();
        }
        let ready = bench.hear(2, Message::PrePrepare(second.clone()));
        let [Fault::Equivocation { first: one, second: other }] = &ready.faults[..] else {
            panic!("{:?}", ready.faults)
        };
        assert!(
            one.phase == Proposal
                && one.verify(&domain(), &ToyKeys::of(0))
                && other.verify(&domain(), &ToyKeys::of(0))
        );
        assert_eq!([one.vote.digest, other.vote.digest], [&first, &second].map(|it| it.header.digest()));
    }
}

/// malachite #850: a replica that had voted, restarted, and then met the other proposal of an equivocating proposer, was stuck for ever.
#[test]
fn restarted_replica_gets_past_a_primary_that_equivocated() {
    for voted in 1..4 {
        let mut cluster = Cluster::calm(4, 1);
        cluster.liars.insert(0);
        let mut bench = Bench::new(0);
        bench.now = cluster.now;
        let proposals = [7, 8].map(|number| {
            let batch = bench.batch_of(number, &[1, 2, 3]);
            Message::PrePrepare(bench.signed(0, bench.header_over(1, &batch), batch))
        });
        for to in 1..4 {
            cluster.whisper(0, to, &proposals[usize::from(to != voted)]);
        }
        cluster.run_for(2);
        cluster.crash(voted, 0);
        cluster.restart(voted);
        cluster.whisper(0, voted, &proposals[1]);
        cluster.request(voted, 100);
        cluster.run_for(5000);
        for id in 1..4 {
            assert!(cluster.operations(id).contains(&100), "{voted} voted for the other: node {id}");
            assert_eq!(cluster.executed(id), cluster.executed(voted));
        }
    }
}
