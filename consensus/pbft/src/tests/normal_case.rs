//! The normal case: one test for each claim of Castro & Liskov 1999 §4.2 that applies here.

use certificate::{Digest, MessageType, ReplicaId, Sequence};

use super::bench::*;
use super::cluster::*;
use super::toy::*;
use crate::*;

use MessageType::{Commit, PrePrepare as Proposal, Prepare};

fn prepare(proposal: &PrePrepare, from: u8) -> Message {
    Message::Prepare(vote(Prepare, 0, proposal.header.sequence.0, proposal.header.digest(), from))
}

fn commit(proposal: &PrePrepare, from: u8) -> Message {
    Message::Commit(vote(Commit, 0, proposal.header.sequence.0, proposal.header.digest(), from))
}

#[test]
fn request_is_decided_by_all_replicas_and_reported_with_its_evidence() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.request(2, 7);
    cluster.run_for(100);
    for id in 0..4 {
        assert_eq!(cluster.operations(id), vec![7], "node {id}");
        assert_eq!(cluster.nodes[id].decided[0].signers.len(), 3);
        assert!(cluster.faults(id).is_empty());
    }
}

#[test]
fn normal_case_takes_one_message_of_each_kind_a_replica() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.counts.clear();
    cluster.request(2, 7);
    cluster.run_for(1000);
    let counts: Vec<(&str, usize)> = cluster.counts.iter().map(|(kind, count)| (*kind, *count)).collect();
    assert_eq!(counts, [("commit", 4), ("observe", 4), ("pre-prepare", 1), ("prepare", 3), ("resolve", 1)]);
}

#[test]
fn clusters_of_every_shape_decide() {
    for (count, faults) in [(4, 1), (5, 1), (6, 1), (7, 2), (10, 3), (31, 10)] {
        let mut cluster = Cluster::calm(count, faults);
        cluster.request(1, 7);
        cluster.run_for(100);
        assert!((0..count as usize).all(|id| cluster.operations(id) == [7]), "n = {count}");
    }
}

#[test]
fn backup_accepts_a_proposal_by_storing_it_and_then_sending_a_prepare() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let ready = bench.hear(0, Message::PrePrepare(proposal.clone()));
    let own = vote(Prepare, 0, 1, proposal.header.digest(), 1);
    assert_eq!(ready.persist, [Record::Accepted { proposal, prepare: Some(own) }]);
    assert_eq!(ready.send, [(Recipients::All, Message::Prepare(own))]);
    assert!(ready.sync());
}

#[test]
fn backup_accepts_no_proposal_of_a_backup() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let mut own = proposal.clone();
    own.signature = vote(Proposal, 0, 1, proposal.header.digest(), 2).signature;
    for (said, proven) in [(own, true), (proposal, false)] {
        let ready = bench.hear(2, Message::PrePrepare(said));
        let [fault @ Fault::NotPrimary { from: ReplicaId(2), .. }] = &ready.faults[..] else {
            panic!("{:?}", ready.faults);
        };
        assert_eq!(fault.is_proof(), proven, "what another signed proves nothing");
        assert!(ready.send.is_empty());
    }
}

#[test]
fn backup_accepts_no_proposal_with_a_signature_of_another() {
    let mut bench = Bench::new(1);
    let mut proposal = bench.proposal(7);
    proposal.signature = vote(Proposal, 0, 1, proposal.header.digest(), 2).signature;
    let ready = bench.hear(0, Message::PrePrepare(proposal));
    assert!(matches!(ready.faults[..], [Fault::InvalidSignature { .. }]) && ready.send.is_empty());
}

#[test]
fn backup_accepts_no_proposal_of_another_view() {
    let mut bench = Bench::new(1);
    let batch = bench.batch_of(7, &[0, 1, 2, 3]);
    let proposal = bench.signed(4, bench.header_over(1, &batch), batch);
    assert!(bench.hear(0, Message::PrePrepare(proposal)).send.is_empty());
}

#[test]
fn backup_refuses_second_digest_for_same_view_and_sequence() {
    let mut bench = Bench::new(1);
    let (first, second) = (bench.proposal(7), bench.proposal(8));
    bench.hear(0, Message::PrePrepare(first.clone()));
    let ready = bench.hear(0, Message::PrePrepare(second.clone()));
    assert!(ready.send.is_empty());
    let [Fault::Equivocation { first: a, second: b }] = &ready.faults[..] else {
        panic!("{:?}", ready.faults)
    };
    assert!(a.verify(&domain(), &ToyKeys::of(3)) && b.verify(&domain(), &ToyKeys::of(3)));
    assert_eq!((a.vote.digest, b.vote.digest), (first.header.digest(), second.header.digest()));
}

