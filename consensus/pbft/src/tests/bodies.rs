//! Bodies of what a new view fixed: of whom they are asked, from whom they are taken, and who is to blame for garbage. Castro & Liskov 1999 §4.4.

use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, Sequence};

use super::bench::*;
use super::new_views::*;
use super::peers::*;
use super::toy::*;
use crate::*;

use MessageType::Prepare;

/// A bench that has entered view 2 with slot 1 fixed to a proposal whose body it lacks.
fn lacking() -> (Bench, PrePrepare, Ready) {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 1, proposal.header.digest())]));
    let ready = bench.enter(2, &others);
    (bench, proposal, ready)
}

#[test]
fn missing_body_is_asked_of_one_peer_after_the_other() {
    let (mut bench, proposal, ready) = lacking();
    let digest = proposal.header.digest();
    assert_eq!(sent(&ready, Prepare), []);
    let mut peers: Vec<(Recipients, Digest)> = asked(&ready);
    for _ in 0..3 {
        assert_eq!(asked(&bench.wait(19)), []);
        peers.extend(asked(&bench.wait(1)));
    }
    assert_eq!(peers, [0, 2, 3, 0].map(|peer| (Recipients::One(ReplicaId(peer)), digest)));
    let rounds = (0..200).filter(|_| !asked(&bench.wait(50)).is_empty()).count();
    assert!((20..=40).contains(&rounds), "twice a second after a while: {rounds} in 10 s");
}

#[test]
fn body_is_taken_from_whoever_has_it_and_garbage_of_nobody() {
    let (mut bench, proposal, _) = lacking();
    let (header, batch) = (proposal.header.clone(), proposal.batch.clone());
    let other = bench.proposal(8);
    let ready = bench.hear(3, Message::Batch { header: other.header, batch: other.batch.clone() });
    assert!(ready.faults.is_empty() && sent(&ready, Prepare).is_empty(), "nobody asked for that");
    let ready = bench.hear(3, Message::Batch { header: header.clone(), batch: other.batch });
    assert_eq!(ready.faults, [Fault::InvalidBatch { from: ReplicaId(3), sequence: Sequence(1) }]);
    let ready = bench.hear(3, Message::Batch { header: header.clone(), batch: Arc::default() });
    assert!(matches!(ready.faults[..], [Fault::InvalidBatch { .. }]) && sent(&ready, Prepare).is_empty());
    let ready = bench.hear(0, Message::Batch { header, batch });
    assert_eq!(sent(&ready, Prepare), [vote(Prepare, 2, 1, proposal.header.digest(), 1)]);
    assert!((0..100).all(|_| asked(&bench.wait(50)).is_empty()));
}

#[test]
fn body_that_nobody_lacks_is_not_looked_at() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let message = Message::Batch { header: proposal.header, batch: proposal.batch };
    let ready = bench.hear(3, message);
    assert!(ready.faults.is_empty() && ready.persist.is_empty() && bench.replica.status().slots == 0);
}

#[test]
fn body_that_comes_with_the_pre_prepare_of_the_new_primary_is_voted_for() {
    let (mut bench, proposal, _) = lacking();
    let again = bench.signed(2, proposal.header.clone(), (*proposal.batch).clone());
    let ready = bench.hear(2, Message::PrePrepare(again));
    assert_eq!(sent(&ready, Prepare).len(), 1);
}

#[test]
fn body_is_given_to_whoever_asks_whether_accepted_earlier_or_decided() {
    let mut bench = Bench::new(1);
    let first = bench.proposal(1);
    bench.decide(&first);
    let second = bench.proposal(2);
    bench.hear(0, Message::PrePrepare(second.clone()));
    let slots = || vec![claims_prepared(0, 1, first.header.digest()), claims_prepared(0, 2, null(2))];
    let others = [0, 2, 3].map(|of| claiming(of, 2, slots()));
    bench.enter(2, &others);
    for proposal in [first, second] {
        bench.now += 100;
        let (sequence, digest) = (proposal.header.sequence, proposal.header.digest());
        let ready = bench.hear(3, Message::FetchBatch { sequence, digest });
        let body = Message::Batch { header: proposal.header, batch: proposal.batch };
        assert!(ready.send.contains(&(Recipients::One(ReplicaId(3)), body)), "slot {sequence}");
    }
    bench.now += 100;
    assert_eq!(bench.hear(3, Message::FetchBatch { sequence: Sequence(1), digest: A }).send, []);
}

