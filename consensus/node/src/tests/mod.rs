//! Whole nodes over QUIC and disk: they decide, survive each other's absence and their own restarts, and stop when the disk fails.

#[cfg(feature = "adversary")]
mod adversaries;
mod beside;
mod catch_up;
mod cluster;
mod gate;
mod learning;
mod quarantine;
mod views;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use certificate::codec::Encode;
use certificate::{ReplicaId, SeedKey};
use cluster::{Four, Running, SEGMENT_BYTES, Signed, ToyHost, add_signed, operation};
use gate::Gate;
use pbft::Message;

use crate::frame::FrameRules;
use crate::log::memory::MemoryStorage;
use crate::log::{FolderError, Wal};
use crate::testing::PATIENCE;
use crate::transport::raw::greeted;
use crate::{Busy, StartError, initialise};

fn folder_bytes(path: &Path) -> u64 {
    // A file that goes while we look takes no room.
    let lengths = fs::read_dir(path).unwrap().filter_map(|entry| entry.unwrap().metadata().ok());
    lengths.map(|metadata| metadata.len()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_replicas_decide_the_same_operations_in_the_same_order() {
    let mut four = Four::new(|_| {});
    four.start_all().await;
    for id in 0..4 {
        four.node(id).decide(&format!("of-{id}"), 5).await;
    }
    for id in 0..3 {
        four.caught_up(id, 3).await;
    }
    four.assert_agreement();
    let status = four
        .node(0)
        .status("counters are published", |status| status.counters.operations_decided >= 20)
        .await;
    assert!(status.can_reach_quorum());
    assert_eq!(
        (status.counters.inbox_drops, status.counters.queue_drops, status.counters.strangers),
        (0, 0, 0)
    );
    assert!(status.counters.bytes_in > 0 && status.counters.bytes_out > 0 && status.counters.log_syncs > 0);
    assert!(status.peers.iter().all(|peer| peer.last_seen_ms.is_some()));
    for id in 0..4 {
        for it in four.node(id).node.assessments() {
            let heard = it.statistics.connected && it.statistics.total_messages > 0;
            assert!(heard && it.statistics.lookup.count > 0, "{it:?}");
            assert!(!it.is_byzantine && it.quarantined.is_none(), "{it:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_replica_goes_on_and_never_signs_a_second_digest() {
    // A checkpoint far away, so that the log keeps every vote.
    let mut four = Four::new(|cluster| {
        cluster.checkpoint_interval = 10_000;
        cluster.batch_entries = 1;
    });
    four.start_all().await;
    let mut signed = Signed::new();
    for round in 0..4 {
        let executed = four.node(2).node.status().replica.executed;
        for number in 0..30 {
            four.node(0).request(&format!("{number}.round-{round}.example.org"));
        }
        // Stopped in the middle: some of its votes are not decided yet.
        four.node(2).status("it votes", |status| status.replica.executed > executed).await;
        four.stop(2).await;
        assert_eq!(add_signed(&mut signed, ReplicaId(2), &four.records(2)), []);
        four.start(2);
        four.node(0).decide(&format!("round-{round}"), 30).await;
        four.caught_up(2, 0).await;
        four.assert_agreement();
    }
    four.stop(2).await;
    assert_eq!(add_signed(&mut signed, ReplicaId(2), &four.records(2)), []);
    // How many depends on how far it came each time; without any the test would claim nothing.
    assert!(signed.len() >= 2, "{} votes", signed.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_primary_goes_on_and_never_signs_a_second_digest() {
    let mut four = Four::new(|cluster| {
        cluster.checkpoint_interval = 10_000;
        cluster.batch_entries = 1;
    });
    four.start_all().await;
    let mut signed = Signed::new();
    for round in 0..3 {
        let proposed = four.node(0).node.status().replica.proposed;
        for number in 0..30 {
            four.node(1).request(&format!("{number}.round-{round}.example.org"));
        }
        four.node(0).status("it proposes", |status| status.replica.proposed > proposed).await;
        four.stop(0).await;
        assert_eq!(add_signed(&mut signed, ReplicaId(0), &four.records(0)), []);
        four.start(0);
        four.node(1).decide(&format!("round-{round}"), 30).await;
        four.assert_agreement();
    }
    four.stop(0).await;
    assert_eq!(add_signed(&mut signed, ReplicaId(0), &four.records(0)), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_go_on_when_a_backup_is_down_and_two_do_not() {
    let mut four = Four::new(|_| {});
    four.start_all().await;
    four.stop(3).await;
    let status = four.node(0).status("the loss is seen", |status| status.present == 3).await;
    assert!(status.can_reach_quorum());
    four.node(1).decide("three", 3).await;
    four.stop(2).await;
    let status = four.node(0).status("the loss is seen", |status| status.present == 2).await;
    assert!(!status.can_reach_quorum());
    assert!(status.peers.iter().filter(|peer| !peer.connected).all(|peer| peer.problem.is_some()));
    four.node(0).request("0.back.example.org");
    four.start(3);
    four.node(0).status("one is back", |status| status.can_reach_quorum()).await;
    four.node(0).decide("back", 3).await;
    four.assert_agreement();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_that_missed_several_checkpoints_catches_up_and_makes_the_quorum() {
    let mut four = Four::new(|cluster| {
        cluster.checkpoint_interval = 10;
        cluster.batch_entries = 1;
    });
    four.start_all().await;
    four.stop(3).await;
    four.node(0).decide("missed", 45).await;
    four.node(0).status("checkpoints are stable", |status| status.replica.stable.0 >= 40).await;
    four.stop(2).await;
    four.start(3);
    four.caught_up(3, 0).await;
    four.node(0).decide("together", 25).await;
    four.caught_up(3, 0).await;
    four.assert_agreement();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_and_memory_stay_bounded_over_dozens_of_checkpoints() {
    const SLOTS: usize = 300;
    const INTERVAL: u64 = 5;
    let mut four = Four::new(|cluster| {
        cluster.checkpoint_interval = INTERVAL;
        cluster.batch_entries = 1;
        // Used observations are remembered as long as this: the state of a checkpoint stays small.
        cluster.observation_window_ms = 1000;
    });
    four.start_all().await;
    let mut largest = 0;
    for round in 0..10 {
        four.node(0).decide(&format!("round-{round}"), SLOTS / 10).await;
        for folder in &four.folders {
            largest = largest.max(folder_bytes(folder.path()));
        }
    }
    let behind = SLOTS as u64 - 4 * INTERVAL;
    let status = four
        .node(0)
        .status("the last checkpoints are stable", |status| status.replica.stable.0 >= behind)
        .await;
    // The segments of two checkpoints, and two spares.
    assert!(largest <= 4 * SEGMENT_BYTES, "{largest} bytes of log");
    assert!(status.replica.slots <= 40 && status.replica.open_requests <= 64, "{status:?}");
    four.assert_agreement();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_whose_sync_fails_stops_and_says_why() {
    let mut four = Four::new(|_| {});
    for id in 0..3 {
        four.start(id);
    }
    let storage = MemoryStorage::default();
    let genesis = pbft::Record::Genesis { cluster_digest: four.setting.cluster.digest(), me: ReplicaId(3) };
    drop(Wal::create(storage.boxed(), SEGMENT_BYTES, &genesis.to_bytes()).unwrap());
    four.start_on(3, storage.boxed());
    four.node(3).status("all are present", |status| status.present == 4).await;
    four.node(0).request("before.example.org");
    four.node(3).host.decided(1).await;
    storage.disk().fail_syncs = true;
    four.node(0).request("after.example.org");
    let status = four.node(3).status("it refuses", |status| status.refusing.is_some()).await;
    let reason = status.refusing.clone().unwrap();
    assert!(reason.starts_with("syncing `log-0000000000000001`"), "{reason}");
    assert!(!status.can_reach_quorum());
    assert_eq!(four.node(3).node.request(operation("late.example.org")), Err(Busy::Stopped));
    four.node(0).host.decided(2).await;
    let others = four.node(0).status("the loss is seen", |status| status.present == 3).await;
    assert!(others.can_reach_quorum());
    four.node(3).host.told(|told| assert_eq!(told.slots.len(), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vote_leaves_only_after_its_record_is_synced() {
    let mut four = Four::new(|_| {});
    four.start(0);
    four.start(1);
    let storage = MemoryStorage::default();
    let genesis = pbft::Record::Genesis { cluster_digest: four.setting.cluster.digest(), me: ReplicaId(3) };
    drop(Wal::create(storage.boxed(), SEGMENT_BYTES, &genesis.to_bytes()).unwrap());
    let gate = Gate::new(storage);
    four.start_on(3, Box::new(gate.clone()));
    for id in [0, 1] {
        four.node(id).status("three are present", |status| status.present == 3).await;
    }
    // In the place of replica 2 somebody listens to what replica 3 says.
    let (_endpoint, mut listener) = greeted(&four.setting, 3, 2, 1).await;
    four.node(3).status("the listener is there", |status| status.present == 4).await;
    let rules = FrameRules { message_bytes_max: 65_536, compression: true };
    gate.close();
    four.node(0).request("gated.example.org");
    gate.somebody_waits().await;
    let heard_vote =
        async { while !matches!(listener.message(rules).await, Message::Prepare(_) | Message::Commit(_)) {} };
    let early = tokio::time::timeout(Duration::from_millis(300), heard_vote).await;
    assert!(early.is_err(), "a vote was sent while its sync was still waiting");
    gate.open();
    let heard_vote = async { while !matches!(listener.message(rules).await, Message::Prepare(_)) {} };
    tokio::time::timeout(PATIENCE, heard_vote).await.unwrap();
    four.node(3).host.decided(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_state_folder_runs_one_replica_at_a_time() {
    let mut four = Four::new(|_| {});
    four.start(1);
    let second = four.try_start(1, four.config(1)).err().unwrap();
    assert!(matches!(second, StartError::Folder(FolderError::Locked { .. })), "{second}");
    four.stop(1).await;
    four.start(1);
    assert!(four.runs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_ends_with_its_last_handle() {
    let four = Four::new(|_| {});
    let Running { node, .. } = four.try_start(1, four.config(1)).unwrap();
    let mut status = node.watch();
    drop(node.clone());
    assert_eq!(status.borrow_and_update().refusing, None);
    drop(node);
    status.wait_for(|status| status.refusing.is_some()).await.unwrap();
    four.try_start(1, four.config(1)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_of_another_replica_or_cluster_does_not_start() {
    let four = Four::new(|_| {});
    let mut swapped = four.config(1);
    swapped.state = four.folders[2].path().to_owned();
    let refused = four.try_start(1, swapped).err().unwrap();
    assert!(matches!(refused, StartError::Restore { .. }), "{refused}");
    assert!(refused.to_string().contains("move it away: this replica then learns"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_of_another_replica_does_not_start() {
    let four = Four::new(|_| {});
    let mut config = four.config(1);
    config.seed = SeedKey::new([2 + 1; 32]);
    assert_eq!(crate::identify(&config.cluster, &config.seed), Some(ReplicaId(2)));
    let refused = four.try_start(1, config).err().unwrap();
    assert!(matches!(refused, StartError::OtherKey { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_log_is_never_written_twice() {
    let four = Four::new(|_| {});
    let refused = initialise(four.folders[1].path(), &four.setting.cluster, ReplicaId(1)).err().unwrap();
    assert!(refused.to_string().contains("exists"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_host_takes_over_and_the_replica_goes_on() {
    let mut four = Four::new(|_| {});
    four.start_all().await;
    four.node(0).request("first.example.org");
    four.node(1).host.decided(1).await;
    let host: Arc<ToyHost> = ToyHost::new();
    four.node(1).node.replace_host(host.clone());
    four.node(1).request("second.example.org");
    host.decided(1).await;
    assert_eq!(four.node(1).host.told(|told| told.slots.len()), 1);
    assert_eq!(host.told(|told| told.lookups), 1);
}
