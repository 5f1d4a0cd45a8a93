//! What a backup votes for: each rule of a proposal broken once, by a primary that signs everything correctly.

use std::sync::Arc;

use certificate::{Digest, Kinds, MessageType, OperationKind, ReplicaId, Sequence};

use super::bench::*;
use super::toy::*;
use crate::*;

fn vote_for(bench: &mut Bench, proposal: PrePrepare) -> Result<(), Refusal> {
    let ready = bench.hear(0, Message::PrePrepare(proposal));
    match refusal(&ready) {
        Some(refusal) => {
            assert!(ready.send.is_empty() && ready.persist.is_empty(), "no vote beside a refusal");
            Err(refusal)
        }
        None => {
            assert_eq!(sent(&ready, MessageType::Prepare).len(), 1, "{:?}", ready.faults);
            Ok(())
        }
    }
}

/// Signs a batch under the header that follows from it.
fn proposed(bench: &Bench, batch: Batch) -> PrePrepare {
    bench.signed(0, bench.header_over(bench.log.executed().0 + 1, &batch), batch)
}

#[test]
fn good_proposal_is_voted_for() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    assert_eq!(vote_for(&mut bench, proposal), Ok(()));
}

#[test]
fn quorum_of_observations_is_enough_and_one_less_is_not() {
    let mut bench = Bench::new(1);
    let two = proposed(&bench, bench.batch_of(7, &[0, 3]));
    let few = Refusal::TooFewObservations { entry: 0, quorum: 3, found: 2 };
    assert_eq!(vote_for(&mut bench, two), Err(few));
    let mut bench = Bench::new(1);
    let three = proposed(&bench, bench.batch_of(7, &[0, 2, 3]));
    assert_eq!(vote_for(&mut bench, three), Ok(()));
}

#[test]
fn leaf_root_other_than_the_recomputed_one_is_refused() {
    let mut bench = Bench::new(1);
    let lie = bench.proposal_with(7, |header| header.leaves_root = Digest::of(b"lie"));
    assert_eq!(vote_for(&mut bench, lie), Err(Refusal::LeavesRoot));
}

#[test]
fn evidence_root_other_than_that_of_the_batch_is_refused() {
    let mut bench = Bench::new(1);
    let lie = bench.proposal_with(7, |header| header.observations_root = Digest::of(b"lie"));
    assert_eq!(vote_for(&mut bench, lie), Err(Refusal::ObservationsRoot));
}

#[test]
fn batch_under_another_digest_is_refused() {
    let mut bench = Bench::new(1);
    let mut proposal = bench.proposal(7);
    proposal.batch = Arc::new(bench.batch_of(7, &[0, 1, 2]));
    assert_eq!(vote_for(&mut bench, proposal), Err(Refusal::ObservationsRoot));
}

#[test]
fn time_other_than_the_lower_median_is_refused() {
    for later in [1, u64::MAX / 2] {
        let mut bench = Bench::new(1);
        let lie = bench.proposal_with(7, |header| header.time_ms += later);
        assert!(matches!(
            vote_for(&mut bench, lie),
            Err(Refusal::Time { .. } | Refusal::FutureObservation { .. })
        ));
    }
}

#[test]
fn time_is_the_lower_median_of_all_observations() {
    let bench = Bench::new(1);
    let times = [5, 1, 3, 9].map(|seconds| WALL_MS + seconds * 1000);
    let sets = (0..4).map(|of| bench.observed_at(of, 7, b"seen", times[usize::from(of)])).collect();
    let batch = Batch { operations: vec![operation(7)], sets };
    assert_eq!(bench.header_over(1, &batch).time_ms, WALL_MS + 3000);
}

