//! Checkpoints and water marks: one test for each claim of Castro & Liskov 1999 §4.3.

use certificate::{Digest, MessageType, ReplicaId, Sequence};

use super::bench::*;
use super::catching_up::chunk_of;
use super::toy::*;
use crate::*;

/// A bench of the smallest windows after `slots` decided slots, with all its proposals.
pub fn after(slots: u64) -> (Bench, Vec<PrePrepare>) {
    let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
    let mut proposals = Vec::new();
    for number in 1..=slots {
        let proposal = bench.proposal(number);
        bench.decide(&proposal);
        proposals.push(proposal);
    }
    (bench, proposals)
}

#[test]
fn checkpoint_is_signed_every_interval_with_the_digest_of_the_state() {
    let (mut bench, _) = after(3);
    let proposal = bench.proposal(4);
    bench.decide(&proposal);
    let own: Vec<&Record> = bench.stored.iter().filter(|it| matches!(it, Record::OwnCheckpoint(_))).collect();
    assert_eq!(own, [&Record::OwnCheckpoint(bench.checkpoint(1))]);
}

#[test]
fn quorum_of_matching_checkpoints_is_stable_and_cuts_the_log() {
    let (mut bench, proposals) = after(5);
    let state = after(4).0;
    assert!(bench.hear(0, Message::Checkpoint(state.checkpoint(0))).discard_below.is_none());
    let ready = bench.hear(2, Message::Checkpoint(state.checkpoint(2)));
    assert_eq!(ready.discard_below, Some(Sequence(4)));
    assert!(
        matches!(&ready.persist[0], Record::Stable { certificate, .. } if certificate.sequence == Sequence(4))
    );
    let live = &ready.persist[1..];
    assert!(
        matches!(&live[0], Record::Accepted { proposal, .. } if *proposal == proposals[4]),
        "slot 5 lives on"
    );
    assert_eq!(live.len(), 3, "accepted, committed, decided");
    let status = bench.replica.status();
    assert_eq!((status.stable, status.slots), (Sequence(4), 1));
}

#[test]
fn checkpoints_of_different_digests_are_not_summed() {
    let (mut bench, _) = after(4);
    bench.hear(0, Message::Checkpoint(bench.checkpoint(0)));
    let ready = bench.hear(2, Message::Checkpoint(checkpoint(2, 4, Digest::of(b"lie"))));
    assert_eq!(ready.discard_below, None);
}

#[test]
fn repeated_or_forged_checkpoint_counts_never() {
    let (mut bench, _) = after(4);
    let vote = bench.checkpoint(0);
    for _ in 0..3 {
        assert_eq!(bench.hear(0, Message::Checkpoint(vote)).discard_below, None);
    }
    let forged = CheckpointVote { replica: ReplicaId(2), ..vote };
    assert!(matches!(bench.hear(0, Message::Checkpoint(forged)).faults[..], [Fault::WrongSender { .. }]));
    let ready = bench.hear(2, Message::Checkpoint(forged));
    assert!(matches!(ready.faults[..], [Fault::InvalidSignature { .. }]) && ready.discard_below.is_none());
}

#[test]
fn second_signed_state_is_evidence() {
    let (mut bench, _) = after(4);
    bench.hear(0, Message::Checkpoint(checkpoint(0, 4, Digest::of(b"lie"))));
    let ready = bench.hear(0, Message::Checkpoint(bench.checkpoint(0)));
    assert!(matches!(ready.faults[..], [Fault::CheckpointEquivocation { .. }]));
    assert_eq!(ready.discard_below, None);
}

#[test]
fn second_signed_state_is_reported_once_for_each_slot() {
    let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
    let mut reported = Vec::new();
    for sequence in [4, 8, 4, 8, 8] {
        for lie in [b"one", b"two", b"six"] {
            let ready = bench.hear(0, Message::Checkpoint(checkpoint(0, sequence, Digest::of(lie))));
            reported.extend(ready.faults.iter().map(|fault| {
                assert!(matches!(fault, Fault::CheckpointEquivocation { .. }));
                sequence
            }));
        }
    }
    assert_eq!(reported, [4, 8]);
}

