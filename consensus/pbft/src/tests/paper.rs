//! One test for each claim of Castro & Liskov 1999 §4.2 to §4.5 that applies here. What deviates is said where it is tested.

use std::sync::Arc;

use certificate::{Digest, MessageType, Sequence, View};

use super::bench::*;
use super::checkpoints::after;
use super::cluster::*;
use super::peers::*;
use super::toy::*;
use crate::*;

use MessageType::{Commit, Prepare};

fn prepare(bench: &mut Bench, proposal: &PrePrepare, from: u8) -> Ready {
    let (sequence, digest) = (proposal.header.sequence.0, proposal.header.digest());
    bench.hear(from, Message::Prepare(vote(Prepare, proposal.view.0, sequence, digest, from)))
}

fn commit(bench: &mut Bench, proposal: &PrePrepare, from: u8) -> Ready {
    let (sequence, digest) = (proposal.header.sequence.0, proposal.header.digest());
    bench.hear(from, Message::Commit(vote(Commit, proposal.view.0, sequence, digest, from)))
}

/// Two proposals of view 0 for slot 1.
fn two(bench: &Bench) -> (PrePrepare, PrePrepare) {
    (bench.proposal(1), bench.proposal(2))
}

/// §4.2: "it is in view v".
#[test]
fn backup_accepts_a_pre_prepare_of_its_own_view_alone() {
    for (view, accepted) in [(0, true), (1, false), (4, false)] {
        let mut bench = Bench::new(2);
        let proposal = bench.proposal_in(view, 7);
        let primary = four().primary(View(view)).0;
        let ready = bench.hear(primary, Message::PrePrepare(proposal));
        assert_eq!(!sent(&ready, Prepare).is_empty(), accepted, "view {view}");
    }
}

/// §4.2: "it has not accepted a pre-prepare message for view v and sequence number n containing a different digest".
#[test]
fn backup_accepts_one_digest_for_a_view_and_sequence_number() {
    let mut bench = Bench::new(1);
    let (first, second) = two(&bench);
    assert_eq!(sent(&bench.hear(0, Message::PrePrepare(first)), Prepare).len(), 1);
    assert_eq!(sent(&bench.hear(0, Message::PrePrepare(second)), Prepare), []);
}

/// §4.2: "the sequence number in the pre-prepare message is between a low water mark, h, and a high water mark, H", which "prevents a faulty
/// primary from exhausting the space of sequence numbers by selecting a very large one".
#[test]
fn sequence_number_beyond_the_high_water_mark_gets_no_vote() {
    for sequence in [0, 9, 1_000_000, u64::MAX] {
        let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
        let batch = bench.batch_of(7, &[0, 2, 3]);
        let mut header = bench.header_over(sequence, &batch);
        header.prefix_sequence = Sequence(sequence.saturating_sub(3));
        let proposal = bench.signed(0, header, batch);
        let ready = bench.hear(0, Message::PrePrepare(proposal));
        assert_eq!(sent(&ready, Prepare), [], "slot {sequence}");
        let good = bench.proposal(7);
        assert_eq!(
            sent(&bench.hear(0, Message::PrePrepare(good)), Prepare).len(),
            1,
            "nor does it hinder others"
        );
    }
}

/// §4.2: "adds both messages to its log. Otherwise, it does nothing."
#[test]
fn refused_pre_prepare_leaves_no_record_and_no_message() {
    let mut bench = Bench::new(1);
    let lie = bench.proposal_with(7, |header| header.leaves_root = Digest::of(b"lie"));
    let ready = bench.hear(0, Message::PrePrepare(lie));
    assert!(ready.persist.is_empty() && ready.send.is_empty());
}

