//! What outlives a restart, and what runs beside queries.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certificate::leaf::Class;
use certificate::{Digest, OperationKind};
use hickory_proto::rr::{Record, RecordType};
use transparency::Conclusion;
use transparency::content::encode_lists;
use transparency::digest::Sha256;
use transparency::operation::{InputKind, ProbeSubject, Seen, ValidateSubject};

use super::agreeing::{Peers, decision, observe, put, why_not};
use super::{MATERIALS, at, august_ms, cert, chain as certificates, plugin_at, set_up, vectors};
use crate::chain::Chain;
use crate::ct_verify::CtVerify;
use crate::ct_verify::inputs::Input;
use crate::plugin::Plugin;
use crate::rehearsal::{self, Script, query};
use crate::validator::{Task, Validator};

/// The plugin in a folder of its own, started in a chain.
fn started(folder: &Path) -> (Arc<CtVerify>, Chain) {
    started_with(folder, "", [])
}

/// The same with these lines more, before what gives these answers.
fn started_with<const N: usize>(
    folder: &Path,
    lines: &str,
    answers: [Vec<Record>; N],
) -> (Arc<CtVerify>, Chain) {
    for file in ["log_list.json", "roots.pem"] {
        std::fs::copy(vectors().join(file), folder.join(file)).unwrap();
    }
    let plugin = Arc::new(plugin_at(folder, &format!("{MATERIALS}state state\n{lines}"), super::AUGUST));
    let script = Script::new(answers.map(|records| Ok(rehearsal::answer(records))));
    let chain = Chain::new(vec![plugin.clone() as Arc<dyn Plugin>, script]);
    chain.start().unwrap();
    (plugin, chain)
}

#[tokio::test]
async fn input_in_force_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started(folder.path());
    let own = plugin.core.own.materials();
    let digest = own.trust.digest;
    put(&plugin, InputKind::Trust, digest, august_ms());
    put(&plugin, InputKind::LogList, own.log_list.as_ref().unwrap().digest, august_ms());
    chain.stop();
    let lines = format!("{MATERIALS}state state");
    let (_, again, metrics) = set_up(folder.path(), &lines, at(super::AUGUST));
    let again = Arc::new(again.unwrap());
    let chain = Chain::new(vec![again.clone() as Arc<dyn Plugin>]);
    chain.start().unwrap();
    for kind in [InputKind::Trust, InputKind::LogList] {
        let now = again.core.in_force.now(kind).unwrap();
        assert_eq!(Some(now.digest), own.input(kind).map(|input| input.digest()));
        assert!(now.input.is_some() && now.time_ms == august_ms());
    }
    let told = metrics.encode();
    for input in ["roots", "log_list"] {
        let line = format!(
            "quorate_ct_input_timestamp_seconds{{zones=\".\",input=\"{input}\"}} {}\n",
            august_ms() / 1000
        );
        assert!(told.contains(&line), "{line}{told}");
    }
    assert_eq!(again.core.wishes(august_ms()), []);
    put(&again, InputKind::Trust, own.log_list.as_ref().unwrap().digest, august_ms());
    assert_eq!(
        again.core.in_force.now(InputKind::Trust).unwrap().digest,
        digest,
        "not later, so nothing new"
    );
    chain.stop();
}

/// What this folder has in force of this kind after a restart.
fn after_restart(folder: &Path, kind: InputKind) -> Option<(Sha256, u64)> {
    let (_, plugin, _) = set_up(folder, &format!("{MATERIALS}state state"), at(super::AUGUST));
    let in_force = plugin.unwrap().core.in_force.clone();
    let _in_use = in_force.open().unwrap();
    in_force.now(kind).map(|now| (now.digest, now.time_ms))
}

