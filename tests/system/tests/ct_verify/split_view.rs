//! A log that shows two trees to two halves of a cluster: the replicas tell each other its heads, and keep the proof.

use std::fs;
use std::path::{Path, PathBuf};

use ct_log::log_list_json;
use system_tests::cluster::READY;
use system_tests::program::{eventually, run, stderr, stdout};
use system_tests::scene::REPLICAS;

use super::court::{Court, LOG_LIST, SETTINGS};

/// The proofs in a folder and below it.
fn proofs(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = paths.flat_map(|path| if path.is_dir() { proofs(&path) } else { vec![path] });
    // What is still being written has a dot before its name.
    let is_proof = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ct-split-view-"))
    };
    below.filter(is_proof).collect()
}

/// Starts a cluster whose replicas 2 and 3 see a fork of one of the logs.
fn divided(forked: usize) -> (Court, ct_log::Fork) {
    let mut court = Court::files(&format!("{SETTINGS}{LOG_LIST}        audit on\n"));
    let fork = [&court.alder, &court.birch][forked].fork();
    let mut logs = [court.alder.listed(), court.birch.listed()];
    logs[forked] = fork.listed();
    let list = log_list_json(&court.days_ago(1), &logs);
    [2, 3].iter().for_each(|id| court.write_list(*id, &list));
    court.cluster.start_all();
    (court, fork)
}

fn every_replica_proves(court: &Court, log: &str) {
    for id in 0..REPLICAS {
        let folder = court.cluster.folder(id).join("ct");
        let what = format!("replica {id} to keep a proof:\n{}", court.cluster.log(id));
        let found = eventually(&what, READY, || proofs(&folder).pop());
        let verified =
            run(&["evidence", "verify", found.to_str().unwrap(), "--cluster", &court.cluster_file()]);
        assert_eq!(verified.status.code(), Some(0), "{}{}", stdout(&verified), stderr(&verified));
        assert!(stdout(&verified).contains(log), "{}", stdout(&verified));
        // The same with one root changed proves nothing.
        let text = fs::read_to_string(&found).unwrap();
        let at =
            text.rfind("sha256_root_hash").map_or_else(|| text.rfind("\\n\\n").unwrap() - 20, |at| at + 24);
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        let changed = court.cluster.dir.join("changed.json");
        fs::write(&changed, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
        let refused =
            run(&["evidence", "verify", changed.to_str().unwrap(), "--cluster", &court.cluster_file()]);
        assert_eq!(refused.status.code(), Some(1), "{}", stdout(&refused));
    }
}

#[test]
fn split_view_of_a_log_of_rfc6962_is_proven_at_every_replica() {
    let (court, _fork) = divided(0);
    every_replica_proves(&court, &court.alder.id().to_string());
}

#[test]
fn split_view_of_a_static_log_is_proven_at_every_replica() {
    let (court, _fork) = divided(1);
    every_replica_proves(&court, &court.birch.id().to_string());
}

#[test]
fn honest_logs_leave_no_proof() {
    let court = Court::in_session(&format!("{SETTINGS}{LOG_LIST}        audit on\n"));
    court.alder.merge();
    for id in 0..REPLICAS {
        eventually("both heads to be verified", READY, || {
            let logs = court.transparency(id)?["logs"].to_string();
            (!logs.contains("unreachable") && logs.contains("\"ok\"")).then_some(())
        });
        assert!(proofs(&court.cluster.folder(id).join("ct")).is_empty(), "replica {id}");
    }
}
