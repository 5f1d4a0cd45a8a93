//! VIEW-CHANGE: what it says, who follows it, when it is sent again, and what makes it none. Castro & Liskov 1999 §4.4, §4.5.2.

use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, Sequence, View};

use super::bench::*;
use super::checkpoints::after;
use super::peers::*;
use super::toy::*;
use crate::*;

use MessageType::{Commit, Prepare};

/// The own view change, once replicas 2 and 3 have moved to a view.
pub fn own_move(bench: &mut Bench, view: u64) -> Arc<ViewChange> {
    let mut own = gave_up(&bench.hear_view_change(&gives_up(2, view)));
    own.extend(gave_up(&bench.hear_view_change(&gives_up(3, view))));
    assert_eq!(own.len(), 1, "one view change");
    own.remove(0)
}

fn prepare_by(bench: &mut Bench, view: u64, sequence: u64, digest: Digest, from: u8) -> Ready {
    bench.hear(from, Message::Prepare(vote(Prepare, view, sequence, digest, from)))
}

#[test]
fn view_change_carries_what_was_prepared_and_what_was_voted_for() {
    let mut bench = Bench::new(1);
    let first = bench.proposal(1);
    let batch = bench.batch_of(2, &[0, 2, 3]);
    let second = bench.signed(0, bench.header_over(2, &batch), batch);
    let digests = [first.header.digest(), second.header.digest()];
    for proposal in [&first, &second] {
        bench.hear(0, Message::PrePrepare(proposal.clone()));
    }
    prepare_by(&mut bench, 0, 1, digests[0], 3);
    let own = own_move(&mut bench, 5);
    assert_eq!(
        (own.view, own.replica, own.stable.clone(), own.decided.clone()),
        (View(5), ReplicaId(1), None, None)
    );
    let [one, two] = &own.slots[..] else { panic!("{:?}", own.slots) };
    let proof = Proof::Prepares {
        primary: first.signature,
        signers: [1, 3].map(ReplicaId).into_iter().collect(),
        signatures: [1, 3].map(|of| vote(Prepare, 0, 1, digests[0], of).signature).to_vec(),
    };
    assert_eq!(one.prepared, Some(Prepared { view: View(0), digest: digests[0], proof }));
    assert_eq!(one.voted, Some(first.voted()));
    assert_eq!((two.prepared.clone(), two.voted), (None, Some(second.voted())));
    assert_eq!(own.check(&bench.replica.parameters, &ToyKeys::of(0)), Ok(()));
    assert!(own.verify_signature(&domain(), &ToyKeys::of(0)));
}

#[test]
fn proposal_that_got_no_vote_is_in_no_view_change() {
    let mut bench = Bench::new(1);
    let lie = bench.proposal_with(7, |header| header.leaves_root = Digest::of(b"lie"));
    bench.hear(0, Message::PrePrepare(lie));
    let batch = bench.batch_of(2, &[0, 2, 3]);
    let waits = bench.signed(0, bench.header_over(9, &batch), batch);
    bench.hear(0, Message::PrePrepare(waits));
    assert_eq!(own_move(&mut bench, 1).slots, []);
}

#[test]
fn vote_of_a_primary_is_its_proposal() {
    let mut bench = Bench::new(0);
    let mut proposed = None;
    for from in [1, 2, 3] {
        let set = bench.observed(from, 7, b"seen");
        let ready = bench.hear(from, Message::Observe(set));
        proposed = proposed.or(ready.send.into_iter().find_map(|(_, it)| match it {
            Message::PrePrepare(proposal) => Some(proposal),
            _ => None,
        }));
    }
    let voted = proposed.expect("the primary proposes").voted();
    assert_eq!(
        own_move(&mut bench, 1).slots,
        [SlotClaim { sequence: Sequence(1), prepared: None, voted: Some(voted) }]
    );
}

#[test]
fn base_is_a_pipeline_before_the_highest_decided_slot() {
    let mut bench = Bench::new(1);
    for number in 1..=5 {
        let proposal = bench.proposal(number);
        bench.decide(&proposal);
    }
    let own = own_move(&mut bench, 1);
    assert_eq!(own.decided.as_ref().map(|it| it.sequence), Some(Sequence(5)));
    assert_eq!(own.base(3), Sequence(2));
    let claimed: Vec<u64> = own.slots.iter().map(|slot| slot.sequence.0).collect();
    assert_eq!(claimed, [3, 4, 5], "and those behind it are claimed");
    assert_eq!(own.check(&bench.replica.parameters, &ToyKeys::of(0)), Ok(()));
}

#[test]
fn base_is_the_stable_checkpoint_when_that_is_higher() {
    let (mut bench, _) = after(4);
    for from in [0, 2] {
        bench.hear(from, Message::Checkpoint(bench.checkpoint(from)));
    }
    let own = own_move(&mut bench, 1);
    assert_eq!(own.stable.as_ref().map(|it| it.sequence), Some(Sequence(4)));
    assert_eq!((own.decided.clone(), own.base(3), own.slots.len()), (None, Sequence(4), 0));
    assert_eq!(own.check(&bench.replica.parameters, &ToyKeys::of(0)), Ok(()));
}

