//! Requests and observations: what opens a request, what counts, what is bounded.

use certificate::{Digest, OperationKind, ReplicaId, Sequence};

use super::bench::*;
use super::cluster::*;
use super::toy::*;
use crate::*;

pub fn resolve(number: u64, after: u64) -> Message {
    Message::Resolve { operation: operation(number), after: Sequence(after) }
}

pub fn saw(bench: &mut Bench, number: u64) -> Ready {
    let time_ms = WALL_MS + bench.now;
    bench.step(Event::Observed { operation: operation(number).digest(), time_ms, payload: b"seen".to_vec() })
}

pub fn observes(ready: &Ready) -> Vec<&SignedObservations> {
    let sent = ready.send.iter();
    sent.filter_map(|(_, message)| if let Message::Observe(set) = message { Some(set) } else { None })
        .collect()
}

pub fn proposals(ready: &Ready) -> Vec<&PrePrepare> {
    let sent = ready.send.iter();
    sent.filter_map(|(_, it)| if let Message::PrePrepare(proposal) = it { Some(proposal) } else { None })
        .collect()
}

#[test]
fn requests_for_one_operation_are_one() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.step(Event::Request(operation(7))).lookups.len(), 1);
    for again in [Event::Request(operation(7)), Event::Message { from: ReplicaId(2), message: resolve(7, 0) }]
    {
        let ready = bench.step(again);
        assert!(ready.lookups.is_empty() && ready.send.is_empty());
    }
    assert_eq!(bench.replica.status().open_requests, 1);
}

#[test]
fn observation_of_an_unknown_operation_acts_as_its_request() {
    let mut bench = Bench::new(1);
    let set = bench.observed(2, 7, b"seen");
    let ready = bench.hear(2, Message::Observe(set));
    assert_eq!(ready.lookups.len(), 1);
    assert_eq!(ready.lookups[0].origin, Some(ReplicaId(2)));
}

#[test]
fn own_observation_goes_out_at_once_when_nothing_else_is_waiting() {
    let mut bench = Bench::new(1);
    bench.step(Event::Request(operation(7)));
    assert_eq!(observes(&saw(&mut bench, 7)).len(), 1);
}

#[test]
fn own_observations_are_signed_together_for_two_milliseconds_or_sixteen() {
    let mut bench = Bench::new(1);
    (0..40).for_each(|number| drop(bench.step(Event::Request(operation(number)))));
    for number in 0..15 {
        assert!(observes(&saw(&mut bench, number)).is_empty());
    }
    let ready = saw(&mut bench, 15);
    assert_eq!(observes(&ready)[0].items.len(), 16);
    saw(&mut bench, 16);
    assert!(observes(&bench.wait(1)).is_empty());
    assert_eq!(observes(&bench.wait(1))[0].items.len(), 1);
}

#[test]
fn primary_waits_the_grace_for_the_rest_and_then_proposes_what_it_has() {
    let mut bench = Bench::new(0);
    for (from, payload) in [(1, b"a"), (2, b"b"), (3, b"c")] {
        let set = bench.observed(from, 7, payload);
        assert!(proposals(&bench.hear(from, Message::Observe(set))).is_empty());
    }
    assert!(proposals(&bench.wait(9)).is_empty());
    let ready = bench.wait(1);
    assert_eq!(proposals(&ready)[0].batch.sets.len(), 3);
}

#[test]
fn primary_does_not_wait_when_q_are_equal_or_all_are_in() {
    let mut bench = Bench::new(0);
    for (from, proposed) in [(1, false), (2, false), (3, true)] {
        let set = bench.observed(from, 7, b"same");
        assert_eq!(!proposals(&bench.hear(from, Message::Observe(set))).is_empty(), proposed);
    }
    let mut bench = Bench::new(0);
    bench.step(Event::Request(operation(7)));
    saw(&mut bench, 7);
    for (from, payload, proposed) in [(1, b"a", false), (2, b"b", false), (3, b"c", true)] {
        let set = bench.observed(from, 7, payload);
        let ready = bench.hear(from, Message::Observe(set));
        assert_eq!(!proposals(&ready).is_empty(), proposed);
        assert!(!proposed || proposals(&ready)[0].batch.sets.len() == 4, "all observations it has");
    }
}

