//! Replicas that lost their log: they follow, and vote only when what they forgot can do no harm.

use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, Sequence, View};

use super::bench::*;
use super::cluster::*;
use super::peers::*;
use super::toy::*;
use crate::*;

fn learner_of(parameters: Parameters) -> Bench {
    let (toy, keys) = (Toy { quorum: parameters.replicas.quorum() }, ToyKeys::of(parameters.me.0));
    Bench::of(Replica::learner(parameters.clone(), toy, keys), parameters)
}

/// Replica 3 of four without its log.
fn learner() -> Bench {
    learner_of(parameters(3, 4, 1))
}

/// Says where some peers stand.
fn told(bench: &mut Bench, peers: impl IntoIterator<Item = u8>, view: u64, executed: u64) {
    let (view, executed) = (View(view), Sequence(executed));
    for peer in peers {
        bench.hear(peer, Message::Status(PeerStatus { view, executed, ..PeerStatus::default() }));
    }
}

/// Lets the others begin a view, and this replica follow.
fn follow(bench: &mut Bench, view: u64) -> Ready {
    let replicas = bench.replica.parameters.replicas;
    let me = bench.replica.parameters.me;
    let others: Vec<ViewChange> =
        replicas.ids().filter(|of| *of != me).map(|of| gives_up(of.0, view)).collect();
    for one in &others {
        assert_eq!(gave_up(&bench.hear_view_change(one)), [], "a learner gives up no view");
    }
    let named: Vec<&ViewChange> = others[..replicas.view_change_quorum()].iter().collect();
    let ready = bench.hear_new_view(&begins(&bench.replica.parameters, view, &named));
    assert_eq!(bench.replica.status().view, View(view));
    ready
}

fn signs(said: &[Ready]) -> bool {
    let phases =
        [MessageType::PrePrepare, MessageType::Prepare, MessageType::Commit, MessageType::Checkpoint];
    said.iter().any(|ready| phases.iter().any(|phase| !sent(ready, *phase).is_empty()))
}

/// Follows slots of a view until it votes; gives how many it took, at most so many.
fn slots_until_it_votes(bench: &mut Bench, view: u64, most: u64) -> Option<u64> {
    for number in 1..=most {
        let said = bench.decide_in(view, bench.log.executed().0 + 1);
        assert!(!signs(&said) || bench.replica.status().standing == Standing::Active);
        if bench.replica.status().standing == Standing::Active {
            return Some(number);
        }
    }
    None
}

#[test]
fn learner_follows_and_signs_nothing() {
    let mut bench = learner_of(tiny(parameters(3, 4, 1)));
    assert!(bench.replica.status().standing == Standing::Learning && bench.replica.peer_status().learner);
    let mut decided = 0;
    for number in 1..=8 {
        let said = bench.decide_in(0, number);
        assert!(!signs(&said));
        decided += said.iter().map(|ready| ready.decided.len()).sum::<usize>();
    }
    assert_eq!(decided, 8);
    for _ in 0..100 {
        let ready = bench.wait(100);
        assert!(!ready.suspect && !signs(&[ready]));
    }
}

#[test]
fn learner_votes_two_pipelines_beyond_what_it_heard_in_a_view_above() {
    let mut bench = learner();
    told(&mut bench, [0, 1, 2], 0, 5);
    follow(&mut bench, 1);
    assert_eq!(slots_until_it_votes(&mut bench, 1, 20), Some(11));
    assert_eq!(bench.stored.iter().filter(|record| **record == Record::Voter).count(), 1);
    assert!(signs(&bench.decide_in(1, 100)));
}

#[test]
fn learner_that_heard_too_few_does_not_vote() {
    for (count, faults, heard, votes) in
        [(4, 1, 2, false), (4, 1, 3, true), (7, 2, 4, false), (7, 2, 5, true)]
    {
        let mut bench = learner_of(parameters(count as u8 - 1, count, faults));
        told(&mut bench, 0..heard, 0, 0);
        follow(&mut bench, 1);
        let voted = slots_until_it_votes(&mut bench, 1, 20);
        assert_eq!(voted, votes.then_some(6), "{heard} of {count}");
    }
}

