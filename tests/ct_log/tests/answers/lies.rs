//! Every lie is one: what is told can be told from the truth, and ends when the log is told to be honest.

use std::io::Read as _;

use ct_log::{Clock, Kind, Lie, Site, TestLog, log_list_json};
use transparency::digest::Sha256;
use transparency::inclusion::{Inclusion, audit_absence};
use transparency::log_list::{LogList, StateKind};
use transparency::merkle::hash_leaf;
use transparency::sct::parse_sct;
use transparency::split_view::{Misbehaviour, SplitView};
use transparency::tile::{Promise, audit};
use transparency::tree_head::Progress;

use crate::ask::{begin, finish, get, get_some};
use crate::rfc6962::all_leaf_inputs;
use crate::static_ct::fetch_tiles;
use crate::{Scene, rfc6962, static_ct};

fn text(url: &str, path: &str) -> String {
    String::from_utf8(get(url, path).body).unwrap()
}

#[test]
fn two_heads_of_a_fork_prove_a_split_view_at_both_interfaces() {
    let scene = Scene::with(Kind::StaticCt, 6);
    let (log, fork) = (&scene.log, scene.log.fork());
    let heads = [log.rfc6962_url(), fork.rfc6962_url()].map(|url| text(&url, "ct/v1/get-sth"));
    let proof = SplitView::of_tree_heads(&log.key(), [&heads[0], &heads[1]]);
    assert_eq!(proof.verify().unwrap().misbehaviour, Misbehaviour::Equivocation);
    let heads = [log.static_url(), fork.static_url()].map(|url| text(&url, "checkpoint"));
    let proof = SplitView::of_checkpoints(&log.key(), log.origin(), [&heads[0], &heads[1]]);
    assert_eq!(proof.verify().unwrap().misbehaviour, Misbehaviour::Equivocation);
}

#[test]
fn a_fork_grows_on_and_stays_consistent_with_itself_alone() {
    let mut scene = Scene::with(Kind::Rfc6962, 6);
    let fork = scene.log.fork();
    let heads = |scene: &Scene| {
        let at = |url: &str| rfc6962::head_at(url, &scene.log, &scene.clock).unwrap();
        (at(&scene.log.rfc6962_url()), at(&fork.rfc6962_url()))
    };
    let before = heads(&scene);
    scene.issue();
    scene.log.merge();
    let after = heads(&scene);
    let proof = |url: &str| {
        let got = get(url, "ct/v1/get-sth-consistency?first=6&second=7").json();
        let texts = got["consistency"].as_array().unwrap().clone();
        texts.iter().map(|text| Sha256::from_base64(text.as_str().unwrap()).unwrap()).collect::<Vec<_>>()
    };
    let (ours, theirs) = (proof(&scene.log.rfc6962_url()), proof(&fork.rfc6962_url()));
    assert_eq!(before.0.progress(&after.0, &ours), Progress::Grown);
    assert_eq!(before.1.progress(&after.1, &theirs), Progress::Grown);
    assert!(matches!(before.0.progress(&after.1, &theirs), Progress::Inconsistent(_)));
}

#[test]
fn a_fork_can_be_shown_at_the_ports_of_the_log() {
    let scene = Scene::with(Kind::Rfc6962, 4);
    let honest = rfc6962::head(&scene.log, &scene.clock);
    scene.log.show_fork(true);
    assert_eq!(honest.progress(&rfc6962::head(&scene.log, &scene.clock), &[]), Progress::Equivocation);
    scene.log.be_honest();
    assert_eq!(honest.progress(&rfc6962::head(&scene.log, &scene.clock), &[]), Progress::Same);
}

#[test]
fn a_bad_signature_and_a_wrong_origin_do_not_verify_and_end() {
    let scene = Scene::with(Kind::StaticCt, 2);
    scene.log.lie(Lie::BadSignature);
    assert_eq!(rfc6962::head_at(&scene.log.rfc6962_url(), &scene.log, &scene.clock), None);
    assert_eq!(static_ct::head_at(&scene.log.static_url(), &scene.log, &scene.clock), None);
    scene.log.be_honest();
    scene.log.lie(Lie::Origin("other.example.org".to_owned()));
    assert_eq!(static_ct::head_at(&scene.log.static_url(), &scene.log, &scene.clock), None);
    scene.log.be_honest();
    assert_eq!(static_ct::head(&scene.log, &scene.clock).size, 2);
}

#[test]
fn a_shrunk_head_is_signed_and_later_and_smaller() {
    let scene = Scene::with(Kind::Rfc6962, 5);
    let url = scene.log.rfc6962_url();
    let before = text(&url, "ct/v1/get-sth");
    scene.clock.advance(10);
    scene.log.lie(Lie::Shrink(3));
    let proof = SplitView::of_tree_heads(&scene.log.key(), [&before, &text(&url, "ct/v1/get-sth")]);
    assert_eq!(proof.verify().unwrap().misbehaviour, Misbehaviour::Shrunk);
}

