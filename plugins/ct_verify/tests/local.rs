//! What this replica alone knows: what it does to answers where no cluster asks, and what it does not where one does.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use certificate::Judged;
use certificate::leaf::Class;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Record, RecordType};
use serde_json::{Value, json};
use transparency::Conclusion;
use transparency::digest::Sha256;
use transparency::operation::{ProbeSubject, Seen, ValidateSubject};

use super::agreeing::{Peers, composed, decision, observe, settle};
use super::{august_ms, cert, chain as certificates, plugin, plugin_at, vectors};
use crate::chain::{Chain, Next};
use crate::ct_verify::CtVerify;
use crate::ct_verify::inputs::Materials;
use crate::error::ServeError;
use crate::plugin::Plugin;
use crate::query::Query;
use crate::rehearsal::query;
use crate::response::Response;
use crate::validator::{Task, Validator};

const GOOD: &str = "good.example.org.";
const LINES: &str = "log-list log_list.json\nroots roots.pem\nstate state\n";

/// Answers questions for CERT with these records; all other names do not exist.
struct Holder(Vec<Record>);

#[async_trait]
impl Plugin for Holder {
    fn name(&self) -> &'static str {
        "holder"
    }

    async fn serve(&self, query: &Query, _: Next) -> Result<Response, ServeError> {
        if query.qtype != RecordType::CERT {
            return Ok(Response::new(ResponseCode::NXDomain, "holder"));
        }
        Ok(crate::rehearsal::answer(self.0.clone()))
    }
}

fn good() -> Vec<Record> {
    certificates("good").iter().map(|one| cert(GOOD, one)).collect()
}

/// What a replica keeps that found these words of the promises of the good certificate.
fn audits(words: &[&str]) -> String {
    let bare = plugin(super::MATERIALS);
    let (materials, now) = (bare.core.own.materials(), super::AUGUST.parse().unwrap());
    let verdict = bare.core.verdicts.judge(&certificates("good"), "good.example.org", &materials, now).0;
    let kept = verdict.ct.promises().into_iter().zip(words).map(|((log, leaf), word)| {
        json!({ "log": log.0.base64(), "leaf": leaf.base64(), "index": null, "promised_ms": 0, "inclusion": word })
    });
    Value::Array(kept.collect()).to_string()
}

/// The plugin before the good certificate, and what it found of its promises before it was started.
fn started(folder: &Path, lines: &str, words: &[&str]) -> (Arc<CtVerify>, Chain) {
    for file in ["log_list.json", "roots.pem"] {
        std::fs::copy(vectors().join(file), folder.join(file)).unwrap();
    }
    std::fs::create_dir(folder.join("state")).unwrap();
    std::fs::write(folder.join("state/audits.json"), audits(words)).unwrap();
    let plugin = Arc::new(plugin_at(folder, &format!("{LINES}{lines}"), super::AUGUST));
    let chain = Chain::new(vec![plugin.clone() as Arc<dyn Plugin>, Arc::new(Holder(good()))]);
    chain.start().unwrap();
    (plugin, chain)
}

async fn asked(chain: &Chain) -> Response {
    chain.serve(&query(GOOD, RecordType::CERT)).await.unwrap()
}

fn told(plugin: &CtVerify, code: &str) -> usize {
    let events = plugin.core.background().unwrap().watch().events();
    events.iter().filter(|event| event.code == code).count()
}

/// What is shown to who handed the good certificate in as that of `name`.
async fn local(plugin: &CtVerify, name: &str) -> Value {
    let task = composed(plugin, "good", name);
    let agreed = observe(plugin, &task, &Peers::default()).await;
    let agreement::Said::Verdict(verdict) = agreed.said else { panic!("{agreed:?}") };
    let leaf = decision(&task, Class::Strong, verdict, august_ms()).leaf;
    plugin.core.explain(&task, &leaf).await["local"].take()
}

