//! Decisions of the own node and answers of other replicas: what is kept, and who is told.

use std::sync::Arc;

use agreement::Decision;
use certificate::codec::Encode;
use certificate::leaf::{Class, Leaf, Question};
use certificate::verify::verify;
use certificate::{Digest, ReplicaId};
use tokio::time::Instant;

use super::setting::{Setting, held, question};
use super::upstream::{address, nxdomain};
use super::waiting::told;
use crate::byzantine_consensus::consensus::{Consensus, encode_answer, wall_ms};
use crate::byzantine_consensus::judge::{key, operation};
use crate::byzantine_consensus::waiting::Place;

const PEER: ReplicaId = ReplicaId(1);

fn consensus(setting: &Setting) -> Consensus {
    Consensus::new(&setting.identity(0))
}

fn wait(consensus: &Consensus, question: &Question) -> Place {
    consensus.waiting.join(key(question), Instant::now()).unwrap()
}

/// The decision of all that `www.example.org` has an address, made at `time_ms`.
fn decision(setting: &Setting, time_ms: u64) -> Decision {
    setting.unanimous(&question("www.example.org"), time_ms, address("www.example.org.", 1))
}

fn entry(leaf: &Leaf) -> (pbft::Operation, Leaf) {
    (operation(leaf.question().unwrap()), leaf.clone())
}

#[tokio::test]
async fn decided_slot_is_kept_and_told() {
    let setting = Setting::new();
    let consensus = consensus(&setting);
    let leaf = decision(&setting, wall_ms()).leaf;
    let mut place = wait(&consensus, leaf.question().unwrap());

    consensus.take_slot(&setting.decided(1, &[entry(&leaf)]));

    let told = told(&mut place).await.expect("the decision was told");
    assert_eq!(told.leaf, leaf);
    assert!(Arc::ptr_eq(&told, &consensus.store.get(&key(leaf.question().unwrap())).unwrap()));
}

#[tokio::test]
async fn each_leaf_of_a_slot_gets_the_proof_of_its_place() {
    let setting = Setting::new();
    let consensus = consensus(&setting);
    let names = ["a.example.org.", "b.example.org.", "c.example.org."];
    let leaf = |name| setting.unanimous(&question(name), wall_ms(), address(name, 1)).leaf;

    consensus.take_slot(&setting.decided(1, &names.map(|name| entry(&leaf(name)))));

    for asked in names.map(question) {
        let held = consensus.store.get(&key(&asked)).expect("it is kept");
        let certified = held.certificate.get().expect("it is certified");
        verify(&certified.answer, &setting.cluster, Some(&asked), wall_ms(), 0, Class::Strong).unwrap();
    }
}

#[tokio::test]
async fn leaf_under_the_key_of_another_operation_is_dropped() {
    let setting = Setting::new();
    let consensus = consensus(&setting);
    let leaf = decision(&setting, wall_ms()).leaf;
    let other = question("other.example.org");
    let mut place = wait(&consensus, &other);

    consensus.take_slot(&setting.decided(1, &[(operation(&other), leaf.clone())]));

    assert!(told(&mut place).await.is_none());
    assert!(consensus.store.get(&key(&other)).is_none());
    assert!(consensus.store.get(&key(leaf.question().unwrap())).is_none());
}

#[tokio::test]
async fn leaf_that_is_none_costs_the_rest_of_its_slot_nothing() {
    let setting = Setting::new();
    let consensus = consensus(&setting);
    let leaf = decision(&setting, wall_ms()).leaf;
    let other = question("other.example.org");
    let mut slot = setting.decided(1, &[(operation(&other), leaf.clone()), entry(&leaf)]);
    slot.leaves[0] = b"none".to_vec();

    consensus.take_slot(&slot);

    assert!(consensus.store.get(&key(leaf.question().unwrap())).is_some());
}

#[tokio::test]
async fn decision_that_has_just_expired_is_told() {
    let setting = Setting::new();
    let consensus = consensus(&setting);
    let leaf = decision(&setting, wall_ms() - 300_000 - 100).leaf;
    let mut place = wait(&consensus, leaf.question().unwrap());
    consensus.take_slot(&setting.decided(1, &[entry(&leaf)]));
    assert!(told(&mut place).await.is_some());
}

#[tokio::test]
async fn decision_that_expired_long_ago_is_not_told() {
    let setting = Setting::new();
    let consensus = consensus(&setting);
    let leaf = decision(&setting, wall_ms() - 300_000 - 2500).leaf;
    let mut place = wait(&consensus, leaf.question().unwrap());
    consensus.take_slot(&setting.decided(1, &[entry(&leaf)]));
    assert!(told(&mut place).await.is_none());
}