/// §4.2: prepared(m, v, n, i) needs the pre-prepare and "2f prepares from different backups that match the pre-prepare".
#[test]
fn prepared_needs_the_pre_prepare_and_prepares_of_different_backups() {
    let mut bench = Bench::new(1);
    let (proposal, other) = two(&bench);
    for from in [2, 3] {
        assert_eq!(
            sent(&prepare(&mut bench, &proposal, from), Commit),
            [],
            "prepares without the pre-prepare"
        );
    }
    assert_eq!(sent(&bench.hear(0, Message::PrePrepare(proposal)), Commit).len(), 1);
    let mut bench = Bench::new(1);
    bench.hear(0, Message::PrePrepare(other.clone()));
    let (proposal, _) = two(&bench);
    for _ in 0..3 {
        assert_eq!(sent(&prepare(&mut bench, &proposal, 2), Commit), [], "of another digest");
    }
    assert_eq!(sent(&prepare(&mut bench, &other, 3), Commit).len(), 1);
}

/// §4.2: "if prepared(m, v, n, i) is true then prepared(m', v, n, j) is false for any non-faulty replica j (including i = j) and any m'" with
/// another digest. Every way in which a faulty primary can split three honest backups is tried.
#[test]
fn two_digests_are_never_prepared_in_one_view() {
    for split in 0..8u32 {
        let mut benches = [1, 2, 3].map(Bench::new);
        let proposals = two(&benches[0]);
        let mut prepares = Vec::new();
        for (place, bench) in benches.iter_mut().enumerate() {
            let (one, other) = if split & (1 << place) == 0 { (0, 1) } else { (1, 0) };
            for which in [one, other] {
                let proposal = [&proposals.0, &proposals.1][which].clone();
                prepares.extend(sent(&bench.hear(0, Message::PrePrepare(proposal)), Prepare));
            }
        }
        let mut committed = Vec::new();
        for vote in &prepares {
            for (bench, me) in benches.iter_mut().zip(1..) {
                if vote.replica.0 != me {
                    committed.extend(sent(&bench.hear(vote.replica.0, Message::Prepare(*vote)), Commit));
                }
            }
        }
        let first: Vec<&Vote> =
            committed.iter().filter(|vote| vote.digest == proposals.0.header.digest()).collect();
        let told_first = 3 - split.count_ones() as usize;
        assert!(first.is_empty() || first.len() == committed.len(), "split {split:b}");
        assert_eq!(
            committed.len(),
            if told_first == 3 || told_first == 0 { 3 } else { 2 },
            "split {split:b}"
        );
    }
}

/// §4.2: "Replica i multicasts a commit to the other replicas when prepared becomes true."
#[test]
fn commit_goes_to_all_once_when_prepared_becomes_true() {
    let mut bench = Bench::new(1);
    let (proposal, _) = two(&bench);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    let ready = prepare(&mut bench, &proposal, 2);
    let own = vote(Commit, 0, 1, proposal.header.digest(), 1);
    assert!(ready.send.contains(&(Recipients::All, Message::Commit(own))));
    assert_eq!(sent(&prepare(&mut bench, &proposal, 3), Commit), []);
}

/// §4.2: committed-local needs "2f+1 commits (possibly including its own) from different replicas that match the pre-prepare".
#[test]
fn slot_is_committed_by_a_quorum_of_commits_its_own_among_them() {
    let mut bench = Bench::new(1);
    let (proposal, _) = two(&bench);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    prepare(&mut bench, &proposal, 2);
    assert_eq!(commit(&mut bench, &proposal, 2).decided, []);
    assert_eq!(commit(&mut bench, &proposal, 2).decided, [], "the same again");
    assert_eq!(commit(&mut bench, &proposal, 3).decided.len(), 1);
}