#[test]
fn fetched_slot_is_claimed_by_its_commits() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(1);
    bench.hear(2, Message::Status(PeerStatus { executed: Sequence(1), ..PeerStatus::default() }));
    bench.wait(30);
    let slot = bench.decided_slot(&proposal);
    bench.hear(2, Message::Slot(slot.clone()));
    let own = own_move(&mut bench, 1);
    let claim =
        SlotClaim { sequence: Sequence(1), prepared: Some(Prepared::of(&slot.certificate)), voted: None };
    assert_eq!(own.slots, [claim]);
    assert_eq!(own.check(&bench.replica.parameters, &ToyKeys::of(0)), Ok(()));
}

#[test]
fn vote_of_a_higher_view_replaces_the_lower_one_and_leaves_the_certificate() {
    let mut bench = Bench::new(1);
    let first = bench.proposal(1);
    let digest = first.header.digest();
    bench.hear(0, Message::PrePrepare(first));
    prepare_by(&mut bench, 0, 1, digest, 3);
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 1, digest)]));
    bench.enter(2, &others);
    let own = own_move(&mut bench, 3);
    let claim = own.claim(Sequence(1));
    assert_eq!((claim.prepared, claim.voted), (Some((View(0), digest)), Some((View(2), digest))));
    let (mut bench, others) =
        (bench, [0, 2, 3].map(|of| claiming(of, 6, vec![claims_prepared(2, 1, digest)])));
    bench.enter(6, &others);
    prepare_by(&mut bench, 6, 1, digest, 0);
    let claim = own_move(&mut bench, 7).claim(Sequence(1));
    assert_eq!((claim.prepared, claim.voted), (Some((View(6), digest)), Some((View(6), digest))));
}

#[test]
fn view_change_is_stored_before_it_is_sent_to_all() {
    let mut bench = Bench::new(1);
    bench.hear_view_change(&gives_up(2, 1));
    let ready = bench.hear_view_change(&gives_up(3, 2));
    let own = gave_up(&ready).remove(0);
    assert_eq!(ready.persist, [Record::ViewChanging(own)]);
    assert!(ready.sync());
    assert_eq!(bench.replica.status().standing, Standing::Changing);
}

#[test]
fn no_vote_in_a_lower_view_after_a_view_change() {
    let mut bench = Bench::new(1);
    let (first, batch) = (bench.proposal(1), bench.batch_of(2, &[0, 2, 3]));
    let second = bench.signed(0, bench.header_over(2, &batch), batch);
    bench.hear(0, Message::PrePrepare(first.clone()));
    own_move(&mut bench, 3);
    let mut said = vec![bench.hear(0, Message::PrePrepare(second.clone()))];
    for from in [2, 3] {
        said.push(prepare_by(&mut bench, 0, 1, first.header.digest(), from));
        said.push(prepare_by(&mut bench, 0, 2, second.header.digest(), from));
    }
    said.push(bench.wait(5000));
    let fresh = |ready: &Ready| [Prepare, Commit].iter().any(|phase| !sent(ready, *phase).is_empty());
    assert!(!said.iter().any(fresh));
}

#[test]
fn commits_of_a_lower_view_still_decide_while_the_view_changes() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(1);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    own_move(&mut bench, 3);
    let mut decided = Vec::new();
    for from in [0, 2, 3] {
        let commit = vote(Commit, 0, 1, proposal.header.digest(), from);
        decided.extend(bench.hear(from, Message::Commit(commit)).decided);
    }
    assert_eq!(decided.len(), 1);
    let batch = bench.batch_of(2, &[0, 2, 3]);
    let next = bench.signed(0, bench.header_over(2, &batch), batch);
    bench.hear(0, Message::PrePrepare(next.clone()));
    for from in [0, 2, 3] {
        let commit = vote(Commit, 0, 2, next.header.digest(), from);
        decided.extend(bench.hear(from, Message::Commit(commit)).decided);
    }
    assert_eq!(decided.len(), 2, "also one whose proposal comes only now");
}

#[test]
fn weak_quorum_of_view_changes_starts_ours_to_the_lowest_of_them() {
    let mut bench = Bench::new(1);
    assert_eq!(gave_up(&bench.hear_view_change(&gives_up(2, 6))), []);
    let own = gave_up(&bench.hear_view_change(&gives_up(3, 3)));
    assert_eq!(own.iter().map(|it| it.view).collect::<Vec<_>>(), [View(3)]);
    let own = gave_up(&bench.hear_view_change(&gives_up(0, 9)));
    assert_eq!(own.iter().map(|it| it.view).collect::<Vec<_>>(), [View(6)], "of 9, 6 and 3");
}