/// What happens to `bytes` that a peer returns for `asked`: whether those who wait are told, which is when it is kept.
async fn returned(setting: &Setting, asked: &Question, answer_to: Digest, bytes: &[u8]) -> bool {
    let consensus = consensus(setting);
    let mut place = wait(&consensus, asked);
    consensus.take_answer(PEER, answer_to, bytes);
    let is_told = told(&mut place).await.is_some();
    assert_eq!(is_told, consensus.store.get(&key(asked)).is_some());
    is_told
}

#[tokio::test]
async fn certified_answer_of_a_peer_is_kept_and_told() {
    let setting = Setting::new();
    let asked = question("absent.example.org");
    let handed_out = setting.held(1, setting.unanimous(&asked, wall_ms(), nxdomain()));
    assert!(returned(&setting, &asked, key(&asked), &encode_answer(&handed_out).unwrap()).await);
}

#[tokio::test]
async fn answer_of_a_peer_to_another_question_is_refused() {
    let setting = Setting::new();
    let asked = question("other.example.org");
    let handed_out = setting.held(1, decision(&setting, wall_ms()));
    assert!(!returned(&setting, &asked, key(&asked), &encode_answer(&handed_out).unwrap()).await);
}

#[tokio::test]
async fn answer_of_a_peer_under_another_key_is_refused() {
    let setting = Setting::new();
    let asked = question("www.example.org");
    let handed_out = setting.held(1, decision(&setting, wall_ms()));
    let other = key(&question("other.example.org"));
    assert!(!returned(&setting, &asked, other, &encode_answer(&handed_out).unwrap()).await);
}

#[tokio::test]
async fn answer_of_a_peer_without_the_records_beside_it_is_refused() {
    let setting = Setting::new();
    let asked = question("absent.example.org");
    let Decision { leaf, extra } = setting.unanimous(&asked, wall_ms(), nxdomain());
    assert!(!extra.is_empty());
    let handed_out = held(setting.certify(1, &leaf), Vec::new());
    assert!(!returned(&setting, &asked, key(&asked), &encode_answer(&handed_out).unwrap()).await);
}

#[tokio::test]
async fn answer_of_a_peer_with_records_that_nobody_agreed_on_is_refused() {
    let setting = Setting::new();
    let asked = question("www.example.org");
    let extra = setting.unanimous(&question("absent.example.org"), wall_ms(), nxdomain()).extra;
    let handed_out = held(setting.certify(1, &decision(&setting, wall_ms()).leaf), extra);
    assert!(!returned(&setting, &asked, key(&asked), &encode_answer(&handed_out).unwrap()).await);
}

#[tokio::test]
async fn answer_of_a_peer_with_a_broken_signature_is_refused() {
    let setting = Setting::new();
    let asked = question("www.example.org");
    let mut answer = setting.certify(1, &decision(&setting, wall_ms()).leaf);
    answer.certificate.signatures[1].0[7] ^= 1;
    let handed_out = held(answer, Vec::new());
    assert!(!returned(&setting, &asked, key(&asked), &encode_answer(&handed_out).unwrap()).await);
}

#[tokio::test]
async fn answer_of_a_peer_that_no_quorum_signed_is_refused() {
    let setting = Setting::new();
    let asked = question("www.example.org");
    let signed = setting.certify(1, &decision(&setting, wall_ms()).leaf);
    let forged = setting.unanimous(&asked, wall_ms(), address("www.example.org.", 66)).leaf;
    let handed_out = held(certificate::CertifiedAnswer { leaf: forged, ..signed }, Vec::new());
    assert!(!returned(&setting, &asked, key(&asked), &encode_answer(&handed_out).unwrap()).await);
}

#[tokio::test]
async fn answer_of_a_peer_that_has_expired_is_refused() {
    let setting = Setting::new();
    let asked = question("www.example.org");
    let handed_out = setting.held(1, decision(&setting, wall_ms() - 400_000));
    assert!(!returned(&setting, &asked, key(&asked), &encode_answer(&handed_out).unwrap()).await);
}

#[tokio::test]
async fn answer_of_a_peer_with_bytes_behind_it_is_refused() {
    let setting = Setting::new();
    let asked = question("www.example.org");
    let handed_out = setting.held(1, decision(&setting, wall_ms()));
    let bytes = [encode_answer(&handed_out).unwrap(), vec![0]].concat();
    assert!(!returned(&setting, &asked, key(&asked), &bytes).await);
    assert!(
        !returned(&setting, &asked, key(&asked), &handed_out.certificate.get().unwrap().answer.to_bytes())
            .await
    );
}
