//! Replicas whose clock is wrong. Answers have honest times all the same: the judge holds each against when it was asked and received.

use std::time::Instant;

use serde_json::Value;
use system_tests::ask::Ask;
use system_tests::clock::WallClock;
use system_tests::scene::Scene;

const HOUR: i64 = 3600;
/// So many answers without an observation of a replica are no chance.
const LATEST: usize = 20;

/// Sets the clock of a replica off while it is asked, then right again.
fn goes_on_with_a_clock_off(replica: usize, seconds: i64) {
    let (mut cluster, upstream) = Scene::files();
    let folder = cluster.folder(replica);
    let clock = WallClock::in_charge_of(&mut cluster.surroundings[replica], &folder);
    let mut scene = Scene::begin(cluster, upstream, None);
    scene.wait_for("an observation of it to count", || {
        counted(&scene, replica).any(|counted| counted).then_some(())
    });
    let off = Instant::now();
    clock.set(seconds);
    scene.wait_for("none of its observations to count", || {
        let latest: Vec<bool> = counted(&scene, replica).take(LATEST).collect();
        (latest.len() == LATEST && !latest.contains(&true)).then_some(())
    });
    // Enough for checkpoints.
    (0..4).filter(|id| *id != replica).for_each(|id| scene.certifies(id, 40));
    scene.ask_again(off, replica);
    clock.set(0);
    scene.wait_for("an observation of it to count again", || {
        counted(&scene, replica).take(LATEST).any(|counted| counted).then_some(())
    });
    scene.catches_up(replica);
    scene.end();
}

/// Whether an observation of `replica` is behind each answer that another one certified, the latest answer first.
fn counted(scene: &Scene, replica: usize) -> impl Iterator<Item = bool> {
    let asks = scene.load.asks().into_iter().rev();
    let certified = asks.filter(move |ask| ask.is_certified() && ask.server != replica);
    certified.map(move |ask| observers(scene, &ask).contains(&(replica as u64)))
}

/// Whose observations are behind an answer.
fn observers(scene: &Scene, ask: &Ask) -> Vec<u64> {
    let path = format!("/v1/certificates?name={}", ask.name);
    let (status, body) = scene.cluster.http(ask.server, &path).expect("the replica that answered runs");
    assert_eq!(status, 200, "{body}");
    let decision: Value = serde_json::from_str(&body).expect("the decision is JSON");
    let observations = decision["observations"].as_array().expect("a list");
    observations.iter().map(|observation| observation["replica"].as_u64().expect("an id")).collect()
}

#[test]
fn primary_whose_clock_is_an_hour_ahead_stops_nothing() {
    goes_on_with_a_clock_off(0, HOUR);
}

#[test]
fn primary_whose_clock_is_an_hour_behind_stops_nothing() {
    goes_on_with_a_clock_off(0, -HOUR);
}

#[test]
fn backup_whose_clock_is_an_hour_ahead_stops_nothing() {
    goes_on_with_a_clock_off(2, HOUR);
}

#[test]
fn backup_whose_clock_is_an_hour_behind_stops_nothing() {
    goes_on_with_a_clock_off(2, -HOUR);
}
