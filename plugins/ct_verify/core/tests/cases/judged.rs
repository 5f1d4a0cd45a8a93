//! Whole judgements: real chains with real lists, one-edit mutants, and synthetic cases in which one thing is wrong.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use transparency::chain::Purpose;
use transparency::log_list::LogList;
use transparency::revocation::{Crl, CrlSet, RevocationMode};
use transparency::roots::{Intermediates, RootKind, RootStore, anchors_from_pem};
use transparency::verdict::CtOutcome;
use transparency::{Conclusion, Moment, Pinned, Policy, Question, judge};

use crate::bench::*;
use crate::place::{chain, data, json as read_json, own};

#[test]
fn real_chains_meet_or_fail_the_policy_as_expected() {
    let Some(data) = data() else { return };
    let (lists, roots) = (lists(&data), no_roots());
    let cases = read_json(data.join("policy-cases-real.json"));
    let cases = cases["cases"].as_array().unwrap();
    for case in cases {
        let (id, expect) = (&case["id"], &case["expect"]);
        let chain = chain(data.join(case["chain"].as_str().unwrap()));
        let list = &lists[case["log_list"].as_str().unwrap()];
        let case = Case {
            chain: &chain,
            name: None,
            list,
            roots: &roots,
            crls: &CrlSet::default(),
            at: moment(&case["at"]),
        };
        let verdict = case.judged_by(Policy::Chrome2026);
        assert_eq!(statuses(&verdict), expect["sct_status"], "{id}");
        assert_eq!(serde_json::to_value(&verdict.ct.log_states).unwrap(), expect["log_states"], "{id}");
        assert_eq!(json!(verdict.ct.compliant), expect["chrome_2026_compliant_ignoring_staleness"], "{id}");
        assert_eq!(json!(verdict.ct.list_stale), expect["list_stale_after_70_days"], "{id}");
        assert_eq!(json!(verdict.chain.within_validity), expect["within_validity"], "{id}");
    }
    println!("{} policy cases", cases.len());
    assert!(cases.len() > 100);
}

#[test]
fn one_edit_to_a_real_certificate_is_seen_as_what_it_is() {
    let Some(data) = data() else { return };
    let (lists, roots) = (lists(&data), no_roots());
    let cases = read_json(data.join("mutated-real/cases.json"));
    let cases = cases["cases"].as_array().unwrap();
    for case in cases {
        let chain = chain(data.join(case["chain"].as_str().unwrap()));
        let list = &lists[case["log_list"].as_str().unwrap()];
        let judged = Case {
            chain: &chain,
            name: None,
            list,
            roots: &roots,
            crls: &CrlSet::default(),
            at: moment(&case["at"]),
        };
        let verdict = judged.judged_by(Policy::Chrome2026);
        assert_eq!(statuses(&verdict), case["expect"]["sct_status"], "{}", case["id"]);
    }
    println!("{} mutants", cases.len());
}

#[test]
fn synthetic_certificates_are_judged_as_expected() {
    let Some(data) = data() else { return };
    assert!(judged_as_expected(&data.join("synthetic")) > 40);
}

#[test]
fn own_certificates_are_judged_as_expected() {
    assert_eq!(judged_as_expected(&own()), 28);
}

fn judged_as_expected(folder: &Path) -> usize {
    synthetic(folder, "cases.json", &|case, chrome, apple| {
        let (id, expect) = (case["id"].as_str().unwrap(), &case["expect"]);
        assert_eq!(chrome.chain.x509_chain_valid, expect["x509_chain_valid"], "{id}: {:?}", chrome.reasons);
        match id {
            // The signature fits, the log's position is missing: said, and counted.
            "odd-static-log-no-leaf-index" => {
                assert_eq!(statuses(chrome), json!(["valid", "valid"]));
                assert!(chrome.reasons.iter().any(|reason| reason.code() == "sct_without_leaf_index"));
            }
            _ => assert_eq!(statuses(chrome), expect["sct_status"], "{id}"),
        }
        assert!(
            agrees(chrome.ct.compliant.unwrap(), &expect["chrome_2026_compliant"]),
            "{id}: {:?}",
            chrome.reasons
        );
        assert!(agrees(apple.ct.compliant.unwrap(), &expect["apple_compliant"]), "{id}: {:?}", apple.reasons);
        let all_well = expect["x509_chain_valid"] == true && expect["chrome_2026_compliant"] == true;
        let expected = match id {
            "bad-missing-intermediate" => Conclusion::Indeterminate,
            _ if all_well || id.starts_with("odd") => Conclusion::Valid,
            _ => Conclusion::Invalid,
        };
        assert_eq!(chrome.verdict, expected, "{id}: {:?}", chrome.reasons);
    })
}

