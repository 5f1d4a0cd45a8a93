//! Operations beside questions: from a request by HTTP, or a wish, to what all replicas hold.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use agreement::{Said, Statement};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use certificate::codec::{Decode, Encode};
use certificate::leaf::{Class, Leaf};
use certificate::verify::verify;
use certificate::{CertifiedAnswer, Digest, OperationKind, ReplicaId};
use node::Host;
use serde_json::{Value, json};

use super::four::{Four, settings, until};
use super::looking_up::chain;
use super::setting::Setting;
use super::toy::{Toy, verdict};
use super::upstream::Upstream;
use crate::byzantine_consensus::api::VALIDATE;
use crate::byzantine_consensus::callbacks::Callbacks;
use crate::byzantine_consensus::consensus::{Consensus, wall_ms};
use crate::byzantine_consensus::judge::operation_of;
use crate::byzantine_consensus::validations;
use crate::metrics::Metrics;
use crate::validator::{Decision, Task, Validator};

const CONTENT: &[u8] = b"a certificate";

/// A validator behind each replica.
fn toys(four: &Four) -> Vec<Arc<Toy>> {
    let toy = |upstream: &Arc<Upstream>| {
        let toy = Arc::new(Toy::default());
        upstream.judges_by(toy.clone());
        toy
    };
    four.upstreams.iter().map(toy).collect()
}

/// What replica 0 answers to a client that has `body` judged.
async fn post(four: &Four, body: &'static [u8]) -> (u16, Value) {
    let plugin = four.replica(0).chain.plugins()[0].clone();
    assert!(plugin.receives(VALIDATE) && !plugin.receives("/v1/status"));
    let (status, body) = plugin.post(VALIDATE, "", Bytes::from_static(body)).await.expect("a path of ours");
    (status, serde_json::from_str(&body).expect("JSON"))
}

/// The certified decision in an answer.
fn certified(four: &Four, answer: &Value) -> CertifiedAnswer {
    let bytes = STANDARD.decode(answer["certificate"].as_str().unwrap()).unwrap();
    let certified = CertifiedAnswer::from_bytes(&bytes).unwrap();
    verify(&certified, &four.setting.cluster, None, wall_ms(), 0, Class::NoAgreement).unwrap();
    certified
}

