//! What becomes of answers.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};

use certificate::{Judged, Remark};
use ct_watch::Clock;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use serde_json::Value;
use transparency::Moment;

use super::{MATERIALS, cert, chain, plugin, plugin_at, record, set_up, tlsa, vectors};
use crate::chain::Chain;
use crate::ct_verify::CtVerify;
use crate::ct_verify::setup::JUDGING_MAX;
use crate::plugin::Plugin;
use crate::rehearsal::{self, Script, query};
use crate::response::Response;

const GOOD: &str = "good.example.org.";
const BAD: &str = "bad-flipped.example.org.";

async fn served(plugin: &Arc<CtVerify>, name: &str, rtype: RecordType, answers: &[Record]) -> Response {
    let script = Script::new([Ok(rehearsal::answer(answers.to_vec()))]);
    let chain = Chain::new(vec![plugin.clone() as Arc<dyn Plugin>, script]);
    chain.serve(&query(name, rtype)).await.unwrap()
}

/// The answer of a new plugin of these lines.
async fn answer(lines: &str, name: &str, answers: &[Record]) -> Response {
    served(&Arc::new(plugin(lines)), name, answers[0].record_type(), answers).await
}

fn with(lines: &str) -> String {
    format!("{MATERIALS}{lines}")
}

fn good() -> Vec<Record> {
    chain("good").iter().map(|one| cert(GOOD, one)).collect()
}

fn bad() -> Vec<Record> {
    chain("bad-flipped").iter().map(|one| cert(BAD, one)).collect()
}

fn remark(judged: Judged, info_code: u16, text: &str) -> Option<Remark> {
    Some(Remark::new(judged, info_code, text))
}

#[tokio::test]
async fn valid_certificate_goes_on_with_a_remark() {
    let answers = good();
    for mode in ["flag", "enforce"] {
        let response = answer(&with(&format!("mode {mode}")), GOOD, &answers).await;
        assert_eq!(response.answers, answers);
        assert_eq!(response.remark, remark(Judged::Valid, 0, "ct-verify: CERT valid"));
    }
}

#[tokio::test]
async fn invalid_certificate_is_flagged_and_nothing_of_the_answer_changes() {
    let answers = bad();
    let response = answer(&with("mode flag"), BAD, &answers).await;
    assert_eq!((response.rcode, &response.answers), (ResponseCode::NoError, &answers));
    let text = "ct-verify: CERT invalid: too_few_logs, too_few_operators";
    assert_eq!(response.remark, remark(Judged::Invalid, 0, text));
    assert!(response.extended_errors.is_empty(), "the engine tells remarks, nobody else");
}

#[tokio::test]
async fn enforced_zone_withholds_the_whole_set_and_denies_nothing() {
    let mut answers = good();
    answers.push(cert(GOOD, &chain("bad-flipped")[0]));
    let response = answer(&with("mode enforce example.org"), GOOD, &answers).await;
    assert_eq!(response.rcode, ResponseCode::ServFail);
    assert!(response.answers.is_empty() && response.authorities.is_empty());
    let found = response.remark.unwrap();
    assert_eq!((found.judged, found.info_code), (Judged::Invalid, 15));
    assert!(found.text.starts_with("ct-verify: CERT invalid: name_mismatch, "), "{}", found.text);
}

#[tokio::test]
async fn zone_that_is_off_is_not_looked_at() {
    let answers = bad();
    let response = answer(&with("mode enforce\nmode off bad-flipped.example.org"), BAD, &answers).await;
    assert_eq!((response.answers, response.remark), (answers, None));
}

#[tokio::test]
async fn alias_out_of_an_enforced_zone_is_enforced() {
    let answers = bad();
    let lines = with("mode enforce example.net\nmode flag");
    let response = answer(&lines, "alias.example.net.", &answers).await;
    assert_eq!(response.rcode, ResponseCode::ServFail);
}