#[test]
fn fewer_than_q_observations_are_never_proposed() {
    let mut bench = Bench::new(0);
    for from in [1, 2] {
        let set = bench.observed(from, 7, b"same");
        bench.hear(from, Message::Observe(set));
    }
    assert!((0..30).all(|_| proposals(&bench.wait(100)).is_empty()));
}

#[test]
fn proposals_in_flight_are_bounded_by_the_pipeline_from_the_own_decided_prefix() {
    let mut bench = Bench::new(0);
    let mut proposed = Vec::new();
    for number in 0..20 {
        for from in [1, 2, 3] {
            let set = bench.observed(from, number, b"same");
            let ready = bench.hear(from, Message::Observe(set));
            proposed.extend(proposals(&ready).into_iter().cloned());
        }
        proposed.extend(proposals(&bench.wait(2)).into_iter().cloned());
    }
    let sequences: Vec<u64> = proposed.iter().map(|it| it.header.sequence.0).collect();
    assert_eq!(sequences, [1, 2, 3]);
    let first = proposed[0].clone();
    bench.decide(&first);
    assert_eq!(bench.replica.proposed, Sequence(4), "one more, with all that waited");
}

#[test]
fn batch_is_sealed_at_its_entries() {
    let mut tiny_parameters = tiny(parameters(0, 4, 1));
    tiny_parameters.timeouts.batch_wait_ms = 1000;
    let mut bench = Bench::with(tiny_parameters);
    let mut batches = Vec::new();
    for number in 0..5 {
        for from in [1, 2, 3] {
            let set = bench.observed(from, number, b"same");
            let ready = bench.hear(from, Message::Observe(set));
            batches.extend(proposals(&ready).iter().map(|proposal| proposal.batch.operations.len()));
        }
    }
    assert_eq!(batches, [1, 2, 2], "at once when idle, then full ones");
}

#[test]
fn batch_is_sealed_at_its_bytes() {
    let mut small = parameters(0, 4, 1);
    small.batch_bytes = 8000;
    small.timeouts.batch_wait_ms = 1000;
    let mut bench = Bench::with(small);
    let mut sizes = Vec::new();
    for number in 0..20 {
        for from in [1, 2, 3] {
            let set = bench.observed(from, number, &[7; 500]);
            let ready = bench.hear(from, Message::Observe(set));
            sizes.extend(proposals(&ready).iter().map(|proposal| proposal.batch.encoded_len()));
        }
    }
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| *size <= 8000) && sizes[1] > 5500, "{sizes:?}");
}

#[test]
fn late_observation_and_late_request_start_no_new_round() {
    let mut bench = Bench::new(1);
    let late = bench.observed(3, 7, b"seen");
    let proposal =
        bench.signed(0, bench.header_over(1, &bench.batch_of(7, &[0, 1, 2])), bench.batch_of(7, &[0, 1, 2]));
    assert_eq!(bench.decide(&proposal).len(), 1);
    for message in [Message::Observe(late), resolve(7, 0)] {
        let ready = bench.hear(3, message);
        assert!(ready.lookups.is_empty() && ready.faults.is_empty());
    }
    assert_eq!(bench.replica.status().open_requests, 0);
    assert_eq!(bench.hear(3, resolve(7, 1)).lookups.len(), 1, "who executed the slot may ask again");
}

#[test]
fn request_of_a_peer_that_is_ahead_outlives_the_slot_it_has_executed() {
    let mut bench = Bench::new(1);
    bench.step(Event::Request(operation(7)));
    bench.hear(2, resolve(7, 1));
    let proposal = bench.proposal(7);
    let decided = bench.decide(&proposal);
    assert_eq!(decided.len(), 1);
    assert_eq!(bench.replica.status().open_requests, 1);
}

#[test]
fn used_observation_that_is_replayed_opens_nothing() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.decide(&proposal);
    for set in &proposal.batch.sets {
        bench.hear(2, Message::Observe(set.clone()));
    }
    assert_eq!(bench.replica.status().open_requests, 0);
}