#[test]
fn time_is_never_before_the_log_at_the_prefix() {
    let mut bench = Bench::new(1);
    let first = bench.proposal(1);
    bench.decide(&first);
    let time_ms = WALL_MS + bench.now - 500;
    let sets = (0..4).map(|of| bench.observed_at(of, 7, b"seen", time_ms)).collect();
    let proposal = proposed(&bench, Batch { operations: vec![operation(7)], sets });
    assert_eq!(proposal.header.time_ms, bench.log.last().time_ms);
    assert_eq!(vote_for(&mut bench, proposal), Ok(()));
}

#[test]
fn other_kinds_entries_or_cluster_file_are_refused() {
    let mut bench = Bench::new(1);
    let kinds = bench.proposal_with(7, |header| header.kinds = Kinds(1 << 2));
    assert_eq!(vote_for(&mut bench, kinds), Err(Refusal::Kinds));
    let mut bench = Bench::new(1);
    let entries = bench.proposal_with(7, |header| header.entries = 2);
    assert_eq!(vote_for(&mut bench, entries), Err(Refusal::Entries));
    let mut bench = Bench::new(1);
    let file = bench.proposal_with(7, |header| header.cluster_digest = Digest::of(b"other"));
    assert_eq!(vote_for(&mut bench, file), Err(Refusal::ClusterDigest));
}

#[test]
fn prefix_that_was_not_decided_is_refused() {
    let mut bench = Bench::new(1);
    let first = bench.proposal(1);
    bench.decide(&first);
    let lie = bench.proposal_with(7, |header| header.prefix_digest = Digest::of(b"lie"));
    assert_eq!(vote_for(&mut bench, lie), Err(Refusal::PrefixDigest));
}

#[test]
fn prefix_further_back_than_the_pipeline_is_refused() {
    let mut bench = Bench::new(1);
    for prefix in [Sequence(1), Sequence(0)] {
        let lie = bench.proposal_with(7, |header| {
            header.sequence = Sequence(prefix.0 + 4);
            header.prefix_sequence = prefix;
        });
        assert_eq!(vote_for(&mut bench, lie), Err(Refusal::PrefixSequence { pipeline: 3, prefix }));
    }
    let at_itself = bench.proposal_with(7, |header| header.prefix_sequence = Sequence(1));
    assert!(matches!(vote_for(&mut bench, at_itself), Err(Refusal::PrefixSequence { .. })));
}

#[test]
fn null_batch_is_refused_in_the_normal_case() {
    let mut bench = Bench::new(1);
    let mut null = bench.proposal(7);
    null.header.entries = 0;
    null.header.kinds = Kinds(0);
    let null = bench.signed(0, null.header, Batch::default());
    assert_eq!(vote_for(&mut bench, null), Err(Refusal::Batch(BatchError::Null)));
}

#[test]
fn null_operation_is_refused() {
    let mut bench = Bench::new(1);
    let mut proposal = bench.proposal(7);
    let mut batch = (*proposal.batch).clone();
    batch.operations[0].kind = OperationKind::Null;
    proposal.batch = Arc::new(batch);
    assert_eq!(vote_for(&mut bench, proposal), Err(Refusal::Batch(BatchError::NullOperation { entry: 0 })));
}

#[test]
fn operation_twice_in_a_batch_is_refused_also_when_no_decoder_saw_it() {
    let mut bench = Bench::new(1);
    let mut proposal = bench.proposal(7);
    let mut batch = (*proposal.batch).clone();
    batch.operations.push(operation(7));
    proposal.batch = Arc::new(batch);
    let ready = bench.step(Event::Message { from: ReplicaId(0), message: Message::PrePrepare(proposal) });
    assert_eq!(refusal(&ready), Some(Refusal::Batch(BatchError::DuplicateOperation { entry: 1 })));
}

#[test]
fn observation_of_another_operation_is_refused() {
    let mut bench = Bench::new(1);
    let mut proposal = bench.proposal(7);
    let mut batch = (*proposal.batch).clone();
    batch.sets[3] = bench.observed(3, 8, b"seen");
    proposal.batch = Arc::new(batch);
    assert_eq!(
        vote_for(&mut bench, proposal),
        Err(Refusal::Batch(BatchError::ForeignObservation { set: 3 }))
    );
}