#[tokio::test]
async fn without_a_log_list_it_is_indeterminate_and_blocks_only_where_that_is_wanted() {
    let answers = good();
    let lines = "roots roots.pem\nmode enforce\n";
    let response = answer(lines, GOOD, &answers).await;
    let text = "ct-verify: CERT indeterminate: no_log_list";
    assert_eq!(response.remark, remark(Judged::Indeterminate, 0, text));
    assert_eq!(response.answers, answers);
    let closed = format!("{lines}fail-closed example.org\n");
    let response = answer(&closed, GOOD, &answers).await;
    assert_eq!(response.rcode, ResponseCode::ServFail);
    assert_eq!(response.remark, remark(Judged::Indeterminate, 15, text));
    let flagged = "roots roots.pem\nfail-closed\n";
    assert_eq!(answer(flagged, GOOD, &answers).await.answers, answers, "closed only where it is enforced");
}

#[tokio::test]
async fn stale_list_is_never_valid() {
    let lines = "log-list log_list_stale.json\nroots roots.pem\naudit off";
    let found = answer(lines, GOOD, &good()).await.remark.unwrap();
    assert_eq!(found.judged, Judged::Indeterminate);
    assert!(found.text.contains("log_list_stale"), "{}", found.text);
}

/// A clock that tells when it is looked at, and then breaks, or waits until it may go on.
struct Broken {
    looked: tokio::sync::mpsc::UnboundedSender<()>,
    goes_on: Option<Mutex<mpsc::Receiver<()>>>,
}

impl Clock for Broken {
    fn now(&self) -> Moment {
        self.looked.send(()).unwrap();
        let goes_on = self.goes_on.as_ref().expect("the clock is broken");
        // The test is over, or goes on.
        let _over = goes_on.lock().unwrap().recv();
        super::AUGUST.parse().unwrap()
    }
}

#[tokio::test]
async fn judgement_that_breaks_is_no_judgement_and_passes_no_closed_zone() {
    for (lines, is_withheld) in [("mode enforce\nfail-closed", true), ("mode enforce", false)] {
        let (looked, _looks) = tokio::sync::mpsc::unbounded_channel();
        let clock = Arc::new(Broken { looked, goes_on: None });
        let plugin = Arc::new(set_up(&vectors(), &with(lines), clock).1.unwrap());
        let response = served(&plugin, GOOD, RecordType::CERT, &good()).await;
        assert_eq!(response.rcode == ResponseCode::ServFail, is_withheld, "{lines}");
        let text = "ct-verify: CERT indeterminate: judgement_broken_off";
        assert_eq!(response.remark, remark(Judged::Indeterminate, if is_withheld { 15 } else { 0 }, text));
    }
}

#[tokio::test]
async fn judgement_that_nobody_waits_for_takes_room_until_it_is_over() {
    let (looked, mut looks) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, goes_on) = mpsc::channel();
    let clock = Arc::new(Broken { looked, goes_on: Some(Mutex::new(goes_on)) });
    let plugin = Arc::new(set_up(&vectors(), MATERIALS, clock).1.unwrap());
    let asked = plugin.clone();
    let query = tokio::spawn(async move { served(&asked, GOOD, RecordType::CERT, &good()).await });
    looks.recv().await.unwrap();
    query.abort();
    assert!(query.await.is_err());
    assert_eq!(plugin.core.judging.available_permits(), JUDGING_MAX - 1);
    drop(go_on);
    assert!(plugin.core.judging.acquire_many(u32::try_from(JUDGING_MAX).unwrap()).await.is_ok());
}

#[tokio::test]
async fn certificate_behind_an_alias_is_for_the_name_that_was_asked_for() {
    let (asked, owner) = ("_443._tcp.Good.example.org.", "_dane.example.net.");
    let alias = |name: &str, target: &str| {
        let target = RData::CNAME(CNAME(Name::from_ascii(target).unwrap()));
        Record::from_rdata(Name::from_ascii(name).unwrap(), 300, target)
    };
    let record = tlsa(owner, 1, &chain("good")[0]);
    let lines = with("intermediates chains/good.pem\nmode enforce");
    let script = |answers: Vec<Record>| Script::new([Ok(rehearsal::answer(answers))]);
    for (answers, judged) in [
        (
            vec![alias(asked, "_a.example.net."), alias("_a.example.net.", owner), record.clone()],
            Judged::Valid,
        ),
        (vec![alias(asked, "_a.example.net."), alias("_a.example.net.", asked), record], Judged::Invalid),
    ] {
        let chain = Chain::new(vec![Arc::new(plugin(&lines)) as Arc<dyn Plugin>, script(answers)]);
        let found = chain.serve(&query(asked, RecordType::TLSA)).await.unwrap().remark.unwrap();
        assert_eq!(found.judged, judged, "{}", found.text);
    }
}

