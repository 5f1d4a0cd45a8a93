//! Fairness: which primary is deposed over work that it leaves undone, and which is not. Castro & Liskov 1999 §4.4, Clement et al. 2009 §4.2.

use certificate::{ReplicaId, View};

use super::bench::*;
use super::cluster::*;
use super::demand::*;
use super::peers::*;
use super::toy::*;
use crate::*;

/// Lets replica 1 hold a quorum of observations for a request.
fn hold(bench: &mut Bench, number: u64) {
    for from in [0, 2, 3] {
        let set = bench.observed(from, number, b"seen");
        bench.hear(from, Message::Observe(set));
    }
}

/// Whether the primary is given up while it decides one slot of another request every 30 ms for so long; how long it took.
fn given_up_within(bench: &mut Bench, ms: u64, mut each: impl FnMut(&mut Bench, u64)) -> Option<u64> {
    let start = bench.now;
    let mut number = 1_000_000;
    while bench.now < start + ms {
        for _ in 0..3 {
            if bench.wait(10).suspect {
                return Some(bench.now - start);
            }
        }
        number += 1;
        each(bench, number);
        if bench.replica.status().standing != Standing::Active {
            return Some(bench.now - start);
        }
    }
    None
}

fn decide(bench: &mut Bench, number: u64) {
    let proposal = bench.proposal(number);
    bench.decide(&proposal);
}

#[test]
fn silent_primary_is_given_up_after_the_relay_and_one_wait() {
    let mut bench = Bench::new(1);
    hold(&mut bench, 7);
    let due = (1..1000).find(|_| bench.wait(1).suspect);
    assert_eq!(due, Some(140), "told after 40 ms, suspected 100 ms later");
}

#[test]
fn primary_that_leaves_one_request_out_is_given_up_although_slots_are_decided() {
    let mut bench = Bench::new(1);
    hold(&mut bench, 7);
    let due = given_up_within(&mut bench, 5000, |bench, number| {
        hold(bench, number);
        decide(bench, number);
    });
    assert!(
        due.is_some_and(|due| (400..=470).contains(&due)),
        "overtaken by two waits, after two more: {due:?}"
    );
}

#[test]
fn primary_that_starves_a_request_with_work_of_its_own_is_given_up() {
    let mut bench = Bench::new(1);
    hold(&mut bench, 7);
    let due = given_up_within(&mut bench, 5000, decide);
    assert!(due.is_some_and(|due| (1000..=1100).contains(&due)), "after ten waits: {due:?}");
}

#[test]
fn primary_that_rests_between_its_batches_while_work_piles_up_is_given_up() {
    let due = backlog(parameters(1, 4, 1), 1, 60);
    assert!(due.is_some_and(|due| due < 1500), "90 ms for each is just under the timer: {due:?}");
}

#[test]
fn slow_primary_that_nobody_waits_for_is_kept() {
    let mut bench = Bench::new(1);
    let due = given_up_within(&mut bench, 5000, |bench, number| {
        if number % 3 == 0 {
            hold(bench, number);
            decide(bench, number);
        }
    });
    assert_eq!(due, None);
}

#[test]
fn overloaded_primary_that_serves_in_its_own_order_of_arrival_is_kept() {
    let mut bench = Bench::new(1);
    for number in [1, 2] {
        bench.now += 1;
        hold(&mut bench, number);
    }
    for number in 10..20 {
        assert!((0..3).all(|_| !bench.wait(10).suspect));
        decide(&mut bench, number);
    }
    let proposal = bench.proposal(2);
    let mut ready = bench.decide(&proposal);
    assert!(!bench.wait(2).suspect, "the other one was a millisecond later there, and is in the next batch");
    let proposal = bench.proposal(1);
    ready.extend(bench.decide(&proposal));
    assert_eq!(ready.len(), 2);
    assert!((0..40).all(|_| !bench.wait(10).suspect));
}

/// A backlog of 80 requests, of which the primary proposes so many in each batch; a batch takes 30 ms, and the next one is on its way when the
/// last is decided, or so much later.
fn backlog(parameters: Parameters, each: u64, pause_ms: u64) -> Option<u64> {
    let mut bench = Bench::with(parameters);
    for number in 0..80 {
        hold(&mut bench, number);
    }
    let (mut next, mut flying) = (0, None::<PrePrepare>);
    let mut resume_ms = 0;
    given_up_within(&mut bench, 2000, |bench, _| {
        if let Some(proposal) = flying.take() {
            bench.decide(&proposal);
            resume_ms = bench.now + pause_ms;
        }
        if bench.now < resume_ms || next + each > 80 {
            return;
        }
        let numbers: Vec<u64> = (next..next + each).collect();
        next += each;
        let mut sets: Vec<SignedObservations> = numbers
            .iter()
            .flat_map(|number| [0, 2, 3].map(|of| bench.observed(of, *number, b"seen")))
            .collect();
        sets.sort_by_key(|set| (set.replica, set.signature));
        let batch = Batch { operations: numbers.into_iter().map(operation).collect(), sets };
        let proposal = bench.signed(0, bench.header_over(bench.log.executed().0 + 1, &batch), batch);
        bench.hear(0, Message::PrePrepare(proposal.clone()));
        flying = Some(proposal);
    })
}

