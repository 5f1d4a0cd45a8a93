//! Two observations of one replica for one request: which is held. No message of a liar keeps a primary from proposing what a backup tells it.

use std::sync::Arc;

use certificate::{ReplicaId, Sequence, View};

use super::bench::*;
use super::cluster::*;
use super::demand::*;
use super::peers::*;
use super::toy::*;
use crate::*;

/// What the liar says that it saw, so much later than now.
fn lie(cluster: &Cluster, number: u64, later_ms: i64) -> SignedObservations {
    let observation = Observation {
        operation: operation(number),
        after: Sequence(0),
        time_ms: (WALL_MS + cluster.now).checked_add_signed(later_ms).unwrap(),
        payload: operation(number).subject,
    };
    SignedObservations::sign(ReplicaId(3), vec![observation], &domain(), &ToyKeys::of(3))
}

/// A backup of an idle cluster asks for something that the primary looks up slowly. The liar says to the primary, one after the other, and to one
/// backup that it saw it so much later than now; and it gives up the view. The view in which it ends.
fn one_message(said_to_the_primary: &[i64], said_to_a_backup: i64) -> View {
    let mut cluster = Cluster::calm(4, 1);
    cluster.liars.insert(3);
    cluster.slow_lookups.insert(0, 700);
    cluster.request(1, 7);
    cluster.run_for(2);
    for later_ms in said_to_the_primary {
        cluster.whisper(3, 0, &Message::Observe(lie(&cluster, 7, *later_ms)));
        cluster.run_for(1);
    }
    cluster.whisper(3, 1, &Message::Observe(lie(&cluster, 7, said_to_a_backup)));
    cluster.run_for(60);
    for to in 0..3 {
        cluster.whisper(3, to, &Message::ViewChange(Arc::new(gives_up(3, 1))));
    }
    cluster.run_for(1200);
    assert!((0..3).all(|id| cluster.operations(id) == [7]), "decided everywhere, once");
    cluster.status(1).view
}

#[test]
fn observation_that_cannot_count_keeps_no_primary_from_proposing_what_a_backup_tells_it() {
    let said = [
        (&[11_000][..], 0),
        (&[10_020], 0),
        (&[3_600_000], -3000),
        (&[0, 11_000], 0),
        (&[11_000, 0, 12_000], 0),
        (&[10_020], -3_600_000),
    ];
    for (first, second) in said {
        let view = one_message(first, second);
        assert_eq!(view, View(0), "{first:?} to the primary, {second} to a backup");
    }
}

/// The time of what the bench holds of replica 3 for a request, behind now.
fn held_ms(bench: &Bench, number: u64) -> Option<i64> {
    let request = bench.replica.requests.of(&operation(number).digest())?;
    let held = request.observations.get(&ReplicaId(3))?;
    Some(held.observation.time_ms as i64 - (WALL_MS + bench.now) as i64)
}

/// Replica 3 says one after the other when it saw something; what is held of it then, when these others said that they saw it now.
fn holds(others: &[u8], said_ms: &[i64]) -> Option<i64> {
    let mut bench = Bench::new(0);
    let first = bench.proposal(1);
    for set in &first.batch.sets[1..] {
        bench.hear(set.replica.0, Message::Observe(set.clone()));
    }
    bench.decide(&first);
    bench.now += 1000;
    for from in others {
        let set = bench.observed(*from, 7, b"seen");
        bench.hear(*from, Message::Observe(set));
    }
    for later_ms in said_ms {
        let time_ms = (WALL_MS + bench.now).checked_add_signed(*later_ms).unwrap();
        let set = bench.observed_at(3, 7, b"seen", time_ms);
        bench.hear(1, Message::Observe(set));
    }
    held_ms(&bench, 7)
}

#[test]
fn observation_that_counts_is_held_in_place_of_one_that_does_not_in_whatever_order_they_come() {
    for (good, bad) in [(0, 11_000), (-500, 10_001), (10_000, 10_001)] {
        for said in [[good, bad], [bad, good]] {
            assert_eq!(holds(&[1, 2], &said), Some(good), "{said:?}");
        }
    }
}

#[test]
fn latest_of_those_that_count_is_held() {
    for said in [[-500, 0], [0, -500], [0, -10_900]] {
        assert_eq!(holds(&[1, 2], &said), Some(0), "{said:?}");
    }
    assert_eq!(holds(&[1, 2], &[0, 9000]), Some(9000));
}

#[test]
fn before_others_have_observed_it_what_is_far_ahead_of_the_own_clock_gives_way() {
    for others in [&[][..], &[1]] {
        for (better, worse) in [(0, 11_000), (0, 5001), (-3000, 5001), (5000, 0), (0, -500), (11_000, 12_000)]
        {
            for said in [[better, worse], [worse, better]] {
                assert_eq!(holds(others, &said), Some(better), "{others:?}: {said:?}");
            }
        }
    }
}