#[test]
fn timestamps_of_logs_with_public_keys_do_not_count() {
    let Some(data) = data() else { return };
    synthetic(&data.join("synthetic"), "cases-mimics.json", &|_, chrome, apple| {
        assert_eq!(statuses(chrome), json!(["valid", "valid"]));
        assert_eq!(serde_json::to_value(&chrome.ct.log_states).unwrap(), json!(["denied", "denied"]));
        for verdict in [chrome, apple] {
            assert_eq!((verdict.verdict, verdict.ct.compliant), (Conclusion::Invalid, Some(false)));
            assert_eq!(verdict.ct.counted_logs, 0);
            assert!(verdict.reasons.iter().any(|reason| reason.code() == "sct_denied_log"));
        }
    });
}

#[test]
fn a_stale_list_makes_nothing_valid_and_nothing_invalid() {
    let Some(data) = data() else { return };
    let count = synthetic(&data.join("synthetic"), "cases-stale-list.json", &|_, chrome, apple| {
        for verdict in [chrome, apple] {
            assert_eq!(verdict.ct.outcome, CtOutcome::ListStale);
            assert_eq!(verdict.verdict, Conclusion::Indeterminate, "{:?}", verdict.reasons);
        }
    });
    assert_eq!(count, 1);
}

#[test]
fn a_stale_own_list_makes_a_failing_certificate_indeterminate() {
    let stale = list(&own().join("log_list_stale.json"));
    for id in ["good", "bad-one", "bad-flipped", "bad-cut"] {
        let stale = LogList::clone(&stale);
        let path = own();
        let (chain, roots) = (chain(path.join(format!("chains/{id}.pem"))), roots(&path.join("roots.pem")));
        let at = "2026-08-01T00:00:00Z".parse().unwrap();
        let verdict =
            Case { chain: &chain, name: None, list: &stale, roots: &roots, crls: &CrlSet::default(), at }
                .judged_by(Policy::Chrome2026);
        assert_eq!(verdict.verdict, Conclusion::Indeterminate, "{id}: {:?}", verdict.reasons);
        assert_eq!(verdict.ct.list_stale, Some(true));
    }
}

#[test]
fn without_a_log_list_nothing_is_valid() {
    let verdict = own_judged("good", &|_, pinned| pinned.log_list = None);
    assert_eq!((verdict.verdict, verdict.ct.outcome), (Conclusion::Indeterminate, CtOutcome::NoLogList));
}

#[test]
fn certificates_under_private_roots_need_no_logs_unless_asked() {
    let anchors = anchors_from_pem(&std::fs::read(own().join("roots.pem")).unwrap()).unwrap();
    let private = RootStore::new("ours", anchors.into_iter().map(|anchor| (anchor, RootKind::Private)));
    let judged = |need: bool, list: bool| {
        let (chain, intermediates) = (chain(own().join("chains/bad-none.pem")), Intermediates::default());
        let logs = self::list(&own().join("log_list.json"));
        let question =
            Question { chain: &chain, name: None, purpose: Purpose::Server, audited: &[], networks: None };
        let pinned = Pinned {
            policy: &Policy::Chrome2026,
            log_list: list.then_some(&logs),
            roots: &private,
            intermediates: &intermediates,
            crls: &CrlSet::default(),
            revocation: RevocationMode::Soft,
            private_roots_need_logs: need,
        };
        judge(&question, &pinned, "2026-08-01T00:00:00Z".parse().unwrap())
    };
    assert_eq!(
        (judged(false, true).verdict, judged(false, true).ct.outcome),
        (Conclusion::Valid, CtOutcome::Exempt)
    );
    assert_eq!(judged(false, false).verdict, Conclusion::Valid);
    assert_eq!(judged(true, true).verdict, Conclusion::Invalid);
}

#[test]
fn every_reason_is_said_at_once() {
    let verdict = own_judged("bad-expired", &|question, _| question.name = Some("other.example.org"));
    assert_eq!(codes(&verdict), ["expired", "name_mismatch"]);
    let verdict = own_judged("bad-one", &|question, _| question.purpose = Purpose::Client);
    assert_eq!(codes(&verdict), ["wrong_purpose", "ct_not_applicable"]);
}