#[tokio::test]
async fn authorities_beyond_the_length_of_a_chain_spoil_nothing() {
    let mut answers = good();
    answers.extend(vec![answers[1].clone(); 20]);
    let found = answer(&with("certificates 64"), GOOD, &answers).await.remark;
    assert_eq!(found, remark(Judged::Valid, 0, "ct-verify: CERT valid"));
}

#[tokio::test]
async fn dane_usages_are_let_be_in_enforced_zones() {
    let owner = "_25._tcp.bad-flipped.example.org.";
    let leaf = &chain("bad-flipped")[0];
    let digest = record(owner, RecordType::TLSA, [&[3, 1, 1][..], &[7; 32]].concat());
    for set in [vec![tlsa(owner, 3, leaf)], vec![tlsa(owner, 2, leaf)], vec![digest; 40]] {
        let response = answer(&with("mode enforce\nfail-closed"), owner, &set).await;
        assert_eq!((response.answers, response.remark), (set, None));
    }
    let lines = with("mode enforce\nintermediates chains/bad-flipped.pem");
    let response = answer(&lines, owner, &[tlsa(owner, 1, leaf)]).await;
    assert_eq!(response.rcode, ResponseCode::ServFail);
}

#[tokio::test]
async fn malformed_data_is_told() {
    let short = record(GOOD, RecordType::CERT, vec![0, 1, 0]);
    let found = answer(&with("mode flag"), GOOD, &[short]).await.remark;
    assert_eq!(found, remark(Judged::Invalid, 0, "ct-verify: CERT invalid: malformed_rdata"));
    let owner = "_443._tcp.good.example.org.";
    let found = answer(&with("mode flag"), owner, &[tlsa(owner, 3, b"no certificate")]).await.remark;
    assert_eq!(found, remark(Judged::Invalid, 0, "ct-verify: TLSA invalid: malformed_certificate"));
}

#[tokio::test]
async fn certificates_beyond_the_bound_are_not_looked_at() {
    let mut answers = good();
    answers.push(cert(GOOD, &chain("bad-flipped")[0]));
    answers.reverse();
    let reversed = answer(&with("certificates 1"), GOOD, &answers).await.remark;
    answers.reverse();
    let lines = with("certificates 1");
    assert_eq!(answer(&lines, GOOD, &answers).await.remark, reversed, "whichever came first");
    let answers = good();
    let response = answer(&with("certificates 1\nmode enforce"), GOOD, &answers).await;
    let found = response.remark.unwrap();
    assert_eq!(found.judged, Judged::Indeterminate);
    assert!(found.text.contains("too_many_certificates"), "{}", found.text);
    assert_eq!(response.answers, answers);
}

#[tokio::test]
async fn other_classes_types_and_failures_pass() {
    let answers = vec![rehearsal::a(GOOD, 300, 1)];
    assert_eq!(answer(&with("mode enforce"), GOOD, &answers).await.remark, None);
    let mut chaos = bad();
    chaos.iter_mut().for_each(|record| record.dns_class = DNSClass::CH);
    assert_eq!(answer(&with("mode enforce"), BAD, &chaos).await.answers, chaos);
}

#[tokio::test]
async fn remark_does_not_hang_on_the_order_of_records() {
    let mut answers = [good(), bad()].concat();
    answers.push(tlsa("_443._tcp.bad-flipped.example.org.", 1, &chain("bad-flipped")[0]));
    let lines = with("mode flag");
    let forward = answer(&lines, GOOD, &answers).await.remark;
    answers.reverse();
    assert_eq!(answer(&lines, GOOD, &answers).await.remark, forward);
    assert_eq!(forward.unwrap().judged, Judged::Invalid);
}

