//! What a judgement costs: `cargo run --release -p transparency --example cost`.
//!
//! Prints the least time of many runs for a certificate with three timestamps, and beside it that of three bare P-256 signature
//! checks, so that the ratio says something on a busy machine, too. With `--once` it checks the timestamps once, for callgrind.

// Whoever runs this sees what went wrong.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use transparency::chain::Purpose;
use transparency::digest::Sha256;
use transparency::log_list::LogList;
use transparency::precertificate::{sct_list, tbs_without_scts};
use transparency::revocation::{CrlSet, RevocationMode};
use transparency::roots::{Intermediates, RootKind, RootStore, anchors_from_pem, certificates_from_pem};
use transparency::sct::{ListEntry, parse_extension};
use transparency::sct_check::check_scts;
use transparency::skeleton::Skeleton;
use transparency::{Conclusion, Pinned, Policy, Question, judge};

/// The least time that `work` took.
fn least(work: &mut dyn FnMut()) -> Duration {
    (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .min()
        .unwrap()
}

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let chain = certificates_from_pem(&read("chains/good-year.pem"), 4).unwrap();
    let list = LogList::parse(&read("log_list.json")).unwrap();
    let roots =
        anchors_from_pem(&read("roots.pem")).unwrap().into_iter().map(|root| (root, RootKind::Public));
    let (roots, intermediates) = (RootStore::new("vectors", roots), Intermediates::default());
    let now = "2026-08-01T00:00:00Z".parse().unwrap();
    let issuer = Skeleton::parse(&chain[1]).unwrap().key_hash();
    let mut check = || {
        let leaf = Skeleton::parse(&chain[0]).unwrap();
        let checked = check_scts(&leaf, Some(issuer), &list, now, &mut Vec::new());
        assert_eq!(checked.scts().len(), 3);
    };
    if std::env::args().any(|argument| argument == "--once") {
        return check();
    }
    let leaf = Skeleton::parse(&chain[0]).unwrap();
    let entries = parse_extension(sct_list(&leaf).unwrap().unwrap()).unwrap();
    let ListEntry::V1(sct) = entries[0] else { panic!("the first is of version 1") };
    let key = &list.log(&sct.log_id).unwrap().key;
    let bare = least(&mut || (0..3).for_each(|_| assert!(key.verify(b"other", &sct.signed).is_err())));
    let splice = least(&mut || assert!(tbs_without_scts(&Skeleton::parse(&chain[0]).unwrap()).is_ok()));
    let pinned = Pinned {
        policy: &Policy::Chrome2026,
        log_list: Some(&list),
        roots: &roots,
        intermediates: &intermediates,
        crls: &CrlSet::default(),
        revocation: RevocationMode::Soft,
        private_roots_need_logs: false,
    };
    let question =
        Question { chain: &chain, name: None, purpose: Purpose::Server, audited: &[], networks: None };
    println!("three timestamps          {:>9.1?}", least(&mut check));
    println!("  three bare signatures   {bare:>9.1?}");
    println!("  reading and cutting     {splice:>9.1?}");
    println!("  one digest              {:>9.1?}", least(&mut || assert_ne!(Sha256::of(leaf.tbs), issuer)));
    let whole = least(&mut || assert_eq!(judge(&question, &pinned, now).verdict, Conclusion::Valid));
    println!("whole judgement           {whole:>9.1?}");
}

const RUNS: usize = 500;
