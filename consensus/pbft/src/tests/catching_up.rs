//! Catching up: slots and states that are fetched, peers that only pretend to help, and what those behind are served.

use std::sync::Arc;

use certificate::codec::Encode;
use certificate::{Digest, MessageType, ReplicaId, Sequence};

use super::bench::*;
use super::checkpoints::after;
use super::cluster::*;
use super::toy::*;
use crate::state::LogState;
use crate::*;

/// A part of the state that the others have, certified by replicas 0, 2 and 3.
pub fn chunk_of(bench: &Bench, offset: usize, length: usize) -> StateChunk {
    let bytes = bench.log.to_bytes();
    let votes = [0, 2, 3].map(|from| bench.checkpoint(from));
    let certificate = CheckpointCertificate {
        sequence: bench.log.executed(),
        digest: LogState::digest_of(&bytes),
        signers: votes.iter().map(|vote| vote.replica).collect(),
        signatures: votes.iter().map(|vote| vote.signature).collect(),
    };
    let end = bytes.len().min(offset + length);
    StateChunk {
        certificate,
        total: bytes.len() as u32,
        offset: offset as u32,
        bytes: bytes[offset..end].to_vec(),
    }
}

/// A bench at genesis whose peers are at slot 8, and which has just asked one of them.
fn behind() -> (Bench, u8) {
    let (others, _) = after(8);
    let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
    bench.log = others.log;
    let mut asked = None;
    for from in [0, 2, 3] {
        let status = PeerStatus { executed: Sequence(8), stable: Sequence(8), ..PeerStatus::default() };
        let ready = bench.hear(from, Message::Status(status));
        asked = asked.or(whom(&ready));
    }
    (bench, asked.expect("one peer is asked"))
}

/// Whom a step asks for slots.
fn whom(ready: &Ready) -> Option<u8> {
    ready.send.iter().find_map(|(to, message)| match (to, message) {
        (Recipients::One(to), Message::Fetch { .. }) => Some(to.0),
        _ => None,
    })
}

#[test]
fn one_peer_is_asked_at_a_time_and_the_next_after_its_time() {
    let (mut bench, first) = behind();
    assert_eq!(whom(&bench.wait(299)), None);
    let second = whom(&bench.wait(1)).expect("the time of the first is over");
    assert_ne!(first, second);
}

/// The chunks of a state of so many of them after slot 8, with their certificate, and a bench that has just asked a peer.
fn behind_a_large_state(chunks: usize) -> (Bench, u8, Vec<StateChunk>) {
    let (mut bench, peer) = behind();
    bench.log = LogState::genesis();
    let entries = (chunks * STATE_CHUNK_BYTES_MAX - 1000) / (8 + 32 + 8);
    for sequence in 1..=8u64 {
        let batch = bench.batch_of(sequence, &[0, 2, 3]);
        let header = bench.header_over(sequence, &batch);
        let used = (0..entries as u64).map(|it| (header.time_ms, Digest::of(&it.to_be_bytes())));
        let used = used.filter(|_| sequence == 8);
        bench.log.execute(&header, used, &bench.replica.parameters);
    }
    let whole = chunk_of(&bench, 0, usize::MAX / 2);
    let parts = whole.bytes.chunks(STATE_CHUNK_BYTES_MAX).enumerate();
    let part = |(place, bytes): (usize, &[u8])| StateChunk {
        offset: (place * STATE_CHUNK_BYTES_MAX) as u32,
        bytes: bytes.to_vec(),
        ..whole.clone()
    };
    let parts: Vec<StateChunk> = parts.map(part).collect();
    assert_eq!(parts.len(), chunks);
    (bench, peer, parts)
}

/// The parts of a state that a step asks for.
fn parts_asked(ready: &Ready) -> Vec<usize> {
    let asked = ready.send.iter().filter_map(|(_, message)| match message {
        Message::FetchState { offset, .. } => Some(*offset as usize / STATE_CHUNK_BYTES_MAX),
        _ => None,
    });
    asked.collect()
}

