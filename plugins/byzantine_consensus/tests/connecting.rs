//! Who reaches whom: rows that replicas tell each other.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use certificate::{ReplicaId, Replicas};
use serde_json::{Value, json};

use super::four::{Four, until};
use crate::byzantine_consensus::connectivity::{Matrix, ROW_AGE_MAX, Reach, Row};

fn replicas() -> Replicas {
    Replicas::new(4, 1).unwrap()
}

/// The row of replica 1.
fn row() -> Row {
    let links = [(0, Reach::Up(830)), (2, Reach::Down), (3, Reach::Shut)];
    Row(links.map(|(id, reach)| (ReplicaId(id), reach)).into())
}

fn read(news: &[u8]) -> Option<Row> {
    Row::read(news, ReplicaId(1), replicas())
}

#[test]
fn row_is_read_as_it_was_written() {
    let news = row().to_bytes();
    assert!(Row::is_one(&news) && !Row::is_one(b"{\"ct_heads\":[]}"));
    assert_eq!(read(&news), Some(row()));
}

#[test]
fn what_is_no_row_of_this_cluster_is_passed_over() {
    let good = row().to_bytes().to_vec();
    let changed = |at: usize, byte: u8| {
        let mut news = good.clone();
        news[at] = byte;
        news
    };
    let longer = [good.as_slice(), &[0]].concat();
    for (what, news) in [
        ("another version", changed(3, 2)),
        ("too few links", changed(4, 2)),
        ("an unknown state", changed(6, 3)),
        ("the teller itself", changed(5, 1)),
        ("a replica that is none", changed(17, 4)),
        ("a replica twice", changed(11, 0)),
        ("a part of a row", good[..good.len() - 1].to_vec()),
        ("more than a row", longer),
        ("nothing", Vec::new()),
    ] {
        assert_eq!(read(&news), None, "{what}");
    }
    assert_eq!(Row::read(&good, ReplicaId(2), replicas()), None, "the row of another");
}

#[test]
fn row_that_is_not_told_again_is_forgotten() {
    let (matrix, told) = (Matrix::default(), Instant::now());
    matrix.hear(told, ReplicaId(1), &row().to_bytes(), replicas());
    matrix.hear(told, ReplicaId(2), b"QRW", replicas());
    let rows = |age: Duration| matrix.rows(told + age);
    assert_eq!(rows(ROW_AGE_MAX), BTreeMap::from([(ReplicaId(1), (ROW_AGE_MAX, row()))]));
    assert!(rows(ROW_AGE_MAX + Duration::from_millis(1)).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_tell_each_other_whom_they_reach() {
    let mut four = Four::running(|_| {}).await;
    let shown = |four: &Four| -> Value {
        let (status, body) =
            four.replica(0).chain.plugins()[0].api("/v1/connectivity", "").expect("a path of ours");
        assert_eq!(status, 200);
        serde_json::from_str(&body).expect("JSON")
    };
    let state = |shown: &Value, from: usize, to: u8| {
        let links = shown["rows"][from]["links"].as_array()?.clone();
        links.iter().find(|link| link["id"] == to).map(|link| link["state"].clone())
    };
    until("all tell of all", || {
        let shown = shown(&four);
        (0..4).all(|from| (0..4).all(|to| from == to || state(&shown, from, to as u8) == Some(json!("up"))))
    })
    .await;
    let matrix = shown(&four);
    assert_eq!([&matrix["rows"][3]["name"], &matrix["one_sided"]], [&json!("replica-3"), &json!([])]);
    assert_eq!(matrix["rows"][0]["told_ms_ago"], 0);
    assert!(matrix["rows"][2]["links"][0]["round_trip_ms"].is_f64(), "{matrix}");
    let line = |from: u8, to: u8, up: u8| {
        let name = "quorate_consensus_told_connected";
        format!("{name}{{cluster=\"example\",from=\"{from}\",replica=\"{to}\"}} {up}")
    };
    until("metrics show it", || four.replica(0).metrics.encode().contains(&line(2, 1, 1))).await;

    let metrics = four.replica(3).metrics_text();
    assert!(metrics().contains("quorate_consensus_votes{"), "{}", metrics());
    four.stop(3).await;
    let gauges = ["votes{", "connected{", "reputation{", "standing{", "round_trip_seconds{"];
    until("nothing is told of a replica that was taken away", || {
        let text = metrics();
        gauges.iter().all(|gauge| !text.contains(gauge))
    })
    .await;
    assert!(metrics().contains("quorate_node_slots_decided_total{"), "counters stay: {}", metrics());
    until("1 and 2 tell that 3 is gone", || {
        let shown = shown(&four);
        (0..3).all(|from| state(&shown, from, 3) == Some(json!("down")))
    })
    .await;
    until("metrics show it", || four.replica(0).metrics.encode().contains(&line(2, 3, 0))).await;
    assert!(
        !four.replica(0).metrics.encode().contains("from=\"0\""),
        "what it sees itself it does not tell itself"
    );
}
