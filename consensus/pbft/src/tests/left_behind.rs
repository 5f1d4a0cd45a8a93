//! Replicas that gave up a view alone, or missed one: how the others take them along, and that a liar gains no view after view by it.

use std::sync::Arc;

use certificate::{ReplicaId, View};

use super::bench::*;
use super::cluster::*;
use super::peers::*;
use super::view_changes::*;
use super::view_waits::*;
use crate::*;

#[test]
fn laggard_that_gives_up_an_old_view_gets_the_new_view_it_missed() {
    let mut bench = Bench::new(1);
    let others = bench.others_give_up(4);
    let ready = bench.enter(4, &others);
    let entered = ready.persist.iter().find_map(|record| match record {
        Record::Entered { new_view, .. } => Some(new_view.clone()),
        _ => None,
    });
    let new_view = entered.expect("the new view is stored");
    bench.wait(100);
    let ready = bench.hear_view_change(&gives_up(3, 2));
    assert!(ready.send.contains(&(Recipients::One(ReplicaId(3)), Message::NewView(new_view.clone()))));
    for named in &new_view.view_changes {
        bench.now += 100;
        let ready = bench.hear(3, Message::FetchViewChange { digest: named.1 });
        let given = ready.send.iter().any(|(to, message)| {
            *to == Recipients::One(ReplicaId(3))
                && matches!(message, Message::ViewChange(it) if it.digest() == named.1 && it.replica == named.0)
        });
        assert!(given, "and each view change that it names");
    }
}

#[test]
fn laggard_whose_status_shows_an_old_view_gets_what_brought_us_here() {
    let mut bench = Bench::new(1);
    let own = own_move(&mut bench, 3);
    bench.wait(100);
    let ready = bench.hear(0, Message::Status(PeerStatus::default()));
    assert!(ready.send.contains(&(Recipients::One(ReplicaId(0)), Message::ViewChange(own))));
}

/// Replica 3 says every 500 ms for 5 s that it gave up for `view`; gives when ours was given up, in milliseconds.
fn given_up_for_the_sake_of(bench: &mut Bench, view: u64) -> Vec<u64> {
    let lonely = gives_up(3, view);
    (0..10u64)
        .filter(|_| {
            bench.wait(500);
            !gave_up(&bench.hear_view_change(&lonely)).is_empty()
        })
        .map(|half| half * 500)
        .collect()
}

#[test]
fn replica_that_gave_up_alone_is_taken_along_after_two_seconds() {
    let mut bench = Bench::new(2);
    assert_eq!(given_up_for_the_sake_of(&mut bench, 1), [2000]);
    assert_eq!(bench.replica.status().view, View(1));
}

#[test]
fn one_voice_moves_a_replica_by_one_view_and_once_in_ten_minutes() {
    let mut bench = Bench::new(2);
    assert_eq!(given_up_for_the_sake_of(&mut bench, 3), [], "it is not that far ahead by itself");
    let mut bench = Bench::new(2);
    given_up_for_the_sake_of(&mut bench, 1);
    let others = bench.others_give_up(1);
    bench.enter(1, &others);
    assert_eq!(given_up_for_the_sake_of(&mut bench, 2), [], "not again so soon");
    bench.wait(600_000);
    assert_eq!(given_up_for_the_sake_of(&mut bench, 2).len(), 1);
}

#[test]
fn replicas_that_wait_in_one_view_do_not_answer_each_other_for_ever() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.crash(0, 0);
    cluster.crash(3, 0);
    for of in [0u8, 3] {
        for to in [1, 2] {
            let message = Message::ViewChange(Arc::new(gives_up(of, 3)));
            cluster.step(to, Event::Message { from: ReplicaId(of), message });
        }
    }
    cluster.run_for(20_000);
    assert_eq!(cluster.status(1).standing, Standing::Changing);
    assert!(cluster.counts["view-change"] < 60, "{:?}", cluster.counts);
}

#[test]
fn replica_that_gave_up_its_view_alone_is_taken_along_after_two_seconds() {
    let mut bench = Bench::new(1);
    assert_eq!(gave_up(&bench.hear_view_change(&gives_up(3, 1))), []);
    bench.wait(1999);
    assert_eq!(gave_up(&bench.hear_view_change(&gives_up(3, 1))), []);
    bench.wait(1);
    let relayed = Message::ViewChange(Arc::new(gives_up(3, 1)));
    assert_eq!(gave_up(&bench.hear(2, relayed)), [], "only itself can say that it still waits");
    assert_eq!(gave_up(&bench.hear_view_change(&gives_up(3, 1))).len(), 1);
}

#[test]
fn replica_that_gave_up_alone_waits_while_a_view_that_followed_a_failure_is_young() {
    let mut bench = after_three_failures();
    let began = bench.now;
    while gave_up(&bench.hear_view_change(&gives_up(3, 5))).is_empty() {
        bench.wait(500);
        assert!(bench.now < began + 60_000, "it is taken along at all");
    }
    assert_eq!(bench.now - began, 30_000);
}

#[test]
fn one_voice_that_is_heard_by_one_after_the_other_brings_no_view_after_view() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.liars.insert(3);
    for number in 0..100 {
        cluster.request(0, number);
        // Who has not heard it yet is told that it waits; once somebody moved, all hear that it wanted the same.
        let newest = (0..3).map(|id| cluster.status(id).view).max().unwrap();
        for to in 0..3 {
            let behind = cluster.status(to).view < newest;
            if behind || to as u64 == newest.0 {
                let wanted = if behind { newest } else { newest.next() };
                cluster.whisper(3, to, &Message::ViewChange(Arc::new(gives_up(3, wanted.0))));
            }
        }
        cluster.run_for(200);
    }
    for id in 0..3 {
        assert_eq!((cluster.status(id).view, cluster.operations(id).len()), (View(1), 100), "node {id}");
    }
}

#[test]
fn one_voice_moves_others_once_in_ten_minutes() {
    let mut bench = Bench::new(1);
    let mut moved = Vec::new();
    for minute in 0..25u64 {
        for _ in 0..20 {
            let view = bench.replica.status().view.0 + 1;
            if !gave_up(&bench.hear_view_change(&gives_up(3, view))).is_empty() {
                moved.push(minute);
                let others = bench.others_give_up(view);
                bench.enter(view, &others);
            }
            bench.now += 3000;
            bench.wait(0);
        }
    }
    assert_eq!(moved, [0, 10, 20]);
}

#[test]
fn replicas_that_gave_up_alone_bring_the_cluster_into_the_next_view() {
    let mut cluster = Cluster::calm(4, 1);
    for number in 0..3 {
        cluster.request(0, number);
        cluster.run_for(50);
    }
    // Node 3 alone holds work that the primary does not propose.
    cluster.cut.extend([(0, 3)]);
    cluster.request(3, 100);
    cluster.run_for(400);
    cluster.cut.clear();
    cluster.run_for(5000);
    for id in 0..4 {
        let status = cluster.status(id);
        assert_eq!(status.standing, Standing::Active, "node {id}");
        assert!(cluster.operations(id).contains(&100), "node {id}");
        assert_eq!(status.view, cluster.status(0).view);
    }
}

#[test]
fn one_voice_takes_nobody_further_than_the_next_view() {
    for view in [2, 4, 5, 100] {
        let mut bench = Bench::new(1);
        for _ in 0..10 {
            let moved = gave_up(&bench.hear_view_change(&gives_up(3, view)));
            assert!(moved.iter().all(|it| it.view == View(1)), "on the word of one that wants view {view}");
            bench.wait(1000);
        }
        assert!(bench.replica.status().view <= View(1));
    }
}