/// A bench that gave view 0 up, and was then sent by its primary what the others prepared there: that header, over another batch.
fn misled() -> (Bench, PrePrepare, [ViewChange; 3]) {
    let mut bench = Bench::new(1);
    let (proposal, other) = (bench.proposal(7), bench.proposal(8));
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 1, proposal.header.digest())]));
    for message in &others {
        bench.hear_view_change(message);
    }
    let garbled = bench.signed(0, proposal.header.clone(), (*other.batch).clone());
    assert_eq!(bench.hear(0, Message::PrePrepare(garbled)).faults, [], "it is kept for its body, not judged");
    (bench, proposal, others)
}

#[test]
fn garbage_of_a_primary_of_old_is_not_held_against_the_one_that_fixed_the_slot() {
    let (mut bench, proposal, others) = misled();
    let ready = bench.hear_new_view(&begins(&parameters(1, 4, 1), 2, &others.each_ref()));
    assert_eq!(ready.faults, []);
    let digest = proposal.header.digest();
    assert_eq!(asked(&ready), [(Recipients::One(ReplicaId(0)), digest)], "the body is asked for");
    let ready = bench.hear(3, Message::Batch { header: proposal.header, batch: proposal.batch });
    assert_eq!(sent(&ready, Prepare), [vote(Prepare, 2, 1, digest, 1)]);
}

#[test]
fn body_that_nobody_has_judged_is_not_passed_on() {
    let (mut bench, proposal, _) = misled();
    bench.now += 100;
    let (sequence, digest) = (Sequence(1), proposal.header.digest());
    assert_eq!(bench.hear(3, Message::FetchBatch { sequence, digest }).send, []);
}

#[test]
fn other_digest_of_the_new_primary_for_what_it_fixed_is_evidence() {
    let (mut bench, proposal, _) = lacking();
    let batch = bench.batch_of(9, &[0, 2, 3]);
    let second = bench.signed(2, bench.header_over(1, &batch), batch);
    let ready = bench.hear(2, Message::PrePrepare(second.clone()));
    let [Fault::Equivocation { first, second: other }] = &ready.faults[..] else {
        panic!("{:?}", ready.faults)
    };
    assert_eq!((first.vote.digest, other.vote.digest), (proposal.header.digest(), second.header.digest()));
    assert!(first.verify(&domain(), &ToyKeys::of(0)) && other.verify(&domain(), &ToyKeys::of(0)));
    assert_eq!(sent(&ready, Prepare), []);
}

#[test]
fn peer_that_asks_for_view_changes_and_bodies_without_end_is_served_one_at_a_time() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    let others = bench.others_give_up(2);
    bench.enter(2, &others);
    bench.wait(1000);
    let (sequence, body) = (Sequence(1), proposal.header.digest());
    let mut given = 0;
    for number in 0..300u64 {
        let known = others[number as usize % 3].digest();
        for digest in [known, Digest::of(&number.to_be_bytes())] {
            given += bench.hear(3, Message::FetchViewChange { digest }).send.len();
        }
        given += bench.hear(3, Message::FetchBatch { sequence, digest: body }).send.len();
    }
    assert_eq!(given, 1, "in one millisecond");
    let mut later = 0;
    for _ in 0..50 {
        let ready = bench.wait(1);
        let to_it = ready.send.iter().filter(|(to, it)| {
            *to == Recipients::One(ReplicaId(3))
                && matches!(it, Message::ViewChange(_) | Message::Batch { .. })
        });
        later += to_it.count();
    }
    assert!(later <= FETCHES_WAITING_MAX, "{later}");
    assert_eq!(
        bench.hear(0, Message::FetchBatch { sequence, digest: body }).send.len(),
        1,
        "nobody else waits"
    );
}