#[test]
fn two_observations_of_one_replica_count_never() {
    let mut bench = Bench::new(1);
    let mut proposal = bench.proposal(7);
    let mut sets =
        vec![bench.observed(0, 7, b"a"), bench.observed(0, 7, b"b"), bench.observed(2, 7, b"seen")];
    sets.sort_by_key(|set| (set.replica, set.signature));
    proposal.batch = Arc::new(Batch { operations: vec![operation(7)], sets });
    let refusal = BatchError::DuplicateObservation { entry: 0, replica: ReplicaId(0) };
    assert_eq!(vote_for(&mut bench, proposal), Err(Refusal::Batch(refusal)));
}

#[test]
fn batch_has_one_order_of_sets_and_no_empty_ones() {
    let mut bench = Bench::new(1);
    let mut proposal = bench.proposal(7);
    let mut batch = (*proposal.batch).clone();
    batch.sets.swap(1, 2);
    proposal.batch = Arc::new(batch);
    assert_eq!(vote_for(&mut bench, proposal), Err(Refusal::Batch(BatchError::SetOrder { set: 2 })));
    let mut bench = Bench::new(1);
    let mut proposal = bench.proposal(7);
    let mut batch = (*proposal.batch).clone();
    batch.sets[3].items[0] = Item::Pruned(batch.sets[3].items[0].digest(ReplicaId(3)));
    proposal.batch = Arc::new(batch);
    assert_eq!(vote_for(&mut bench, proposal), Err(Refusal::Batch(BatchError::EmptySet { set: 3 })));
}

#[test]
fn forged_observation_never_counts() {
    let mut bench = Bench::new(1);
    let mut batch = bench.batch_of(7, &[0, 2, 3]);
    batch.sets[2].signature = batch.sets[1].signature;
    let proposal = proposed(&bench, batch);
    assert_eq!(vote_for(&mut bench, proposal), Err(Refusal::ObservationSignature(ReplicaId(3))));
}

#[test]
fn signature_does_not_cover_an_observation_that_was_swapped_in() {
    let mut bench = Bench::new(1);
    let mut batch = bench.batch_of(7, &[0, 2, 3]);
    let Item::Full(observation) = &mut batch.sets[2].items[0] else { panic!("observed in full") };
    observation.payload = b"lie".to_vec();
    let proposal = proposed(&bench, batch);
    assert_eq!(vote_for(&mut bench, proposal), Err(Refusal::ObservationSignature(ReplicaId(3))));
}

#[test]
fn pruned_neighbours_do_not_break_a_signature() {
    let mut bench = Bench::new(1);
    let observations = (7..9).map(|number| Observation {
        operation: operation(number),
        after: Sequence(0),
        time_ms: WALL_MS + bench.now,
        payload: b"seen".to_vec(),
    });
    let mut set = SignedObservations::sign(ReplicaId(3), observations.collect(), &domain(), &ToyKeys::of(3));
    set.items[1] = Item::Pruned(set.items[1].digest(ReplicaId(3)));
    let mut batch = bench.batch_of(7, &[0, 2]);
    batch.sets.push(set);
    let proposal = proposed(&bench, batch);
    assert_eq!(vote_for(&mut bench, proposal), Ok(()));
}

#[test]
fn used_observation_never_counts_again() {
    let mut bench = Bench::new(1);
    let first = bench.proposal(7);
    bench.decide(&first);
    let replay = proposed(&bench, (*first.batch).clone());
    let refusal = Refusal::UsedObservation { entry: 0, replica: ReplicaId(0) };
    assert_eq!(vote_for(&mut bench, replay), Err(refusal));
}

#[test]
fn observation_used_by_a_slot_in_flight_may_be_repeated() {
    let mut bench = Bench::new(1);
    let first = bench.proposal(7);
    let again = bench.signed(0, bench.header_over(2, &first.batch), (*first.batch).clone());
    bench.decide(&first);
    assert_eq!(vote_for(&mut bench, again), Ok(()), "its prefix is before slot 1");
}

