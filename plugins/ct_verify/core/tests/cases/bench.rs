//! What a case is judged by, and the chains of a stranger.

use std::collections::BTreeMap;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use serde_json::Value;
use transparency::chain::Purpose;
use transparency::log_list::LogList;
use transparency::revocation::{CrlSet, RevocationMode};
use transparency::roots::{Intermediates, RootKind, RootStore, anchors_from_pem};
use transparency::{Moment, Pinned, Policy, Question, Verdict, judge};

use crate::place::{chain, json as read_json, own};

/// What a case is judged by.
pub struct Case<'a> {
    pub chain: &'a [CertificateDer<'static>],
    pub name: Option<&'a str>,
    pub list: &'a LogList,
    pub roots: &'a RootStore,
    pub crls: &'a CrlSet,
    pub at: Moment,
}

impl Case<'_> {
    pub fn judged_by(&self, policy: Policy) -> Verdict {
        let question = Question {
            chain: self.chain,
            name: self.name,
            purpose: Purpose::Server,
            audited: &[],
            networks: None,
        };
        let pinned = Pinned {
            policy: &policy,
            log_list: Some(self.list),
            roots: self.roots,
            intermediates: &Intermediates::default(),
            crls: self.crls,
            revocation: RevocationMode::Soft,
            private_roots_need_logs: false,
        };
        judge(&question, &pinned, self.at)
    }
}

pub fn moment(value: &Value) -> Moment {
    value.as_str().unwrap().parse().unwrap()
}

pub fn list(path: &Path) -> LogList {
    LogList::parse(&std::fs::read(path).unwrap()).unwrap()
}

pub fn roots(path: &Path) -> RootStore {
    let anchors = anchors_from_pem(&std::fs::read(path).unwrap()).unwrap();
    RootStore::new("test", anchors.into_iter().map(|anchor| (anchor, RootKind::Public)))
}

pub fn no_roots() -> RootStore {
    RootStore::new("none", [])
}

/// The statuses as the verdict's JSON has them.
pub fn statuses(verdict: &Verdict) -> Value {
    serde_json::to_value(&verdict.ct.sct_status).unwrap()
}

pub fn lists(data: &Path) -> BTreeMap<String, LogList> {
    let names =
        ["2025-04-10", "2025-12-14", "2026-01-20", "2023-06-20"].map(|name| format!("log-lists/{name}.json"));
    names.into_iter().map(|name| (name.clone(), list(&data.join(name)))).collect()
}

/// Judges a synthetic case, and hands its verdicts by Chrome's and by Apple's policy on.
pub fn synthetic(folder: &Path, file: &str, check: &dyn Fn(&Value, &Verdict, &Verdict)) -> usize {
    let roots = roots(&folder.join("roots.pem"));
    let cases = read_json(folder.join(file));
    let cases = cases["cases"].as_array().unwrap();
    for case in cases {
        let chain = chain(folder.join(case["chain"].as_str().unwrap()));
        let list = list(&folder.join(case["log_list"].as_str().unwrap()));
        let name = case["dns_name"].as_str();
        let judged = Case {
            chain: &chain,
            name,
            list: &list,
            roots: &roots,
            crls: &CrlSet::default(),
            at: moment(&case["at"]),
        };
        check(case, &judged.judged_by(Policy::Chrome2026), &judged.judged_by(Policy::Apple));
    }
    cases.len()
}

pub fn agrees(found: bool, expected: &Value) -> bool {
    expected.is_null() || *expected == found
}

/// When our own chains are judged.
pub const AUGUST: &str = "2026-08-01T00:00:00Z";

/// Judges one of our own chains, with what `change` does to what it is judged by.
pub fn own_judged(id: &str, change: &dyn Fn(&mut Question<'_>, &mut Pinned<'_>)) -> Verdict {
    judged_at(AUGUST.parse().unwrap(), id, change)
}

pub fn judged_at(at: Moment, id: &str, change: &dyn Fn(&mut Question<'_>, &mut Pinned<'_>)) -> Verdict {
    let folder = own();
    let (chain, roots) = (chain(folder.join(format!("chains/{id}.pem"))), roots(&folder.join("roots.pem")));
    let list = list(&folder.join("log_list.json"));
    let intermediates = Intermediates::default();
    let mut question =
        Question { chain: &chain, name: None, purpose: Purpose::Server, audited: &[], networks: None };
    let mut pinned = Pinned {
        policy: &Policy::Chrome2026,
        log_list: Some(&list),
        roots: &roots,
        intermediates: &intermediates,
        crls: &CrlSet::default(),
        revocation: RevocationMode::Soft,
        private_roots_need_logs: false,
    };
    change(&mut question, &mut pinned);
    judge(&question, &pinned, at)
}

pub fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.reasons.iter().map(|reason| reason.code()).collect()
}

/// The verdicts on all of our own chains, for this name.
pub fn own_verdicts(name: impl Fn(&str) -> Option<String>) -> Vec<(CertificateDer<'static>, Verdict)> {
    let folder = own();
    let (list, roots) = (list(&folder.join("log_list.json")), roots(&folder.join("roots.pem")));
    let at = "2026-08-01T00:00:00Z".parse().unwrap();
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.join("chains")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    let judged = paths.into_iter().map(|path| {
        let name = name(path.file_stem().unwrap().to_str().unwrap());
        let (chain, crls) = (chain(path), CrlSet::default());
        let case = Case { chain: &chain, name: name.as_deref(), list: &list, roots: &roots, crls: &crls, at };
        (chain[0].clone(), case.judged_by(Policy::Chrome2026))
    });
    judged.collect()
}
