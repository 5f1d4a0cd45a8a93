//! Answers that go out before their commits are in: who gets them, when their certificate comes, and what a contradiction does.

use std::sync::Arc;
use std::time::Duration;

use certificate::leaf::{Class, Leaf};
use certificate::verify::verify;
use hickory_proto::rr::RecordType;
use pbft::{Batch, Early, Operation};
use tokio::time::Instant;

use super::four::{Four, PATIENCE, certified, patient, until};
use super::setting::{Setting, question};
use super::upstream::address;
use super::waiting::told;
use crate::byzantine_consensus::consensus::{Consensus, encode_answer, wall_ms};
use crate::byzantine_consensus::judge::{key, operation};
use crate::byzantine_consensus::nodes::FastPath;
use crate::byzantine_consensus::store::EARLY_SLOTS_MAX;
use crate::certification::Certification;
use crate::rehearsal::query;
use crate::response::Certified;

const NAME: &str = "www.example.org.";

fn consensus(setting: &Setting) -> Consensus {
    Consensus::new(&setting.identity(0))
}

fn entry(leaf: &Leaf) -> (Operation, Leaf) {
    (operation(leaf.question().unwrap()), leaf.clone())
}

/// What the node reports of slot `sequence` before its commits are in.
fn early(setting: &Setting, sequence: u64, leaf: &Leaf) -> Early {
    let decided = setting.decided(sequence, &[entry(leaf)]);
    Early {
        header: decided.header,
        view: decided.view,
        leaves: decided.leaves,
        operations: decided.operations,
        evidence: Arc::new(Batch::default()),
    }
}

/// That `www.example.org` has the address 192.0.2.`last`.
fn leaf(setting: &Setting, last: u8) -> Leaf {
    setting.unanimous(&question(NAME), wall_ms(), address(NAME, last)).leaf
}

/// What becomes of a certificate.
async fn outcome(certification: &Certification) -> Option<Arc<Certified>> {
    tokio::time::timeout(PATIENCE, certification.wait()).await.expect("it is known")
}

#[tokio::test]
async fn early_answer_is_told_at_once_and_gets_its_certificate_later() {
    let setting = Setting::new();
    let consensus = consensus(&setting);
    let (asked, leaf) = (question(NAME), leaf(&setting, 1));
    let mut place = consensus.waiting.join(key(&asked), Instant::now()).unwrap();

    consensus.take_early(&early(&setting, 1, &leaf));

    let held = told(&mut place).await.expect("it was told");
    assert_eq!(held.leaf, leaf);
    let certification = held.certificate.certification();
    assert!(certification.get().is_none());
    consensus.take_slot(&setting.decided(1, &[entry(&leaf)]));
    let complete = certification.get().expect("the commits are in");
    verify(&complete.answer, &setting.cluster, Some(&asked), wall_ms(), 0, Class::Strong).unwrap();
    assert!(Arc::ptr_eq(&consensus.store.get(&key(&asked)).unwrap(), &held), "what is kept is completed");
}

#[tokio::test]
async fn early_answer_serves_those_who_come_before_the_commits() {
    let setting = Setting::new();
    let consensus = consensus(&setting);
    consensus.take_early(&early(&setting, 1, &leaf(&setting, 1)));
    let held = consensus.store.valid(&key(&question(NAME)), wall_ms()).expect("it holds");
    assert!(encode_answer(&held).is_none(), "nothing to hand to a peer, which must be able to check it");
}

#[tokio::test]
async fn decision_that_overtakes_its_early_release_stays() {
    let setting = Setting::new();
    let consensus = consensus(&setting);
    let leaf = leaf(&setting, 1);
    consensus.take_slot(&setting.decided(1, &[entry(&leaf)]));
    let mut place = consensus.waiting.join(key(&question(NAME)), Instant::now()).unwrap();

    consensus.take_early(&early(&setting, 1, &leaf));

    let held = told(&mut place).await.expect("it was told");
    assert!(held.certificate.get().is_some(), "the decision with its certificate, not the release");
}

#[tokio::test]
async fn decision_that_contradicts_its_early_release_replaces_it() {
    let setting = Setting::new();
    let consensus = consensus(&setting);
    consensus.take_early(&early(&setting, 1, &leaf(&setting, 1)));
    let released = consensus.store.get(&key(&question(NAME))).unwrap().certificate.certification();
    let decided = leaf(&setting, 66);

    consensus.take_slot(&setting.decided(1, &[entry(&decided)]));

    assert!(outcome(&released).await.is_none(), "there is no certificate of what was released");
    assert_eq!(consensus.store.get(&key(&question(NAME))).unwrap().leaf, decided);
}

#[tokio::test]
async fn nobody_waits_for_the_certificate_of_a_slot_that_was_skipped() {
    let setting = Setting::new();
    let consensus = consensus(&setting);
    consensus.take_early(&early(&setting, 1, &leaf(&setting, 1)));
    let released = consensus.store.get(&key(&question(NAME))).unwrap().certificate.certification();
    let other = setting.unanimous(&question("a.example.org."), wall_ms(), address("a.example.org.", 1)).leaf;
    let far = 2 + EARLY_SLOTS_MAX as u64;
    consensus.take_slot(&setting.decided(far - 1, &[entry(&other)]));
    let wait = tokio::time::timeout(Duration::ZERO, released.wait()).await;
    assert!(wait.is_err(), "it may still come");
    consensus.take_slot(&setting.decided(far, &[entry(&other)]));
    assert!(outcome(&released).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_answers_are_what_everybody_decides() {
    let four = Four::running(|_| {}).await;
    let mut asked = 0;
    let consensus = &four.replica(0).consensus;
    // Which slots are fast depends on who is faster; some are, or the fast path would be of no use.
    while consensus.metrics.early.get() == 0 {
        let name = format!("{asked}.example.org.");
        four.all_see(&name, &address(&name, 1));
        let response = four.ask(0, &name, RecordType::A).await;
        let answer = certified(&response).await.answer.clone();
        verify(&answer, &four.setting.cluster, Some(&question(&name)), wall_ms(), 0, Class::Strong).unwrap();
        assert_eq!((response.answers.len(), response.authentic_data), (1, false));
        asked += 1;
        assert!(asked < 500, "no slot was fast");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificate_of_a_name_waits_for_the_commits() {
    let four = Four::running(|_| {}).await;
    for number in 0..20 {
        let name = format!("{number}.example.org.");
        four.all_see(&name, &address(&name, 1));
        let asked = patient(query(&format!("_certificate.{name}"), RecordType::TXT));
        let response = four.replica(0).serve(&asked).await.unwrap();
        assert_eq!(response.answers.len(), 1, "{response:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_fast_path_off_no_answer_goes_out_before_its_certificate() {
    let mut four = Four::new(|_| {});
    for id in 0..4 {
        four.start_with(id, super::four::settings(), |node| node.fast_path = FastPath::Off);
    }
    four.presence(0, 4).await;
    for number in 0..20 {
        let name = format!("{number}.example.org.");
        four.all_see(&name, &address(&name, 1));
        let response = four.ask(0, &name, RecordType::A).await;
        assert!(response.certificate.expect("a certificate").get().is_some());
    }
    let metrics = &four.replica(0).consensus.metrics;
    assert_eq!(metrics.early.get(), 0);
    until("slots are counted", || four.replica(0).consensus.node().status().replica.slow > 0).await;
    assert_eq!(four.replica(0).consensus.node().status().replica.fast, 0);
}