/// §4.2: "if committed-local(m, v, n, i) is true for some non-faulty i then committed(m, v, n) is true": f+1 honest replicas prepared it.
#[test]
fn whatever_one_replica_executes_f_plus_one_honest_ones_have_prepared() {
    for seed in 0..20 {
        let rough = Network { delay_ms: (1, 30), loss_percent: 5, duplicate_percent: 5, lookup_ms: (1, 30) };
        let mut cluster = Cluster::new(seed, rough, |id| parameters(id, 4, 1));
        for number in 0..5 {
            cluster.request(number as usize % 4, number);
            cluster.run_for(37);
        }
        for decided in cluster.nodes.iter().flat_map(|node| &node.decided) {
            let (view, sequence) = (decided.view, decided.header.sequence);
            let prepared = cluster.said.iter().filter(|(_, _, message)| {
                matches!(message, Message::Commit(vote) if (vote.view, vote.sequence) == (view, sequence))
            });
            let who: std::collections::BTreeSet<usize> = prepared.map(|(from, _, _)| *from).collect();
            assert!(who.len() > 1, "seed {seed}, slot {sequence}");
        }
    }
}

/// §4.2: "executes the operation after ... i's state reflects the sequential execution of all requests with lower sequence numbers", and "it is
/// possible for a replica to commit requests out of order", "since it keeps the pre-prepare, prepare, and commit messages logged".
#[test]
fn slots_commit_in_any_order_and_execute_in_theirs() {
    let mut bench = Bench::new(1);
    let (first, batch) = (bench.proposal(1), bench.batch_of(2, &[0, 2, 3]));
    let second = bench.signed(0, bench.header_over(2, &batch), batch);
    bench.hear(0, Message::PrePrepare(second.clone()));
    assert!([0, 2, 3].iter().all(|from| commit(&mut bench, &second, *from).decided.is_empty()));
    bench.hear(0, Message::PrePrepare(first.clone()));
    let decided: Vec<Decided> =
        [0, 2, 3].iter().flat_map(|from| commit(&mut bench, &first, *from).decided).collect();
    assert_eq!(decided.iter().map(|it| it.header.sequence.0).collect::<Vec<_>>(), [1, 2]);
}

/// §4.3: "messages must be kept in a replica's log until it knows that the requests they concern have been executed by at least f+1 non-faulty
/// replicas and it can prove this to others in view changes".
#[test]
fn messages_are_kept_until_a_checkpoint_is_stable() {
    let (mut bench, _) = after(4);
    assert_eq!(bench.replica.status().slots, 4);
    bench.hear(0, Message::Checkpoint(bench.checkpoint(0)));
    assert_eq!(bench.replica.status().slots, 4, "two of three");
    bench.hear(2, Message::Checkpoint(bench.checkpoint(2)));
    assert_eq!(bench.replica.status().slots, 0);
}

/// §4.3: "These checkpoints are generated periodically, when a request with a sequence number divisible by some constant is executed."
#[test]
fn checkpoint_is_signed_at_multiples_of_the_interval_alone() {
    let (bench, _) = after(8);
    let at: Vec<u64> = bench
        .stored
        .iter()
        .filter_map(|it| if let Record::OwnCheckpoint(vote) = it { Some(vote.sequence.0) } else { None })
        .collect();
    assert_eq!(at, [4, 8]);
}

/// §4.3: "collects checkpoint messages in its log until it has 2f+1 of them for sequence number n with the same digest d signed by different
/// replicas (including possibly its own such message). These 2f+1 messages are the proof of correctness of the checkpoint."
#[test]
fn proof_of_a_checkpoint_is_a_quorum_of_signatures_for_one_digest() {
    let (mut bench, _) = after(4);
    for from in [0, 3] {
        bench.hear(from, Message::Checkpoint(bench.checkpoint(from)));
    }
    let proof = bench.stored.iter().find_map(|it| {
        if let Record::Stable { certificate, .. } = it { Some(certificate.clone()) } else { None }
    });
    let proof = proof.expect("the checkpoint is stable");
    assert!(proof.verify(four(), &domain(), &ToyKeys::of(2)));
    assert_eq!(proof.signers.iter().map(|of| of.0).collect::<Vec<_>>(), [0, 1, 3]);
}