#[test]
fn learner_does_not_vote_in_a_view_that_began_at_or_below_what_it_heard() {
    for (view, votes) in [(1, false), (2, false), (4, true)] {
        let mut bench = learner();
        told(&mut bench, [0, 1], 0, 0);
        told(&mut bench, [2], 2, 0);
        follow(&mut bench, view);
        assert_eq!(slots_until_it_votes(&mut bench, view, 20), votes.then_some(6), "view {view}");
    }
}

#[test]
fn learner_does_not_vote_in_view_0_whatever_it_executes() {
    let mut bench = learner();
    told(&mut bench, [0, 1, 2], 0, 0);
    assert_eq!(slots_until_it_votes(&mut bench, 0, 30), None);
}

#[test]
fn first_word_of_each_peer_counts_and_other_learners_have_none() {
    let mut bench = learner();
    told(&mut bench, [0, 1, 2], 0, 5);
    told(&mut bench, [0, 1, 2], 0, 0);
    follow(&mut bench, 1);
    assert_eq!(slots_until_it_votes(&mut bench, 1, 20), Some(11));
    let mut bench = learner();
    told(&mut bench, [0, 1], 0, 0);
    bench.hear(2, Message::Status(PeerStatus { learner: true, ..PeerStatus::default() }));
    follow(&mut bench, 1);
    assert_eq!(slots_until_it_votes(&mut bench, 1, 20), None);
}

#[test]
fn peer_that_claims_too_much_keeps_no_learner_from_voting() {
    let most = (View(u64::MAX), Sequence(u64::MAX));
    for (view, executed) in [(most.0, Sequence(0)), (View(0), most.1), most] {
        let mut bench = learner_of(parameters(6, 7, 2));
        bench.hear(5, Message::Status(PeerStatus { view, executed, ..PeerStatus::default() }));
        told(&mut bench, 0..4, 0, 0);
        follow(&mut bench, 1);
        assert_eq!(slots_until_it_votes(&mut bench, 1, 20), None, "four honest ones are too few");
        told(&mut bench, [4], 0, 0);
        bench.wait(1);
        assert_eq!(bench.replica.status().standing, Standing::Active);
    }
}

#[test]
fn learner_follows_into_a_view_that_its_forgotten_view_change_is_part_of() {
    let mut bench = learner();
    let forgotten = claiming(3, 1, vec![claims_voted(0, 1, Digest::of(b"forgotten"))]);
    let view_changes = [gives_up(0, 1), gives_up(1, 1), forgotten];
    bench.hear_new_view(&begins(&parameters(1, 4, 1), 1, &view_changes.each_ref()));
    for one in &view_changes {
        let ready = bench.hear(1, Message::ViewChange(Arc::new(one.clone())));
        assert!(ready.faults.is_empty() && gave_up(&ready).is_empty());
    }
    assert_eq!(bench.replica.status().view, View(1));
}

#[test]
fn learner_follows_into_a_view_that_it_began_before_it_forgot() {
    let mut bench = learner();
    let view_changes = [0, 1, 3].map(|of| gives_up(of, 3));
    let new_view = Message::NewView(Arc::new(begins(&parameters(3, 4, 1), 3, &view_changes.each_ref())));
    bench.hear(0, new_view);
    for one in &view_changes {
        bench.hear(0, Message::ViewChange(Arc::new(one.clone())));
    }
    assert_eq!(bench.replica.status().view, View(3));
    let set = bench.observed(0, 7, b"seen");
    bench.hear(0, Message::Observe(set));
    assert!((0..20).all(|_| !signs(&[bench.wait(10)])), "and proposes nothing in it");
}