#[test]
fn used_or_stale_observation_opens_nothing_whatever_slot_it_claims_to_follow() {
    let mut bench = Bench::new(1);
    let observation = |number, time_ms| Observation {
        operation: operation(number),
        after: Sequence(50),
        time_ms,
        payload: b"seen".to_vec(),
    };
    let sign = |of, it| SignedObservations::sign(ReplicaId(of), vec![it], &domain(), &ToyKeys::of(of));
    let now_ms = WALL_MS + bench.now;
    let sets = [0, 2, 3].map(|of| sign(of, observation(7, now_ms))).to_vec();
    let batch = Batch { operations: vec![operation(7)], sets: sets.clone() };
    let proposal = bench.signed(0, bench.header_over(1, &batch), batch);
    assert_eq!(bench.decide(&proposal).len(), 1);
    let stale = sign(2, observation(8, now_ms - 10_001));
    for set in [sets[1].clone(), stale] {
        assert!(bench.hear(2, Message::Observe(set)).lookups.is_empty());
    }
    let fresh = sign(2, observation(8, now_ms - 10_000));
    assert_eq!(bench.hear(2, Message::Observe(fresh)).lookups.len(), 1);
}

#[test]
fn malformed_observation_is_a_fault_with_what_was_signed() {
    let mut bench = Bench::new(1);
    let set = bench.observed(2, 7, &[255]);
    let ready = bench.hear(2, Message::Observe(set.clone()));
    assert_eq!(
        ready.faults,
        [Fault::MalformedObservation { from: ReplicaId(2), set: Box::new(set), item: 0 }]
    );
    assert!(ready.lookups.is_empty());
}

#[test]
fn forged_observation_is_a_fault_and_opens_nothing() {
    let mut bench = Bench::new(1);
    let mut set = bench.observed(2, 7, b"seen");
    set.replica = ReplicaId(3);
    let ready = bench.hear(2, Message::Observe(set));
    assert!(matches!(ready.faults[..], [Fault::InvalidSignature { .. }]) && ready.lookups.is_empty());
    let nobody = bench.observed(9, 7, b"seen");
    assert!(matches!(bench.hear(2, Message::Observe(nobody)).faults[..], [Fault::UnknownReplica { .. }]));
}

#[test]
fn null_operation_cannot_be_requested() {
    let mut bench = Bench::new(1);
    let operation = Operation { kind: OperationKind::Null, subject: Vec::new() };
    let null = Message::Resolve { operation: operation.clone(), after: Sequence(0) };
    assert!(matches!(bench.hear(2, null).faults[..], [Fault::NullRequest { .. }]));
    assert_eq!(bench.step(Event::Request(operation.clone())).refused, [operation.digest()]);
}

#[test]
fn flood_of_requests_fills_the_account_of_its_origin_only() {
    let mut bench = Bench::new(1);
    let mut over = 0;
    for number in 0..5000 {
        over += bench.hear(2, resolve(number, 0)).faults.len();
    }
    assert_eq!(bench.replica.status().open_requests, OPEN_REQUESTS_PER_ORIGIN_MAX);
    assert_eq!(over, 5000 - OPEN_REQUESTS_PER_ORIGIN_MAX);
    assert_eq!(bench.hear(3, resolve(9999, 0)).lookups.len(), 1);
    assert_eq!(bench.step(Event::Request(operation(10_000))).lookups.len(), 1);
    (0..OPEN_REQUESTS_PER_ORIGIN_MAX as u64)
        .for_each(|it| drop(bench.step(Event::Request(operation(20_000 + it)))));
    assert_eq!(bench.step(Event::Request(operation(30_000))).refused.len(), 1);
}

#[test]
fn questions_asked_of_one_replica_alone_leave_it_the_room_for_its_own() {
    let mut bench = Bench::new(1);
    for number in 0..OPENED_BY_OBSERVATIONS_MAX as u64 + 100 {
        let set = bench.observed(2, number, b"asked of it by a liar");
        assert_eq!(bench.hear(2, Message::Observe(set)).faults, [], "replica 2 is honest");
    }
    assert_eq!(bench.replica.status().open_requests, OPENED_BY_OBSERVATIONS_MAX);
    assert_eq!(bench.hear(2, resolve(9999, 0)).lookups.len(), 1);
    let set = bench.observed(2, 9999, b"seen");
    bench.hear(2, Message::Observe(set));
    assert_eq!(bench.replica.observers(&operation(9999).digest()).len(), 1);
}