#[test]
fn checkpoint_off_the_interval_is_a_fault() {
    let mut bench = Bench::new(1);
    for sequence in [0, 1, 99, 101] {
        let ready = bench.hear(2, Message::Checkpoint(checkpoint(2, sequence, Digest::ZERO)));
        assert!(
            matches!(ready.faults[..], [Fault::MisplacedCheckpoint { proof: Some(_), .. }]),
            "slot {sequence}"
        );
        assert!(ready.faults[0].is_proof());
        let forged = CheckpointVote { sequence: Sequence(sequence), ..checkpoint(2, 100, Digest::ZERO) };
        let ready = bench.hear(2, Message::Checkpoint(forged));
        assert!(
            matches!(ready.faults[..], [Fault::MisplacedCheckpoint { proof: None, .. }]),
            "slot {sequence}"
        );
        assert!(!ready.faults[0].is_proof());
    }
}

#[test]
fn future_checkpoints_of_one_replica_are_bounded() {
    let mut bench = Bench::new(1);
    for number in 1..1000 {
        bench.hear(2, Message::Checkpoint(checkpoint(2, number * 100, Digest::ZERO)));
    }
    assert_eq!(bench.replica.checkpoints.votes_len(), CHECKPOINTS_PER_REPLICA_MAX);
}

#[test]
fn checkpoints_that_arrive_before_the_slot_is_executed_count_when_it_is() {
    let (mut bench, _) = after(3);
    let other = after(4).0;
    for from in [0, 2] {
        bench.hear(from, Message::Checkpoint(other.checkpoint(from)));
    }
    let proposal = bench.proposal(4);
    bench.stored.clear();
    bench.decide(&proposal);
    assert_eq!(bench.replica.status().stable, Sequence(4));
    let stable = bench.stored.iter().position(|record| matches!(record, Record::Stable { .. })).unwrap();
    let decided = bench.stored.iter().any(|record| matches!(record, Record::Decided { .. }));
    assert!(!decided, "the checkpoint stands for the slot that was decided in the same step");
    assert_eq!(stable, bench.stored.len() - 1);
}

#[test]
fn replica_whose_state_a_quorum_contradicts_votes_no_more() {
    let (mut bench, _) = after(4);
    let mut faults = Vec::new();
    for from in [0, 2, 3] {
        faults
            .extend(bench.hear(from, Message::Checkpoint(checkpoint(from, 4, Digest::of(b"theirs")))).faults);
    }
    assert!(matches!(faults[..], [Fault::Diverged { .. }]));
    let proposal = bench.proposal(5);
    assert!(sent(&bench.hear(0, Message::PrePrepare(proposal)), MessageType::Prepare).is_empty());
    assert_eq!(bench.replica.status().standing, Standing::Diverged);
}

#[test]
fn replica_that_diverged_commits_nothing_that_it_accepted_before() {
    let (mut bench, _) = after(4);
    let proposal = bench.proposal(5);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    for from in [0, 2, 3] {
        bench.hear(from, Message::Checkpoint(checkpoint(from, 4, Digest::of(b"theirs"))));
    }
    let prepare = vote(MessageType::Prepare, 0, 5, proposal.header.digest(), 2);
    assert_eq!(sent(&bench.hear(2, Message::Prepare(prepare)), MessageType::Commit), []);
}

#[test]
fn certificate_alone_makes_an_executed_checkpoint_stable() {
    let (mut bench, _) = after(4);
    let chunk = chunk_of(&bench, 0, 0);
    let ready = bench.hear(2, Message::StableCheckpoint(chunk));
    assert_eq!(ready.discard_below, Some(Sequence(4)));
}

#[test]
fn primary_proposes_nothing_above_the_high_water_mark() {
    let mut bench = Bench::with(tiny(parameters(0, 4, 1)));
    for number in 1..=12 {
        let mut proposed = Vec::new();
        for from in [1, 2, 3] {
            let set = bench.observed(from, number, b"seen");
            proposed.extend(bench.hear(from, Message::Observe(set)).persist);
        }
        let Some(Record::Accepted { proposal, .. }) = proposed.first().cloned() else {
            assert_eq!(number, 9, "slot 8 is the last below the high mark");
            return;
        };
        bench.decide(&proposal);
    }
    panic!("the primary went on without a stable checkpoint");
}