#[test]
fn learner_comes_back_as_a_learner_until_it_votes() {
    let parameters = tiny(parameters(3, 4, 1));
    let mut bench = learner_of(parameters.clone());
    let (cluster_digest, me) = (parameters.cluster_digest, parameters.me);
    let mut records = vec![Record::Learner { cluster_digest, me }];
    told(&mut bench, [0, 1, 2], 0, 0);
    follow(&mut bench, 1);
    let mut stable = [0, 0];
    for number in 1..=16 {
        bench.decide_in(1, number);
        if number % 4 == 0 {
            for from in [0, 1, 2] {
                bench.hear(from, Message::Checkpoint(bench.checkpoint(from)));
            }
        }
        for record in std::mem::take(&mut bench.stored) {
            let standing = bench.replica.status().standing;
            if let Record::Stable { voter, .. } = &record {
                assert_eq!(*voter, standing == Standing::Active);
                stable[usize::from(*voter)] += 1;
                records.clear();
            }
            records.push(record);
        }
        let standing = bench.replica.status().standing;
        assert_eq!(standing == Standing::Active, number >= 6, "after {number} slots");
        let toy = Toy { quorum: 3 };
        let back =
            Replica::restore(parameters.clone(), toy, ToyKeys::of(3), records.iter().cloned()).unwrap();
        assert_eq!((back.status().standing, back.status().view), (standing, View(1)), "after {number} slots");
        assert_eq!(back.status().executed, bench.replica.status().executed);
    }
    assert!(stable[0] > 0 && stable[1] > 0, "the log was cut before and after: {stable:?}");
}

#[test]
fn every_cut_of_a_learners_log_is_a_learner_or_has_the_record_that_it_votes() {
    let parameters = parameters(3, 4, 1);
    let mut bench = learner();
    told(&mut bench, [0, 1, 2], 0, 0);
    follow(&mut bench, 1);
    (1..=8).for_each(|number| drop(bench.decide_in(1, number)));
    let (cluster_digest, me) = (parameters.cluster_digest, parameters.me);
    let mut records = vec![Record::Learner { cluster_digest, me }];
    records.extend(bench.stored);
    for cut in 1..=records.len() {
        let kept = records[..cut].iter().cloned();
        let back = Replica::restore(parameters.clone(), Toy { quorum: 3 }, ToyKeys::of(3), kept).unwrap();
        let votes = records[..cut].contains(&Record::Voter);
        assert_eq!(back.status().standing == Standing::Active, votes, "cut {cut}");
    }
}

#[test]
fn learner_that_follows_is_given_a_view_to_begin_in_once_in_ten_minutes() {
    let mut bench = Bench::new(1);
    bench.replica.parameters.timeouts.view_change_ms = 100;
    let said = PeerStatus { learner: true, ..PeerStatus::default() };
    let mut given = Vec::new();
    for minute in 0..25u64 {
        for _ in 0..6 {
            let view = bench.replica.status().view;
            let ready = bench.hear(3, Message::Status(PeerStatus { view, ..said }));
            given.extend(gave_up(&ready).iter().map(|_| minute));
            if bench.replica.status().standing == Standing::Changing {
                let view = bench.replica.status().view.0;
                let others = bench.others_give_up(view);
                bench.enter(view, &others);
            }
            bench.now += 10_000;
            bench.wait(0);
        }
    }
    assert_eq!(given, [0, 10, 20]);
}

#[test]
fn learner_that_does_not_follow_yet_is_given_no_view() {
    let mut bench = Bench::new(1);
    for number in 1..=4 {
        let proposal = bench.proposal(number);
        bench.decide(&proposal);
    }
    let view = View(0);
    let said = |executed, view| PeerStatus {
        view,
        executed: Sequence(executed),
        learner: true,
        ..PeerStatus::default()
    };
    for status in [said(0, view), said(4, View(1)), PeerStatus { learner: false, ..said(4, view) }] {
        assert_eq!(gave_up(&bench.hear(3, Message::Status(status))), [], "{status:?}");
    }
    let ready = bench.hear(3, Message::Status(said(1, view)));
    assert_eq!(gave_up(&ready).len(), 1, "within a pipeline");
}

#[test]
fn liar_that_claims_to_learn_costs_one_view_in_ten_minutes() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.liars.insert(3);
    for number in 0..60 {
        cluster.request(0, number);
        for to in 0..3 {
            let status = cluster.status(to);
            let (view, executed) = (status.view, status.executed);
            let lie = PeerStatus { view, executed, learner: true, ..PeerStatus::default() };
            cluster.whisper(3, to, &Message::Status(lie));
        }
        cluster.run_for(1000);
    }
    for id in 0..3 {
        assert_eq!((cluster.status(id).view, cluster.operations(id).len()), (View(1), 60), "node {id}");
    }
}