#[test]
fn observation_older_than_the_window_never_counts() {
    let mut bench = Bench::new(1);
    let first = bench.proposal(1);
    bench.decide(&first);
    let log_ms = bench.log.last().time_ms;
    for (age_ms, refused) in [(10_000, false), (10_001, true)] {
        let mut batch = bench.batch_of(7, &[0, 2]);
        batch.sets.push(bench.observed_at(3, 7, b"seen", log_ms - age_ms));
        let proposal = proposed(&bench, batch);
        let stale = Refusal::StaleObservation { entry: 0, replica: ReplicaId(3) };
        let mut bench = Bench::new(1);
        bench.decide(&first);
        assert_eq!(vote_for(&mut bench, proposal), if refused { Err(stale) } else { Ok(()) }, "{age_ms}");
    }
}

#[test]
fn observation_from_the_far_future_never_counts() {
    for (ahead_ms, refused) in [(10_000, false), (10_001, true), (u64::MAX - WALL_MS - 1000, true)] {
        let mut bench = Bench::new(1);
        let mut batch = bench.batch_of(7, &[0, 2]);
        batch.sets.push(bench.observed_at(3, 7, b"seen", WALL_MS + bench.now + ahead_ms));
        let proposal = proposed(&bench, batch);
        let future = Refusal::FutureObservation { entry: 0, replica: ReplicaId(3) };
        assert_eq!(vote_for(&mut bench, proposal), if refused { Err(future) } else { Ok(()) }, "{ahead_ms}");
    }
}

#[test]
fn malformed_observation_is_refused() {
    let mut bench = Bench::new(1);
    let mut batch = bench.batch_of(7, &[0, 2]);
    batch.sets.push(bench.observed(3, 7, &[255]));
    let proposal = proposed(&bench, batch);
    let refusal = Refusal::MalformedObservation { entry: 0, replica: ReplicaId(3) };
    assert_eq!(vote_for(&mut bench, proposal), Err(refusal));
}

#[test]
fn observation_of_nobody_is_refused() {
    let mut bench = Bench::new(1);
    for nobody in [4, 40, 255] {
        let mut batch = bench.batch_of(7, &[0, 2, 3]);
        batch.sets.push(bench.observed(nobody, 7, b"seen"));
        let proposal = proposed(&bench, batch);
        assert_eq!(vote_for(&mut bench, proposal), Err(Refusal::UnknownReplica(ReplicaId(nobody))));
        bench = Bench::new(1);
    }
}

#[test]
fn batch_beyond_the_limits_of_the_cluster_file_is_refused() {
    let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
    let three: Vec<Batch> = (1..=3).map(|number| bench.batch_of(number, &[0, 2, 3])).collect();
    let mut sets: Vec<SignedObservations> = three.iter().flat_map(|batch| batch.sets.clone()).collect();
    sets.sort_by_key(|set| (set.replica, set.signature));
    let batch = Batch { operations: (1..=3).map(operation).collect(), sets };
    let proposal = proposed(&bench, batch);
    assert_eq!(vote_for(&mut bench, proposal), Err(Refusal::TooManyEntries { most: 2, found: 3 }));
    let mut small = parameters(1, 4, 1);
    small.batch_bytes = 8000;
    let mut bench = Bench::with(small);
    let sets = (0..4).map(|of| bench.observed(of, 7, &[1; 2000])).collect();
    let proposal = proposed(&bench, Batch { operations: vec![operation(7)], sets });
    assert!(matches!(vote_for(&mut bench, proposal), Err(Refusal::TooManyBytes { .. })));
}

