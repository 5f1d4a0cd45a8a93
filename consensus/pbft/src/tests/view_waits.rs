//! How long a view change waits: when it is sent again, and how long a NEW-VIEW is waited for. Castro & Liskov 1999 §4.5.2.

use std::sync::Arc;

use certificate::{ReplicaId, Sequence, View};

use super::bench::*;
use super::peers::*;
use crate::*;

/// A bench that alone gave up view 0, over a request that its primary did not propose, and its view change.
fn alone(me: u8) -> (Bench, Arc<ViewChange>) {
    let mut bench = Bench::new(me);
    for from in (0..4).filter(|of| *of != me) {
        let set = bench.observed(from, 7, b"seen");
        bench.hear(from, Message::Observe(set));
    }
    bench.wait(40);
    let own = gave_up(&bench.wait(100)).remove(0);
    (bench, own)
}

#[test]
fn view_change_is_sent_again_at_growing_pauses_until_the_view_begins() {
    let (mut bench, own) = alone(3);
    let mut said = Vec::new();
    for step in 1..=100u64 {
        let again = gave_up(&bench.wait(100));
        assert!(again.iter().all(|it| *it == own), "the same bytes");
        said.extend((!again.is_empty()).then_some(step * 100));
    }
    assert_eq!(said, [200, 600, 1400, 3000, 5000, 7000, 9000]);
    let others = [0, 1, 2].map(|of| gives_up(of, 1));
    bench.enter(1, &others);
    assert!((0..20).all(|_| gave_up(&bench.wait(100)).iter().all(|it| it.view > View(1))));
}

#[test]
fn new_view_is_waited_for_only_once_n_f_replicas_want_the_view() {
    let (mut bench, _) = alone(3);
    bench.hear_view_change(&gives_up(2, 1));
    for _ in 0..1200 {
        assert_eq!(bench.wait(50).persist, []);
    }
    assert_eq!(bench.replica.status().view, View(1), "a minute later");
    bench.hear_view_change(&gives_up(0, 1));
    assert_eq!(bench.wait(999).persist, []);
    assert_eq!(gave_up(&bench.wait(1))[0].view, View(2), "a second after the third");
}

/// How long this replica waits in each view for the NEW-VIEW of a primary that is silent, while the others follow at once.
fn waits(bench: &mut Bench, from: u64, views: u64) -> Vec<u64> {
    let mut waits = Vec::new();
    for of in [2, 3] {
        bench.hear_view_change(&gives_up(of, from));
    }
    let mut view = from;
    while view < from + views {
        assert_eq!(bench.replica.status().view, View(view));
        let since = bench.now;
        while bench.replica.status().view == View(view) {
            bench.wait(100);
            assert!(bench.now < since + 200_000, "waits for ever in view {view}");
        }
        waits.push(bench.now - since);
        view += 1;
        for of in [2, 3] {
            bench.hear_view_change(&gives_up(of, view));
        }
        if bench.replica.parameters.replicas.primary(View(view)) == ReplicaId(1) {
            assert_eq!(bench.replica.status().standing, Standing::Active, "it begins its own view");
            view += 1;
            for of in [2, 3] {
                bench.hear_view_change(&gives_up(of, view));
            }
        }
    }
    waits
}

#[test]
fn wait_for_a_new_view_doubles_with_each_view_that_fails_up_to_a_minute() {
    let mut bench = Bench::new(1);
    assert_eq!(waits(&mut bench, 2, 9), [1000, 2000, 4000, 16_000, 32_000, 60_000, 60_000]);
}

/// A bench in view 4 after three views that came to nothing.
pub fn after_three_failures() -> Bench {
    let mut bench = Bench::new(1);
    waits(&mut bench, 2, 2);
    assert_eq!(bench.replica.views.failed, 3, "views 2, 3 and now 4");
    let others = [0, 2, 3].map(|of| gives_up(of, 4));
    bench.enter(4, &others);
    bench
}

#[test]
fn wait_shrinks_again_with_every_half_minute_of_a_view_that_decides() {
    let mut bench = after_three_failures();
    for number in 1..=100 {
        bench.decide_in(4, number);
    }
    assert_eq!(bench.replica.views.failed, 3, "not by slots alone");
    for halved in 1..=3 {
        bench.wait(29_999);
        bench.decide_in(4, 1000 + halved);
        assert_eq!(u64::from(bench.replica.views.failed), 4 - halved);
        bench.wait(1);
        assert_eq!(u64::from(bench.replica.views.failed), 4 - halved, "nor by time alone");
        bench.decide_in(4, 2000 + halved);
        assert_eq!(u64::from(bench.replica.views.failed), 3 - halved);
    }
    assert_eq!(waits(&mut bench, 6, 1), [1000]);
}

#[test]
fn slots_that_were_decided_in_a_lower_view_shrink_no_wait() {
    let mut bench = after_three_failures();
    bench.wait(30_000);
    for number in 1..=32 {
        bench.hear(2, Message::Status(PeerStatus { executed: Sequence(number), ..PeerStatus::default() }));
        bench.wait(30);
        let proposal = bench.proposal(number);
        let slot = bench.decided_slot(&proposal);
        bench.hear(2, Message::Slot(slot));
        bench.note(&proposal);
    }
    assert_eq!(bench.replica.status().executed, Sequence(32));
    assert_eq!(bench.replica.views.failed, 3);
}