#[test]
fn bytes_held_of_one_observer_are_bounded_and_shared_among_those_who_asked() {
    let mut bench = Bench::new(1);
    let observe = |bench: &mut Bench, number: u64| {
        let set = bench.observed(2, number, &[7; 8000]);
        bench.hear(2, Message::Observe(set)).faults
    };
    for (asker, base) in [(3, 0), (0, 1000), (2, 2000)] {
        let mut faults = Vec::new();
        for number in base..base + 200 {
            bench.hear(asker, resolve(number, 0));
            faults.extend(observe(&mut bench, number));
        }
        let share = HELD_BYTES_PER_REPLICA_MAX / 4;
        let held = (0..200).filter(|it| !bench.replica.observers(&operation(base + it).digest()).is_empty());
        assert_eq!(held.count(), share / 8029, "asked by {asker}");
        // Only the observer itself has a hand in how long what it signs is.
        assert!(faults.iter().all(|fault| *fault == Fault::OverQuota { from: ReplicaId(2) }));
        assert_eq!(faults.len(), if asker == 2 { 200 - share / 8029 } else { 0 });
    }
    for number in 3000..3500 {
        observe(&mut bench, number);
        bench.step(Event::Request(operation(number + 1000)));
        observe(&mut bench, number + 1000);
    }
    assert!(bench.replica.status().held_bytes <= HELD_BYTES_PER_REPLICA_MAX);
}

#[test]
fn request_without_a_quorum_expires() {
    let mut bench = Bench::new(1);
    bench.step(Event::Request(operation(7)));
    let set = bench.observed(2, 7, b"seen");
    bench.hear(2, Message::Observe(set));
    (0..49).for_each(|_| drop(bench.wait(100)));
    assert_eq!(bench.replica.status().open_requests, 1);
    bench.wait(100);
    let status = bench.replica.status();
    assert_eq!((status.open_requests, status.held_bytes), (0, 0));
}

#[test]
fn request_with_a_quorum_that_nobody_proposes_expires_with_the_window() {
    let mut bench = Bench::new(1);
    for from in [0, 2, 3] {
        let set = bench.observed(from, 7, b"seen");
        bench.hear(from, Message::Observe(set));
    }
    (0..100).for_each(|_| drop(bench.wait(100)));
    assert_eq!(bench.replica.status().open_requests, 0);
}

#[test]
fn backup_relays_what_the_primary_does_not_propose_and_then_suspects_it() {
    let mut bench = Bench::new(1);
    for from in [0, 2, 3] {
        let set = bench.observed(from, 7, b"seen");
        bench.hear(from, Message::Observe(set));
    }
    assert!(observes(&bench.wait(39)).is_empty());
    let ready = bench.wait(1);
    let relayed: Vec<u8> = observes(&ready).iter().map(|set| set.replica.0).collect();
    assert_eq!(relayed, [0, 2, 3]);
    assert!(ready.send.iter().all(|(to, _)| *to == Recipients::One(ReplicaId(0))));
    assert!(!bench.wait(99).suspect);
    assert!(bench.wait(1).suspect && bench.replica.status().standing == Standing::Changing);
}

#[test]
fn primary_is_not_suspected_over_work_that_it_could_not_have_proposed() {
    let mut bench = Bench::new(1);
    bench.step(Event::Request(operation(7)));
    for from in [2, 3] {
        let set = bench.observed(from, 7, b"seen");
        bench.hear(from, Message::Observe(set));
    }
    assert!((0..40).all(|_| !bench.wait(100).suspect));
}

#[test]
fn primary_is_not_suspected_over_observations_that_do_not_count() {
    for lie_ms in [3_600_000i64, 10_001, -3_600_000] {
        let mut bench = Bench::new(1);
        let first = bench.proposal(1);
        bench.decide(&first);
        for (from, skew_ms) in [(0, 0), (2, 0), (3, lie_ms)] {
            let time_ms = (WALL_MS + bench.now).checked_add_signed(skew_ms).unwrap();
            let set = bench.observed_at(from, 7, b"seen", time_ms);
            bench.hear(from, Message::Observe(set));
        }
        for _ in 0..80 {
            let ready = bench.wait(50);
            assert!(!ready.suspect && observes(&ready).is_empty(), "{lie_ms} off");
        }
    }
}