#[test]
fn state_is_taken_in_chunks_and_stands_for_the_slots_before_it() {
    let (mut bench, peer, parts) = behind_a_large_state(3);
    let ready = bench.hear(peer, Message::StableCheckpoint(parts[0].clone()));
    let next =
        |offset| (Recipients::One(ReplicaId(peer)), Message::FetchState { sequence: Sequence(8), offset });
    assert_eq!(ready.send, [next(parts[1].offset), next(parts[2].offset)]);
    bench.hear(peer, Message::StableCheckpoint(parts[1].clone()));
    let ready = bench.hear(peer, Message::StableCheckpoint(parts[2].clone()));
    assert_eq!(ready.discard_below, Some(Sequence(8)));
    assert_eq!(bench.replica.status().executed, Sequence(8));
    assert_eq!(bench.replica.log, bench.log);
}

#[test]
fn chunks_are_asked_for_ahead_and_taken_in_any_order_once() {
    let (mut bench, peer, parts) = behind_a_large_state(12);
    let mut hear = |part: usize| bench.hear(peer, Message::StableCheckpoint(parts[part].clone()));
    assert_eq!(parts_asked(&hear(0)), (1..9).collect::<Vec<_>>());
    assert_eq!(parts_asked(&hear(11)), [], "nobody asked for it yet");
    assert_eq!(parts_asked(&hear(2)), []);
    assert_eq!(parts_asked(&hear(1)), [9, 10]);
    assert_eq!(parts_asked(&hear(1)), []);
    assert_eq!(parts_asked(&hear(0)), []);
    assert_eq!(parts_asked(&hear(3)), [11]);
    for part in [10, 4, 9, 5, 8, 6, 7] {
        assert_eq!(parts_asked(&hear(part)), []);
    }
    assert_eq!(hear(11).discard_below, Some(Sequence(8)));
}

#[test]
fn announced_state_is_asked_for_from_its_beginning() {
    let (mut bench, peer, parts) = behind_a_large_state(2);
    let announced = StateChunk { bytes: Vec::new(), ..parts[0].clone() };
    let ready = bench.hear(peer, Message::StableCheckpoint(announced));
    assert_eq!(parts_asked(&ready), [0, 1]);
}

#[test]
fn chunk_at_another_place_or_of_another_length_than_it_can_have_is_garbage() {
    let short = |chunk: &mut StateChunk| chunk.bytes.truncate(1);
    let shifted = |chunk: &mut StateChunk| {
        chunk.offset += 1;
        chunk.bytes.remove(0);
    };
    let changes: [&dyn Fn(&mut StateChunk); 3] = [&short, &short, &shifted];
    let orders: [&[usize]; 3] = [&[0], &[0, 1], &[0, 1, 2]];
    for (order, change) in orders.into_iter().zip(changes) {
        let (mut bench, peer, parts) = behind_a_large_state(3);
        let (last, before) = order.split_last().unwrap();
        for part in before {
            assert_eq!(bench.hear(peer, Message::StableCheckpoint(parts[*part].clone())).faults, []);
        }
        let mut garbage = parts[*last].clone();
        change(&mut garbage);
        let ready = bench.hear(peer, Message::StableCheckpoint(garbage));
        assert!(matches!(ready.faults[..], [Fault::InvalidState { .. }]), "{order:?}: {:?}", ready.faults);
        assert!(whom(&ready).is_some_and(|next| next != peer), "the next peer is asked");
    }
}

#[test]
fn later_part_of_a_state_that_is_not_begun_is_nobodys_fault() {
    let (mut bench, peer, parts) = behind_a_large_state(3);
    let ready = bench.hear(peer, Message::StableCheckpoint(parts[1].clone()));
    assert_eq!((&ready.faults[..], whom(&ready)), (&[][..], None));
    let ready = bench.hear(peer, Message::StableCheckpoint(parts[0].clone()));
    assert_eq!(parts_asked(&ready), [1, 2], "the question stands");
}

