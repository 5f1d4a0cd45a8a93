//! A replica that was behind is handed what the others have certified.

use hickory_proto::rr::RecordType;

use super::four::{Four, certified, settings};
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