/// §4.3: "discards all pre-prepare, prepare, and commit messages with sequence number less than or equal to n from its log; it also discards all
/// earlier checkpoints and checkpoint messages".
#[test]
fn stable_checkpoint_discards_slots_and_checkpoints_up_to_it() {
    let (mut bench, _) = after(9);
    for from in [0, 2] {
        bench.hear(from, Message::Checkpoint(after(4).0.checkpoint(from)));
    }
    let later = after(8).0;
    for from in [0, 2] {
        bench.hear(from, Message::Checkpoint(later.checkpoint(from)));
    }
    let status = bench.replica.status();
    assert_eq!((status.stable, status.slots, bench.replica.checkpoints.votes_len()), (Sequence(8), 1, 0));
    assert!(bench.replica.checkpoints.snapshots.is_empty());
}

/// §4.3: "The checkpoint protocol is used to advance the low and high water marks"; k is "big enough so that replicas do not stall".
#[test]
fn water_marks_advance_with_the_checkpoint_and_leave_room_for_the_next() {
    let (mut bench, _) = after(5);
    assert_eq!((bench.replica.marks.low, bench.replica.marks.high()), (Sequence(0), Sequence(8)));
    for from in [0, 2] {
        bench.hear(from, Message::Checkpoint(after(4).0.checkpoint(from)));
    }
    assert_eq!((bench.replica.marks.low, bench.replica.marks.high()), (Sequence(4), Sequence(12)));
}

/// §4.4: "View changes are triggered by timeouts that prevent backups from waiting indefinitely for requests to execute." Deviates: what is waited
/// for is a proposal that was accepted, or a request that the primary was told of with a quorum of observations.
#[test]
fn backup_that_waits_for_a_request_gives_up_the_view() {
    let mut bench = Bench::new(1);
    let (proposal, _) = two(&bench);
    bench.hear(0, Message::PrePrepare(proposal));
    assert!(!bench.wait(99).suspect);
    let ready = bench.wait(1);
    assert!(ready.suspect && gave_up(&ready)[0].view == View(1));
    let mut idle = Bench::new(1);
    assert!((0..100).all(|_| !idle.wait(100).suspect), "it waits for nothing");
}

/// §4.4: "It stops the timer when it is no longer waiting to execute the request, but restarts it if at that point it is waiting to execute some
/// other request."
#[test]
fn timer_restarts_with_each_request_that_is_executed() {
    let mut bench = Bench::new(1);
    let (first, batch) = (bench.proposal(1), bench.batch_of(2, &[0, 2, 3]));
    let second = bench.signed(0, bench.header_over(2, &batch), batch);
    for proposal in [&first, &second] {
        bench.hear(0, Message::PrePrepare(proposal.clone()));
    }
    assert!(!bench.wait(90).suspect);
    for from in [0, 2, 3] {
        commit(&mut bench, &first, from);
    }
    assert!(!bench.wait(99).suspect);
    assert!(bench.wait(1).suspect);
}

/// §4.4: "it stops accepting messages (other than checkpoint, view-change, and new-view messages)". Deviates: commits and certificates of lower
/// views are taken, since they only say what was decided.
#[test]
fn replica_that_gave_up_its_view_votes_for_nothing_in_it() {
    let mut bench = Bench::new(1);
    for of in [2, 3] {
        bench.hear_view_change(&gives_up(of, 2));
    }
    let (proposal, _) = two(&bench);
    let mut said = vec![bench.hear(0, Message::PrePrepare(proposal.clone()))];
    said.extend([2, 3].map(|from| prepare(&mut bench, &proposal, from)));
    assert!(said.iter().all(|ready| sent(ready, Prepare).is_empty() && sent(ready, Commit).is_empty()));
    let decided: usize = [0, 2, 3].map(|from| commit(&mut bench, &proposal, from).decided.len()).iter().sum();
    assert_eq!(decided, 1);
}