#[test]
fn second_digest_is_reported_once_for_each_slot_and_phase() {
    let mut bench = Bench::new(1);
    let signed = |phase, sequence, digest: &[u8; 3]| vote(phase, 0, sequence, Digest::of(digest), 2);
    let mut reported = Vec::new();
    for (phase, sequence) in [(Prepare, 1), (Commit, 1), (Prepare, 2), (Prepare, 1), (Commit, 1)] {
        for digest in [b"one", b"two", b"six"] {
            let vote = signed(phase, sequence, digest);
            let message = if phase == Prepare { Message::Prepare(vote) } else { Message::Commit(vote) };
            let faults = bench.hear(2, message).faults;
            reported.extend(faults.iter().map(|fault| {
                assert!(matches!(fault, Fault::Equivocation { .. }));
                (phase, sequence)
            }));
        }
    }
    for sequence in [1, 2, 1] {
        for number in [7, 8, 9] {
            let batch = bench.batch_of(number, &[0, 2, 3]);
            let proposal = bench.signed(0, bench.header_over(sequence, &batch), batch);
            let faults = bench.hear(0, Message::PrePrepare(proposal)).faults;
            reported.extend(faults.iter().map(|_| (Proposal, sequence)));
        }
    }
    let expected = [(Prepare, 1), (Commit, 1), (Prepare, 2), (Proposal, 1), (Proposal, 2)];
    assert_eq!(reported, expected);
}

#[test]
fn forged_second_proposal_is_no_evidence() {
    let mut bench = Bench::new(1);
    let (first, mut second) = (bench.proposal(7), bench.proposal(8));
    second.signature = first.signature;
    bench.hear(0, Message::PrePrepare(first));
    let ready = bench.hear(0, Message::PrePrepare(second));
    assert!(matches!(ready.faults[..], [Fault::InvalidSignature { .. }]), "{:?}", ready.faults);
}

#[test]
fn proposal_above_the_high_water_mark_is_buffered_and_accepted_when_the_mark_advances() {
    let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
    for number in 1..=8 {
        let proposal = bench.proposal(number);
        bench.decide(&proposal);
    }
    let late = bench.proposal(9);
    let ready = bench.hear(0, Message::PrePrepare(late));
    assert!(
        sent(&ready, Prepare).is_empty() && ready.faults.is_empty(),
        "beyond slot 8 nothing is voted for"
    );
    let votes: Vec<CheckpointVote> = [0, 2, 3].map(|from| bench.checkpoint(from)).to_vec();
    let hear = |vote: CheckpointVote| sent(&bench.hear(vote.replica.0, Message::Checkpoint(vote)), Prepare);
    let prepares: Vec<Vote> = votes.into_iter().flat_map(hear).collect();
    assert_eq!(prepares.len(), 1);
    assert_eq!(prepares[0].sequence, Sequence(9));
}

#[test]
fn proposal_beyond_the_horizon_or_below_the_low_water_mark_is_not_held() {
    let mut bench = Bench::new(1);
    let batch = bench.batch_of(7, &[0, 1, 2, 3]);
    let far = bench.signed(0, bench.header_over(265, &batch), batch.clone());
    let ready = bench.hear(0, Message::PrePrepare(far));
    assert!(matches!(ready.faults[..], [Fault::OutsideWaterMarks { .. }]));
    let none = bench.signed(0, bench.header_over(0, &batch), batch);
    assert!(bench.hear(0, Message::PrePrepare(none)).send.is_empty());
    assert_eq!(bench.replica.status().slots, 0);
}