#[tokio::test]
async fn broken_promise_is_invalid_where_no_cluster_asks() {
    for (mode, rcode, info_code) in
        [("flag", ResponseCode::NoError, 0), ("enforce", ResponseCode::ServFail, 15)]
    {
        let folder = tempfile::tempdir().unwrap();
        let (plugin, chain) = started(folder.path(), &format!("mode {mode}"), &["broken_promise", "proved"]);
        for _ in 0..2 {
            let response = asked(&chain).await;
            let remark = response.remark.unwrap();
            assert_eq!(
                (response.rcode, remark.judged, remark.info_code),
                (rcode, Judged::Invalid, info_code)
            );
            assert_eq!(remark.text, "ct-verify: CERT invalid: broken_promise");
        }
        assert_eq!(plugin.core.metrics.cache_hits.get(), 1, "verdicts are remembered without it");
        assert_eq!(told(&plugin, "rrset_flagged") + told(&plugin, "rrset_withheld"), 1);
        chain.stop();
    }
}

#[tokio::test]
async fn promise_that_is_kept_or_pending_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (_plugin, chain) = started(folder.path(), "mode enforce", &["pending", "proved"]);
    assert_eq!(asked(&chain).await.remark.unwrap().text, "ct-verify: CERT valid");
    chain.stop();
}

#[tokio::test]
async fn promises_are_looked_into_though_the_certificate_was_known_by_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started(folder.path(), "monitor example.org", &[]);
    let (materials, now) = (plugin.core.own.materials(), super::AUGUST.parse().unwrap());
    plugin.core.verdicts.judge(&certificates("good"), "elsewhere.example.net", &materials, now);
    let looked_into = || {
        let background = plugin.core.background().unwrap();
        background.watch().logs().unwrap().auditor().counts().values().sum::<usize>()
    };
    assert_eq!(looked_into(), 0);
    asked(&chain).await;
    assert_eq!((looked_into(), plugin.core.metrics.cache_hits.get()), (2, 1));
    chain.stop();
}

#[tokio::test]
async fn what_this_replica_alone_knows_enters_nothing_that_is_agreed_on_and_is_told_once() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let words = [["broken_promise", "proved"], ["not_checked", "not_checked"]];
    let [knowing, other] =
        [0, 1].map(|number| started(folders[number].path(), "mode enforce", &words[number]));
    for (plugin, chain) in [&knowing, &other] {
        plugin.core.attached();
        settle(plugin);
        for _ in 0..2 {
            let response = asked(chain).await;
            assert_eq!(response.answers, good());
            assert_eq!(response.remark.unwrap().text, "ct-verify: CERT valid");
        }
    }
    let task = composed(&knowing.0, "good", "good.example.org");
    let chain = bytes::Bytes::from(transparency::content::encode_chain(&certificates("good")));
    let ours = observe(&knowing.0, &task, &Peers::default()).await;
    assert_eq!(observe(&other.0, &task, &Peers::with(&[chain])).await, ours);
    assert_eq!([&knowing, &other].map(|(plugin, _)| told(plugin, "broken_promise_in_answer")), [1, 0]);
    let events = knowing.0.core.background().unwrap().watch().events();
    let event = events.iter().find(|event| event.code == "broken_promise_in_answer").unwrap();
    assert!(event.grave && event.subject == "good.example.org. CERT", "{event:?}");
    for (_, chain) in [knowing, other] {
        chain.stop();
    }
}

#[tokio::test]
async fn decision_is_shown_beside_what_this_replica_alone_finds() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started(folder.path(), "probe good.example.org:443", &["proved", "proved"]);
    plugin.core.attached();
    settle(&plugin);
    let found = local(&plugin, "good.example.org").await;
    assert_eq!((&found["verdict"], &found["networks"]), (&json!("valid"), &Value::Null));
    assert_eq!((&found["inclusion"], &found["score"]["inclusion"]), (&json!("proved"), &json!(15)));
    let stamp = &found["timestamps"][0];
    assert_eq!(
        (&stamp["status"], &stamp["counts"], &stamp["inclusion"]),
        (&json!("valid"), &json!(true), &json!("proved"))
    );

    let subject = ProbeSubject {
        target: "good.example.org:443".to_owned(),
        period_seconds: 600,
        slot: u32::try_from(august_ms() / 600_000).unwrap(),
    };
    let task = Task {
        kind: certificate::OperationKind::Validate,
        subject: ValidateSubject::Probe(subject).encode().unwrap(),
    };
    let leaf = Sha256::of(&certificates("good")[0]);
    let seen = Seen { leaf, key: Sha256([2; 32]), chain: Conclusion::Valid };
    plugin.core.decided(&task, &decision(&task, Class::Strong, seen.encode(), august_ms()));

    let found = local(&plugin, "good.example.org").await;
    assert_eq!(found["networks"], json!({ "agreeing": 3, "looked": 4 }), "{found}");
    assert_eq!(
        found["score"],
        json!({ "total": 85, "chain": 30, "policy": 30, "inclusion": 15, "revocation": 0, "networks": 10 })
    );
    chain.stop();
}