/// §4.4: the VIEW-CHANGE has "the last stable checkpoint s known to i", "2f+1 valid checkpoint messages proving the correctness of s, and P", a set
/// "for each request m that prepared at i with a sequence number higher than n". Deviates: also Q, for the fast path, and a decided slot.
#[test]
fn view_change_has_the_checkpoint_its_proof_and_what_prepared_behind_it() {
    let (mut bench, _) = after(4);
    for from in [0, 2] {
        bench.hear(from, Message::Checkpoint(bench.checkpoint(from)));
    }
    let proposal = bench.proposal(5);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    prepare(&mut bench, &proposal, 3);
    bench.hear_view_change(&gives_up(2, 1));
    let own = gave_up(&bench.hear_view_change(&gives_up(3, 1))).remove(0);
    let stable = own.stable.as_ref().expect("C");
    assert!(stable.sequence == Sequence(4) && stable.verify(four(), &domain(), &ToyKeys::of(0)));
    let [claim] = &own.slots[..] else { panic!("{:?}", own.slots) };
    let prepared = claim.prepared.as_ref().expect("P");
    let Proof::Prepares { signers, signatures, .. } = &prepared.proof else { panic!("{prepared:?}") };
    assert_eq!((prepared.view, prepared.digest), (View(0), proposal.header.digest()));
    assert_eq!(
        (signers.len(), signatures.len()),
        (2, 2),
        "2f prepares of different backups beside the pre-prepare"
    );
}

/// §4.4: "When the primary p of view v+1 receives 2f valid view-change messages for view v+1 from other replicas, it multicasts a new-view
/// message", with V that has those "plus the view-change message for v+1 p sent (or would have sent)".
#[test]
fn primary_begins_its_view_with_the_view_changes_of_2f_others_and_its_own() {
    let mut bench = Bench::new(1);
    assert!(began(&bench.hear_view_change(&gives_up(0, 1))).is_none());
    let new_view = began(&bench.hear_view_change(&gives_up(3, 1))).expect("2f others");
    assert_eq!(new_view.view_changes.iter().map(|(of, _)| of.0).collect::<Vec<_>>(), [0, 1, 3]);
}

/// §4.4: min-s is "the sequence number of the latest stable checkpoint in V", max-s "the highest sequence number in a prepare message in V"; for each
/// number between them the digest is that of the prepared certificate "with the highest view number in V", or "the digest of a special null request".
#[test]
fn o_spans_the_latest_checkpoint_to_the_highest_prepare_by_highest_view_and_null() {
    let (others, _) = after(4);
    let stable = super::catching_up::chunk_of(&others, 0, 0).certificate;
    let [a, b] = [b"a", b"b"].map(|it| Digest::of(it));
    let one = signed(ViewChange { stable: Some(stable), ..claiming(0, 6, vec![claims_prepared(0, 7, a)]) });
    let two = claiming(2, 6, vec![claims_prepared(0, 2, a), claims_prepared(3, 5, b)]);
    let three = claiming(3, 6, vec![claims_prepared(1, 5, a)]);
    let plan = select::plan(&tiny(parameters(1, 4, 1)), &[&one, &two, &three]).unwrap();
    let null = certificate::SlotHeader::null(Sequence(6), Digest::of(b"cluster file")).digest();
    assert_eq!((plan.base, plan.chosen), (Sequence(4), vec![b, null, a]));
}

/// §4.4: "If min-s is greater than the sequence number of its latest stable checkpoint, the primary also inserts the proof of stability". Here the
/// replica fetches the state that the proof is of.
#[test]
fn replica_that_a_new_view_shows_a_later_checkpoint_fetches_its_state() {
    let mut cluster = Cluster::new(2, CALM, |id| tiny(parameters(id, 4, 1)));
    cluster.cut_off(1);
    for number in 0..9 {
        cluster.request(2, number);
        cluster.run_for(40);
    }
    cluster.crash(0, 0);
    cluster.heal();
    cluster.request(2, 100);
    cluster.run_for(4000);
    assert!(cluster.status(1).stable >= Sequence(8), "{:?}", cluster.status(1));
    assert_eq!(cluster.executed(1), cluster.executed(2));
}