#[test]
fn sequence_numbers_at_the_end_of_their_range_stop_nobody() {
    let mut bench = Bench::new(1);
    for sequence in [u64::MAX, u64::MAX - 1, u64::MAX - 132] {
        let batch = bench.batch_of(7, &[0, 1, 2, 3]);
        let proposal = bench.signed(0, bench.header_over(sequence, &batch), batch);
        bench.hear(0, Message::PrePrepare(proposal));
        bench.hear(2, Message::Prepare(vote(Prepare, u64::MAX, sequence, Digest::ZERO, 2)));
        bench.hear(2, Message::Commit(vote(Commit, u64::MAX, sequence, Digest::ZERO, 2)));
        bench.hear(2, Message::Checkpoint(checkpoint(2, sequence - sequence % 100, Digest::ZERO)));
        bench.hear(2, Message::Fetch { from: Sequence(sequence) });
        bench.hear(2, Message::FetchState { sequence: Sequence(sequence), offset: u32::MAX });
        let status = PeerStatus { executed: Sequence(sequence), ..PeerStatus::default() };
        bench.hear(2, Message::Status(status));
        bench.hear(2, Message::Resolve { operation: operation(sequence), after: Sequence(sequence) });
        bench.wait(500);
    }
    let proposal = bench.proposal(7);
    assert_eq!(bench.decide(&proposal).len(), 1);
}

#[test]
fn commit_goes_out_when_a_quorum_voted_with_the_pre_prepare_as_a_vote() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let ready = bench.hear(0, Message::PrePrepare(proposal.clone()));
    assert!(sent(&ready, Commit).is_empty(), "two votes are no quorum of three");
    let ready = bench.hear(2, prepare(&proposal, 2));
    let own = vote(Commit, 0, 1, proposal.header.digest(), 1);
    assert!(matches!(ready.persist[..], [Record::Committed { vote, .. }] if vote == own));
    assert_eq!(sent(&ready, Commit), [own]);
    assert!(sent(&bench.hear(3, prepare(&proposal, 3)), Commit).is_empty(), "once");
}

#[test]
fn prepare_of_the_primary_is_a_fault_and_never_counts_beside_its_pre_prepare() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    let ready = bench.hear(0, prepare(&proposal, 0));
    assert!(matches!(ready.faults[..], [Fault::PrepareOfPrimary { proof: Some(_), .. }]));
    assert!(sent(&ready, Commit).is_empty() && ready.faults[0].is_proof());
    let forged =
        Vote { signature: vote(Commit, 0, 1, Digest::ZERO, 0).signature, ..proposal.vote(ReplicaId(0)) };
    let ready = bench.hear(0, Message::Prepare(forged));
    assert!(matches!(ready.faults[..], [Fault::PrepareOfPrimary { proof: None, .. }]));
}

#[test]
fn own_vote_counts_once_when_a_peer_sends_it_back() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    let ready = bench.hear(2, prepare(&proposal, 1));
    assert!(matches!(ready.faults[..], [Fault::WrongSender { .. }]) && sent(&ready, Commit).is_empty());
}

#[test]
fn resent_prepare_counts_once() {
    let cluster = parameters(1, 7, 2);
    let mut bench = Bench::with(cluster);
    let batch = bench.batch_of(7, &[0, 1, 2, 3, 4, 5, 6]);
    let proposal = bench.signed(0, bench.header_over(1, &batch), batch);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    for _ in 0..5 {
        assert!(sent(&bench.hear(2, prepare(&proposal, 2)), Commit).is_empty());
    }
}

#[test]
fn quorum_of_five_replicas_is_four() {
    let mut bench = Bench::with(parameters(1, 5, 1));
    let batch = bench.batch_of(7, &[0, 1, 2, 3, 4]);
    let proposal = bench.signed(0, bench.header_over(1, &batch), batch);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    assert!(sent(&bench.hear(2, prepare(&proposal, 2)), Commit).is_empty(), "three of five");
    assert_eq!(sent(&bench.hear(3, prepare(&proposal, 3)), Commit).len(), 1);
}

#[test]
fn commits_that_arrive_before_everything_else_are_kept() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    for from in [0, 2, 3] {
        assert!(bench.hear(from, commit(&proposal, from)).decided.is_empty());
    }
    let ready = bench.hear(0, Message::PrePrepare(proposal));
    assert_eq!(ready.decided.len(), 1);
}

#[test]
fn commits_of_two_views_are_not_summed() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let digest = proposal.header.digest();
    bench.hear(0, Message::PrePrepare(proposal));
    for (from, view) in [(0, 0), (2, 1), (3, 0)] {
        let ready = bench.hear(from, Message::Commit(vote(Commit, view, 1, digest, from)));
        assert!(ready.decided.is_empty(), "two commits of view 0 and one of view 1");
    }
}