#[test]
fn clock_that_is_slow_keeps_nobody_from_telling_a_primary_anew() {
    let mut bench = Bench::new(0);
    for later_ms in [3_600_000, 3_600_500, 3_601_000] {
        for from in [1, 2, 3] {
            let set = bench.observed_at(from, 7, b"seen", WALL_MS + bench.now + later_ms);
            bench.hear(from, Message::Observe(set));
        }
    }
    let ready = bench.wait(10);
    let held = |from| {
        bench.replica.slots[&Sequence(1)]
            .accepted
            .as_ref()
            .unwrap()
            .proposal
            .batch
            .sets
            .iter()
            .any(|set| set.replica == ReplicaId(from))
    };
    assert!(proposals(&ready).len() <= 1 && [1, 2, 3].into_iter().all(held));
}

#[test]
fn what_grew_stale_gives_way_even_to_what_is_ahead_of_the_own_clock() {
    let mut bench = Bench::new(1);
    let old = bench.observed(3, 7, b"seen");
    bench.hear(3, Message::Observe(old));
    let later_ms = WALL_MS + bench.now + 12_000;
    let sets = (0..4).map(|of| bench.observed_at(of, 8, b"seen", later_ms)).collect();
    let batch = Batch { operations: vec![operation(8)], sets };
    let proposal = bench.signed(0, bench.header_over(1, &batch), batch);
    bench.decide(&proposal);
    let set = bench.observed_at(3, 7, b"seen", later_ms);
    bench.hear(3, Message::Observe(set));
    assert_eq!(held_ms(&bench, 7), Some(12_000));
}

#[test]
fn observations_from_before_a_pause_do_not_keep_out_those_from_after_it() {
    let mut small = parameters(0, 4, 1);
    small.observation_window_ms = 1000;
    let mut bench = Bench::with(small);
    for from in [1, 2] {
        let set = bench.observed(from, 7, b"seen");
        bench.hear(from, Message::Observe(set));
    }
    bench.now += 3000;
    for (from, proposed) in [(3, false), (1, true)] {
        let set = bench.observed(from, 7, b"seen");
        let ready = bench.hear(from, Message::Observe(set));
        assert_eq!(!proposals(&ready).is_empty(), proposed, "after that of replica {from}");
    }
}

#[test]
fn bytes_of_what_is_replaced_are_free_again() {
    let mut bench = Bench::new(1);
    for later_ms in 0..50 {
        let set = bench.observed_at(3, 7, &[7; 4000], WALL_MS + bench.now + later_ms);
        bench.hear(3, Message::Observe(set));
        assert!((4000..4100).contains(&bench.replica.status().held_bytes));
    }
    (0..60).for_each(|_| drop(bench.wait(100)));
    assert_eq!(bench.replica.status().held_bytes, 0);
}

#[test]
fn set_with_two_observations_of_one_request_leaves_the_better_one() {
    for said_ms in [[0, 11_000], [11_000, 0]] {
        let mut bench = Bench::new(1);
        for from in [0, 2] {
            let set = bench.observed(from, 7, b"seen");
            bench.hear(from, Message::Observe(set));
        }
        let observations = said_ms.map(|later_ms| Observation {
            operation: operation(7),
            after: Sequence(0),
            time_ms: WALL_MS + bench.now + later_ms,
            payload: b"seen".to_vec(),
        });
        let set = SignedObservations::sign(ReplicaId(3), observations.to_vec(), &domain(), &ToyKeys::of(3));
        bench.hear(3, Message::Observe(set));
        assert_eq!(held_ms(&bench, 7), Some(0), "{said_ms:?}");
    }
}

/// Seven replicas of which two lie: the backup holds five that count together. The primary holds one of an honest replica besides, which makes the
/// median earlier.
#[test]
fn one_honest_observation_more_keeps_no_primary_from_proposing() {
    let seen = |bench: &Bench, from: u8, later_ms: i64| {
        bench.observed_at(from, 7, b"seen", (WALL_MS + bench.now).checked_add_signed(later_ms).unwrap())
    };
    let all = [(1, -300), (2, -300), (3, 0), (5, 9900), (6, 9900), (4, -300)];
    let mut backup = Bench::with(parameters(1, 7, 2));
    let mut primary = Bench::with(parameters(0, 7, 2));
    for (from, later_ms) in &all[1..5] {
        let set = seen(&backup, *from, *later_ms);
        backup.hear(*from, Message::Observe(set));
    }
    backup.step(Event::Request(operation(7)));
    let time_ms = WALL_MS + backup.now - 300;
    backup.step(Event::Observed { operation: operation(7).digest(), time_ms, payload: b"seen".to_vec() });
    backup.wait(2);
    assert!(!observes(&backup.wait(40)).is_empty(), "the backup holds five that count together");
    let mut proposed = Vec::new();
    for (from, later_ms) in all.iter().rev() {
        let set = seen(&primary, *from, *later_ms);
        proposed.extend(proposals(&primary.hear(1, Message::Observe(set))).into_iter().cloned());
    }
    proposed.extend(proposals(&primary.wait(10)).into_iter().cloned());
    assert_eq!(proposed.len(), 1);
    assert!(proposed[0].batch.sets.len() >= 5);
}