#[test]
fn replica_that_lost_its_log_votes_again_and_the_cluster_goes_on() {
    for lost in 0..4 {
        let mut cluster = Cluster::new(7, CALM, |id| tiny(parameters(id, 4, 1)));
        for number in 0..10 {
            cluster.request(1, number);
            cluster.run_for(40);
        }
        cluster.lose_log(lost);
        for number in 10..40 {
            cluster.request((lost + 1) % 4, number);
            cluster.run_for(100);
        }
        assert_eq!(cluster.status(lost).standing, Standing::Active, "{lost}: {:?}", cluster.status(lost));
        // With another one gone the cluster lives only by its votes.
        cluster.crash((lost + 1) % 4, 0);
        for number in 100..105 {
            cluster.request(lost, number);
            cluster.run_for(3000);
        }
        assert!(cluster.operations(lost).ends_with(&[100, 101, 102, 103, 104]), "{lost}");
    }
}

#[test]
fn own_request_of_a_learner_is_decided() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.request(0, 1);
    cluster.run_for(50);
    cluster.lose_log(2);
    cluster.run_for(50);
    cluster.request(2, 7);
    cluster.run_for(3000);
    assert!(cluster.operations(2).contains(&7));
}

#[test]
fn log_of_a_learner_is_that_of_its_replica() {
    let parameters = parameters(3, 4, 1);
    let record = Record::Learner { cluster_digest: parameters.cluster_digest, me: ReplicaId(2) };
    let back = Replica::restore(parameters, Toy { quorum: 3 }, ToyKeys::of(3), std::iter::once(record));
    assert!(matches!(back.err(), Some(RestoreError::OtherLog { found: ReplicaId(2), .. })));
}

#[test]
fn proposal_of_an_old_view_takes_no_place_of_what_the_new_view_fixed() {
    let mut bench = learner();
    told(&mut bench, [0, 1, 2], 0, 1);
    let decided: Vec<Digest> = (1..=6)
        .flat_map(|number| bench.decide_in(0, number))
        .flat_map(|ready| ready.decided)
        .map(|decided| decided.header.digest())
        .collect();
    let old = |bench: &Bench, sequence, number| {
        let batch = bench.batch_of(number, &[0, 1, 2]);
        bench.signed(0, bench.header_over(sequence, &batch), batch)
    };
    let (seventh, other) = (old(&bench, 7, 70), old(&bench, 8, 80));
    let fixed = seventh.header.digest();
    bench.hear(0, Message::PrePrepare(seventh));
    let moves = [0, 1, 2].map(|of| {
        let mut slots: Vec<SlotClaim> =
            (4..=6).map(|slot| claims_prepared(0, slot, decided[slot as usize - 1])).collect();
        slots.extend([claims_voted(0, 7, fixed), claims_voted(0, 8, Digest::of(b"fixed"))]);
        let decided = Some(commits(0, 6, decided[5], &[0, 1, 2]));
        signed(ViewChange { decided, ..claiming(of, 1, slots) })
    });
    moves.iter().for_each(|one| drop(bench.hear_view_change(one)));
    bench.hear_new_view(&begins(&bench.replica.parameters, 1, &moves.each_ref()));
    bench.hear(0, Message::PrePrepare(other));
    let mut said = Vec::from([0, 1, 2].map(|from| {
        let commit = vote(MessageType::Commit, 1, 7, fixed, from);
        bench.hear(from, Message::Commit(commit))
    }));
    assert_eq!(bench.replica.status().standing, Standing::Active);
    let touch = vote(MessageType::Prepare, 1, 8, Digest::of(b"fixed"), 2);
    said.push(bench.hear(2, Message::Prepare(touch)));
    let voted: Vec<Digest> =
        said.iter().flat_map(|ready| sent(ready, MessageType::Prepare)).map(|vote| vote.digest).collect();
    assert!(voted.iter().all(|digest| decided.contains(digest)), "re-votes what was decided, and no more");
}
