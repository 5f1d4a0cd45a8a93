//! Events of certspotter, dropped into a folder.

use std::path::Path;

use ct_log::Kind;
use transparency::digest::Sha256;
use transparency::precertificate::tbs_without_scts;
use transparency::skeleton::Skeleton;

use crate::case::{Case, told, zone_names};

async fn case(folder: &Path) -> Case {
    let spotter = Some(folder.to_owned());
    Case::with(&[Kind::StaticCt], &["Alder"], zone_names(), |config| config.certspotter = spotter).await
}

fn event(name: &str, tbs: Sha256, issuer: &str) -> String {
    let key = Sha256([3; 32]);
    format!(
        "EVENT=discovered_cert\nTBS_SHA256={tbs}\nPUBKEY_SHA256={key}\nISSUER_DN={issuer}\nENTRY_INDEX=9\n\n\
         {{\"dns_names\": [\"{name}\"]}}\n"
    )
}

#[tokio::test]
async fn dropped_events_are_told_of_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let case = case(folder.path()).await;
    std::fs::write(folder.path().join("a.event"), event("www.example.org", Sha256([1; 32]), "O=Birch"))
        .unwrap();
    std::fs::write(folder.path().join("b.event"), "EVENT=error\nSUMMARY=log is down\n").unwrap();
    std::fs::write(folder.path().join("c.event"), event("www.example.net", Sha256([2; 32]), "O=Birch"))
        .unwrap();
    case.monitor.round().await;
    let www = "www.example.org";
    let expected = [
        told("new_certificate", www),
        told("unexpected_issuer", www),
        told("certspotter_error", "certspotter"),
    ];
    assert_eq!(case.told(), expected);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(case.monitor.counts()["other_zones"], 1);
}

#[tokio::test]
async fn what_cannot_be_read_or_is_not_finished_stays() {
    let folder = tempfile::tempdir().unwrap();
    let case = case(folder.path()).await;
    let finished = event("www.example.org", Sha256([1; 32]), "O=Alder");
    std::fs::write(folder.path().join("a.event"), "hello").unwrap();
    std::fs::write(folder.path().join("big.json"), vec![b' '; 2 << 20]).unwrap();
    std::fs::write(folder.path().join(".b.event"), &finished).unwrap();
    std::fs::write(folder.path().join("README"), &finished).unwrap();
    std::os::unix::fs::symlink(folder.path().join("README"), folder.path().join("c.event")).unwrap();
    case.monitor.round().await;
    case.monitor.round().await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
    assert_eq!(case.monitor.counts()["unreadable_files"], 3);
    assert!(case.told().iter().all(|(code, _)| *code == "certspotter_unreadable"), "{:?}", case.told());
}

#[tokio::test]
async fn what_the_logs_have_shown_is_not_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let case = case(folder.path()).await;
    let issued = case.log_one("www.example.org");
    case.round().await;
    let certificate = Skeleton::parse(issued.der()).unwrap();
    let tbs = Sha256::of(&tbs_without_scts(&certificate).unwrap());
    std::fs::write(folder.path().join("a.event"), event("www.example.org", tbs, "O=Alder")).unwrap();
    case.monitor.round().await;
    assert_eq!(case.told(), [told("new_certificate", "www.example.org")]);
    assert_eq!(case.monitor.counts()["duplicates"], 1);
}