/// A request whose quorum stands with the liar's time, at the edge of the window, and others that are older. What the primary proposes, by number.
fn batches(edge_first: bool) -> Vec<Vec<u64>> {
    let mut bench = Bench::new(0);
    let first = bench.proposal(1);
    let mut ready = Vec::new();
    for set in &first.batch.sets[1..] {
        ready.push(bench.hear(set.replica.0, Message::Observe(set.clone())));
    }
    bench.now += 100;
    let mut bring = |bench: &mut Bench, number: u64, times: [(u8, i64); 3]| {
        for (from, later_ms) in times {
            let time_ms = (WALL_MS + bench.now).checked_add_signed(later_ms).unwrap();
            let set = bench.observed_at(from, number, b"seen", time_ms);
            ready.push(bench.hear(from, Message::Observe(set)));
        }
        bench.now += 2;
    };
    let edge = [(1, 0), (2, 0), (3, 9950)];
    let old = |number: u64| [1, 2, 3].map(|of| (of, -(500 + number as i64)));
    // While the first slot is in flight, one more of each kind of place fills the pipeline.
    for number in [2, 3] {
        bring(&mut bench, number, old(number));
    }
    let numbers: &[u64] = if edge_first { &[100, 10, 11, 12] } else { &[10, 11, 100, 12] };
    for number in numbers {
        bring(&mut bench, *number, if *number == 100 { edge } else { old(*number) });
    }
    ready.push(bench.wait(10));
    let mut batches = Vec::new();
    let mut pending: Vec<PrePrepare> = ready.iter().flat_map(|ready| proposals(ready)).cloned().collect();
    while !pending.is_empty() {
        let proposal = pending.remove(0);
        let number = |it: &Operation| u64::from_be_bytes(it.subject[..8].try_into().unwrap());
        batches.push(proposal.batch.operations.iter().map(number).collect());
        let (sequence, digest) = (proposal.header.sequence.0, proposal.header.digest());
        for phase in [certificate::MessageType::Prepare, certificate::MessageType::Commit] {
            for from in 1..4 {
                let vote = vote(phase, 0, sequence, digest, from);
                let message = match phase {
                    certificate::MessageType::Prepare => Message::Prepare(vote),
                    _ => Message::Commit(vote),
                };
                pending.extend(proposals(&bench.hear(from, message)).into_iter().cloned());
            }
        }
        bench.note(&proposal);
        pending.extend(proposals(&bench.wait(2)).into_iter().cloned());
    }
    batches
}

#[test]
fn entry_that_does_not_count_beside_older_ones_waits_for_the_next_batch_where_it_is_the_first() {
    assert_eq!(batches(false), [vec![1], vec![2], vec![3], vec![10, 11], vec![100], vec![12]]);
    assert_eq!(batches(true), [vec![1], vec![2], vec![3], vec![100], vec![10, 11, 12]]);
}

#[test]
fn observer_whose_observation_gives_way_to_a_better_one_of_his_is_helped_all_the_same() {
    let mut bench = Bench::new(1);
    let ahead = |bench: &Bench, later_ms| bench.observed_at(3, 7, b"seen", WALL_MS + bench.now + later_ms);
    let first = ahead(&bench, 11_000);
    bench.hear(3, Message::Observe(first));
    let operation = operation(7).digest();
    bench.step(Event::Answer { to: ReplicaId(3), operation, bytes: b"certified".to_vec() });
    let mut forged = ahead(&bench, 12_000);
    forged.signature.0[0] ^= 1;
    let ready = bench.hear(2, Message::Observe(forged));
    assert!(ready.lookups.is_empty() && matches!(ready.faults[..], [Fault::InvalidSignature { .. }]));
    let again = ahead(&bench, 12_000);
    assert_eq!(bench.hear(3, Message::Observe(again)).lookups.len(), 1);
    assert_eq!(held_ms(&bench, 7), Some(11_000));
}
