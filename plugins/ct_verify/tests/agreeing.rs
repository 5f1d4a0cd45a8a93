//! What this replica says to the cluster, and what it makes of decisions.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use agreement::statement::{Said, Statement};
use async_trait::async_trait;
use bytes::Bytes;
use certificate::leaf::{Class, Leaf, Outcome, Policy};
use certificate::{Digest, OperationKind, ReplicaSet, Subject};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use transparency::content::{encode_chain, encode_lists};
use transparency::digest::Sha256;
use transparency::operation::{
    Agreed, Answer, CertificateSubject, InputKind, InputSubject, ProbeSubject, ValidateSubject,
};
use transparency::{Conclusion, Moment};

use super::{MATERIALS, august_ms, chain, plugin, vectors};
use crate::ct_verify::CtVerify;
use crate::plugin::Plugin;
use crate::validator::{Decision, Library, Task, Validator};

/// What peers hold, and what they were asked for.
#[derive(Default)]
pub struct Peers {
    content: HashMap<Digest, Bytes>,
    asked: Mutex<Vec<Digest>>,
}

impl Peers {
    pub fn with(bytes: &[Bytes]) -> Peers {
        let content = bytes.iter().map(|bytes| (Digest(Sha256::of(bytes).0), bytes.clone())).collect();
        Peers { content, asked: Mutex::default() }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Library for Peers {
    async fn fetch(&self, digest: &Digest) -> Option<Bytes> {
        self.asked.lock().unwrap().push(*digest);
        self.content.get(digest).cloned()
    }
}

pub fn update(kind: InputKind, digest: Sha256) -> Task {
    Task { kind: OperationKind::UpdateInputs, subject: InputSubject { kind, digest }.encode() }
}

/// A decision that the others came to: four networks were heard, three say so.
pub fn decision(task: &Task, class: Class, verdict: Vec<u8>, time_ms: u64) -> Decision {
    let subject = match task.kind {
        OperationKind::Validate => Subject::Validate(task.subject.clone()),
        _ => Subject::UpdateInputs(task.subject.clone()),
    };
    let leaf = Leaf {
        subject,
        class,
        policy: Policy::Strong,
        single_path: false,
        outcome: Outcome::None,
        extra_digest: Digest::ZERO,
        ttl: 60,
        time_ms,
        not_after_ms: time_ms + 60_000,
        support: ReplicaSet::EMPTY,
        groups: 0b1011,
        observers: ReplicaSet::EMPTY,
        verdict,
    };
    Decision { leaf, groups_heard: 4 }
}

/// The cluster puts an input in force.
pub fn put(plugin: &CtVerify, kind: InputKind, digest: Sha256, time_ms: u64) {
    let task = update(kind, digest);
    plugin.core.decided(&task, &decision(&task, Class::Strong, Answer::Accepted.encode(), time_ms));
}

/// The cluster puts a log list in force that this replica holds.
pub async fn log_list_in_force(plugin: &CtVerify, list: Bytes) -> bool {
    plugin.core.attached();
    let digest = plugin.core.contents.put(list);
    put(plugin, InputKind::LogList, digest, august_ms());
    idle(plugin).await;
    plugin
        .core
        .in_force
        .now(InputKind::LogList)
        .is_some_and(|now| now.digest == digest && now.input.is_some())
}

/// The plugin by the vectors, whose own inputs are in force.
fn settled() -> CtVerify {
    let plugin = plugin(MATERIALS);
    settle(&plugin);
    plugin
}

/// Puts what the plugin has itself in force.
pub fn settle(plugin: &CtVerify) {
    let own = plugin.core.own.materials();
    for kind in InputKind::ALL {
        if let Some(input) = own.input(kind) {
            put(plugin, kind, input.digest(), august_ms());
        }
    }
}

/// Waits until nothing is read, merged or written beside.
pub async fn idle(plugin: &CtVerify) {
    let idle = async {
        while !plugin.core.in_force.is_idle() || !plugin.core.wishes.is_idle() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), idle).await.expect("what is done beside comes to an end");
}

pub fn pem(name: &str) -> Vec<u8> {
    std::fs::read(vectors().join(format!("chains/{name}.pem"))).unwrap()
}

fn agreed(statement: &Statement) -> Agreed {
    match &statement.said {
        Said::Verdict(bytes) => Agreed::decode(bytes).unwrap(),
        Said::CannotJudge(why) => panic!("{why}"),
    }
}

pub fn why_not(statement: &Statement) -> &str {
    match &statement.said {
        Said::Verdict(verdict) => panic!("{}", String::from_utf8_lossy(verdict)),
        Said::CannotJudge(why) => why,
    }
}

pub fn answer(statement: &Statement) -> Answer {
    match &statement.said {
        Said::Verdict(bytes) => Answer::decode(bytes).unwrap(),
        Said::CannotJudge(why) => panic!("{why}"),
    }
}

pub async fn observe(plugin: &CtVerify, task: &Task, peers: &Peers) -> Statement {
    plugin.core.observe(task, august_ms(), peers).await
}

/// What asks for the judgement of this chain as that of a server with this name.
pub fn composed(plugin: &CtVerify, chain: &str, name: &str) -> Task {
    let query = format!("name={name}&purpose=server");
    plugin.core.compose(&query, &pem(chain), august_ms()).unwrap()
}

#[tokio::test]
async fn replicas_of_one_mind_say_the_same_bytes() {
    let (one, other) = (settled(), settled());
    for (name, conclusion) in [("good", Conclusion::Valid), ("bad-flipped", Conclusion::Invalid)] {
        let task = composed(&one, name, &format!("{name}.example.org"));
        let ours = observe(&one, &task, &Peers::default()).await;
        let peers = Peers::with(&[Bytes::from(encode_chain(&chain(name)))]);
        assert_eq!(observe(&other, &task, &peers).await, ours);
        assert_eq!((agreed(&ours).verdict, peers.asked()), (conclusion, 1), "{name}");
        assert!(agreed(&ours).encode().len() < 500, "{}", agreed(&ours).encode().len());
    }
}

#[tokio::test]
async fn chain_that_nobody_has_cannot_be_judged() {
    let task = composed(&settled(), "good", "good.example.org");
    let said = observe(&settled(), &task, &Peers::default()).await;
    assert_eq!(why_not(&said), "the chain is not to be had");
}

#[tokio::test]
async fn time_far_from_the_clock_here_is_not_judged() {
    let plugin = settled();
    let task = composed(&plugin, "good", "good.example.org");
    let late = plugin.core.observe(&task, august_ms() + 11 * 60_000, &Peers::default()).await;
    assert_eq!(why_not(&late), "the time is 11 minutes from the clock here");
    let near = plugin.core.observe(&task, august_ms() + 10 * 60_000, &Peers::default()).await;
    assert_eq!(agreed(&near).verdict, Conclusion::Valid);
}

#[tokio::test]
async fn input_that_is_not_in_force_is_not_judged_by_and_is_wished_for() {
    let asker = settled();
    let task = composed(&asker, "good", "good.example.org");
    let other = plugin("roots roots.pem\naudit off");
    let own = other.core.own.materials();
    put(&other, InputKind::Trust, own.trust.digest, august_ms());
    let said = observe(&other, &task, &Peers::default()).await;
    assert!(why_not(&said).ends_with("is not in force here"), "{said:?}");
    let list = asker.core.own.materials().log_list.clone().unwrap();
    assert_eq!(other.core.wishes(august_ms()), [update(InputKind::LogList, list.digest)]);
    put(&other, InputKind::LogList, list.digest, august_ms());
    assert_eq!(other.core.wishes(august_ms() + 60_000), []);
    let peers = Peers::with(&[list.bytes.clone(), Bytes::from(encode_chain(&chain("good")))]);
    let said = observe(&other, &task, &peers).await;
    assert_eq!((agreed(&said).verdict, peers.asked()), (Conclusion::Valid, 2));
}

#[tokio::test]
async fn certificate_without_list_is_not_judged_where_a_list_is_in_force() {
    let bare = plugin("roots roots.pem\naudit off");
    settle(&bare);
    let task = composed(&bare, "good", "good.example.org");
    assert_eq!(agreed(&observe(&bare, &task, &Peers::default()).await).verdict, Conclusion::Indeterminate);
    let peers = Peers::with(&[Bytes::from(encode_chain(&chain("good")))]);
    assert_eq!(why_not(&observe(&settled(), &task, &peers).await), "a log_list is in force here");
}

#[tokio::test]
async fn another_policy_is_not_judged_by() {
    let other = plugin(&format!("{MATERIALS}policy apple"));
    settle(&other);
    let task = composed(&other, "good", "good.example.org");
    assert_eq!(
        why_not(&observe(&settled(), &task, &Peers::default()).await),
        "another policy is in use here"
    );
}

#[tokio::test]
async fn what_was_in_force_is_judged_by_for_ten_minutes_more() {
    let plugin = settled();
    let task = composed(&plugin, "good", "good.example.org");
    let list = std::fs::read_to_string(vectors().join("log_list.json")).unwrap();
    let digest = plugin.core.contents.put(Bytes::from(list.replace("\"version\"", "\"was\"")));
    put(&plugin, InputKind::LogList, digest, august_ms() + 1);
    assert_eq!(agreed(&observe(&plugin, &task, &Peers::default()).await).verdict, Conclusion::Valid);
    let later = plugin.core.in_force.judgeable(
        InputKind::LogList,
        &plugin.core.own.materials().log_list.clone().unwrap().digest,
        august_ms() + 600_001,
    );
    assert!(later.is_none());
}

#[tokio::test]
async fn update_is_accepted_only_with_the_same_from_ones_own_source() {
    let plugin = plugin(MATERIALS);
    let own = plugin.core.own.materials();
    let list = own.log_list.as_ref().unwrap().digest;
    let other = std::fs::read(vectors().join("log_list_stale.json")).unwrap();
    let peers = Peers::with(&[other.clone().into()]);
    let said = async |task: Task| answer(&observe(&plugin, &task, &peers).await);
    assert_eq!(said(update(InputKind::LogList, list)).await, Answer::Accepted);
    assert_eq!(said(update(InputKind::Trust, own.trust.digest)).await, Answer::Accepted);
    let differs = Answer::Refused("differs".to_owned());
    assert_eq!(said(update(InputKind::LogList, Sha256::of(&other))).await, differs);
    assert_eq!(said(update(InputKind::Trust, list)).await, differs);
    let bare = super::plugin("audit off");
    let none = answer(&observe(&bare, &update(InputKind::LogList, list), &peers).await);
    assert_eq!(none, Answer::Refused("none_here".to_owned()));
}

#[tokio::test]
async fn refusal_holds_no_longer_than_a_wish_waits() {
    let plugin = plugin(MATERIALS);
    let list = plugin.core.own.materials().log_list.clone().unwrap().digest;
    let ttl = async |kind| observe(&plugin, &update(kind, list), &Peers::default()).await.ttl;
    assert_eq!((ttl(InputKind::LogList).await, ttl(InputKind::Trust).await), (60, 5));
}

#[tokio::test]
async fn revocation_lists_of_others_are_accepted_when_known_issuers_signed_them() {
    let folder = vectors();
    let lists = |names: &[&str]| {
        let read = |name: &&str| {
            let pem = std::fs::read(folder.join(format!("crl/{name}.crl"))).unwrap();
            CertificateRevocationListDer::from_pem_slice(&pem).unwrap().to_vec()
        };
        Bytes::from(encode_lists(&names.iter().map(read).collect::<Vec<_>>()))
    };
    let plugin = plugin(&format!("{MATERIALS}intermediates chains/good.pem"));
    let answered = async |content: Bytes| {
        let task = update(InputKind::Lists, Sha256::of(&content));
        answer(&observe(&plugin, &task, &Peers::with(&[content])).await)
    };
    assert_eq!(answered(lists(&["current"])).await, Answer::Accepted);
    assert_eq!(answered(lists(&["expired"])).await, Answer::Refused("list_expired".to_owned()));
    assert_eq!(answered(lists(&["future"])).await, Answer::Refused("list_invalid".to_owned()));
    let stranger = super::plugin("roots mozilla\naudit off");
    let content = lists(&["current"]);
    let task = update(InputKind::Lists, Sha256::of(&content));
    let said = answer(&observe(&stranger, &task, &Peers::with(&[content])).await);
    assert_eq!(said, Answer::Refused("list_invalid".to_owned()));
    let both = lists(&["current", "root-good"]);
    put(&plugin, InputKind::Lists, plugin.core.contents.put(both), august_ms());
    assert_eq!(answered(lists(&["current"])).await, Answer::Refused("list_gone".to_owned()));
}

#[tokio::test]
async fn lists_of_ones_own_are_wished_for_beside_those_in_force() {
    let own = plugin(&format!("{MATERIALS}intermediates chains/good.pem\ncrl crl/current.crl"));
    let other = plugin(&format!("{MATERIALS}intermediates chains/good.pem\ncrl crl/root-good.crl"));
    let theirs = other.core.own.materials().lists.clone().unwrap();
    let ours = own.core.own.materials().lists.clone().unwrap();
    own.core.contents.put(theirs.bytes.clone());
    for plugin in [&own, &other] {
        put(plugin, InputKind::Lists, theirs.digest, august_ms());
    }
    idle(&own).await;
    own.core.wishes(august_ms());
    idle(&own).await;
    let wish = own.core.wishes(august_ms() + 10_000).pop().unwrap();
    let both = Bytes::from(encode_lists(&[ours.value.ders.clone(), theirs.value.ders.clone()].concat()));
    assert_eq!(wish, update(InputKind::Lists, Sha256::of(&both)));
    let said = observe(&other, &wish, &Peers::with(&[own.core.content(&Digest::of(&both)).unwrap()])).await;
    assert_eq!(answer(&said), Answer::Accepted);
    let alone = update(InputKind::Lists, ours.digest);
    let said = observe(&other, &alone, &Peers::with(std::slice::from_ref(&ours.bytes))).await;
    assert_eq!(answer(&said), Answer::Refused("list_gone".to_owned()));
}

#[tokio::test]
async fn only_a_quorum_that_accepts_puts_in_force() {
    let plugin = plugin(MATERIALS);
    let digest = plugin.core.own.materials().trust.digest;
    let task = update(InputKind::Trust, digest);
    let refused = Answer::Refused("differs".to_owned());
    for (class, said) in [
        (Class::Corroborated, Answer::Accepted.encode()),
        (Class::NoAgreement, Vec::new()),
        (Class::Strong, refused.encode()),
    ] {
        plugin.core.decided(&task, &decision(&task, class, said, august_ms()));
        assert!(plugin.core.in_force.now(InputKind::Trust).is_none(), "{class:?}");
    }
    put(&plugin, InputKind::Trust, digest, august_ms());
    put(&plugin, InputKind::Trust, Sha256::of(b"older"), august_ms() - 1);
    assert_eq!(plugin.core.in_force.now(InputKind::Trust).unwrap().digest, digest);
}

#[tokio::test]
async fn own_inputs_are_wished_for_until_they_are_in_force_and_not_too_often() {
    let plugin = plugin(&format!("{MATERIALS}crl crl/current.crl"));
    plugin.core.wishes(august_ms());
    idle(&plugin).await;
    let wishes = plugin.core.wishes(august_ms() + 10_000);
    assert_eq!(wishes.len(), 3, "{wishes:?}");
    assert_eq!(plugin.core.wishes(august_ms() + 19_999), []);
    assert_eq!(plugin.core.wishes(august_ms() + 20_000), wishes);
    for task in &wishes {
        let subject = InputSubject::decode(&task.subject).unwrap();
        assert!(plugin.core.content(&Digest(subject.digest.0)).is_some(), "peers can have what is wished");
        put(&plugin, subject.kind, subject.digest, august_ms());
    }
    plugin.core.wishes(august_ms() + 60_000);
    idle(&plugin).await;
    assert_eq!(plugin.core.wishes(august_ms() + 70_000), []);
}

#[test]
fn requests_that_are_none_are_refused() {
    let plugin = plugin(MATERIALS);
    let good = pem("good");
    for (query, body, expected) in [
        ("", &b""[..], "expected a certificate, got an empty body"),
        ("", b"text", "expected certificates in PEM, found none"),
        ("", b"\x30\x03abc", "expected a certificate in PEM or DER, got something else"),
        ("purpose=spy", &good, "expected `server`, `client`, `email` or `any`, got `spy`"),
        ("at=tomorrow", &good, "expected seconds since 1970"),
        ("at=2026-08-01T00:11:00Z", &good, "expected a time within 10 minutes"),
        ("name=a%20b", &good, "expected a DNS name in ASCII"),
        ("names=a", &good, "expected `name`, `purpose` or `at`, got `names`"),
    ] {
        let refusal = plugin.core.compose(query, body, august_ms()).unwrap_err();
        assert_eq!(refusal.status, 400);
        assert!(refusal.why.starts_with(expected), "{query}: {}", refusal.why);
    }
}

#[test]
fn request_names_what_it_is_judged_by() {
    let plugin = settled();
    let query = "name=GOOD.example.org.&purpose=any&at=1785542520";
    let der = &chain("good")[0];
    let task = plugin.core.compose(query, der, august_ms()).unwrap();
    let Ok(ValidateSubject::Certificate(subject)) = ValidateSubject::decode(&task.subject) else { panic!() };
    let own = plugin.core.own.materials();
    let expected = CertificateSubject {
        chain: Sha256::of(&encode_chain(std::slice::from_ref(der))),
        name: Some("good.example.org".to_owned()),
        purpose: transparency::chain::Purpose::Any,
        at_minutes: CertificateSubject::minute(Moment::from_seconds(1_785_542_520)),
        policy: transparency::Policy::Chrome2026,
        revocation: transparency::revocation::RevocationMode::Soft,
        log_list: Some(own.log_list.as_ref().unwrap().digest),
        trust: own.trust.digest,
        lists: None,
    };
    assert_eq!(subject, expected);
    assert!(plugin.core.content(&Digest(subject.chain.0)).is_some());
}

#[tokio::test]
async fn nonsense_is_not_judged() {
    let plugin = settled();
    for kind in [OperationKind::Validate, OperationKind::UpdateInputs] {
        let task = Task { kind, subject: vec![9, 9, 9] };
        assert!(why_not(&observe(&plugin, &task, &Peers::default()).await).starts_with("not the subject"));
        plugin.core.decided(&task, &decision(&task, Class::Strong, b"accepted".to_vec(), august_ms()));
    }
    let probe = ProbeSubject { target: "www.example.org:443".to_owned(), period_seconds: 600, slot: 1 };
    let subject = ValidateSubject::Probe(probe).encode().unwrap();
    let task = Task { kind: OperationKind::Validate, subject };
    assert_eq!(why_not(&observe(&plugin, &task, &Peers::default()).await), "no server is looked at here");
}

#[tokio::test]
async fn decision_is_explained_with_what_it_was_about() {
    let plugin = settled();
    let task = composed(&plugin, "bad-flipped", "bad-flipped.example.org");
    let Said::Verdict(verdict) = observe(&plugin, &task, &Peers::default()).await.said else { panic!() };
    let told = plugin.core.explain(&task, &decision(&task, Class::Strong, verdict, august_ms()).leaf).await;
    assert_eq!(told["verdict"]["verdict"], "invalid");
    assert_eq!(told["verdict"]["reasons"][0], "sct_invalid_signature");
    assert_eq!(told["subject"]["name"], "bad-flipped.example.org");
    let (_, overview) = plugin.api("/v1/transparency", "").unwrap();
    let overview: serde_json::Value = serde_json::from_str(&overview).unwrap();
    assert_eq!(overview["in_force"]["roots"]["digest"], overview["own"]["roots"]["digest"]);
    assert_eq!(overview["in_force"]["revocation"], serde_json::Value::Null);
}