#[test]
fn overloaded_primary_that_keeps_the_pipeline_busy_is_kept() {
    for suspect_ms in [50, 100] {
        let mut parameters = parameters(1, 4, 1);
        parameters.timeouts.suspect_ms = suspect_ms;
        assert_eq!(backlog(parameters, 1, 0), None);
    }
}

#[test]
fn what_waited_longest_is_proposed_first_in_a_new_view() {
    let mut slow = parameters(1, 4, 1);
    slow.pace.entries = 1;
    slow.timeouts.suspect_ms = 10_000;
    let mut bench = Bench::with(slow);
    for number in 1..=9 {
        bench.now += 1;
        hold(&mut bench, number);
    }
    bench.now += 5;
    let others = bench.others_give_up(1);
    let entered = bench.enter(1, &others);
    let waited = bench.wait(2);
    let proposed: Vec<&Operation> = [&entered, &waited]
        .iter()
        .flat_map(|ready| proposals(ready))
        .map(|it| &it.batch.operations[0])
        .collect();
    assert_eq!(proposed, [&operation(1), &operation(2), &operation(3)]);
}

#[test]
fn request_that_a_silent_primary_held_is_decided_under_the_next_one() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.liars.insert(0);
    cluster.request(2, 7);
    cluster.run_for(400);
    for id in 1..4 {
        assert_eq!((cluster.operations(id), cluster.status(id).view), (vec![7], View(1)), "node {id}");
    }
}

#[test]
fn requests_outlive_f_silent_primaries_in_a_row() {
    let mut cluster = Cluster::calm(10, 3);
    cluster.liars.extend([0, 1, 2]);
    cluster.request(5, 7);
    cluster.run_for(4500);
    for id in 3..10 {
        assert_eq!((cluster.operations(id), cluster.status(id).view), (vec![7], View(3)), "node {id}");
    }
}

#[test]
fn proposal_of_a_failed_view_that_nobody_prepared_is_proposed_again() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.request(1, 7);
    cluster.run_for(7);
    // Its PRE-PREPARE reaches one backup, and then the primary is gone.
    cluster.cut.extend([(0, 2), (0, 3)]);
    cluster.run_for(2);
    assert_eq!(cluster.counts.get("pre-prepare"), Some(&1));
    cluster.crash(0, 0);
    cluster.run_for(2000);
    for id in 1..4 {
        assert_eq!(cluster.operations(id), [7], "node {id}");
        assert!(cluster.status(id).view > View(0));
    }
}

#[test]
fn replica_that_slept_blames_nobody_for_that_time() {
    for asleep_ms in [200, 600, 9000] {
        let mut bench = Bench::new(1);
        hold(&mut bench, 7);
        bench.wait(40);
        let ready = bench.wait(asleep_ms);
        assert!(!ready.suspect, "asleep for {asleep_ms} ms");
        let due = (1..1000).find(|_| bench.wait(1).suspect);
        assert_eq!(due, Some(100), "awake after {asleep_ms} ms it waits as long as ever");
    }
}

#[test]
fn replica_that_is_called_a_little_late_waits_no_longer() {
    let mut bench = Bench::new(1);
    hold(&mut bench, 7);
    bench.wait(40);
    assert!(bench.wait(150).suspect, "50 ms late is not asleep");
}

#[test]
fn replica_that_slept_through_the_wait_for_a_new_view_waits_on() {
    let mut bench = Bench::new(1);
    for of in [2, 3] {
        bench.hear_view_change(&gives_up(of, 2));
    }
    bench.wait(200);
    assert!(gave_up(&bench.wait(30_000)).iter().all(|it| it.view == View(2)));
    assert_eq!(bench.replica.status().view, View(2));
    (0..20).for_each(|_| drop(bench.wait(100)));
    assert_eq!(bench.replica.status().view, View(3));
}

#[test]
fn primary_suspects_not_itself() {
    let mut bench = Bench::new(0);
    for from in [1, 2, 3] {
        let set = bench.observed(from, 7, b"seen");
        bench.hear(from, Message::Observe(set));
    }
    assert!((0..100).all(|_| !bench.wait(50).suspect));
    assert_eq!(bench.replica.status().primary, Some(ReplicaId(0)));
}