#[tokio::test]
async fn broken_promise_is_shown_to_who_handed_the_certificate_in() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started(folder.path(), "", &["broken_promise", "pending"]);
    settle(&plugin);
    let found = local(&plugin, "good.example.org").await;
    assert_eq!((&found["verdict"], &found["reasons"]), (&json!("invalid"), &json!(["broken_promise"])));
    assert_eq!((&found["inclusion"], &found["score"]["total"]), (&json!("broken_promise"), &json!(0)));
    let words: Vec<&Value> =
        found["timestamps"].as_array().unwrap().iter().map(|stamp| &stamp["inclusion"]).collect();
    assert_eq!(words, ["broken_promise", "pending"]);
    chain.stop();
}

#[tokio::test]
async fn promises_of_a_certificate_that_is_handed_in_are_looked_into_below_ones_own_zones() {
    let good = "good.example.org";
    for (zone, name, count) in
        [("example.org", good, 2), ("example.net", good, 0), ("example.org", "other.example.org", 0)]
    {
        let folder = tempfile::tempdir().unwrap();
        let (plugin, chain) = started(folder.path(), &format!("monitor {zone}"), &[]);
        settle(&plugin);
        let counts = || plugin.core.background().unwrap().watch().logs().unwrap().auditor().counts();
        assert_eq!(counts().values().sum::<usize>(), 0, "nothing yet");
        local(&plugin, name).await;
        assert_eq!(counts().values().sum::<usize>(), count, "{zone} {name}");
        chain.stop();
    }
}

#[tokio::test]
async fn what_is_shown_beside_a_decision_takes_no_room_from_what_is_judged_for_the_cluster() {
    let plugin = plugin(super::MATERIALS);
    settle(&plugin);
    let task = composed(&plugin, "good", "good.example.org");
    let leaf = decision(&task, Class::Failure, Vec::new(), august_ms()).leaf;
    let places = u32::try_from(plugin.core.operations.available_permits()).unwrap();
    let _all = plugin.core.operations.try_acquire_many(places).unwrap();
    assert_eq!(plugin.core.explain(&task, &leaf).await["local"]["verdict"], "valid");
}

#[tokio::test]
async fn servers_are_judged_without_issuers_that_were_fetched_before_a_cluster_asks_too() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["log_list.json", "roots.pem"] {
        std::fs::copy(vectors().join(file), folder.path().join(file)).unwrap();
    }
    let good = certificates("good");
    std::fs::create_dir(folder.path().join("state")).unwrap();
    let issuer: &[u8] = &good[1];
    std::fs::write(folder.path().join("state/issuers.bundle"), ct_watch::bundle::encode([issuer])).unwrap();
    let plugin = Arc::new(plugin_at(folder.path(), LINES, super::AUGUST));
    let chain = Chain::new(vec![plugin.clone() as Arc<dyn Plugin>]);
    chain.start().unwrap();
    let (core, now) = (&plugin.core, super::AUGUST.parse().unwrap());
    let verdict =
        |materials: &Materials| core.verdicts.judge(&good[..1], "good.example.org", materials, now).0.verdict;
    assert_eq!(verdict(&core.materials(now)), Conclusion::Valid);
    assert_eq!(verdict(&core.materials_of_probes(now)), Conclusion::Indeterminate);
    chain.stop();
}

#[tokio::test]
async fn nothing_is_shown_of_a_chain_that_is_not_here() {
    let (asker, other) = (plugin(super::MATERIALS), plugin(super::MATERIALS));
    [&asker, &other].into_iter().for_each(settle);
    let task = composed(&asker, "good", "good.example.org");
    let leaf = decision(&task, Class::Failure, Vec::new(), august_ms()).leaf;
    assert_eq!(other.core.explain(&task, &leaf).await["local"], Value::Null);
    assert_eq!(
        asker.core.explain(&task, &leaf).await["local"]["verdict"],
        "valid",
        "without background work, too"
    );
}
