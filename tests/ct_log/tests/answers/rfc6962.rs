//! The interface of RFC 6962.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ct_log::{Authority, Clock, Issued, Kind, Refused, TestLog};
use serde_json::{Value, json};
use transparency::digest::Sha256;
use transparency::merkle::{hash_leaf, root, verify_inclusion};
use transparency::sct::parse_sct;
use transparency::tile::parse_leaf_input;
use transparency::tree_head::{Progress, SignedTreeHead, TreeHead};

use crate::ask::{get, post};
use crate::{HAS_OPENSSL, Scene};

pub fn head(log: &TestLog, clock: &Clock) -> TreeHead {
    head_at(&log.rfc6962_url(), log, clock).unwrap()
}

pub fn head_at(url: &str, log: &TestLog, clock: &Clock) -> Option<TreeHead> {
    let got = get(url, "ct/v1/get-sth");
    SignedTreeHead::from_json(&got.body).unwrap().verify(&log.key(), clock.now()).ok()
}

fn hashes(value: &Value) -> Vec<Sha256> {
    let texts = value.as_array().unwrap_or_else(|| panic!("{value}")).iter();
    texts.map(|text| Sha256::from_base64(text.as_str().unwrap()).unwrap()).collect()
}

fn encoded(text: &str) -> String {
    text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// The inputs of all leaves, asked for as often as the log wants to be asked.
pub fn all_leaf_inputs(url: &str, size: u64) -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    while (inputs.len() as u64) < size {
        let got = get(url, &format!("ct/v1/get-entries?start={}&end={}", inputs.len(), size - 1)).json();
        let entries = got["entries"].as_array().unwrap();
        assert!(!entries.is_empty());
        inputs.extend(entries.iter().map(|e| STANDARD.decode(e["leaf_input"].as_str().unwrap()).unwrap()));
    }
    inputs
}

#[test]
fn heads_and_consistency_proofs_verify_while_the_log_grows() {
    let mut scene = Scene::with(Kind::Rfc6962, 0);
    let mut heads = vec![head(&scene.log, &scene.clock)];
    for batch in [1, 1, 3, 7, 2] {
        (0..batch).for_each(|_| scene.issue());
        scene.log.merge();
        heads.push(head(&scene.log, &scene.clock));
    }
    assert_eq!(heads.iter().map(|head| head.size).collect::<Vec<_>>(), [0, 1, 2, 5, 12, 14]);
    for (place, old) in heads.iter().enumerate().skip(1) {
        for new in &heads[place + 1..] {
            let path = format!("ct/v1/get-sth-consistency?first={}&second={}", old.size, new.size);
            let proof = hashes(&get(&scene.log.rfc6962_url(), &path).json()["consistency"]);
            assert_eq!(old.progress(new, &proof), Progress::Grown, "{path}");
        }
    }
}

#[test]
fn every_entry_is_proved_by_its_hash_and_by_its_index() {
    let scene = Scene::with(Kind::Rfc6962, 37);
    let (url, head) = (scene.log.rfc6962_url(), head(&scene.log, &scene.clock));
    let inputs = all_leaf_inputs(&url, 37);
    let at_once = get(&url, "ct/v1/get-entries?start=0&end=36").json();
    assert_eq!(at_once["entries"].as_array().unwrap().len(), 16, "clients must ask again");
    let leaves: Vec<Sha256> = inputs.iter().map(|input| hash_leaf(input)).collect();
    assert_eq!(root(&leaves), head.root);
    for (index, leaf) in leaves.iter().enumerate() {
        assert!(parse_leaf_input(&inputs[index]).is_some());
        let path = format!("ct/v1/get-proof-by-hash?hash={}&tree_size=37", encoded(&leaf.base64()));
        let got = get(&url, &path).json();
        assert_eq!(got["leaf_index"], index);
        verify_inclusion(leaf, index as u64, 37, &hashes(&got["audit_path"]), &head.root).unwrap();
        let got = get(&url, &format!("ct/v1/get-entry-and-proof?leaf_index={index}&tree_size=37")).json();
        verify_inclusion(leaf, index as u64, 37, &hashes(&got["audit_path"]), &head.root).unwrap();
        assert_eq!(STANDARD.decode(got["leaf_input"].as_str().unwrap()).unwrap(), inputs[index]);
    }
}

#[test]
fn what_is_handed_in_by_post_gets_a_timestamp_that_verifies_and_the_same_one_again() {
    let clock = Clock::at("2026-08-01T00:00:00Z");
    let log = TestLog::start("alder", Kind::Rfc6962, &clock);
    let authority = Authority::new("Alder", &clock);
    // Issued without this log, handed in as it is.
    let issued = authority.leaf("www.example.org").issue(&[]);
    let chain: Vec<String> = issued.chain.iter().map(|der| STANDARD.encode(der)).collect();
    let got = post(&log.rfc6962_url(), "ct/v1/add-chain", &json!({ "chain": chain })).json();
    assert_eq!(got["id"], json!(log.id()));
    let time = got["timestamp"].as_u64().unwrap().to_be_bytes();
    let signature = STANDARD.decode(got["signature"].as_str().unwrap()).unwrap();
    let bytes = [&[0][..], &log.id().0.0, &time, &[0, 0], &signature].concat();
    let entry = transparency::precertificate::LogEntry::X509(issued.der());
    log.key().verify_sct(&parse_sct(&bytes).unwrap(), &entry).unwrap();
    clock.advance(5);
    assert_eq!(post(&log.rfc6962_url(), "ct/v1/add-chain", &json!({ "chain": chain })).json(), got);
    assert_eq!(log.pending(), 1);
}