#[tokio::test]
async fn decision_that_one_block_is_told_during_a_reload_is_lost_to_neither() {
    let folder = tempfile::tempdir().unwrap();
    let ((old, old_chain), (new, new_chain)) = (started(folder.path()), started(folder.path()));
    let [first, second] = [Sha256::of(b"first"), Sha256::of(b"second")];
    put(&old, InputKind::Lists, first, august_ms());
    assert_eq!(new.core.in_force.now(InputKind::Lists).unwrap().digest, first);
    let digest = old.core.own.materials().trust.digest;
    let reading = {
        put(&old, InputKind::Trust, Sha256::of(b"unknown"), august_ms());
        old.core.in_force.begin_reading(&Sha256::of(b"unknown")).unwrap()
    };
    old_chain.stop();
    old_chain.stop();
    put(&new, InputKind::Trust, digest, august_ms() + 1);
    put(&new, InputKind::Lists, second, august_ms() + 1);
    new_chain.stop();
    reading.end(old.core.own.materials().input(InputKind::Trust));
    assert_eq!(after_restart(folder.path(), InputKind::Lists), Some((second, august_ms() + 1)));
    assert_eq!(after_restart(folder.path(), InputKind::Trust), Some((digest, august_ms() + 1)));
}

#[tokio::test]
async fn what_is_read_when_no_block_is_at_work_any_more_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started(folder.path());
    let lists = Bytes::from(encode_lists(&[]));
    put(&plugin, InputKind::Lists, Sha256::of(&lists), august_ms());
    let reading = plugin.core.in_force.begin_reading(&Sha256::of(&lists)).unwrap();
    chain.stop();
    let file = folder.path().join(format!("state/in-force/{}", Sha256::of(&lists)));
    let late = std::thread::spawn(move || reading.end(Input::read(InputKind::Lists, lists)));
    late.join().unwrap();
    assert!(plugin.core.in_force.now(InputKind::Lists).unwrap().input.is_some(), "it was read");
    assert!(!file.exists());
}

#[test]
fn what_the_disk_did_not_take_is_written_at_the_latest_when_the_block_stops() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (plugin, chain) = runtime.block_on(async { started(folder.path()) });
    // No file can take the place of a folder.
    let obstacle = folder.path().join("state/in-force.json");
    std::fs::create_dir(&obstacle).unwrap();
    // Without a runtime it is written here and now.
    let digest = plugin.core.own.materials().trust.digest;
    put(&plugin, InputKind::Trust, digest, august_ms());
    std::fs::remove_dir(&obstacle).unwrap();
    runtime.block_on(async { chain.stop() });
    assert_eq!(after_restart(folder.path(), InputKind::Trust), Some((digest, august_ms())));
}

#[tokio::test]
async fn file_of_the_state_folder_that_is_not_what_its_name_says_is_not_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started(folder.path());
    let digest = plugin.core.own.materials().trust.digest;
    put(&plugin, InputKind::Trust, digest, august_ms());
    chain.stop();
    let file = folder.path().join(format!("state/in-force/{digest}"));
    let others = super::plugin("audit off").core.own.materials();
    std::fs::write(&file, &others.trust.bytes).unwrap();
    let (again, chain) = started(folder.path());
    assert!(again.core.in_force.now(InputKind::Trust).unwrap().input.is_none());
    assert_eq!(again.core.missing(), [Digest(digest.0)]);
    again.core.found(&Digest(digest.0), plugin.core.own.materials().trust.bytes.clone());
    let whole = plugin.core.own.materials().trust.bytes.clone();
    let kept = async {
        while std::fs::read(&file).ok().as_deref() != Some(&whole[..]) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), kept).await.expect("what was found is kept");
    assert_eq!(again.core.missing(), []);
    chain.stop();
}

#[tokio::test]
async fn input_in_force_without_its_content_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started(folder.path());
    let digest = Sha256::of(b"not here");
    put(&plugin, InputKind::Lists, digest, august_ms());
    chain.stop();
    let (again, chain) = started(folder.path());
    assert_eq!(again.core.in_force.now(InputKind::Lists).unwrap().digest, digest);
    assert_eq!(again.core.missing(), [Digest(digest.0)]);
    chain.stop();
}

