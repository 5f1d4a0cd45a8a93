//! Primaries that come and go, and answers that are certain before their commits are in.

use detector::Offence;
use pbft::Standing;

use super::cluster::Four;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_that_is_gone_is_replaced_and_follows_when_it_is_back() {
    let mut four = Four::new(|_| {});
    four.start_all().await;
    four.node(1).decide("before", 5).await;
    four.stop(0).await;
    four.node(1).decide("without-it", 10).await;
    for id in 1..4 {
        let entered = |status: &crate::NodeStatus| {
            status.replica.view.0 >= 1 && status.replica.standing == Standing::Active
        };
        let status = four.node(id).status("it is in the new view", entered).await;
        assert!(status.replica.view_changes >= 1 && status.replica.new_views >= 1, "{status:?}");
        assert!(status.replica.primary.is_some());
    }
    let voted_out = |id: u8| {
        let assessments = four.node(id).node.assessments();
        assessments[0].statistics.offences.iter().any(|(offence, _)| *offence == Offence::VotedOut)
    };
    assert!((1..4).any(voted_out), "whoever suspected it charges it with that");
    four.start(0);
    four.caught_up(0, 1).await;
    four.stop(3).await;
    four.node(1).decide("with-it", 10).await;
    four.assert_agreement();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_releases_are_what_is_decided() {
    let mut four = Four::new(|_| {});
    four.start_all().await;
    four.node(0).decide("fast", 30).await;
    four.node(0).status("a slot was fast", |status| status.replica.fast > 0).await;
    four.caught_up(1, 0).await;
    for id in 0..4 {
        four.node(id).host.told(|told| {
            for (sequence, early) in &told.early {
                assert_eq!(told.slots.get(sequence).unwrap_or(early), early, "slot {sequence}");
            }
        });
    }
    // What is published follows a moment later.
    let node = four.node(0);
    let early = || node.host.told(|told| told.early.len()) as u64;
    node.status("the host has heard of every release", |status| status.replica.fast == early()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fast_path_nothing_is_released_early() {
    let mut four = Four::new(|_| {});
    for id in 0..4 {
        let config = crate::NodeConfig { fast_path: false, ..four.config(id) };
        four.running[usize::from(id)] = Some(four.try_start(id, config).unwrap());
    }
    for id in 0..4 {
        four.node(id).status("all are present", |status| status.present == 4).await;
    }
    four.node(0).decide("slow", 10).await;
    let status = four.node(0).status("slots are counted", |status| status.replica.slow > 0).await;
    assert_eq!((status.replica.fast, four.node(0).host.told(|told| told.early.len())), (0, 0));
}