#[test]
fn a_head_from_the_future_is_signed_but_not_yet_to_be_taken() {
    let scene = Scene::with(Kind::Rfc6962, 1);
    scene.log.lie(Lie::Future(3600));
    assert_eq!(rfc6962::head_at(&scene.log.rfc6962_url(), &scene.log, &scene.clock), None);
    scene.clock.advance(3600);
    scene.log.control().be_honest();
    scene.log.lie(Lie::Future(0));
    assert!(rfc6962::head_at(&scene.log.rfc6962_url(), &scene.log, &scene.clock).is_some());
}

#[test]
fn bad_proofs_and_bad_entries_lead_to_other_roots() {
    let scene = Scene::with(Kind::StaticCt, 6);
    let (url, head) = (scene.log.rfc6962_url(), static_ct::head(&scene.log, &scene.clock));
    let inputs = all_leaf_inputs(&url, 6);
    scene.log.lie(Lie::BadEntries);
    assert_ne!(all_leaf_inputs(&url, 6), inputs);
    scene.log.be_honest();
    scene.log.lie(Lie::BadProof);
    let tiles = fetch_tiles(&scene.log.static_url(), 2, 6);
    let promise =
        Promise { leaf: hash_leaf(&inputs[2]), index: 2, promised: scene.clock.now(), mmd_seconds: 60 };
    assert!(audit(&promise, &head, &|id| tiles.get(&id).map(Vec::as_slice)).is_err());
    let got = get(&url, "ct/v1/get-entry-and-proof?leaf_index=2&tree_size=6").json();
    let path: Vec<Sha256> = got["audit_path"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| Sha256::from_base64(text.as_str().unwrap()).unwrap())
        .collect();
    assert!(transparency::merkle::verify_inclusion(&hash_leaf(&inputs[2]), 2, 6, &path, &head.root).is_err());
}

#[test]
fn a_dropped_entry_of_a_log_of_rfc6962_is_in_no_tree() {
    let mut scene = Scene::with(Kind::Rfc6962, 2);
    scene.log.drop_next(1);
    scene.issue();
    let promised = parse_sct(&scene.issued[2].scts[0]).unwrap().timestamp;
    scene.clock.advance(86_400 + 1);
    scene.issue();
    scene.log.merge();
    let head = rfc6962::head(&scene.log, &scene.clock);
    assert_eq!(head.size, 3, "the one after it is in");
    let leaf = promised_leaf(&scene, 2);
    let inputs = all_leaf_inputs(&scene.log.rfc6962_url(), 3);
    assert!(inputs.iter().all(|input| hash_leaf(input) != leaf));
    assert_eq!(audit_absence(promised, 86_400, &head), Inclusion::BrokenPromise);
}

#[test]
fn a_dropped_entry_of_a_static_log_has_lost_its_place() {
    let mut scene = Scene::with(Kind::StaticCt, 2);
    scene.log.drop_next(1);
    scene.issue();
    scene.log.merge();
    let head = static_ct::head(&scene.log, &scene.clock);
    let tiles = fetch_tiles(&scene.log.static_url(), 2, 3);
    let promise =
        Promise { leaf: promised_leaf(&scene, 2), index: 2, promised: scene.clock.now(), mmd_seconds: 60 };
    let found = audit(&promise, &head, &|id| tiles.get(&id).map(Vec::as_slice)).unwrap();
    assert_eq!(found, Inclusion::BrokenPromise);
}

/// The leaf that the timestamp of a certificate promises.
fn promised_leaf(scene: &Scene, number: usize) -> Sha256 {
    let issued = &scene.issued[number];
    let sct = parse_sct(&issued.scts[0]).unwrap();
    let certificate = transparency::skeleton::Skeleton::parse(issued.der()).unwrap();
    let tbs = transparency::precertificate::tbs_without_scts(&certificate).unwrap();
    let issuer = transparency::skeleton::Skeleton::parse(scene.authority.issuer_der()).unwrap();
    let entry = transparency::precertificate::LogEntry::Precertificate {
        issuer_key_hash: issuer.key_hash(),
        tbs: &tbs,
    };
    let leaf = transparency::log_key::merkle_tree_leaf(sct.timestamp, &entry, sct.extensions).unwrap();
    hash_leaf(&leaf)
}

