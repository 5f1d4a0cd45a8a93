//! Revocation lists, our own, synthetic and real.

use std::path::Path;

use transparency::revocation::{Crl, CrlSet, RevocationMode, RevocationStatus};
use transparency::{Conclusion, Policy};

use crate::bench::*;
use crate::place::{chain, data, json as read_json, own};

#[test]
fn an_unknown_revocation_status_is_indeterminate_only_when_it_must_be_known() {
    let soft = own_judged("good", &|_, _| {});
    let required = own_judged("good", &|_, pinned| pinned.revocation = RevocationMode::Required);
    assert_eq!((soft.verdict, soft.revocation), (Conclusion::Valid, RevocationStatus::NotChecked));
    assert_eq!(
        (required.verdict, codes(&required)),
        (Conclusion::Indeterminate, vec!["revocation_required"])
    );
}

#[test]
fn own_revocation_lists_are_believed_when_they_may_be() {
    revocation_as_expected(&own());
}

#[test]
fn a_revoked_authority_spoils_what_it_issued_even_beside_a_good_list() {
    let crl = |name: &str| Crl::parse(&std::fs::read(own().join("crl").join(name)).unwrap());
    let judged = |names: &[&str]| {
        let crls = Box::leak(Box::new(CrlSet::new(names.iter().map(|name| crl(name)))));
        own_judged("good-rsa", &|_, pinned| pinned.crls = crls)
    };
    let good = judged(&["current.crl", "root-good.crl"]);
    assert_eq!(
        (good.verdict, good.revocation, good.score.total),
        (Conclusion::Valid, RevocationStatus::Good, 70)
    );
    let revoked = judged(&["current.crl", "root-good.crl", "root.crl"]);
    assert_eq!((revoked.verdict, codes(&revoked)), (Conclusion::Invalid, vec!["issuer_revoked"]));
    assert_eq!(judged(&["current.crl", "root.crl"]).digest(), judged(&["root.crl", "current.crl"]).digest());
}

#[test]
fn synthetic_revocation_lists_are_believed_when_they_may_be() {
    let Some(data) = data() else { return };
    revocation_as_expected(&data.join("synthetic"));
}

fn revocation_as_expected(folder: &Path) {
    let (roots, list) = (roots(&folder.join("roots.pem")), list(&folder.join("log_list.json")));
    let cases = read_json(folder.join("crl/cases.json"));
    let mut all = Vec::new();
    for case in cases["cases"].as_array().unwrap() {
        let chain = chain(folder.join(case["chain"].as_str().unwrap()));
        let name = case["crl"].as_str().unwrap();
        let bytes = std::fs::read(folder.join("crl").join(name)).unwrap();
        let crls = CrlSet::new([Crl::parse(&bytes)]);
        let judged = Case {
            chain: &chain,
            name: None,
            list: &list,
            roots: &roots,
            crls: &crls,
            at: moment(&cases["at"]),
        };
        let verdict = judged.judged_by(Policy::Chrome2026);
        let found = serde_json::to_value(verdict.revocation).unwrap();
        let expected = case["expect"].as_str().unwrap();
        assert!(expected.split("_or_").any(|word| found == word), "{name}: {found}, {:?}", verdict.reasons);
        let revoked = verdict.revocation == RevocationStatus::Revoked;
        assert_eq!(verdict.verdict == Conclusion::Invalid, revoked, "{name}");
        all.push(Crl::parse(&bytes));
    }
    let first = cases["cases"].as_array().unwrap().iter().find(|case| case["expect"] == "revoked").unwrap();
    let chain = chain(folder.join(first["chain"].as_str().unwrap()));
    let all = CrlSet::new(all);
    let judged =
        Case { chain: &chain, name: None, list: &list, roots: &roots, crls: &all, at: moment(&cases["at"]) };
    let verdict = judged.judged_by(Policy::Chrome2026);
    assert_eq!(verdict.revocation, RevocationStatus::Revoked, "lists that are no good hide none that is");
}

#[test]
fn real_revocation_lists_of_amazon_are_believed() {
    let Some(data) = data() else { return };
    let lists = lists(&data);
    let list = &lists["log-lists/2025-04-10.json"];
    let cases = read_json(data.join("crl-real/cases.json"));
    for case in cases["cases"].as_array().unwrap() {
        let chain = chain(data.join(case["chain"].as_str().unwrap()));
        let crls =
            CrlSet::new([Crl::parse(&std::fs::read(data.join(case["crl"].as_str().unwrap())).unwrap())]);
        let judged = Case {
            chain: &chain,
            name: None,
            list,
            roots: &no_roots(),
            crls: &crls,
            at: moment(&case["at"]),
        };
        let verdict = judged.judged_by(Policy::Chrome2026);
        assert_eq!(
            serde_json::to_value(verdict.revocation).unwrap(),
            case["expect"],
            "{}: {:?}",
            case["chain"],
            verdict.reasons
        );
    }
}
