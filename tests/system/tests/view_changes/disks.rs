//! A primary whose disk is full: what it cannot write it does not say.

use std::time::Instant;

use system_tests::cluster::READY;
use system_tests::disk::SmallDisk;
use system_tests::privilege;
use system_tests::program::eventually;
use system_tests::scene::Scene;

/// Room for the log's first segment of 16 MiB, for a second one and for the spare one.
const DISK_BYTES: u64 = 56 << 20;
/// What is left when the disk is full: enough to start, too little for a segment.
const LEFT_BYTES: u64 = 1 << 20;

#[test]
fn primary_with_a_full_disk_falls_silent_with_a_reason_and_is_back_when_there_is_room() {
    if !privilege::can("a disk that is full") {
        return;
    }
    let (cluster, upstream) = Scene::files();
    let primary = 0;
    let disk = SmallDisk::put_under(&cluster.folder(primary).join("state"), DISK_BYTES);
    disk.fill(LEFT_BYTES);
    let mut scene = Scene::begin(cluster, upstream, None);
    // The log needs its second segment at the first checkpoint.
    let reason = eventually("the primary to say why it is silent", READY, || {
        let (status, body) = scene.cluster.http(primary, "/ready")?;
        (status == 503).then_some(body)
    });
    assert!(reason.contains("does not vote") && reason.contains("No space left"), "{reason}");
    assert!(scene.cluster.log(primary).contains("No space left"), "{}", scene.cluster.log(primary));
    // An alert sees what its metrics say alone.
    eventually("its metrics to say that it does not vote", READY, || {
        let (_, metrics) = scene.cluster.http(primary, "/metrics")?;
        metrics.contains("quorate_consensus_votes{cluster=\"example\"} 0\n").then_some(())
    });
    let silent = Instant::now();
    scene.next_certified(silent, primary);
    scene.ask_again(silent, primary);
    disk.free();
    scene.cluster.kill_replica(primary);
    scene.cluster.start_replica(primary);
    scene.reaches_view(primary, 1);
    scene.catches_up(primary);
    scene.end();
}