#[test]
fn observations_that_have_grown_stale_are_not_relayed_and_make_nobody_suspect() {
    for told_ms in [20, 40] {
        stale_after(told_ms);
    }
}

fn stale_after(told_ms: u64) {
    let mut bench = Bench::new(1);
    for from in [0, 2, 3] {
        let set = bench.observed(from, 7, b"seen");
        bench.hear(from, Message::Observe(set));
    }
    bench.wait(told_ms);
    let sets = (0..4).map(|of| bench.observed_at(of, 8, b"seen", WALL_MS + bench.now + 11_000)).collect();
    let batch = Batch { operations: vec![operation(8)], sets };
    let proposal = bench.signed(0, bench.header_over(1, &batch), batch);
    bench.decide(&proposal);
    for _ in 0..80 {
        let ready = bench.wait(50);
        assert!(!ready.suspect && observes(&ready).is_empty());
    }
}

#[test]
fn primary_takes_relayed_observations() {
    let mut bench = Bench::new(0);
    let sets: Vec<SignedObservations> = [1, 2, 3].map(|of| bench.observed(of, 7, b"seen")).to_vec();
    let ready: Vec<Ready> = sets.into_iter().map(|set| bench.hear(1, Message::Observe(set))).collect();
    assert_eq!(proposals(&ready[2]).len(), 1);
}

#[test]
fn liar_that_tells_all_but_the_primary_delays_a_request_and_deposes_nobody() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.crash(2, 0);
    cluster.liars.insert(3);
    cluster.request(1, 7);
    cluster.run_for(8);
    let observation = Observation {
        operation: operation(7),
        after: Sequence(0),
        time_ms: WALL_MS + cluster.now,
        payload: operation(7).subject,
    };
    let set = SignedObservations::sign(ReplicaId(3), vec![observation], &domain(), &ToyKeys::of(3));
    cluster.whisper(3, 1, &Message::Observe(set));
    cluster.run_for(60);
    assert_eq!(cluster.counts.get("pre-prepare"), Some(&1), "the relay told the primary");
}

#[test]
fn open_requests_and_own_observations_are_told_to_a_newly_connected_peer() {
    let mut bench = Bench::new(1);
    bench.step(Event::Request(operation(7)));
    bench.step(Event::Request(operation(8)));
    saw(&mut bench, 7);
    bench.wait(2);
    let ready = bench.step(Event::Connected(ReplicaId(3)));
    assert_eq!(observes(&ready).len(), 1);
    assert!(ready.send.contains(&(Recipients::One(ReplicaId(3)), resolve(8, 0))));
}

#[test]
fn own_observation_that_is_malformed_or_too_long_is_refused() {
    let mut bench = Bench::new(1);
    for (number, payload) in [(1, vec![255]), (2, vec![]), (3, vec![1; OBSERVATION_BYTES_MAX])] {
        bench.step(Event::Request(operation(number)));
        let event = Event::Observed { operation: operation(number).digest(), time_ms: WALL_MS, payload };
        let ready = bench.step(event);
        assert_eq!(ready.refused, [operation(number).digest()]);
        assert!(observes(&ready).is_empty());
    }
}

#[test]
fn observation_that_nobody_asked_for_is_dropped() {
    let mut bench = Bench::new(1);
    let event = Event::Observed { operation: Digest::ZERO, time_ms: WALL_MS, payload: b"seen".to_vec() };
    assert!(bench.step(event).send.is_empty());
}

#[test]
fn observation_of_a_replica_with_a_wrong_clock_keeps_nobody_from_deciding() {
    for skew_ms in [-3_600_000i64, 3_600_000] {
        let mut bench = Bench::new(0);
        let first = bench.proposal(1);
        let mut proposed = Vec::new();
        for set in &first.batch.sets[1..] {
            proposed.extend(
                proposals(&bench.hear(set.replica.0, Message::Observe(set.clone()))).into_iter().cloned(),
            );
        }
        bench.decide(&proposed[0].clone());
        let skewed = (WALL_MS + bench.now).checked_add_signed(skew_ms).unwrap();
        let set = bench.observed_at(3, 7, b"seen", skewed);
        bench.hear(3, Message::Observe(set));
        bench.step(Event::Request(operation(7)));
        saw(&mut bench, 7);
        let mut observers = Vec::new();
        for from in [1, 2] {
            let set = bench.observed(from, 7, b"seen");
            let ready = bench.hear(from, Message::Observe(set));
            let sets = proposals(&ready).into_iter().flat_map(|proposal| proposal.batch.sets.clone());
            observers.extend(sets.map(|set| set.replica.0));
        }
        let ready = bench.wait(10);
        let sets = proposals(&ready).into_iter().flat_map(|proposal| proposal.batch.sets.clone());
        observers.extend(sets.map(|set| set.replica.0));
        assert_eq!(observers, [0, 1, 2], "skew {skew_ms}");
    }
}

