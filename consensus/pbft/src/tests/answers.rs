//! Our own part in an open request: certified answers that are handed out instead of an observation, and what is looked up again.

use certificate::ReplicaId;

use super::bench::*;
use super::cluster::*;
use super::demand::*;
use super::toy::*;
use crate::*;

#[test]
fn certified_answer_of_a_peer_is_passed_on_only_for_an_own_request() {
    let mut bench = Bench::new(1);
    let answer = |number| Message::Answer { operation: operation(number).digest(), bytes: b"leaf".to_vec() };
    assert!(bench.hear(2, answer(7)).answers.is_empty());
    bench.hear(2, resolve(8, 0));
    assert!(bench.hear(2, answer(8)).answers.is_empty());
    bench.step(Event::Request(operation(7)));
    assert_eq!(bench.hear(2, answer(7)).answers, [(ReplicaId(2), operation(7).digest(), b"leaf".to_vec())]);
}

#[test]
fn one_certified_answer_of_each_peer_is_passed_on_each_time_that_we_ask() {
    let mut bench = Bench::new(1);
    let answer = |bytes: &[u8]| Message::Answer { operation: operation(7).digest(), bytes: bytes.to_vec() };
    let passed_on = |bench: &mut Bench| {
        let mut answers = Vec::new();
        for bytes in [b"one", b"two"] {
            for from in [2, 3] {
                answers.extend(bench.hear(from, answer(bytes)).answers.into_iter().map(|(from, ..)| from.0));
            }
        }
        answers
    };
    bench.step(Event::Request(operation(7)));
    assert_eq!(passed_on(&mut bench), [2, 3]);
    bench.step(Event::Request(operation(7)));
    assert_eq!(passed_on(&mut bench), [], "nobody was asked again");
    assert!(bench.wait(400).send.contains(&(Recipients::All, resolve(7, 0))));
    assert_eq!(passed_on(&mut bench), [2, 3]);
    let malformed =
        Event::Observed { operation: operation(7).digest(), time_ms: WALL_MS, payload: vec![255] };
    bench.step(malformed);
    assert!(bench.step(Event::Request(operation(7))).send.contains(&(Recipients::All, resolve(7, 0))));
    assert_eq!(passed_on(&mut bench), [2, 3]);
}

#[test]
fn certified_answer_is_handed_out_instead_of_a_lookup() {
    let mut bench = Bench::new(1);
    bench.hear(2, resolve(7, 0));
    let (to, operation, bytes) = (ReplicaId(2), operation(7).digest(), b"leaf".to_vec());
    let ready = bench.step(Event::Answer { to, operation, bytes: bytes.clone() });
    assert_eq!(ready.send, [(Recipients::One(to), Message::Answer { operation, bytes })]);
    let too_long = Event::Answer { to, operation, bytes: vec![0; ANSWER_BYTES_MAX + 1] };
    assert!(bench.step(too_long).send.is_empty());
}

fn hand_out(bench: &mut Bench, to: u8, number: u64) -> Ready {
    let (to, operation) = (ReplicaId(to), operation(number).digest());
    bench.step(Event::Answer { to, operation, bytes: b"certified".to_vec() })
}

fn origins(ready: &Ready) -> Vec<Option<ReplicaId>> {
    ready.lookups.iter().map(|lookup| lookup.origin).collect()
}

#[test]
fn name_whose_answer_expired_here_and_not_yet_there_is_decided() {
    for next in 1..4 {
        let mut cluster = Cluster::calm(4, 1);
        cluster.certified.extend([0, 2, 3]);
        cluster.request(1, 7);
        cluster.run_for(20);
        assert!(cluster.counts["answer"] >= 3, "the others hand out what is no use to node 1 any more");
        cluster.certified.clear();
        cluster.request(next, 7);
        cluster.run_for(if next == 1 { 500 } else { 30 });
        assert!((0..4).all(|id| cluster.operations(id) == [7]), "asked again at node {next}");
    }
}

#[test]
fn request_of_peers_alone_is_over_once_all_who_asked_have_a_certified_answer() {
    let mut bench = Bench::new(1);
    for from in [2, 3] {
        bench.hear(from, resolve(7, 0));
    }
    let ready = hand_out(&mut bench, 2, 7);
    let to: Vec<Recipients> = ready.send.iter().map(|(to, _)| *to).collect();
    assert_eq!(to, [2, 3].map(|peer| Recipients::One(ReplicaId(peer))));
    assert_eq!(bench.replica.status().open_requests, 0);
    assert_eq!(origins(&bench.hear(3, resolve(7, 0))), [Some(ReplicaId(3))]);
}

#[test]
fn request_of_this_host_is_looked_up_whatever_was_handed_out() {
    let mut bench = Bench::new(1);
    bench.hear(2, resolve(7, 0));
    assert_eq!(origins(&bench.step(Event::Request(operation(7)))), []);
    let ready = hand_out(&mut bench, 2, 7);
    assert_eq!(origins(&ready), [None]);
    assert!(ready.send.contains(&(Recipients::All, resolve(7, 0))));
}

