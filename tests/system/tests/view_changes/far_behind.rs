//! A replica that was away for many checkpoints.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use system_tests::cluster::READY;
use system_tests::load::flood;
use system_tests::program::eventually;
use system_tests::scene::Scene;

/// How many slots are decided while it is away, ten checkpoints: `QUORATE_SLOTS_AWAY=10000` makes it a hundred.
const SLOTS_AWAY: u64 = 1000;
/// Questions in flight at each of the others: more would share slots.
const IN_FLIGHT: usize = 2;
/// How long the others may need for that.
const FLOOD_MAX: Duration = Duration::from_secs(300);
/// From its start to its first certified answer to a new question.
const BACK_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn replica_that_was_away_for_ten_checkpoints_serves_within_five_seconds() {
    let away = 3;
    let slots =
        std::env::var("QUORATE_SLOTS_AWAY").map_or(SLOTS_AWAY, |number| number.parse().expect("a number"));
    let mut scene = Scene::on_loopback();
    scene.cluster.kill_replica(away);
    let servers: Vec<SocketAddr> = (0..3).map(|id| scene.cluster.dns_address(id)).collect();
    let executed = |scene: &Scene| scene.cluster.status(0)?["executed"].as_u64();
    let before = eventually("replica 0 to say how far it is", READY, || executed(&scene));
    let began = Instant::now();
    flood(&servers, ("flood", IN_FLIGHT), FLOOD_MAX, || {
        executed(&scene).is_some_and(|now| now >= before + slots)
    });
    println!("{slots} slots in {:.1?}", began.elapsed());
    let started = Instant::now();
    scene.cluster.start_replica(away);
    let what = "a certified answer of the replica that was away";
    let back = scene.wait_for(what, || scene.load.first_certified(started, |ask| ask.server == away));
    let needed = back.ended - started;
    println!("served {needed:.1?} after its start");
    assert!(needed <= BACK_WITHIN, "{needed:?}; log:\n{}", scene.cluster.log(away));
    scene.catches_up(away);
    scene.end();
}