#[tokio::test]
async fn decision_on_a_slot_to_come_or_without_agreement_ends_no_wish() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started_with(folder.path(), "probe www.example.org:443", []);
    let slot = u32::try_from(august_ms() / 600_000).unwrap() - 1;
    let task = |slot| {
        let subject = ProbeSubject { target: "www.example.org:443".to_owned(), period_seconds: 600, slot };
        Task { kind: OperationKind::Validate, subject: ValidateSubject::Probe(subject).encode().unwrap() }
    };
    let seen = Seen { leaf: Sha256([1; 32]), key: Sha256([2; 32]), chain: Conclusion::Valid };
    let decide = |slot, class, verdict| {
        plugin.core.decided(&task(slot), &decision(&task(slot), class, verdict, august_ms()));
    };
    let is_wished = |after_ms| plugin.core.wishes(august_ms() + after_ms).contains(&task(slot));
    assert!(is_wished(0));
    decide(u32::MAX, Class::Strong, seen.encode());
    decide(u32::MAX, Class::NoAgreement, Vec::new());
    assert!(is_wished(10_000));
    decide(slot, Class::NoAgreement, Vec::new());
    assert!(is_wished(20_000));
    decide(slot, Class::Strong, seen.encode());
    assert!(!is_wished(30_000));
    chain.stop();
}

#[tokio::test]
async fn probe_of_another_period_is_not_judged_and_ends_no_wish() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started_with(folder.path(), "probe www.example.org:443\nprobe-period 1m", []);
    let slot = u32::try_from(august_ms() / 60_000).unwrap() - 1;
    let task = |period_seconds| {
        let subject = ProbeSubject { target: "www.example.org:443".to_owned(), period_seconds, slot };
        Task { kind: OperationKind::Validate, subject: ValidateSubject::Probe(subject).encode().unwrap() }
    };
    let peers = Peers::default();
    assert_eq!(why_not(&observe(&plugin, &task(600), &peers).await), "another probe period here: 60 s");
    assert_eq!(why_not(&observe(&plugin, &task(60), &peers).await), "nothing was seen there");
    let seen = Seen { leaf: Sha256([1; 32]), key: Sha256([2; 32]), chain: Conclusion::Valid }.encode();
    let mut after_ms = 0;
    let mut is_wished_after = |period| {
        let decided = task(period);
        plugin.core.decided(&decided, &decision(&decided, Class::Strong, seen.clone(), august_ms()));
        after_ms += 10_000;
        plugin.core.wishes(august_ms() + after_ms).contains(&task(60))
    };
    assert!(is_wished_after(600));
    assert!(!is_wished_after(60));
    chain.stop();
}

#[tokio::test]
async fn bad_set_is_told_of_once_and_not_at_every_query() {
    let folder = tempfile::tempdir().unwrap();
    let owner = "bad-flipped.example.org.";
    let bad = || certificates("bad-flipped").iter().map(|one| cert(owner, one)).collect();
    let good = certificates("good").iter().map(|one| cert("good.example.org.", one)).collect();
    let (plugin, chain) = started_with(folder.path(), "", [bad(), bad(), good]);
    for name in [owner, owner, "good.example.org."] {
        chain.serve(&query(name, RecordType::CERT)).await.unwrap();
    }
    let events = plugin.core.background().unwrap().watch().events();
    let told: Vec<_> = events.iter().filter(|event| event.code.starts_with("rrset")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].code, &*told[0].subject), ("rrset_flagged", "bad-flipped.example.org. CERT"));
    assert_eq!(told[0].text, "ct-verify: CERT invalid: too_few_logs, too_few_operators");
    chain.stop();
}

#[tokio::test]
async fn started_plugin_judges_by_what_the_watch_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started(folder.path());
    let watched = plugin.core.background().unwrap().watch().inputs();
    let own = plugin.core.own.materials();
    assert_eq!(own.log_list.as_ref().unwrap().digest, watched.log_list.as_ref().unwrap().digest);
    assert!(Arc::ptr_eq(&own, &plugin.core.own.materials()), "nothing is made twice");
    let (status, events) = plugin.api("/v1/transparency/events", "").unwrap();
    assert_eq!(status, 200);
    assert!(events.starts_with("{\"events\":["), "{events}");
    assert_eq!(plugin.api("/v1/transparency/probes", "").unwrap().1, "{\"targets\":{}}");
    assert_eq!(plugin.api("/v1/transparencies", ""), None);
    chain.stop();
}