#[test]
fn peer_that_sends_a_state_slowly_is_left_for_the_next_one() {
    let (mut bench, peer, parts) = behind_a_large_state(45);
    for part in parts {
        if let Some(next) =
            whom(&bench.hear(peer, Message::StableCheckpoint(part))).or(whom(&bench.wait(290)))
        {
            assert!(next != peer && bench.now > 9_000 && bench.now <= 12_000, "asked at {}", bench.now);
            return;
        }
    }
    panic!("the whole state was waited for");
}

#[test]
fn peer_that_goes_on_to_later_checkpoints_for_ever_is_left_for_the_next_one() {
    let (mut bench, peer) = behind();
    for sequence in (8..400).step_by(4) {
        let votes = [0, 2, 3].map(|from| checkpoint(from, sequence, Digest::ZERO));
        let certificate = CheckpointCertificate {
            sequence: Sequence(sequence),
            digest: Digest::ZERO,
            signers: votes.iter().map(|vote| vote.replica).collect(),
            signatures: votes.iter().map(|vote| vote.signature).collect(),
        };
        let announced = StateChunk { certificate, total: 1_000_000, offset: 0, bytes: Vec::new() };
        bench.hear(peer, Message::StableCheckpoint(announced));
        if let Some(next) = whom(&bench.wait(290)) {
            assert!(next != peer && bench.now > 9_000 && bench.now <= 12_000, "asked at {}", bench.now);
            return;
        }
    }
    panic!("the peer was waited for");
}

#[test]
fn peer_that_goes_on_to_a_later_checkpoint_starts_anew() {
    let (mut bench, peer, parts) = behind_a_large_state(45);
    bench.hear(peer, Message::StableCheckpoint(parts[0].clone()));
    bench.wait(290);
    let log = std::mem::replace(&mut bench.log, after(12).0.log);
    let whole = chunk_of(&bench, 0, usize::MAX / 2);
    bench.log = log;
    let mut announced = StateChunk { bytes: Vec::new(), ..whole };
    assert_eq!(parts_asked(&bench.hear(peer, Message::StableCheckpoint(announced.clone()))), [0]);
    assert_eq!(bench.hear(peer, Message::StableCheckpoint(parts[1].clone())).faults, [], "it was under way");
    announced.certificate.signers = [ReplicaId(0), ReplicaId(1), ReplicaId(2)].into_iter().collect();
    let ready = bench.hear(peer, Message::StableCheckpoint(announced));
    assert!(
        matches!(ready.faults[..], [Fault::InvalidState { .. }]),
        "another certificate for one checkpoint"
    );
}

#[test]
fn garbage_state_is_a_fault_and_costs_that_peer_its_turn() {
    let forged_certificate = |chunk: &mut StateChunk| chunk.certificate.signatures[0].0[0] ^= 1;
    let too_few = |chunk: &mut StateChunk| {
        chunk.certificate.signers = [ReplicaId(0), ReplicaId(2)].into_iter().collect();
        chunk.certificate.signatures.truncate(2);
    };
    let flipped = |chunk: &mut StateChunk| chunk.bytes[20] ^= 1;
    for change in [&forged_certificate as &dyn Fn(&mut StateChunk), &too_few, &flipped] {
        let (mut bench, peer) = behind();
        let mut chunk = chunk_of(&bench, 0, usize::MAX / 2);
        change(&mut chunk);
        let ready = bench.hear(peer, Message::StableCheckpoint(chunk));
        assert!(matches!(ready.faults[..], [Fault::InvalidState { .. }]), "{:?}", ready.faults);
        assert_eq!(bench.replica.status().executed, Sequence(0));
        assert!(whom(&ready).is_some_and(|next| next != peer), "the next peer is asked");
    }
}

