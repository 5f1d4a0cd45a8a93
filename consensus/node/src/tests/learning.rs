//! Replicas that start without their log: they follow, and vote again only when that can do no harm.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use certificate::ReplicaId;
use pbft::{Record, Standing};

use super::cluster::{Four, Signed, ToyHost, add_signed, operation};
use crate::log::LogError;
use crate::{NodeHandle, StartError};

fn wipe(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

/// Asks for one new name after the other until the task is aborted, a few at a time as clients do who wait for answers.
async fn load(node: NodeHandle, host: Arc<ToyHost>) {
    for number in 0.. {
        let decided = host.count();
        for part in 0..4 {
            let _ = node.request(operation(&format!("{part}.{number}.load.example.org")));
        }
        let _ = tokio::time::timeout(Duration::from_secs(1), host.more_than(decided)).await;
    }
}

fn is_vote(record: &Record) -> bool {
    matches!(record, Record::Accepted { .. } | Record::Committed { .. } | Record::OwnCheckpoint(_))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_that_lost_its_folder_under_load_learns_and_votes_again() {
    // A checkpoint far away, so that the logs keep every vote.
    let mut four = Four::new(|cluster| cluster.checkpoint_interval = 10_000);
    four.start_all().await;
    let load = tokio::spawn(load(four.node(0).node.clone(), four.node(0).host.clone()));
    four.node(2).host.decided(20).await;
    four.stop(2).await;
    let mut signed = Signed::new();
    assert_eq!(add_signed(&mut signed, ReplicaId(2), &four.records(2)), []);
    wipe(four.folders[2].path());

    four.start(2);
    assert_eq!(four.node(2).node.status().replica.standing, Standing::Learning);
    four.node(2).status("it votes again", |status| status.replica.standing == Standing::Active).await;
    load.abort();
    four.stop(3).await;
    four.node(0).decide("without-3", 20).await;
    four.caught_up(2, 0).await;

    four.assert_agreement();
    four.stop(2).await;
    let records = four.records(2);
    let voter = records.iter().position(|record| *record == Record::Voter).expect("it votes");
    assert!(matches!(records[0], Record::Learner { me: ReplicaId(2), .. }));
    assert!(!records[..voter].iter().any(is_vote), "no vote before that is safe");
    assert!(records[voter..].iter().any(is_vote), "the quorum needs its votes");
    assert_eq!(add_signed(&mut signed, ReplicaId(2), &records), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn learner_is_one_after_a_restart_too() {
    let mut four = Four::new(|_| {});
    wipe(four.folders[1].path());
    for _ in 0..2 {
        four.start(1);
        assert_eq!(four.node(1).node.status().replica.standing, Standing::Learning);
        four.stop(1).await;
    }
    assert!(matches!(four.records(1)[..], [Record::Learner { me: ReplicaId(1), .. }]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_that_was_cut_off_before_its_first_record_makes_no_voter() {
    let four = Four::new(|_| {});
    let folder = four.folders[1].path();
    // What a crash of `cluster new` leaves: everything but the name of the first segment.
    fs::rename(folder.join("log-0000000000000001"), folder.join("log.new")).unwrap();
    let running = four.try_start(1, four.config(1)).unwrap();
    assert_eq!(running.node.status().replica.standing, Standing::Learning);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_folder_that_is_absent_is_made_for_its_owner_alone() {
    let four = Four::new(|_| {});
    let mut config = four.config(1);
    config.state = four.folders[1].path().join("not/mounted");
    let state = config.state.clone();
    let running = four.try_start(1, config).unwrap();
    assert_eq!(running.node.status().replica.standing, Standing::Learning);
    assert_eq!(fs::metadata(state).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_replicas_without_a_log_decide_nothing() {
    let mut four = Four::new(|_| {});
    four.folders.iter().for_each(|folder| wipe(folder.path()));
    four.start_all().await;
    four.node(0).request("www.example.org");
    for id in 0..4 {
        let status =
            four.node(id).status("observations are in", |status| status.replica.open_requests == 1).await;
        assert_eq!((status.replica.standing, status.can_reach_quorum()), (Standing::Learning, true));
    }
    for id in 0..4 {
        four.stop(id).await;
        assert!(matches!(four.records(id)[..], [Record::Learner { .. }]), "nobody has voted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn earlier_state_folder_that_is_brought_back_is_refused_by_the_others() {
    let mut four = Four::new(|_| {});
    four.start_all().await;
    four.stop(2).await;
    // The disk is not mounted, and then it is again.
    let first = std::mem::replace(&mut four.folders[2], tempfile::tempdir().unwrap());
    four.start(2);
    four.node(0).status("it is back", |status| status.present == 4).await;
    four.stop(2).await;
    let second = std::mem::replace(&mut four.folders[2], first);

    four.start(2);
    let refuses = |status: &crate::NodeStatus| {
        let problem = status.peers[1].problem.as_deref().unwrap_or_default();
        problem.contains("an earlier state folder was brought back")
    };
    let status = four.node(0).status("it is refused", refuses).await;
    assert_eq!(status.present, 3);
    four.node(2)
        .status("it hears why", |status| {
            status.peers.iter().any(|peer| {
                peer.problem.as_deref().is_some_and(|problem| problem.contains("move that folder away"))
            })
        })
        .await;
    four.stop(2).await;

    four.folders[2] = second;
    four.start(2);
    four.node(0).status("the later one is welcome", |status| status.present == 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_log_is_refused_and_the_operator_hears_what_to_do() {
    let mut four = Four::new(|cluster| cluster.checkpoint_interval = 10_000);
    four.start_all().await;
    four.node(1).host.decided(0).await;
    four.node(0).decide("before", 5).await;
    four.caught_up(1, 0).await;
    four.stop(1).await;
    let file = four.folders[1].path().join("log-0000000000000001");
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(&file, bytes).unwrap();
    let refused = four.try_start(1, four.config(1)).err().unwrap();
    assert!(matches!(refused, StartError::Log(LogError::Damaged { .. })), "{refused}");
    assert!(
        refused
            .to_string()
            .ends_with("move the state folder away and it learns from the others, and votes again later")
    );
}
