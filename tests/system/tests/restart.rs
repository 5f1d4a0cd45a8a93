//! Replicas that end and come back.

use system_tests::clients::dig;
use system_tests::cluster::{Cluster, READY};
use system_tests::program::eventually;
use system_tests::upstream::Upstream;

const ZONE: &str = "$ORIGIN example.org.\n$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\nwww IN A 192.0.2.80\n";

#[test]
fn cluster_that_lost_power_answers_again() {
    let upstream = Upstream::serve("example.org.", ZONE);
    let mut cluster = Cluster::start(4, &[upstream.address.to_string()]);
    cluster.grow_log(0, 20, "first");
    let executed = cluster.status(0).expect("replica 0 runs")["executed"].as_u64().unwrap();
    (0..4).for_each(|id| cluster.kill_replica(id));
    (0..4).for_each(|id| cluster.start_replica(id));
    (0..4).for_each(|id| cluster.wait_until_ready(id));
    cluster.grow_log(1, 5, "second");
    // The last answer may have gone out before its commits were in.
    eventually("the log to go on where it was", READY, || {
        (cluster.status(1)?["executed"].as_u64()? >= executed + 5).then_some(())
    });
}

#[test]
fn backups_that_die_again_and_again_lose_nothing() {
    let upstream = Upstream::serve("example.org.", ZONE);
    let mut cluster = Cluster::start(4, &[upstream.address.to_string()]);
    for round in 0..6 {
        let victim = 1 + round % 3;
        cluster.kill_replica(victim);
        cluster.grow_log(0, 5, &format!("round-{round}"));
        cluster.start_replica(victim);
        cluster.wait_until_ready(victim);
    }
    let executed = |id: usize| cluster.status(id).map(|status| status["executed"].as_u64().unwrap());
    eventually("all replicas to be equal", READY, || {
        let first = executed(0)?;
        (1..4).all(|id| executed(id) == Some(first)).then_some(())
    });
    // What two honest replicas decide differently shows as a fault.
    assert!((0..4).all(|id| cluster.status(id).is_some_and(|status| status["faults"] == 0)));
}

#[test]
fn replica_without_its_log_does_not_vote_and_says_why() {
    let upstream = Upstream::serve("example.org.", ZONE);
    let mut cluster = Cluster::start(4, &[upstream.address.to_string()]);
    cluster.grow_log(0, 3, "first");
    cluster.kill_replica(3);
    std::fs::remove_dir_all(cluster.folder(3).join("state")).expect("the state is there");
    cluster.start_replica(3);
    eventually("replica 3 to say why", READY, || cluster.log(3).contains("does not vote").then_some(()));
    // The others go on.
    assert!(dig(cluster.dns(0), &["www.example.org", "A"]).contains("192.0.2.80"));
}

#[test]
fn second_process_for_one_replica_does_not_start() {
    let upstream = Upstream::serve("example.org.", ZONE);
    let mut cluster = Cluster::start(4, &[upstream.address.to_string()]);
    let first = cluster.replicas[2].take();
    cluster.start_replica(2);
    eventually("the second process to end", READY, || {
        cluster.replicas[2].as_mut().and_then(|process| process.0.try_wait().ok().flatten())
    });
    assert!(dig(cluster.dns(2), &["www.example.org", "A"]).contains("192.0.2.80"));
    drop(first);
}

#[test]
fn replica_that_is_stopped_writes_what_it_knows_of_the_others_and_tells_them() {
    let upstream = Upstream::serve("example.org.", ZONE);
    let mut cluster = Cluster::new(4, &[upstream.address.to_string()]);
    // After a reload queries of the old configuration may be under way for so long, which a stop does not wait for.
    cluster.edit_corefile(3, "    errors\n", "    errors\n    cancel 30s\n");
    cluster.start_all();
    cluster.grow_log(0, 3, "first");
    cluster.signal(3, libc::SIGHUP);
    eventually("replica 3 to reload", READY, || cluster.log(3).contains("reloaded").then_some(()));
    let reputation = cluster.folder(3).join("state/reputation");
    let before = std::fs::read(&reputation).ok();
    cluster.signal(3, libc::SIGTERM);
    eventually("replica 3 to end", READY, || (!cluster.runs(3)).then_some(()));
    assert!(cluster.log(3).contains("replica stopped"), "{}", cluster.log(3));
    assert!(!cluster.log(3).contains("had not ended"), "{}", cluster.log(3));
    assert_ne!(std::fs::read(&reputation).ok(), before, "it is written at the end");
    assert!(!cluster.folder(3).join("state/reputation.new").exists());
    eventually("replica 0 to hear of it", READY, || cluster.log(0).contains("shut down").then_some(()));
}