#[test]
fn lies_of_transport_are_told_at_the_paths_that_were_named() {
    let scene = Scene::with(Kind::Rfc6962, 2);
    let url = scene.log.rfc6962_url();
    let control = scene.log.control();
    control.lie_at("get-sth", Lie::Status(500));
    assert_eq!(get(&url, "ct/v1/get-sth").status, 500);
    assert_eq!(get(&url, "ct/v1/get-entries?start=0&end=1").status, 200);
    control.be_honest();
    control.lie_at("get-sth", Lie::Redirect("http://other.example.org/".to_owned()));
    let got = get(&url, "ct/v1/get-sth");
    assert!(got.status == 302 && got.head.contains("location: http://other.example.org/"), "{got:?}");
    control.be_honest();
    assert_eq!(get(&url, "ct/v1/get-sth").status, 200);
}

#[test]
fn bodies_are_cut_garbled_and_long_beyond_measure() {
    let scene = Scene::with(Kind::Rfc6962, 2);
    let (log, url) = (&scene.log, scene.log.rfc6962_url());
    log.lie(Lie::Cut);
    assert!(!get(&url, "ct/v1/get-sth").whole);
    log.be_honest();
    log.lie(Lie::Garbage);
    assert!(serde_json::from_slice::<serde_json::Value>(&get(&url, "ct/v1/get-sth").body).is_err());
    log.be_honest();
    log.lie(Lie::Oversize(3 << 20));
    let got = get(&url, "ct/v1/get-sth");
    assert!(got.whole && got.body.len() > 3 << 20);
    assert!(got.json()["tree_size"] == 2, "a client without a bound would take it");
    log.be_honest();
    log.lie(Lie::Endless);
    assert!(!get_some(&url, "ct/v1/get-sth", 8 << 20).whole);
}

#[test]
fn a_bomb_is_small_until_it_is_unpacked() {
    let site = Site::start();
    site.put("/list.json", "{}");
    site.lie(Lie::GzipBomb(32 << 20));
    let got = get(&site.url(""), "list.json");
    assert!(got.head.contains("content-encoding: gzip") && got.body.len() < 64 << 10);
    let mut zeros = flate2::read::GzDecoder::new(&got.body[..]);
    assert_eq!(std::io::copy(&mut zeros.by_ref(), &mut std::io::sink()).unwrap(), 32 << 20);
}

#[test]
fn what_is_held_or_stalled_goes_on_when_the_log_is_honest() {
    let scene = Scene::with(Kind::Rfc6962, 1);
    let url = scene.log.rfc6962_url();
    scene.log.control().lie_at("get-sth", Lie::Hold);
    scene.log.control().lie_at("get-entries", Lie::Stall);
    let (held, stalled) = (begin(&url, "ct/v1/get-sth"), begin(&url, "ct/v1/get-entries?start=0&end=0"));
    assert!(scene.log.control().wait_until_asked("get-sth", 1));
    assert!(scene.log.control().wait_until_asked("get-entries?start=0", 1));
    // One thread serves all: what was asked before this would have been answered by now.
    assert_eq!(get(&url, "ct/v1/get-roots").status, 200);
    let mut byte = [0];
    held.set_nonblocking(true).unwrap();
    assert!(held.peek(&mut byte).is_err(), "not even a head has come");
    held.set_nonblocking(false).unwrap();
    scene.log.be_honest();
    assert_eq!(finish(held).json()["tree_size"], 1);
    let got = finish(stalled);
    assert!(got.status == 200 && serde_json::from_slice::<serde_json::Value>(&got.body).is_err());
}

#[test]
fn a_list_of_several_logs_reads_as_it_was_meant() {
    let clock = Clock::at("2026-08-01T00:00:00Z");
    let alder = TestLog::start("alder", Kind::Rfc6962, &clock);
    let birch = TestLog::start("birch", Kind::StaticCt, &clock);
    let cedar = TestLog::start("cedar", Kind::Rfc6962, &clock);
    let logs = [
        alder.listed(),
        birch.listed(),
        cedar.listed().run_by("alder").in_state("retired", "2026-06-01T00:00:00Z"),
    ];
    let list = LogList::parse(log_list_json("2026-07-30T00:00:00Z", &logs).as_bytes()).unwrap();
    assert_eq!((list.identity().logs, list.set_aside().len()), (3, 0));
    let found = list.log(&birch.id()).unwrap();
    assert!(found.is_static() && found.origin() == birch.origin() && found.mmd_seconds == 60);
    let found = list.log(&cedar.id()).unwrap();
    assert_eq!(found.state.unwrap().kind, StateKind::Retired);
    assert_eq!(found.operator, "alder");
    let of_fork = LogList::parse(log_list_json("2026-07-30T00:00:00Z", &[birch.fork().listed()]).as_bytes());
    let of_fork = of_fork.unwrap();
    assert_eq!(of_fork.log(&birch.id()).unwrap().origin(), birch.origin());
    assert_ne!(of_fork.log(&birch.id()), list.log(&birch.id()), "it is asked elsewhere");
}