#[test]
fn certificates_that_cannot_be_read_are_invalid() {
    let garbage = [CertificateDer::from(&b"hello"[..])];
    let verdict = own_judged("good", &|question, _| question.chain = garbage.to_vec().leak());
    assert_eq!((verdict.verdict, codes(&verdict)), (Conclusion::Invalid, vec!["malformed_certificate"]));
    let verdict = own_judged("good", &|question, _| question.chain = &[]);
    assert_eq!(codes(&verdict), ["no_certificate"]);
    let verdict = own_judged("good", &|question, _| {
        question.chain = vec![question.chain[0].clone().into_owned(); 17].leak();
    });
    assert_eq!(verdict.reasons[0].code(), "chain_too_long");
}

#[test]
fn what_is_made_within_the_minute_that_is_judged_for_is_not_of_the_future() {
    let crl = Crl::parse(&std::fs::read(own().join("crl/current.crl")).unwrap());
    let crls: &CrlSet = Box::leak(Box::new(CrlSet::new([crl])));
    let judged = |at: Moment| judged_at(at, "good-rsa", &|_, pinned| pinned.crls = crls);
    let verdict = judged(AUGUST.parse().unwrap());
    let promised = verdict.ct.scts.iter().filter_map(|sct| sct.timestamp).max();
    let certificate = verdict.certificate.as_ref().map(|facts| facts.not_before);
    let list = verdict.inputs.log_list.as_ref().map(|list| list.timestamp);
    let day = 86_400;
    for (made, code, seconds_max) in [
        (certificate, "not_yet_valid", 60),
        (promised, "sct_future_timestamp", 300),
        (list, "log_list_future", day),
        ("2026-07-20T00:00:00Z".parse().ok(), "crl_unusable", 300),
    ] {
        let made: Moment = made.unwrap();
        let is_said = |milliseconds: u64| {
            let at = Moment::from_milliseconds(made.milliseconds() - milliseconds);
            codes(&judged(at)).contains(&code)
        };
        // Who is asked in the last moment of a minute judges for its begin.
        assert!(!is_said(59_999), "{code}");
        assert!(!is_said(seconds_max * 1000) && is_said(seconds_max * 1000 + 1), "{code}: not without end");
    }
}

#[test]
fn a_chain_whose_second_certificate_is_no_issuer_is_broken() {
    let other = chain(own().join("chains/good-year.pem"))[0].clone();
    let verdict = own_judged("good", &|question, _| {
        question.chain = vec![question.chain[0].clone().into_owned(), other.clone()].leak();
    });
    assert_eq!((verdict.verdict, verdict.reasons[0].code()), (Conclusion::Invalid, "chain_broken"));
    let alone = own_judged("good", &|question, _| question.chain = &question.chain[..1]);
    assert_eq!(
        (alone.verdict, codes(&alone)),
        (Conclusion::Indeterminate, vec!["issuer_unknown", "sct_issuer_unknown"])
    );
}

#[test]
fn every_timestamp_of_a_known_log_in_a_real_chain_is_valid() {
    let Some(data) = data() else { return };
    let (lists, roots) = (lists(&data), no_roots());
    let index = read_json(data.join("real-chains/index.json"));
    let (mut valid, mut unknown) = (0, 0);
    for entry in index["chains"].as_array().unwrap() {
        let file = data.join(entry["file"].as_str().unwrap());
        let chain = chain(file);
        for list in lists.values() {
            let at = moment(&entry["not_after"]);
            let judged =
                Case { chain: &chain, name: None, list, roots: &roots, crls: &CrlSet::default(), at };
            let verdict = judged.judged_by(Policy::Chrome2026);
            for (ours, theirs) in verdict.ct.scts.iter().zip(entry["scts"].as_array().unwrap()) {
                assert_eq!(
                    serde_json::to_value(ours.leaf_index).unwrap(),
                    match &ours.log {
                        Some(_) => theirs["leaf_index"].clone(),
                        None => Value::Null,
                    }
                );
                assert_eq!(ours.timestamp.unwrap().milliseconds(), theirs["timestamp"].as_u64().unwrap());
                let word = serde_json::to_value(ours.status).unwrap();
                if word == "unknown_log" {
                    unknown += 1;
                } else {
                    valid += 1;
                }
                assert!(word == "unknown_log" || word == theirs["status"], "{}: {word}", entry["file"]);
            }
            let facts = verdict.certificate.unwrap();
            assert_eq!(facts.sha256.to_string(), entry["sha256"]);
            assert_eq!(serde_json::to_value(facts.not_before).unwrap(), entry["not_before"]);
            assert_eq!(serde_json::to_value(facts.not_after).unwrap(), entry["not_after"]);
        }
    }
    println!("{valid} timestamps valid, {unknown} of logs that are not in that list");
    assert!(valid > 300);
}