#[test]
fn state_that_nobody_asked_for_is_not_taken() {
    let (mut bench, peer) = behind();
    let other = [0, 2, 3].into_iter().find(|id| *id != peer).unwrap();
    let chunk = chunk_of(&bench, 0, usize::MAX / 2);
    bench.hear(other, Message::StableCheckpoint(chunk));
    assert_eq!(bench.replica.status().executed, Sequence(0));
}

#[test]
fn fetched_slot_is_taken_by_its_certificate_without_own_prepare() {
    let (others, proposals) = after(1);
    let mut bench = Bench::new(1);
    let status = PeerStatus { executed: Sequence(1), ..PeerStatus::default() };
    bench.hear(2, Message::Status(status));
    bench.wait(30);
    let slot = others.decided_slot(&proposals[0]);
    let ready = bench.hear(2, Message::Slot(slot.clone()));
    assert_eq!(ready.decided.len(), 1);
    let body = Some((slot.header, slot.batch));
    assert_eq!(ready.persist, [Record::Decided { certificate: slot.certificate, body }]);
    assert!(ready.send.iter().all(|(_, message)| own_vote(message).is_none()), "no vote");
}

#[test]
fn body_that_the_roots_of_a_certified_header_do_not_bind_is_refused() {
    let mut bench = Bench::new(1);
    let status = PeerStatus { executed: Sequence(1), ..PeerStatus::default() };
    bench.hear(2, Message::Status(status));
    bench.wait(30);
    let proposal = bench.proposal(1);
    let mut slot = bench.decided_slot(&proposal);
    let mut sets = proposal.batch.sets.clone();
    let Item::Full(observation) = sets[3].items[0].clone() else { panic!("observed in full") };
    let other = Observation { operation: operation(2), ..observation.clone() };
    sets[3] = SignedObservations::sign(ReplicaId(3), vec![observation, other], &domain(), &ToyKeys::of(3));
    sets[3].items[1] = Item::Pruned(sets[3].items[1].digest(ReplicaId(3)));
    slot.batch = Batch { operations: proposal.batch.operations.clone(), sets }.into();
    let ready = bench.hear(2, Message::Slot(slot));
    assert!(matches!(ready.faults[..], [Fault::InvalidSlot { .. }]), "the same leaves by other evidence");
    let lie = bench.proposal_with(1, |header| header.leaves_root = Digest::of(b"lie"));
    let slot = bench.decided_slot(&lie);
    let ready = bench.hear(2, Message::Slot(slot));
    assert!(matches!(ready.faults[..], [Fault::InvalidSlot { .. }]), "other leaves, whoever signed them");
    assert_eq!(bench.replica.status().executed, Sequence(0));
}

#[test]
fn body_beside_the_certificate_of_an_accepted_slot_is_not_looked_at() {
    for restarted in [false, true] {
        let mut bench = Bench::new(1);
        let proposal = bench.proposal(1);
        bench.hear(0, Message::PrePrepare(proposal.clone()));
        if restarted {
            let parameters = bench.replica.parameters.clone();
            let records = std::iter::once(genesis(&parameters)).chain(bench.stored.clone());
            let toy = Toy { quorum: 3 };
            let replica = Replica::restore(parameters.clone(), toy, ToyKeys::of(1), records).unwrap();
            bench = Bench::of(replica, parameters);
        }
        let status = PeerStatus { executed: Sequence(1), ..PeerStatus::default() };
        bench.hear(2, Message::Status(status));
        bench.wait(30);
        let lie = Arc::new(bench.batch_of(2, &[0, 2, 3]));
        let slot = DecidedSlot { batch: lie, ..bench.decided_slot(&proposal) };
        let decided = bench.hear(2, Message::Slot(slot)).decided;
        assert_eq!(decided.len(), 1);
        assert_eq!(decided[0].operations, proposal.batch.operations);
        assert_eq!(decided[0].evidence, proposal.batch);
        let served = bench.hear(3, Message::Fetch { from: Sequence(1) }).send;
        let slot = bench.decided_slot(&proposal);
        assert!(served.contains(&(Recipients::One(ReplicaId(3)), Message::Slot(slot))));
    }
}