#[test]
fn request_that_claims_to_have_seen_every_slot_starts_one_more_round_and_no_others() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.liars.insert(3);
    cluster.request(1, 7);
    let observation = Observation {
        operation: operation(7),
        after: Sequence(u64::MAX),
        time_ms: WALL_MS + cluster.now,
        payload: b"lie".to_vec(),
    };
    let set = SignedObservations::sign(ReplicaId(3), vec![observation], &domain(), &ToyKeys::of(3));
    for to in 0..3 {
        let after = Sequence(u64::MAX);
        cluster.whisper(3, to, &Message::Resolve { operation: operation(7), after });
        cluster.whisper(3, to, &Message::Observe(set.clone()));
    }
    cluster.run_for(2000);
    assert_eq!(cluster.operations(0), [7, 7]);
}

#[test]
fn observation_that_grew_stale_while_it_was_held_is_not_proposed() {
    let mut bench = Bench::new(0);
    let propose = |bench: &mut Bench, number: u64, from: &[u8]| {
        let mut proposed = Vec::new();
        for of in from {
            let set = bench.observed(*of, number, b"seen");
            proposed.extend(proposals(&bench.hear(*of, Message::Observe(set))).into_iter().cloned());
        }
        proposed.extend(proposals(&bench.wait(10)).into_iter().cloned());
        proposed
    };
    let first = propose(&mut bench, 1, &[1, 2, 3]).remove(0);
    bench.decide(&first);
    let old = bench.observed_at(3, 7, b"seen", bench.log.last().floor_ms);
    bench.hear(3, Message::Observe(old));
    let second = propose(&mut bench, 2, &[1, 2, 3]).remove(0);
    bench.decide(&second);
    bench.step(Event::Request(operation(7)));
    saw(&mut bench, 7);
    let third = propose(&mut bench, 7, &[1, 2]).remove(0);
    let observers: Vec<u8> = third.batch.sets.iter().map(|set| set.replica.0).collect();
    assert_eq!(observers, [0, 1, 2]);
}

#[test]
fn longest_observations_of_all_replicas_fit_into_one_batch_with_all_their_neighbours() {
    let mut small = parameters(0, 4, 1);
    small.batch_bytes = 8000;
    let most = small.observation_bytes_max();
    let mut bench = Bench::with(small);
    let after = Sequence(0);
    let longest = Operation { kind: OperationKind::Resolve, subject: vec![9; most / 2] };
    let payload = |of: u8| vec![of; most - longest.encoded_len() - 18];
    let mut proposed = Vec::new();
    for of in [1, 2, 3] {
        let time_ms = WALL_MS + bench.now;
        let observation = |operation, payload| Observation { operation, after, time_ms, payload };
        let mut observations = vec![observation(longest.clone(), payload(of))];
        observations
            .extend((0..15).map(|number| observation(operation(u64::from(of) * 100 + number), vec![1])));
        let set = SignedObservations::sign(ReplicaId(of), observations, &domain(), &ToyKeys::of(of));
        proposed.extend(proposals(&bench.hear(of, Message::Observe(set))).into_iter().cloned());
        if of == 2 {
            let event = Event::Observed { operation: longest.digest(), time_ms, payload: payload(9) };
            bench.step(event);
            bench.wait(2);
        }
    }
    proposed.extend(proposals(&bench.wait(10)).into_iter().cloned());
    assert_eq!((&proposed[0].batch.operations[..], proposed[0].batch.sets.len()), (&[longest][..], 4));
    assert!(proposed[0].batch.encoded_len() > 6000 && proposed[0].batch.encoded_len() <= 8000);
}