#[tokio::test]
async fn equal_certificates_under_another_name_are_judged_once() {
    let plugin = Arc::new(plugin(&with("mode flag")));
    let tally = || (plugin.core.metrics.cache_hits.get(), plugin.core.metrics.cache_misses.get());
    let first = served(&plugin, GOOD, RecordType::CERT, &good()).await.remark.unwrap();
    assert_eq!((first.judged, tally()), (Judged::Valid, (0, 1)));
    let other: Vec<Record> = chain("good").iter().map(|one| cert("other.example.org.", one)).collect();
    let second = served(&plugin, "other.example.org.", RecordType::CERT, &other).await.remark;
    assert_eq!(second, remark(Judged::Invalid, 0, "ct-verify: CERT invalid: name_mismatch"));
    assert_eq!(tally(), (1, 1));
}

#[tokio::test]
async fn another_list_is_another_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let list = std::fs::read_to_string(vectors().join("log_list.json")).unwrap();
    std::fs::copy(vectors().join("roots.pem"), folder.path().join("roots.pem")).unwrap();
    std::fs::write(folder.path().join("log_list.json"), &list).unwrap();
    let plugin = Arc::new(plugin_at(folder.path(), &with("mode flag"), super::AUGUST));
    served(&plugin, GOOD, RecordType::CERT, &good()).await;
    let newer = bytes::Bytes::from(list.replace("\"version\"", "\"was\""));
    let decided = super::agreeing::log_list_in_force(&plugin, newer).await;
    assert!(decided, "another list is in force now");
    served(&plugin, GOOD, RecordType::CERT, &good()).await;
    assert_eq!(plugin.core.metrics.cache_misses.get(), 2);
}

#[tokio::test]
async fn verdicts_are_counted_by_type_verdict_and_mode() {
    let (_, plugin, metrics) = set_up(&vectors(), &with("mode enforce"), super::at(super::AUGUST));
    served(&Arc::new(plugin.unwrap()), BAD, RecordType::CERT, &bad()).await;
    let text = metrics.encode();
    let line = "quorate_ct_verdicts_total{type=\"CERT\",verdict=\"invalid\",mode=\"enforce\"} 1";
    assert!(text.contains(line), "{text}");
}

/// The folder of cases from public repositories; `None`, and a printed word, when it is absent. In CI it must be there.
fn data() -> Option<PathBuf> {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    let folder =
        std::env::var_os("QUORATE_TEST_DATA").map_or_else(default, PathBuf::from).join("ct/synthetic");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "no test data in {}", folder.display());
    // What a test prints that passes is thrown away; what is written there is not.
    let _unheard = writeln!(std::io::stderr(), "skipped: no test data in {}", folder.display());
    None
}

fn hex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn every_synthetic_record_is_answered_as_its_kind_asks() {
    let Some(folder) = data() else { return };
    let file = std::fs::read(folder.join("dns/records.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    let lines = with("intermediates intermediates.pem\nmode enforce");
    let plugin = Arc::new(plugin_at(&folder, &lines, super::AUGUST));
    let blocked: BTreeSet<&str> = [
        "cert-pkix-tampered-sct",
        "cert-pkix-expired",
        "cert-pkix-not-der",
        "cert-pkix-trailing",
        "cert-short-rdata",
        "tlsa-empty-data",
        "tlsa-short",
        "tlsa-100-tampered-sct",
    ]
    .into();
    let records = file["records"].as_array().unwrap();
    for case in records {
        let id = case["id"].as_str().unwrap();
        let rtype: RecordType = case["type"].as_str().unwrap().parse().unwrap();
        let owner = case["owner"].as_str().unwrap();
        let answers = vec![record(owner, rtype, hex(&case["rdata_hex"]))];
        let response = served(&plugin, owner, rtype, &answers).await;
        let is_blocked = response.rcode == ResponseCode::ServFail;
        assert_eq!(is_blocked, blocked.contains(id), "{id}: {:?}", response.remark);
        assert_eq!(response.answers.is_empty(), is_blocked, "{id}: all of it, or nothing");
    }
    assert!(records.len() > 35, "{}", records.len());
}