fn counters(metrics: &Metrics) -> String {
    metrics.encode()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_one_replica_was_given_is_judged_by_all() {
    let four = Four::running(|_| {}).await;
    let toys = toys(&four);
    let (status, answer) = post(&four, CONTENT).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["class"], &answer["validation"]), (&json!("strong"), &json!({ "said": "13 bytes" })));
    let leaf = certified(&four, &answer).leaf;
    assert_eq!((leaf.kind(), leaf.verdict.as_slice()), (OperationKind::Validate, &b"13 bytes"[..]));
    let subject: String = leaf.subject.operation_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(answer["leaf-subject"], json!(subject));
    let task = toys[0].hold(OperationKind::Validate, CONTENT);
    for (id, toy) in toys.iter().enumerate() {
        until(&format!("replica {id} is told"), || toy.knows(&task)).await;
    }
    let (_, again) = post(&four, CONTENT).await;
    assert_eq!(again["slot"], answer["slot"], "what holds is not decided anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_liar_neither_changes_the_verdict_nor_is_held_against_anybody() {
    let four = Four::running(|_| {}).await;
    toys(&four)[3].say(verdict("all is well"));
    let (status, answer) = post(&four, CONTENT).await;
    assert_eq!(status, 200, "{answer}");
    let leaf = certified(&four, &answer).leaf;
    assert_eq!((leaf.verdict.as_slice(), leaf.support.contains(ReplicaId(3))), (&b"13 bytes"[..], false));
    let counters = || counters(&four.replica(0).metrics);
    // On a busy machine the liar may be among the first three.
    assert!([Class::Strong, Class::Corroborated].contains(&leaf.class), "{:?}", leaf.class);
    let class = leaf.class.name();
    let decided = format!(
        "quorate_consensus_operations_total{{cluster=\"example\",kind=\"validate\",class=\"{class}\"}} 1"
    );
    until("the decision is counted", || counters().contains(&decided)).await;
    assert!(!counters().contains("quorate_consensus_out_voted_total{"), "{}", counters());
    assert!(!counters().contains("quorate_consensus_decisions_total{"), "{}", counters());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_enough_cannot_judge_is_certified_as_such() {
    let four = Four::running(|_| {}).await;
    toys(&four).iter().for_each(|toy| toy.say(Said::CannotJudge("no log list".to_owned())));
    let (status, answer) = post(&four, CONTENT).await;
    assert_eq!((status, &answer["class"]), (200, &json!("failure")));
    assert_eq!(certified(&four, &answer).leaf.class, Class::Failure);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_without_a_decision_or_a_validator_or_sense_is_refused() {
    let mut four = Four::new(|_| {});
    four.start(0, settings());
    let error = |(status, answer): (u16, Value)| (status, answer["error"].as_str().unwrap().to_owned());
    let (status, why) = error(post(&four, CONTENT).await);
    assert!(status == 404 && why.contains("is `ct-verify` in its server block"), "{status} {why}");
    toys(&four);
    let (status, why) = error(post(&four, CONTENT).await);
    assert!(status == 503 && why.ends_with("of 4 replicas answered, 3 are needed"), "{status} {why}");
    assert_eq!(error(post(&four, b"").await), (400, "expected a certificate, found nothing".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_wishes_is_decided_for_all() {
    let four = Four::running(|_| {}).await;
    let toys = toys(&four);
    toys.iter().for_each(|toy| toy.say(verdict("accepted")));
    let wish = toys[1].hold(OperationKind::UpdateInputs, CONTENT);
    toys[1].wishes.lock().unwrap().push(wish.clone());
    for (id, toy) in toys.iter().enumerate() {
        until(&format!("replica {id} is told"), || toy.knows(&wish)).await;
    }
    let decided = toys[1].decided.lock().unwrap().clone();
    let Decision { leaf, groups_heard } = &decided[0].1;
    assert_eq!((leaf.class, leaf.verdict.as_slice()), (Class::Strong, &b"accepted"[..]));
    assert_eq!(*groups_heard, four.setting.cluster.groups_of(leaf.observers).count_ones());
    let again = || toys[1].decided.lock().unwrap().len() > 1;
    until("a wish that is granted already is told so again", again).await;
    let decided = toys[1].decided.lock().unwrap().clone();
    assert_eq!(decided[0], decided[1], "the decision that holds, no new one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_that_was_away_is_handed_the_decision_that_it_wishes() {
    let mut four = Four::running(|_| {}).await;
    let toys = toys(&four);
    toys.iter().for_each(|toy| toy.say(verdict("accepted")));
    let wish = toys[0].hold(OperationKind::UpdateInputs, CONTENT);
    toys[0].wishes.lock().unwrap().push(wish.clone());
    until("replica 3 is told", || toys[3].knows(&wish)).await;
    let before = toys[3].decided.lock().unwrap()[0].1.clone();
    toys[0].wishes.lock().unwrap().clear();
    four.stop(3).await;
    toys[3].decided.lock().unwrap().clear();
    four.start(3, settings());
    four.presence(3, 4).await;

    toys[3].wishes.lock().unwrap().push(wish.clone());

    until("replica 3 is told anew", || toys[3].knows(&wish)).await;
    assert_eq!(toys[3].decided.lock().unwrap()[0].1, before, "the same decision");
    let handed_out: u64 = (0..3).map(|id| four.replica(id).consensus.metrics.handed_out.get()).sum();
    assert!(handed_out > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_reach_all_other_replicas() {
    let four = Four::running(|_| {}).await;
    let toys = toys(&four);
    toys[2].news.lock().unwrap().push_back(Bytes::from_static(b"a head"));
    for id in [0, 1, 3] {
        let told = || toys[id].told.lock().unwrap().contains(&(ReplicaId(2), b"a head".to_vec()));
        until(&format!("replica {id} is told"), told).await;
    }
    assert!(toys[2].told.lock().unwrap().is_empty());
}

/// A replica without a node, and the validator of its chain.
fn alone(toy: Toy) -> (Setting, Arc<Consensus>, Arc<Toy>) {
    let (setting, toy) = (Setting::new(), Arc::new(toy));
    let consensus = Arc::new(Consensus::new(&setting.identity(0)));
    let upstream = Arc::<Upstream>::default();
    upstream.judges_by(toy.clone());
    consensus.attach(1, chain(&["."], &upstream));
    (setting, consensus, toy)
}

fn task(number: u64) -> Task {
    Task { kind: OperationKind::UpdateInputs, subject: number.to_be_bytes().to_vec() }
}

/// What is decided when all replicas say `said` of `task`.
fn decided(setting: &Setting, task: &Task, said: Said) -> Leaf {
    let said = Statement { ttl: 60, said };
    let statements: Vec<_> = (0..4).map(|id| (ReplicaId(id), wall_ms(), said.clone())).collect();
    agreement::statement::decide(&setting.cluster, task.kind, &task.subject, &statements)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_are_told_in_the_order_of_the_log() {
    let (setting, consensus, toy) = alone(Toy::default());
    let telling = tokio::spawn(validations::tell(Arc::downgrade(&consensus)));
    let callbacks = Callbacks(Arc::downgrade(&consensus));
    let question = super::setting::question("www.example.org");
    let answer = setting.unanimous(&question, wall_ms(), super::upstream::nxdomain()).leaf;
    for number in 1..=50 {
        let leaf = decided(&setting, &task(number), verdict("accepted"));
        let beside = (crate::byzantine_consensus::judge::operation(&question), answer.clone());
        callbacks.decided(&setting.decided(number, &[beside, (operation_of(&task(number)), leaf)]));
    }
    until("all are told", || toy.decided.lock().unwrap().len() == 50).await;
    let told: Vec<Task> = toy.decided.lock().unwrap().iter().map(|(task, _)| task.clone()).collect();
    assert_eq!(told, (1..=50).map(task).collect::<Vec<_>>());
    until("what runs for it is done", || Arc::strong_count(&consensus) == 1).await;
    drop(consensus);
    tokio::time::timeout(super::four::PATIENCE, telling).await.expect("nobody is left to tell").unwrap();
}

#[tokio::test]
async fn validator_knows_that_a_cluster_asks_before_the_first_lookup() {
    let (_, consensus, toy) = alone(Toy::default());
    assert!(toy.is_attached.load(Ordering::Relaxed));
    let (upstream, other) = (Arc::<Upstream>::default(), Arc::<Toy>::default());
    upstream.judges_by(other.clone());
    assert!(!other.is_attached.load(Ordering::Relaxed));
    consensus.attach(2, chain(&["example.org."], &upstream));
    assert!(other.is_attached.load(Ordering::Relaxed), "that of every chain: its remarks are agreed on, too");
}

#[tokio::test]
async fn replicas_of_one_upstream_group_are_heard_as_one_network() {
    let shared = Setting::with(|cluster| {
        let members = cluster.members.iter().map(|member| {
            let group = if member.id.0 < 2 { "shared".to_owned() } else { member.upstream_group.clone() };
            certificate::Member { upstream_group: group, ..member.clone() }
        });
        *cluster = certificate::Cluster::new("example", 1, members.collect()).unwrap();
    });
    let consensus = Arc::new(Consensus::new(&shared.identity(0)));
    let (upstream, toy) = (Arc::<Upstream>::default(), Arc::<Toy>::default());
    upstream.judges_by(toy.clone());
    consensus.attach(1, chain(&["."], &upstream));
    tokio::spawn(validations::tell(Arc::downgrade(&consensus)));
    let leaf = decided(&shared, &task(1), verdict("accepted"));
    consensus.validations.hand_on(vec![(task(1), leaf)]);
    until("it is told", || toy.knows(&task(1))).await;
    let decision = toy.decided.lock().unwrap()[0].1.clone();
    assert_eq!((decision.leaf.support.len(), decision.groups_heard), (4, 3));
}

/// What is said of a task here.
async fn said(consensus: &Consensus) -> Statement {
    Statement::from_bytes(&consensus.look_at(&task(1), None).await).unwrap()
}

#[tokio::test]
async fn newest_chain_is_asked_and_told_while_a_reload_goes_on() {
    let (setting, consensus, old) = alone(Toy::default());
    let (upstream, new) = (Arc::<Upstream>::default(), Arc::<Toy>::default());
    upstream.judges_by(new.clone());
    new.say(verdict("new"));
    old.say(verdict("old"));
    consensus.attach(2, chain(&["."], &upstream));
    assert_eq!(said(&consensus).await.said, verdict("new"));
    tokio::spawn(validations::tell(Arc::downgrade(&consensus)));
    consensus.validations.hand_on(vec![(task(1), decided(&setting, &task(1), verdict("accepted")))]);
    until("it is told", || new.knows(&task(1)) || old.knows(&task(1))).await;
    assert!(!old.knows(&task(1)));
    consensus.detach(2);
    assert_eq!(said(&consensus).await.said, verdict("old"), "a reload that comes to nothing");
}

#[tokio::test]
async fn replica_without_a_validator_cannot_judge() {
    let consensus = Consensus::new(&Setting::new().identity(0));
    assert_eq!(said(&consensus).await, Statement::cannot_judge("no plugin here judges certificates"));
}

#[tokio::test]
async fn verdict_longer_than_an_observation_is_none() {
    let (setting, consensus, toy) = alone(Toy::default());
    toy.say(Said::Verdict(vec![b'x'; 4096]));
    assert!(matches!(said(&consensus).await.said, Said::CannotJudge(why) if why.contains("4096 bytes")));
    let payload = decided(&setting, &task(1), verdict("short")).to_bytes();
    assert!(agreement::statement::check(&setting.cluster, ReplicaId(0), &payload).is_err(), "a leaf is none");
}

#[tokio::test(start_paused = true)]
async fn verdict_that_does_not_come_is_not_waited_for() {
    let (_, consensus, _) = alone(Toy { is_stuck: true, ..Toy::default() });
    let started = tokio::time::Instant::now();
    assert_eq!(said(&consensus).await, Statement::cannot_judge("no verdict within 3 s"));
    assert_eq!(started.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn one_replica_that_asks_too_much_leaves_room_for_what_others_ask() {
    let (_, consensus, toy) = alone(Toy::default());
    *toy.stuck_on.lock().unwrap() = Some(task(1));
    let mut floods = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let consensus = consensus.clone();
        floods.spawn(async move { consensus.look_at(&task(1), Some(ReplicaId(3))).await });
    }
    tokio::task::yield_now().await;
    let started = tokio::time::Instant::now();
    for origin in [Some(ReplicaId(1)), Some(ReplicaId(2)), None] {
        let looked = Statement::from_bytes(&consensus.look_at(&task(2), origin).await).unwrap();
        assert_eq!(looked, Statement::cannot_judge("no digest"), "{origin:?}");
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    while let Some(flood) = floods.join_next().await {
        flood.unwrap();
    }
    assert_eq!(started.elapsed(), Duration::from_secs(3), "all of a flood is given up in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_that_fails_at_one_decision_is_told_the_next() {
    let (setting, consensus, toy) = alone(Toy::default());
    *toy.fails_at.lock().unwrap() = Some(task(2));
    let telling = tokio::spawn(validations::tell(Arc::downgrade(&consensus)));
    let leaf = |number| (task(number), decided(&setting, &task(number), verdict("accepted")));
    consensus.validations.hand_on(vec![leaf(1), leaf(2), leaf(3)]);
    consensus.validations.hand_on(vec![leaf(4)]);
    until("the last is told", || toy.knows(&task(4)) || telling.is_finished()).await;
    let told: Vec<Task> = toy.decided.lock().unwrap().iter().map(|(task, _)| task.clone()).collect();
    assert_eq!(told, [task(1), task(3), task(4)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_decisions_name_is_fetched_although_some_is_nowhere() {
    let four = Four::running(|_| {}).await;
    let toys = toys(&four);
    let digest = Digest::of(CONTENT);
    toys[2].hold(OperationKind::UpdateInputs, CONTENT);
    let nowhere = [Digest::of(b"1"), Digest::of(b"2"), Digest::of(b"3")];
    toys[0].missing.lock().unwrap().extend(nowhere.into_iter().chain([digest]));

    until("it is found", || toys[0].content(&digest).is_some()).await;

    assert_eq!(toys[0].content(&digest).unwrap(), CONTENT);
    assert_eq!(*toys[0].missing.lock().unwrap(), nowhere);
    assert!(toys[1].content(&digest).is_none(), "who misses nothing fetches nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wish_has_its_turn_however_many_there_are() {
    let four = Four::running(|_| {}).await;
    let toys = toys(&four);
    toys.iter().for_each(|toy| toy.say(verdict("accepted")));
    let wishes: Vec<Task> = (0..20).map(task).collect();
    toys[1].wishes.lock().unwrap().extend(wishes.clone());
    for wish in &wishes {
        until("it is decided", || toys[0].knows(wish)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_that_no_quorum_decides_takes_no_room_from_questions() {
    let mut four = Four::new(|_| {});
    four.start(0, settings());
    toys(&four);
    assert_eq!(post(&four, CONTENT).await.0, 503);
    let consensus = &four.replica(0).consensus;
    assert_eq!((consensus.waiting.len(), consensus.tasks.len()), (0, 1), "it is open until it is given up");
}
