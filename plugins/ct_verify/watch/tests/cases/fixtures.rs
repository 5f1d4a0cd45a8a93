//! Logs that other programs made, as files: growth and proofs as these programs computed them.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ct_log::{Clock, Kind, Listed, Site, TestLog};
use ct_watch::logs::{Condition, Promised};
use serde_json::Value;
use transparency::digest::Sha256;
use transparency::inclusion::Inclusion;
use transparency::log_key::LogKey;

use crate::stand::{NOW, Stand};

/// The folder with the logs; `None`, and a printed word, when it is absent. In CI it must be there.
fn data() -> Option<PathBuf> {
    let shared = std::env::var_os("QUORATE_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../shared/data")),
        PathBuf::from,
    );
    let folder = shared.join("ct/synthetic");
    if folder.join("log_list.json").is_file() {
        return Some(folder);
    }
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!ci, "no test data in {}", folder.display());
    println!("skipped: no test data in {}", folder.display());
    None
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// An entry of a list for the log of a folder, to be had from the site.
fn listed(log: &Value, kind: Kind, site: &Site) -> Listed {
    let listed = TestLog::start("template", kind, &Clock::at(NOW)).listed();
    let spki = STANDARD.decode(log["key"].as_str().unwrap()).unwrap();
    let submission_url = format!("https://{}/", log["origin"].as_str().unwrap_or_default());
    let (rfc6962_url, monitoring_url) = (site.url("/"), site.url("/mon/"));
    Listed { key: LogKey::from_spki(&spki).unwrap(), submission_url, rfc6962_url, monitoring_url, ..listed }
}

/// Puts all files below a folder onto the site.
fn put_all(site: &Site, folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            put_all(site, &entry.path(), &path);
        } else {
            site.put(&path, fs::read(entry.path()).unwrap());
        }
    }
}

#[tokio::test]
async fn growth_of_a_static_ct_log_is_shown_by_its_tiles() {
    let Some(folder) = data().map(|data| data.join("static-ct-log")) else { return };
    let (stand, site) = (Stand::new(&Clock::at(NOW)), Site::start());
    put_all(&site, &folder.join("mon"), "/mon");
    site.put("/mon/checkpoint", fs::read(folder.join("checkpoint.300")).unwrap());
    let watched = stand.watch(listed(&json(&folder.join("log.json")), Kind::StaticCt, &site));
    watched.look().await;
    assert_eq!(watched.latest().unwrap().head.size, 300);
    site.put("/mon/checkpoint", fs::read(folder.join("mon/checkpoint")).unwrap());
    watched.look().await;
    assert_eq!(watched.latest().unwrap().head.size, 523, "{:?}", watched.condition());
    assert!(site.control().asked("/mon/tile/0/") > 0);
}

#[tokio::test]
async fn growth_and_promise_of_a_log_by_rfc_6962_are_shown_by_its_proofs() {
    let Some(folder) = data().map(|data| data.join("rfc6962-log")) else { return };
    let (stand, site) = (Stand::new(&Clock::at(NOW)), Site::start());
    let watched = stand.watch(listed(&json(&folder.join("log.json")), Kind::Rfc6962, &site));
    for (size, proof) in [(16, None), (44, Some("16-44")), (57, Some("44-57"))] {
        site.put("/ct/v1/get-sth", fs::read(folder.join(format!("get-sth.{size}.json"))).unwrap());
        if let Some(proof) = proof {
            let proof = folder.join(format!("get-sth-consistency.{proof}.json"));
            site.put("/ct/v1/get-sth-consistency", fs::read(proof).unwrap());
        }
        watched.look().await;
        assert_eq!(watched.latest().unwrap().head.size, size, "{:?}", watched.condition());
    }
    let case = &json(&folder.join("get-proof-by-hash.json"))["ok-90d-two-operators"];
    let leaf = Sha256::from_base64(case["leaf_hash"].as_str().unwrap()).unwrap();
    site.put("/ct/v1/get-proof-by-hash", case["proofs"]["57"].to_string());
    let log = watched.log.key.id();
    stand.auditor.take(Promised { log, leaf, index: None, promised: stand.clock.now() });
    watched.look().await;
    assert_eq!(stand.auditor.audited(&[(log, leaf)])[0].inclusion, Inclusion::Proved);
    // Two hours after the last head; the merge delay is a day.
    assert_eq!(watched.condition(), Condition::Ok);
}