#[test]
fn operation_whose_observers_were_handed_an_answer_is_looked_up_for_whoever_asks_next() {
    for asker in 0..4 {
        let mut bench = Bench::new(1);
        let set = bench.observed(2, 7, b"seen");
        bench.hear(2, Message::Observe(set.clone()));
        hand_out(&mut bench, 2, 7);
        let (ready, origin) = match asker {
            0 => {
                let set = bench.observed(0, 7, b"seen");
                (bench.hear(0, Message::Observe(set)), Some(ReplicaId(0)))
            }
            1 => (bench.step(Event::Request(operation(7))), None),
            2 => (bench.hear(2, Message::Observe(set)), Some(ReplicaId(2))),
            _ => (bench.hear(3, resolve(7, 0)), Some(ReplicaId(3))),
        };
        assert_eq!(origins(&ready), [origin]);
        assert_eq!(ready.send.contains(&(Recipients::All, resolve(7, 0))), asker == 1);
        assert_eq!(bench.hear(3, resolve(7, 0)).lookups, [], "one lookup at a time");
        assert_eq!(observes(&saw(&mut bench, 7)).len(), 1);
    }
}

#[test]
fn refused_observation_is_looked_up_again_for_this_host_alone() {
    let mut bench = Bench::new(1);
    bench.step(Event::Request(operation(7)));
    let digest = operation(7).digest();
    bench.step(Event::Observed { operation: digest, time_ms: WALL_MS, payload: vec![255] });
    assert_eq!(bench.hear(2, resolve(7, 0)).lookups, []);
    assert_eq!(origins(&bench.step(Event::Request(operation(7)))), [None]);
}

#[test]
fn own_observation_that_grew_stale_is_looked_up_again() {
    let mut bench = Bench::new(1);
    bench.step(Event::Request(operation(7)));
    saw(&mut bench, 7);
    assert_eq!(bench.hear(2, resolve(7, 0)).lookups, [], "what was seen counts");
    bench.now += 4000;
    let batch = (0..4).map(|of| bench.observed_at(of, 8, b"seen", WALL_MS + bench.now + 7000)).collect();
    let batch = Batch { operations: vec![operation(8)], sets: batch };
    let proposal = bench.signed(0, bench.header_over(1, &batch), batch);
    bench.decide(&proposal);
    assert_eq!(bench.hear(2, resolve(7, 1)).lookups.len(), 1);
}

#[test]
fn own_observation_that_the_primary_drops_is_looked_up_again() {
    let mut slow = parameters(0, 4, 1);
    slow.pace.pipeline = 1;
    let mut bench = Bench::with(slow);
    let mut proposed = Vec::new();
    for from in [1, 2, 3] {
        let set = bench.observed_at(from, 1, b"seen", WALL_MS + bench.now + 11_000);
        proposed.extend(proposals(&bench.hear(from, Message::Observe(set))).into_iter().cloned());
    }
    bench.step(Event::Request(operation(7)));
    saw(&mut bench, 7);
    bench.wait(2);
    for from in [1, 2] {
        let set = bench.observed(from, 7, b"seen");
        bench.hear(from, Message::Observe(set));
    }
    bench.decide(&proposed[0]);
    assert_eq!(bench.replica.observers(&operation(7).digest()).len(), 0, "all of them are stale now");
    assert_eq!(bench.replica.status().held_bytes, 0);
    assert_eq!(bench.hear(3, resolve(7, 1)).lookups.len(), 1);
}

#[test]
fn request_of_this_host_that_others_wait_long_to_hear_of_again_is_told_again_soon() {
    let mut bench = Bench::new(1);
    bench.step(Event::Request(operation(7)));
    saw(&mut bench, 7);
    for ms in [400, 800, 1600] {
        assert_eq!(observes(&bench.wait(ms)).len(), 1);
    }
    bench.step(Event::Request(operation(7)));
    assert_eq!(observes(&bench.wait(399)).len(), 0);
    assert_eq!(observes(&bench.wait(1)).len(), 1);
}

#[test]
fn certified_answers_for_one_peer_are_bounded_in_bytes() {
    let mut bench = Bench::new(1);
    let mut answered = 0;
    for _ in 0..100 {
        for from in [2, 3] {
            bench.hear(from, resolve(7, 0));
        }
        let (to, operation) = (ReplicaId(2), operation(7).digest());
        let ready = bench.step(Event::Answer { to, operation, bytes: vec![0; ANSWER_BYTES_MAX] });
        answered += ready.send.len();
    }
    assert_eq!(answered, 2 * (ANSWER_BYTES_PER_WINDOW_MAX / ANSWER_BYTES_MAX));
    bench.now += ANSWER_WINDOW_MS;
    bench.hear(2, resolve(7, 0));
    assert_eq!(hand_out(&mut bench, 2, 7).send.len(), 1);
}