#[test]
fn liars_alone_move_nobody_however_often_they_speak() {
    let mut bench = Bench::with(parameters(1, 7, 2));
    for view in [1, 2, 9, u64::MAX] {
        for of in [5, 6] {
            assert_eq!(gave_up(&bench.hear_view_change(&gives_up(of, view))), []);
        }
    }
    assert_eq!(bench.replica.status().view, View(0));
    assert_eq!(gave_up(&bench.hear_view_change(&gives_up(4, 2))).len(), 1);
    assert_eq!(bench.replica.status().view, View(2));
}

#[test]
fn own_view_change_counts_not_among_those_that_are_followed() {
    let mut bench = Bench::new(1);
    own_move(&mut bench, 3);
    assert_eq!(gave_up(&bench.hear_view_change(&gives_up(2, 4))), []);
    assert_eq!(bench.replica.status().view, View(3));
}

#[test]
fn view_change_of_another_is_taken_from_whoever_passes_it_on() {
    let mut bench = Bench::new(1);
    let relayed = Message::ViewChange(Arc::new(gives_up(3, 1)));
    bench.hear(2, Message::ViewChange(Arc::new(gives_up(2, 1))));
    assert_eq!(gave_up(&bench.hear(2, relayed)).len(), 1);
}

#[test]
fn second_view_change_to_one_view_is_evidence_reported_once() {
    let mut bench = Bench::new(1);
    let first = gives_up(2, 3);
    let second = claiming(2, 3, vec![claims_voted(0, 1, Digest::of(b"other"))]);
    let third = claiming(2, 3, vec![claims_voted(0, 2, Digest::of(b"other"))]);
    assert_eq!(bench.hear_view_change(&first).faults, []);
    assert_eq!(bench.hear_view_change(&first).faults, [], "the same again is none");
    let forged = ViewChange { signature: first.signature, ..third.clone() };
    assert!(matches!(bench.hear_view_change(&forged).faults[..], [Fault::InvalidSignature { .. }]));
    let faults = bench.hear_view_change(&second).faults;
    let expected = Fault::ViewChangeEquivocation { first: Arc::new(first), second: Arc::new(second) };
    assert!(expected.is_proof() && expected.replica() == Some(ReplicaId(2)));
    assert_eq!(faults, [expected]);
    assert_eq!(bench.hear_view_change(&third).faults, []);
}

#[test]
fn forged_view_change_is_a_fault_and_counts_never() {
    let mut bench = Bench::new(1);
    let forged = ViewChange { replica: ReplicaId(3), ..gives_up(2, 1) };
    let ready = bench.hear(2, Message::ViewChange(Arc::new(forged)));
    assert!(matches!(ready.faults[..], [Fault::InvalidSignature { from: ReplicaId(2), .. }]));
    assert_eq!(gave_up(&bench.hear_view_change(&gives_up(2, 1))), []);
    for nobody in [4, 31, 255] {
        let ready = bench.hear(2, Message::ViewChange(Arc::new(gives_up(nobody, 1))));
        assert!(matches!(ready.faults[..], [Fault::UnknownReplica { .. }]));
    }
    assert_eq!(bench.replica.status().view, View(0));
    assert_eq!(bench.replica.views.held.len(), 1);
}

#[test]
fn one_view_change_of_each_replica_is_held() {
    let mut bench = Bench::new(1);
    for view in 1..200 {
        bench.hear_view_change(&gives_up(2, view));
    }
    assert_eq!(bench.replica.views.held.len(), 1);
    bench.hear_view_change(&gives_up(2, 5));
    assert_eq!(
        bench.replica.views.held[&ReplicaId(2)].message.view,
        View(199),
        "a lower one replaces nothing"
    );
}

#[test]
fn views_at_the_end_of_their_range_stop_nobody() {
    let mut bench = Bench::new(1);
    for view in [u64::MAX - 3, u64::MAX - 2, u64::MAX - 1, u64::MAX] {
        bench.hear_view_change(&gives_up(2, view));
        let primary = bench.replica.parameters.replicas.primary(View(view)).0;
        if primary != 1 {
            let others = [0, 2, 3].map(|of| gives_up(of, view));
            let mut lie = begins(&bench.replica.parameters, view, &others.each_ref());
            lie.view_changes.pop();
            bench.hear_new_view(&lie.resign(&domain(), &ToyKeys::of(primary)));
        }
        bench.hear(2, Message::Status(PeerStatus { view: View(view), ..PeerStatus::default() }));
        bench.hear(2, Message::FetchViewChange { digest: Digest::ZERO });
        bench.hear(2, Message::FetchBatch { sequence: Sequence(u64::MAX), digest: Digest::ZERO });
        bench.wait(500);
    }
    let proposal = bench.proposal(7);
    assert_eq!(bench.decide(&proposal).len(), 1);
    for of in [2, 3] {
        bench.hear_view_change(&gives_up(of, u64::MAX));
    }
    bench.hear_view_change(&gives_up(0, u64::MAX));
    (0..100).for_each(|_| drop(bench.wait(1000)));
    assert_eq!(bench.replica.status().view, View(u64::MAX), "there is no view after the last");
}