/// §4.4: "A backup accepts a new-view message for view v+1 if it is signed properly, if the view-change messages it contains are valid for view v+1,
/// and if the set O is correct; it verifies the correctness of O by performing a computation similar to the one used by the primary".
#[test]
fn backup_recomputes_o_and_enters_no_view_that_lies() {
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 1, Digest::of(b"a"))]));
    let honest = begins(&parameters(1, 4, 1), 2, &others.each_ref());
    let lie = select::Plan { base: Sequence(0), chosen: vec![Digest::of(b"b")] };
    let lie = NewView::sign(View(2), &others.each_ref(), &lie, &parameters(1, 4, 1), &ToyKeys::of(2));
    for (message, entered) in [(lie, false), (honest, true)] {
        let mut bench = Bench::new(1);
        others.iter().for_each(|one| drop(bench.hear_view_change(one)));
        bench.hear_new_view(&message);
        let status = bench.replica.status();
        assert_eq!((status.view, status.standing) == (View(2), Standing::Active), entered);
    }
}

/// §4.4: the backup "multicasts a prepare for each message in O to all the other replicas".
#[test]
fn backup_sends_a_prepare_for_each_message_in_o() {
    let mut bench = Bench::new(1);
    let (proposal, _) = two(&bench);
    let digest = proposal.header.digest();
    bench.hear(0, Message::PrePrepare(proposal));
    let null = certificate::SlotHeader::null(Sequence(2), Digest::of(b"cluster file")).digest();
    let slots = || vec![claims_prepared(0, 1, digest), claims_prepared(0, 2, null)];
    let others = [0, 2, 3].map(|of| claiming(of, 2, slots()));
    let prepares = sent(&bench.enter(2, &others), Prepare);
    assert_eq!(prepares, [vote(Prepare, 2, 1, digest, 1), vote(Prepare, 2, 2, null, 1)]);
}

/// §4.4: "Replicas redo the protocol for messages between min-s and max-s but they avoid re-executing client requests".
#[test]
fn slots_are_redone_in_the_new_view_and_executed_once() {
    let mut bench = Bench::new(1);
    let (proposal, _) = two(&bench);
    let digest = proposal.header.digest();
    assert_eq!(bench.decide(&proposal).len(), 1);
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 1, digest)]));
    bench.enter(2, &others);
    let again = bench.signed(2, proposal.header.clone(), (*proposal.batch).clone());
    let mut said: Vec<Ready> = [0, 3].map(|from| prepare(&mut bench, &again, from)).into();
    assert_eq!(said.iter().flat_map(|ready| sent(ready, Commit)).count(), 1);
    said.extend([0, 2, 3].map(|from| commit(&mut bench, &again, from)));
    assert!(said.iter().all(|ready| ready.decided.is_empty()));
}

/// §4.4: "a replica may be missing some request message m or a stable checkpoint (since these are not sent in new-view messages). It can obtain
/// missing information from another replica."
#[test]
fn missing_request_of_a_new_view_is_obtained_from_another_replica() {
    let mut bench = Bench::new(1);
    let (proposal, _) = two(&bench);
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 1, proposal.header.digest())]));
    assert_eq!(sent(&bench.enter(2, &others), Prepare), []);
    let body = Message::Batch { header: proposal.header.clone(), batch: proposal.batch };
    assert_eq!(sent(&bench.hear(3, body), Prepare).len(), 1);
}

/// §4.5.1: "non-faulty replicas also agree on the sequence number of requests that commit locally in different views at different replicas": one
/// replica alone decides in view 0, the others in view 1.
#[test]
fn what_one_replica_decided_in_a_view_the_others_decide_in_the_next() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.request(1, 7);
    cluster.run_for(9);
    // The commits are under way: those to node 3 arrive, all others are lost.
    cluster.cut.extend([(0, 1), (0, 2), (1, 2)]);
    cluster.run_for(1);
    assert_eq!((0..4).map(|id| cluster.executed(id)).collect::<Vec<_>>(), [0, 0, 0, 1]);
    cluster.cut.clear();
    cluster.crash(0, 0);
    cluster.cut_off(3);
    cluster.run_for(500);
    cluster.heal();
    cluster.run_for(3000);
    let first = |id: usize| cluster.nodes[id].decided[0].header.clone();
    assert!((1..3).all(|id| first(id) == first(3)));
}

