//! Primaries that are killed or put to sleep.

use std::time::{Duration, Instant};

use system_tests::ask::Outcome;
use system_tests::scene::Scene;

/// From the death of a primary to the next certified answer, with the timers as they are by default.
const INTERRUPTION_MAX: Duration = Duration::from_millis(2500);

#[test]
fn killed_primary_is_replaced_within_two_and_a_half_seconds_and_nothing_certified_is_lost() {
    let mut scene = Scene::on_loopback();
    let (primary, view) = (scene.primary(1), scene.view(1));
    let killed = Instant::now();
    scene.cluster.kill_replica(primary);
    let next = scene.next_certified(killed, primary);
    let interruption = next.ended - killed;
    println!("certified again {interruption:.1?} after the kill");
    assert!(interruption <= INTERRUPTION_MAX, "{interruption:?}; what they say: {}", scene.account());
    scene.ask_again(killed, primary);
    scene.cluster.start_replica(primary);
    scene.reaches_view(primary, view + 1);
    scene.catches_up(primary);
    let (asks, summary) = scene.end();
    assert_eq!((summary.views.first(), summary.views.len() > 1), (Some(&0), true), "{summary:?}");
    // Whoever asks a replica that runs gets an answer, if perhaps SERVFAIL.
    let lost = asks.iter().find(|ask| ask.server != primary && matches!(ask.outcome, Outcome::Lost(_)));
    assert!(lost.is_none(), "{lost:?}");
}

#[test]
fn primary_that_slept_is_a_backup_when_it_wakes_and_nobody_is_blamed() {
    let scene = Scene::on_loopback();
    let (primary, view) = (scene.primary(1), scene.view(1));
    let slept = Instant::now();
    scene.cluster.signal(primary, libc::SIGSTOP);
    scene.next_certified(slept, primary);
    let next = scene.primary((primary + 1) % 4);
    assert_ne!(next, primary);
    scene.cluster.signal(primary, libc::SIGCONT);
    scene.reaches_view(primary, view + 1);
    scene.catches_up(primary);
    scene.end();
}

#[test]
fn three_primaries_that_are_killed_one_after_the_other_are_replaced_each_time() {
    let mut scene = Scene::on_loopback();
    let mut killed_before = Vec::new();
    for _ in 0..3 {
        let witness = (0..4).find(|id| Some(id) != killed_before.last()).expect("another replica");
        let primary = scene.primary(witness);
        let killed = Instant::now();
        scene.cluster.kill_replica(primary);
        scene.next_certified(killed, primary);
        scene.ask_again(killed, primary);
        scene.cluster.start_replica(primary);
        scene.catches_up(primary);
        scene.certifies(primary, 1);
        killed_before.push(primary);
    }
    killed_before.dedup();
    assert_eq!(killed_before.len(), 3, "each was another one: {killed_before:?}");
    let (_, summary) = scene.end();
    assert!(summary.views.len() >= 4, "{summary:?}");
}