#[test]
fn observation_longer_than_its_share_of_a_batch_is_refused() {
    let mut small = parameters(1, 4, 1);
    small.batch_bytes = 8000;
    let most = small.observation_bytes_max();
    let mut bench = Bench::with(small);
    let frame = bench.observed(3, 7, b"").items[0].encoded_len() - 1;
    for (bytes, refused) in [(most, false), (most + 1, true)] {
        let mut batch = bench.batch_of(7, &[0, 2]);
        batch.sets.push(bench.observed(3, 7, &vec![1; bytes - frame]));
        let proposal = proposed(&bench, batch);
        let long = Refusal::ObservationBytes { entry: 0, replica: ReplicaId(3) };
        assert_eq!(vote_for(&mut bench, proposal), if refused { Err(long) } else { Ok(()) });
        bench = Bench::with(bench.replica.parameters.clone());
    }
}

#[test]
fn proposal_a_minute_off_our_clock_is_an_alarm_and_gets_no_vote_when_it_is_ahead() {
    let cases =
        [(-60_000i64, false, true), (-60_001, true, false), (60_000, false, true), (60_001, true, true)];
    for (off_ms, alarm, vote) in cases {
        let mut bench = Bench::new(1);
        let proposal = bench.proposal(7);
        let ready = hear_at_skewed_clock(&mut bench, proposal, off_ms);
        let alarmed = ready.faults.iter().any(|fault| matches!(fault, Fault::ClockSkew { .. }));
        assert_eq!((alarmed, !sent(&ready, MessageType::Prepare).is_empty()), (alarm, vote), "{off_ms}");
    }
}

/// Hears a proposal while the wall clock is so far ahead of it.
fn hear_at_skewed_clock(bench: &mut Bench, proposal: PrePrepare, off_ms: i64) -> Ready {
    let wall_ms = (WALL_MS + bench.now).checked_add_signed(off_ms).unwrap();
    let now = Now { wall_ms, monotonic_ms: bench.now };
    let event = Event::Message { from: ReplicaId(0), message: Message::PrePrepare(proposal) };
    bench.replica.step(now, event)
}

#[test]
fn proposal_ahead_of_our_clock_gets_its_vote_when_it_is_sent_again_and_the_clock_is_right() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let ready = hear_at_skewed_clock(&mut bench, proposal.clone(), -3_600_000);
    assert!(sent(&ready, MessageType::Prepare).is_empty());
    let ready = bench.hear(0, Message::PrePrepare(proposal));
    assert_eq!(sent(&ready, MessageType::Prepare).len(), 1);
}

#[test]
fn commits_decide_a_proposal_that_our_clock_refused() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let digest = proposal.header.digest();
    let ready = hear_at_skewed_clock(&mut bench, proposal, -3_600_000);
    assert!(sent(&ready, MessageType::Prepare).is_empty());
    let commits = [0, 2, 3].map(|from| vote(MessageType::Commit, 0, 1, digest, from));
    let decided = commits.map(|commit| bench.hear(commit.replica.0, Message::Commit(commit)).decided.len());
    assert_eq!(decided, [0, 0, 1]);
}

#[test]
fn slot_that_a_quorum_committed_is_taken_whatever_our_clock_says() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    hear_at_skewed_clock(&mut bench, proposal.clone(), -3_600_000);
    let status = PeerStatus { executed: Sequence(1), ..PeerStatus::default() };
    bench.hear(2, Message::Status(status));
    bench.wait(100);
    let slot = bench.decided_slot(&proposal);
    let now = Now { wall_ms: WALL_MS - 3_600_000, monotonic_ms: bench.now };
    let event = Event::Message { from: ReplicaId(2), message: Message::Slot(slot) };
    assert_eq!(bench.replica.step(now, event).decided.len(), 1);
}

#[test]
fn wall_clock_that_steps_back_stops_no_timer() {
    let mut bench = Bench::new(1);
    bench.step(Event::Request(operation(7)));
    let ready = bench.replica.step(Now { wall_ms: 0, monotonic_ms: bench.now + 400 }, Event::Tick);
    assert!(ready.send.iter().any(|(_, message)| matches!(message, Message::Resolve { .. })));
}