/// §4.5.1: "non-faulty replicas will not accept a pre-prepare for view v' > v without having received a new-view message for v'".
#[test]
fn proposal_of_a_view_that_did_not_begin_gets_no_vote() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal_in(2, 7);
    assert_eq!(sent(&bench.hear(2, Message::PrePrepare(proposal.clone())), Prepare), []);
    for of in [2, 3] {
        bench.hear_view_change(&gives_up(of, 2));
    }
    assert_eq!(sent(&bench.hear(2, Message::PrePrepare(proposal.clone())), Prepare), [], "on the way to it");
    let others = bench.others_give_up(2);
    bench.enter(2, &others);
    assert_eq!(sent(&bench.hear(2, Message::PrePrepare(proposal)), Prepare).len(), 1);
}

/// §4.5.2: "a replica that multicasts a view-change message for view v+1 waits for 2f+1 view-change messages for view v+1 and then starts its timer
/// to expire after some time T ... but this time it will wait 2T before starting a view change for view v+3".
#[test]
fn timer_for_the_new_view_starts_with_2f_plus_1_view_changes_and_doubles() {
    let mut bench = Bench::new(3);
    let (proposal, _) = two(&bench);
    bench.hear(0, Message::PrePrepare(proposal));
    assert!(bench.wait(100).suspect);
    (0..100).for_each(|_| drop(bench.wait(1000)));
    assert_eq!(bench.replica.status().view, View(1), "alone it waits");
    for (view, wait) in [(1, 1000), (2, 2000)] {
        for of in [0, 2] {
            bench.hear_view_change(&gives_up(of, view));
        }
        let moved = |ready: &Ready| gave_up(ready).iter().any(|it| it.view == View(view + 1));
        assert_eq!((1..5000).find(|_| moved(&bench.wait(1))), Some(wait));
    }
}

/// §4.5.2: "if a replica receives a set of f+1 valid view-change messages from other replicas for views greater than its current view, it sends a
/// view-change message for the smallest view in the set, even if its timer has not expired".
#[test]
fn weak_quorum_of_view_changes_is_followed_to_the_smallest_view() {
    let mut bench = Bench::new(1);
    assert_eq!(gave_up(&bench.hear_view_change(&gives_up(0, 7))), []);
    assert_eq!(gave_up(&bench.hear_view_change(&gives_up(2, 6)))[0].view, View(6));
}

/// §4.5.2: "A faulty replica cannot cause a view change by sending a view-change message".
#[test]
fn faulty_replica_causes_no_view_change_by_asking_for_one() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.liars.insert(3);
    for number in 0..10 {
        let lie = Message::ViewChange(Arc::new(gives_up(3, number + 1)));
        (0..3).for_each(|to| cluster.whisper(3, to, &lie));
        cluster.request(0, number);
        cluster.run_for(100);
    }
    assert!((0..3).all(|id| cluster.status(id).view == View(0) && cluster.operations(id).len() == 10));
}

/// §4.5.2: "the primary of view v is the replica p such that p = v mod |R|", so "the primary cannot be faulty for more than f consecutive views".
#[test]
fn after_f_faulty_primaries_in_a_row_an_honest_one_decides() {
    let mut cluster = Cluster::calm(7, 2);
    cluster.liars.extend([0, 1]);
    cluster.request(4, 7);
    cluster.run_for(2500);
    for id in 2..7 {
        assert_eq!((cluster.status(id).view, cluster.operations(id)), (View(2), vec![7]), "node {id}");
    }
}