#[test]
fn slot_that_nobody_asked_for_is_not_taken() {
    let (others, proposals) = after(1);
    let mut bench = Bench::new(1);
    let slot = others.decided_slot(&proposals[0]);
    assert!(bench.hear(2, Message::Slot(slot)).decided.is_empty());
}

#[test]
fn own_requests_are_asked_again_after_the_slots_that_a_state_stands_for() {
    let (others, _) = after(8);
    let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
    bench.step(Event::Request(operation(100)));
    bench.hear(3, Message::Resolve { operation: operation(200), after: Sequence(0) });
    bench.log = others.log;
    let status = PeerStatus { executed: Sequence(8), stable: Sequence(8), ..PeerStatus::default() };
    let peer = whom(&bench.hear(2, Message::Status(status))).expect("the peer is asked");
    let ready = bench.hear(peer, Message::StableCheckpoint(chunk_of(&bench, 0, usize::MAX / 2)));
    let again = Message::Resolve { operation: operation(100), after: Sequence(8) };
    assert!(ready.send.contains(&(Recipients::All, again)));
    assert_eq!(ready.lookups.len(), 1, "the peer's own request is its own to repeat");
    assert_eq!(bench.replica.status().open_requests, 1);
}

#[test]
fn garbage_slot_is_a_fault_and_costs_that_peer_its_turn() {
    let (others, proposals) = after(2);
    let slot = others.decided_slot(&proposals[0]);
    let forged = |slot: &mut DecidedSlot| slot.certificate.signatures[1].0[5] ^= 1;
    let few = |slot: &mut DecidedSlot| {
        slot.certificate.signers = [ReplicaId(0), ReplicaId(2)].into_iter().collect();
        slot.certificate.signatures.truncate(2);
    };
    let body = |slot: &mut DecidedSlot| slot.batch = proposals[1].batch.clone();
    let header = |slot: &mut DecidedSlot| slot.header.time_ms += 1;
    let view = |slot: &mut DecidedSlot| slot.certificate.view = certificate::View(1);
    for change in [&forged as &dyn Fn(&mut DecidedSlot), &few, &body, &header, &view] {
        let mut bench = Bench::new(1);
        for from in [2, 3] {
            let status = PeerStatus { executed: Sequence(1), ..PeerStatus::default() };
            bench.hear(from, Message::Status(status));
        }
        let peer = whom(&bench.wait(30)).expect("a peer is asked");
        let mut garbage = slot.clone();
        change(&mut garbage);
        let ready = bench.hear(peer, Message::Slot(garbage));
        assert!(matches!(ready.faults[..], [Fault::InvalidSlot { .. }]) && ready.decided.is_empty());
        assert!(whom(&ready).is_some_and(|next| next != peer), "the next peer is asked");
    }
}

#[test]
fn peer_that_claims_to_be_ahead_and_never_helps_is_asked_less_and_less() {
    let mut bench = Bench::new(1);
    let status = PeerStatus { executed: Sequence(u64::MAX), ..PeerStatus::default() };
    let mut asked = 0;
    for _ in 0..1000 {
        asked += usize::from(whom(&bench.hear(2, Message::Status(status))).is_some());
        asked += usize::from(whom(&bench.wait(10)).is_some());
    }
    assert!((2..=15).contains(&asked), "asked {asked} times in 10 s");
}