#[test]
fn forged_vote_is_a_fault_and_never_counts() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    let forged = Vote { replica: ReplicaId(2), ..vote(Prepare, 0, 1, proposal.header.digest(), 3) };
    let ready = bench.hear(2, Message::Prepare(forged));
    assert!(matches!(ready.faults[..], [Fault::InvalidSignature { .. }]) && sent(&ready, Commit).is_empty());
    assert_eq!(sent(&bench.hear(3, prepare(&proposal, 3)), Commit).len(), 1, "an honest one does");
}

#[test]
fn voter_of_two_digests_is_reported_with_both_signatures() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(2, prepare(&proposal, 2));
    let second = vote(Prepare, 0, 1, Digest::of(b"other"), 2);
    let ready = bench.hear(2, Message::Prepare(second));
    let [Fault::Equivocation { first, second }] = &ready.faults[..] else { panic!("{:?}", ready.faults) };
    assert!(first.verify(&domain(), &ToyKeys::of(0)) && second.verify(&domain(), &ToyKeys::of(0)));
    assert!(bench.hear(2, Message::Prepare(second.vote)).faults.is_empty(), "reported once");
}

#[test]
fn vote_in_the_name_of_nobody_is_a_fault() {
    let mut bench = Bench::new(1);
    for claimed in [4, 31, 32, 255] {
        let forged = Message::Prepare(vote(Prepare, 0, 1, Digest::ZERO, claimed));
        assert!(matches!(bench.hear(2, forged.clone()).faults[..], [Fault::WrongSender { .. }]));
        assert!(matches!(bench.hear(claimed, forged).faults[..], [Fault::UnknownReplica { .. }]));
    }
}

#[test]
fn slots_execute_in_order_whatever_order_they_commit_in() {
    let mut bench = Bench::new(1);
    let first = bench.proposal(1);
    let batch = bench.batch_of(2, &[0, 1, 2, 3]);
    let second = bench.signed(0, bench.header_over(2, &batch), batch);
    bench.hear(0, Message::PrePrepare(first.clone()));
    bench.hear(0, Message::PrePrepare(second.clone()));
    for from in [0, 2, 3] {
        assert!(bench.hear(from, commit(&second, from)).decided.is_empty());
    }
    let mut decided = Vec::new();
    for from in [0, 2, 3] {
        decided.extend(bench.hear(from, commit(&first, from)).decided);
    }
    assert_eq!(decided.iter().map(|it| it.header.sequence.0).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn proposal_whose_prefix_is_not_executed_waits_and_is_judged_later() {
    let mut bench = Bench::new(1);
    let first = bench.proposal(1);
    bench.note(&first);
    let second = bench.proposal(2);
    let ready = bench.hear(0, Message::PrePrepare(second.clone()));
    assert!(ready.send.is_empty() && ready.faults.is_empty());
    bench.hear(0, Message::PrePrepare(first.clone()));
    let mut prepares = Vec::new();
    for from in [0, 2, 3] {
        prepares.extend(sent(&bench.hear(from, commit(&first, from)), Prepare));
    }
    assert_eq!(prepares.len(), 1);
    assert_eq!(prepares[0].digest, second.header.digest());
}

#[test]
fn votes_beyond_the_quorum_cost_no_check() {
    let mut bench = Bench::with(Parameters { fast_path: false, ..parameters(1, 7, 2) });
    let batch = bench.batch_of(7, &[0, 1, 2, 3, 4, 5, 6]);
    let proposal = bench.signed(0, bench.header_over(1, &batch), batch);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    let checks = bench.replica.keyring.checks.clone();
    checks.set(0);
    for from in 2..7 {
        bench.hear(from, prepare(&proposal, from));
    }
    assert_eq!(checks.get(), 3, "quorum 5: pre-prepare and own vote are there");
}

#[test]
fn proposal_of_observations_that_are_held_costs_one_check() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    for set in &proposal.batch.sets {
        if set.replica.0 != 1 {
            bench.hear(set.replica.0, Message::Observe(set.clone()));
        }
    }
    let checks = bench.replica.keyring.checks.clone();
    checks.set(0);
    let ready = bench.hear(0, Message::PrePrepare(proposal));
    assert_eq!(sent(&ready, Prepare).len(), 1);
    assert_eq!(checks.get(), 2, "the proposal itself, and the own set that was made elsewhere");
}
