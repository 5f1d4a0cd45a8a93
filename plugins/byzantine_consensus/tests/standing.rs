//! What a replica says of itself: to whoever asks whether it is ready, in metrics, in the API; and that it answers while it learns.

use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use pbft::Standing;

use super::four::{Four, until};
use super::upstream::address;

const NAME: &str = "www.example.org.";
/// A view that comes to nothing on a busy machine is tried again after a pause.
const LEARNED_MAX: Duration = Duration::from_secs(120);

fn ready(four: &Four, id: u8) -> Result<(), String> {
    four.replica(id).chain.plugins()[0].ready()
}

fn executed(four: &Four, id: u8) -> u64 {
    four.replica(id).consensus.node().status().replica.executed.0
}

fn standing(four: &Four, id: u8) -> Standing {
    four.replica(id).consensus.node().status().replica.standing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_that_learns_answers_and_is_ready_when_it_votes() {
    let mut four = Four::new(|_| {});
    four.wipe(3);
    for id in 0..4 {
        four.start(id, super::four::settings());
    }
    assert_eq!(ready(&four, 3), Err("learns: its log is gone, and it does not vote yet".to_owned()));
    for id in 0..4 {
        four.presence(id, 4).await;
    }
    four.all_see(NAME, &address(NAME, 1));
    let response = four.ask(3, NAME, RecordType::A).await;
    assert_eq!(response.answers.len(), 1, "{response:?}");
    // Somebody has to ask for something, or no slot ever shows how far the others are.
    let (mut number, began) = (0, Instant::now());
    while standing(&four, 3) == Standing::Learning {
        let name = format!("{number}.example.org.");
        four.all_see(&name, &address(&name, 1));
        four.ask(0, &name, RecordType::A).await;
        // Who helps it wants to see that it follows: on a busy machine it may be late with what the others decide.
        until("it follows", || executed(&four, 3) >= executed(&four, 0)).await;
        number += 1;
        assert!(began.elapsed() < LEARNED_MAX, "it learns for ever");
    }
    until("it is ready", || ready(&four, 3).is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn view_change_shows_in_metrics_and_api_and_answers_go_on() {
    let mut four = Four::running(|_| {}).await;
    four.all_see(NAME, &address(NAME, 1));
    four.stop(0).await;
    let response = four.ask(1, NAME, RecordType::A).await;
    assert_eq!(response.answers.len(), 1, "{response:?}");
    let shown = || four.replica(1).metrics.encode();
    let entered = || {
        shown().lines().any(|line| {
            line.starts_with("quorate_consensus_new_views_total{cluster=\"example\"} ")
                && !line.ends_with(" 0")
        })
    };
    until("the new view shows", entered).await;
    until("it is active", || {
        shown().contains("quorate_consensus_standing{cluster=\"example\",standing=\"active\"} 1")
    })
    .await;
    let text = shown();
    for line in [
        "quorate_consensus_standing{cluster=\"example\",standing=\"learning\"} 0",
        "quorate_consensus_view{cluster=\"example\"} ",
        "quorate_consensus_executed_slot{cluster=\"example\"} ",
        "quorate_consensus_stable_slot{cluster=\"example\"} 0",
        "quorate_consensus_view_changes_total{cluster=\"example\"} ",
        "quorate_consensus_fast_path_total{cluster=\"example\"} ",
        "quorate_consensus_slow_path_total{cluster=\"example\"} ",
        "quorate_consensus_votes{cluster=\"example\"} 1",
        "quorate_consensus_reaches_quorum{cluster=\"example\"} 1",
        "quorate_consensus_quorum{cluster=\"example\"} 3",
        "quorate_consensus_connected{cluster=\"example\",replica=\"0\"} 0",
        "quorate_consensus_connected{cluster=\"example\",replica=\"2\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let (_, body) = four.replica(1).chain.plugins()[0].api("/v1/status", "").expect("a path of ours");
    let status: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status["standing"], "active");
    assert_eq!(status["primary"], status["view"].as_u64().unwrap() % 4);
    assert!(
        status["new_views"].as_u64() >= Some(1) && status["view_changes"].as_u64() >= Some(1),
        "{status}"
    );
    assert!(status["fast"].is_u64() && status["slow"].is_u64(), "{status}");
}