#[test]
fn fetches_of_one_peer_are_served_one_at_a_time_and_a_bounded_number_waits() {
    let (mut bench, _) = after(3);
    let mut served = 0;
    for first in 1..1000 {
        served += bench.hear(2, Message::Fetch { from: Sequence(first % 3 + 1) }).send.len();
        served += bench.hear(2, Message::FetchState { sequence: Sequence(first), offset: 0 }).send.len();
    }
    assert_eq!(served, 3, "two slots and a status");
    assert_eq!(bench.hear(3, Message::Fetch { from: Sequence(1) }).send.len(), 4, "nobody else waits");
    let rounds =
        (0..100).filter(|_| bench.wait(1).send.iter().any(|(_, it)| matches!(it, Message::Status(_))));
    assert_eq!(rounds.count(), 3, "the same question waits once; there is no state");
    assert_eq!(bench.replica.deadline(), None);
}

#[test]
fn peer_waits_by_the_size_of_what_it_got() {
    let mut bench = Bench::new(1);
    for number in 1..=16 {
        let sets = (0..4).map(|of| bench.observed(of, number, &[7; 8000])).collect();
        let batch = Batch { operations: vec![operation(number)], sets };
        let proposal = bench.signed(0, bench.header_over(number, &batch), batch);
        bench.decide(&proposal);
    }
    let slots = |ready: &Ready| ready.send.iter().filter(|(_, it)| matches!(it, Message::Slot(_))).count();
    let ready = bench.hear(2, Message::Fetch { from: Sequence(1) });
    assert_eq!(slots(&ready), 8, "no more than 256 KiB for one question");
    assert!(matches!(ready.send.last(), Some((_, Message::Status(_)))));
    bench.hear(2, Message::Fetch { from: Sequence(9) });
    let waited = (1..100).find(|_| slots(&bench.wait(1)) > 0);
    assert_eq!(waited, Some(31), "about 8 KiB a millisecond");
}

/// A bench whose peer 3 has begun to take the state after slot 4, and which has since come to a stable checkpoint after slot 8.
fn serving() -> Bench {
    let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
    for number in 1..=8 {
        let proposal = bench.proposal(number);
        bench.decide(&proposal);
        if number == 4 {
            stabilize(&mut bench);
            assert_eq!(taken(&mut bench, 3, Message::Fetch { from: Sequence(1) }), Some(4));
        }
    }
    stabilize(&mut bench);
    bench
}

fn stabilize(bench: &mut Bench) {
    for from in [0, 2] {
        let vote = bench.checkpoint(from);
        bench.hear(from, Message::Checkpoint(vote));
    }
}

/// The checkpoint of which a peer gets a part when it asks.
fn taken(bench: &mut Bench, peer: u8, message: Message) -> Option<u64> {
    bench.now += 1;
    let ready = bench.hear(peer, message);
    ready.send.iter().find_map(|(to, message)| match message {
        Message::StableCheckpoint(chunk) if *to == Recipients::One(ReplicaId(peer)) => {
            Some(chunk.certificate.sequence.0)
        }
        _ => None,
    })
}

#[test]
fn state_that_a_peer_has_begun_to_take_is_kept_for_it() {
    let mut bench = serving();
    let part = || Message::FetchState { sequence: Sequence(4), offset: 0 };
    assert_eq!(taken(&mut bench, 3, part()), Some(4));
    assert_eq!(taken(&mut bench, 2, part()), Some(8), "for nobody else");
    for (peer, offset) in [(3, 7), (2, 0)] {
        bench.now += 1;
        let ready = bench.hear(peer, Message::FetchState { sequence: Sequence(4), offset: 7 });
        let [(_, Message::StableCheckpoint(chunk))] = &ready.send[..] else { panic!("{:?}", ready.send) };
        assert_eq!(chunk.offset, offset, "another state begins at its beginning");
    }
    assert_eq!(taken(&mut bench, 3, part()), Some(4));
    let status = PeerStatus { executed: Sequence(4), ..PeerStatus::default() };
    bench.hear(3, Message::Status(status));
    assert_eq!(taken(&mut bench, 3, part()), Some(8), "it has executed as much");
}

