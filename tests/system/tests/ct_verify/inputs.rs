//! Lists of logs come into force when a quorum has them from its own sources, and stay in force over restarts.

use system_tests::cluster::READY;
use system_tests::program::eventually;
use system_tests::scene::REPLICAS;
use transparency::digest::Sha256;

use super::court::{Court, LOG_LIST, NO_AUDIT, SETTINGS};

fn digest(list: &str) -> String {
    Sha256::of(list.as_bytes()).to_string()
}

/// How often replica `id` has said what it thinks of a list of logs.
fn statements(court: &Court, id: usize) -> u64 {
    let (_, metrics) = court.cluster.http(id, "/metrics").unwrap();
    let ours =
        metrics.lines().filter(|line| line.starts_with("quorate_ct_statements") && line.contains("log_list"));
    ours.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn a_list_that_all_replicas_have_comes_into_force_and_one_that_a_single_one_has_does_not() {
    let court = Court::in_session(&format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}"));
    let (first, second, third) =
        (digest(&court.list(1)), court.list(0), court.list(1).replace("\"1.0\"", "\"1.1\""));
    // One has another list: it is its own, and nobody's.
    let said = statements(&court, 0);
    court.write_list(2, &third);
    court.waits_for_own_list(2, &digest(&third));
    eventually("replica 0 to be asked about it", READY, || (statements(&court, 0) > said).then_some(()));
    // What is decided after that shows that the other thing was.
    court.check(0, &court.issued["good"].chain_pem(), "good.example.org");
    for id in 0..REPLICAS {
        assert_eq!(court.list_in_force(id).as_deref(), Some(first.as_str()), "replica {id}");
    }
    // The new list reaches one replica after the other: what was refused to the first is asked again.
    for id in 0..REPLICAS {
        court.write_list(id, &second);
        court.waits_for_own_list(id, &digest(&second));
    }
    (0..REPLICAS).for_each(|id| court.waits_for_list(id, &digest(&second)));
}

#[test]
fn what_is_in_force_is_in_force_after_a_restart() {
    let mut court = Court::in_session(&format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}"));
    let first = digest(&court.list(1));
    court.keeps_in_force(1);
    court.cluster.kill_replica(1);
    // Its own file is another one by now.
    court.write_list(1, &court.list(1).replace("\"1.0\"", "\"1.1\""));
    court.cluster.start_replica(1);
    court.cluster.wait_until_ready(1);
    assert_eq!(court.list_in_force(1), Some(first));
    let output = court.check(1, &court.issued["good"].chain_pem(), "good.example.org");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
