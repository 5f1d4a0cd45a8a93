//! A replica that was behind is handed what the others have certified.

use hickory_proto::rr::RecordType;
use serde_json::Value;

use super::four::{Four, certified, settings, until};
use super::upstream::address;

const NAME: &str = "www.example.org.";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_that_has_forgotten_an_answer_is_handed_it() {
    let mut four = Four::running(|_| {}).await;
    four.all_see(NAME, &address(NAME, 1));
    let before = certified(&four.ask(3, NAME, RecordType::A).await).await;
    four.stop(3).await;
    four.start(3, settings());
    four.presence(3, 4).await;

    let after = certified(&four.ask(3, NAME, RecordType::A).await).await;

    assert_eq!(after.reference, before.reference, "the same leaf of the same slot");
    let handed_out: u64 = (0..3).map(|id| four.replica(id).consensus.metrics.handed_out.get()).sum();
    assert!(handed_out > 0);
    let looked_up: Vec<usize> =
        four.upstreams[..3].iter().map(|upstream| upstream.asked(NAME).len()).collect();
    assert!(looked_up.iter().all(|count| *count <= 1), "{looked_up:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_handed_out_says_that_its_observations_are_elsewhere() {
    let mut four = Four::running(|_| {}).await;
    four.all_see(NAME, &address(NAME, 1));
    certified(&four.ask(3, NAME, RecordType::A).await).await;
    four.stop(3).await;
    four.start(3, settings());
    four.presence(3, 4).await;
    certified(&four.ask(3, NAME, RecordType::A).await).await;

    let shown = |id: u8| {
        let plugin = &four.replica(id).chain.plugins()[0];
        let (status, body) = plugin.api("/v1/certificates", "name=www.example.org").expect("a path of ours");
        (status, serde_json::from_str::<Value>(&body).expect("JSON"))
    };
    for id in [0, 3] {
        until("the certificate is complete", || shown(id).0 == 200).await;
    }

    let (there, here) = (shown(0).1, shown(3).1);
    assert_eq!(here["observations"], Value::Null);
    let slot = here["slot"].as_u64().expect("a number");
    let why =
        "another replica handed this answer out, without the observations; a replica that took part in slot";
    assert_eq!(here["why"], format!("{why} {slot} may have them"));
    assert_eq!((&here["threshold"], &here["answer"][0]["seen_by"]), (&Value::Null, &Value::Null));
    assert_eq!(here["answer"][0]["record"], there["answer"][0]["record"]);
    assert_eq!((&here["support"], &here["reference"]), (&there["support"], &there["reference"]));
    assert!(there["observations"].as_array().is_some_and(|all| all.len() >= 3), "{there}");
    assert_eq!(there.get("why"), None);
}