#[test]
fn state_that_a_peer_asks_for_no_more_is_not_kept() {
    for (idle_ms, kept) in [(9_000, 4), (11_000, 12)] {
        let mut bench = serving();
        bench.wait(idle_ms);
        for number in 9..=12 {
            let proposal = bench.proposal(number);
            bench.decide(&proposal);
        }
        stabilize(&mut bench);
        assert_eq!(bench.replica.status().stable, Sequence(12));
        let part = Message::FetchState { sequence: Sequence(4), offset: 0 };
        assert_eq!(taken(&mut bench, 3, part), Some(kept));
    }
    let mut bench = serving();
    bench.step(Event::Disconnected(ReplicaId(3)));
    let part = Message::FetchState { sequence: Sequence(4), offset: 0 };
    assert_eq!(taken(&mut bench, 3, part), Some(8), "nor for one that went");
}

#[test]
fn two_of_four_gone_and_one_back_after_several_checkpoints() {
    let mut cluster = Cluster::new(3, CALM, |id| tiny(parameters(id, 4, 1)));
    cluster.crash(3, 0);
    for number in 0..25 {
        cluster.request(0, number);
        cluster.run_for(50);
    }
    assert!(cluster.status(0).stable >= Sequence(20));
    cluster.request(0, 100);
    cluster.run_for(7);
    cluster.crash(2, 0);
    cluster.run_for(4000);
    let stuck = cluster.executed(0);
    cluster.restart(3);
    cluster.run_for(2000);
    assert!(cluster.executed(0) > stuck, "the slot in flight is decided without anybody's help");
    cluster.request(1, 200);
    cluster.run_for(500);
    for id in [0, 1, 3] {
        assert!(cluster.operations(id).contains(&200), "node {id}");
        assert_eq!(cluster.executed(id), cluster.executed(0));
    }
    cluster.restart(2);
    cluster.run_for(1000);
    assert_eq!(cluster.executed(2), cluster.executed(0));
}

#[test]
fn primary_that_comes_back_sends_its_open_proposals_again() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.request(1, 7);
    cluster.run_for(6);
    assert_eq!(cluster.counts.get("pre-prepare"), None);
    cluster.network.delay_ms = (50, 50);
    cluster.run_for(1);
    assert_eq!(cluster.counts.get("pre-prepare"), Some(&1), "on its way");
    for other in 1..4 {
        cluster.cut.insert((0, other));
    }
    cluster.run_for(60);
    cluster.crash(0, 10);
    cluster.cut.clear();
    cluster.network.delay_ms = (1, 1);
    cluster.restart(0);
    cluster.run_for(100);
    assert!((0..4).all(|id| cluster.operations(id) == [7]));
}

#[test]
fn decision_that_was_lost_on_the_way_is_fetched() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.cut_off(2);
    for number in 0..10 {
        cluster.request(0, number);
        cluster.run_for(30);
    }
    cluster.heal();
    cluster.run_for(100);
    assert_eq!(cluster.operations(2), (0..10).collect::<Vec<_>>());
    assert!(cluster.counts["slot"] >= 10 && cluster.counts["slot"] <= 20, "{:?}", cluster.counts);
}

#[test]
fn replica_that_is_stuck_says_so_and_repeats_its_votes_at_growing_pauses() {
    let mut patient = parameters(1, 4, 1);
    patient.timeouts.suspect_ms = 100_000;
    let mut bench = Bench::with(patient);
    let proposal = bench.proposal(7);
    let own = sent(&bench.hear(0, Message::PrePrepare(proposal)), MessageType::Prepare)[0];
    let mut said = Vec::new();
    for step in 1..=100u64 {
        let ready = bench.wait(100);
        let status =
            ready.send.iter().any(|(to, it)| *to == Recipients::All && matches!(it, Message::Status(_)));
        assert_eq!(status, ready.send.contains(&(Recipients::All, Message::Prepare(own))));
        said.extend(status.then_some(step * 100));
    }
    assert_eq!(said, [200, 600, 1400, 3000, 5000, 7000, 9000]);
}