#[test]
fn an_entry_is_in_the_tree_only_after_a_merge() {
    let mut scene = Scene::with(Kind::Rfc6962, 2);
    let before = head(&scene.log, &scene.clock);
    scene.issue();
    assert_eq!(head(&scene.log, &scene.clock), before);
    assert_eq!(scene.log.pending(), 1);
    scene.log.merge();
    assert_eq!(head(&scene.log, &scene.clock).size, 3);
}

#[test]
fn timestamps_by_an_rsa_key_verify() {
    if !*HAS_OPENSSL {
        println!("skipped: openssl is not installed");
        return;
    }
    let clock = Clock::at("2026-08-01T00:00:00Z");
    let key = ct_log::key::PrivateKey::rsa().unwrap();
    let log = TestLog::with_key("cedar", Kind::Rfc6962, key, &clock);
    Authority::new("Alder", &clock).leaf("www.example.org").issue(&[&log]);
    log.merge();
    assert_eq!(head(&log, &clock).size, 1);
}

#[test]
fn chains_that_do_not_fit_are_refused() {
    let clock = Clock::at("2026-08-01T00:00:00Z");
    let log = TestLog::start("alder", Kind::Rfc6962, &clock);
    let (ours, other) = (Authority::new("Alder", &clock), Authority::new("Other", &clock));
    let issued = ours.leaf("www.example.org").issue(&[]);
    let precertificate = issued.precertificate.clone();
    let with = |certificate: &[u8], issuer: &[u8]| vec![certificate.to_vec(), issuer.to_vec()];
    assert_eq!(log.add_chain(&[]), Err(Refused::Empty));
    assert_eq!(log.add_chain(&with(issued.der(), other.issuer_der())), Err(Refused::Issuer(0)));
    assert_eq!(log.add_chain(&with(b"no certificate", ours.issuer_der())), Err(Refused::Malformed(0)));
    assert_eq!(log.add_chain(&with(&precertificate, ours.issuer_der())), Err(Refused::Kind));
    assert_eq!(log.add_pre_chain(&with(issued.der(), ours.issuer_der())), Err(Refused::Kind));
    log.accept_root(ours.root_der());
    let stranger = other.leaf("www.example.org").issue(&[]);
    assert_eq!(log.add_chain(&stranger.chain), Err(Refused::Root));
    assert!(log.add_chain(&issued.chain).is_ok());
    log.become_read_only();
    assert_eq!(log.add_chain(&issued.chain), Err(Refused::ReadOnly));
}

#[test]
fn roots_are_shown() {
    let scene = Scene::with(Kind::Rfc6962, 0);
    scene.log.accept_root(scene.authority.root_der());
    let got = get(&scene.log.rfc6962_url(), "ct/v1/get-roots").json();
    assert_eq!(got["certificates"], json!([STANDARD.encode(scene.authority.root_der())]));
}

#[test]
fn questions_beyond_the_tree_and_malformed_ones_are_refused() {
    let scene = Scene::with(Kind::Rfc6962, 3);
    let url = scene.log.rfc6962_url();
    let hash = encoded(&URL_SAFE.encode([7; 32]));
    let status = |path: &str| get(&url, path).status;
    assert_eq!(status("ct/v1/get-entries?start=3&end=4"), 400);
    assert_eq!(status("ct/v1/get-entries?start=2&end=1"), 400);
    assert_eq!(status("ct/v1/get-sth-consistency?first=0&second=3"), 400);
    assert_eq!(status("ct/v1/get-sth-consistency?first=1&second=4"), 400);
    assert_eq!(status(&format!("ct/v1/get-proof-by-hash?hash={hash}&tree_size=3")), 404);
    assert_eq!(status(&format!("ct/v1/get-proof-by-hash?hash={hash}&tree_size=4")), 400);
    assert_eq!(status("ct/v1/get-entry-and-proof?leaf_index=3&tree_size=3"), 400);
    assert_eq!(status("ct/v1/get-entry-and-proof?leaf_index=0&tree_size=9"), 400);
    assert_eq!(status("ct/v2/get-sth"), 404);
    assert_eq!(get(&url, "ct/v1/add-chain").status, 405);
    assert_eq!(post(&url, "ct/v1/add-chain", &json!({ "chain": 1 })).status, 400);
}

#[test]
fn a_certificate_that_signed_itself_is_taken_in_without_roots() {
    let clock = Clock::at("2026-08-01T00:00:00Z");
    let log = TestLog::start("alder", Kind::Rfc6962, &clock);
    log.add_chain(&Issued::self_signed("www.example.org", &clock).chain).unwrap();
    log.merge();
    assert_eq!(head(&log, &clock).size, 1);
}
