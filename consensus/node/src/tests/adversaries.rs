//! Replicas that misbehave on purpose: the honest three decide the same, and each of them gets to know who it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use certificate::{Digest, MessageType, ReplicaId, Sequence};
use pbft::Fault;

use super::cluster::Four;
use crate::adversary::Vice;
use crate::testing::until;

/// So many slots are enough for each honest replica to see what there is to see.
const SLOTS_MAX: usize = 30;

async fn four_with(adversary: u8, vice: Vice) -> Four {
    let mut four = Four::new(|_| {});
    for id in 0..4 {
        let mut config = four.config(id);
        config.adversary = (id == adversary).then_some(vice);
        four.running[usize::from(id)] = Some(four.try_start(id, config).unwrap());
    }
    for id in 0..4 {
        four.node(id).status("all are present", |status| status.present == 4).await;
    }
    four
}

/// The honest replicas that hold such a fault of the adversary.
fn blamers(four: &Four, adversary: u8, wanted: impl Fn(&Fault) -> bool) -> BTreeSet<u8> {
    let blames = |id: &u8| {
        four.node(*id).host.told(|told| {
            let blamed = |fault: &&Fault| fault.replica() == Some(ReplicaId(adversary));
            told.faults.iter().filter(blamed).any(&wanted)
        })
    };
    (0..4).filter(|id| *id != adversary).filter(blames).collect()
}

/// Decides slot after slot until every honest replica has such a fault of the adversary.
async fn all_blame(four: &Four, adversary: u8, wanted: impl Fn(&Fault) -> bool) {
    blamed_by(four, adversary, 3, wanted).await;
}

/// Decides slot after slot until so many honest replicas have such a fault of the adversary.
async fn blamed_by(four: &Four, adversary: u8, least: usize, wanted: impl Fn(&Fault) -> bool) {
    let asked = u8::from(adversary == 0);
    for slot in 0..SLOTS_MAX {
        four.node(asked).decide(&format!("slot-{slot}"), 1).await;
        if blamers(four, adversary, &wanted).len() >= least {
            return;
        }
    }
    panic!("after {SLOTS_MAX} slots only {:?} blame it", blamers(four, adversary, wanted));
}

/// The honest three have decided the same, and blame nobody but the adversary.
fn assert_honest_agree(four: &Four, adversary: u8) {
    let mut decided: BTreeMap<Sequence, (Digest, Vec<Vec<u8>>)> = BTreeMap::new();
    for id in (0..4).filter(|id| *id != adversary) {
        four.node(id).host.told(|told| {
            for (sequence, slot) in &told.slots {
                let first = decided.entry(*sequence).or_insert_with(|| slot.clone());
                assert_eq!(first, slot, "slot {sequence} on replica {id}");
            }
            let others = |fault: &&Fault| fault.replica().is_some_and(|it| it != ReplicaId(adversary));
            let blamed: Vec<&Fault> = told.faults.iter().filter(others).collect();
            assert_eq!(blamed, Vec::<&Fault>::new(), "replica {id} blames an honest one");
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_that_equivocates_is_proven_and_shut_out_by_so_many_that_it_can_do_no_more() {
    let four = four_with(2, Vice::Equivocator).await;
    // Two of three shut it out, and it hears no quorum any more: the third may never see its second word.
    blamed_by(&four, 2, 2, Fault::is_proof).await;
    let shut_out = |id: &u8| four.node(*id).node.assessments().iter().any(|it| it.quarantined.is_some());
    let blamers = blamers(&four, 2, Fault::is_proof);
    assert!(blamers.iter().all(shut_out), "whoever has the proof has shut it out before anybody hears of it");
    assert_honest_agree(&four, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_that_equivocates_is_proven_to_so_many_that_it_can_do_no_more() {
    let four = four_with(0, Vice::Equivocator).await;
    blamed_by(&four, 0, 2, Fault::is_proof).await;
    assert_honest_agree(&four, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_proposal_of_an_equivocating_primary_is_one_that_backups_vote_for() {
    let four = four_with(0, Vice::Equivocator).await;
    // What it asks for itself it observes itself, so that it has something to say in two ways.
    four.node(0).request("two-ways.example.org");
    four.node(1).host.decided(1).await;
    let twice = |fault: &Fault| matches!(fault, Fault::Equivocation { first, .. } if first.phase == MessageType::PrePrepare);
    until("somebody has seen both proposals", || !blamers(&four, 0, twice).is_empty()).await;
    assert_eq!(blamers(&four, 0, |fault| matches!(fault, Fault::RefusedProposal { .. })), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forger_is_blamed_for_its_signatures_by_every_honest_replica() {
    let four = four_with(2, Vice::Forger).await;
    all_blame(&four, 2, |fault| matches!(fault, Fault::InvalidSignature { .. })).await;
    assert_honest_agree(&four, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replayer_is_blamed_for_votes_of_others_by_every_honest_replica() {
    let four = four_with(2, Vice::Replayer).await;
    all_blame(&four, 2, |fault| matches!(fault, Fault::WrongSender { .. })).await;
    assert_honest_agree(&four, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_replica_is_connected_and_never_heard() {
    let four = four_with(2, Vice::Silent).await;
    four.node(0).decide("silence", 5).await;
    for id in [0, 1, 3] {
        let peers = four.node(id).node.status().peers;
        let silent = peers.iter().find(|peer| peer.id == ReplicaId(2)).unwrap();
        assert!(silent.connected && silent.last_seen_ms.is_none(), "{silent:?}");
    }
    assert_honest_agree(&four, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_replica_votes_after_the_others_have_decided() {
    // So late that nothing of it can come in time.
    let four = four_with(2, Vice::Late(Duration::from_secs(60))).await;
    for slot in 0..5 {
        four.node(0).decide(&format!("slot-{slot}"), 1).await;
    }
    four.node(2)
        .status("it decides what it does not vote for", |status| status.replica.executed.0 >= 5)
        .await;
    let early = four.node(0).host.told(|told| told.early.len());
    assert_eq!(early, 0, "a fast quorum needs its vote");
    assert_honest_agree(&four, 2);
}
