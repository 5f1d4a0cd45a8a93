//! Whole judgements: real chains with real lists, one-edit mutants, and synthetic cases in which one thing is wrong.

use std::collections::BTreeMap;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use transparency::chain::Purpose;
use transparency::inclusion::{Audited, Inclusion};
use transparency::log_list::LogList;
use transparency::reason::Reason;
use transparency::revocation::{Crl, CrlSet, RevocationMode, RevocationStatus};
use transparency::roots::{Intermediates, RootKind, RootStore, anchors_from_pem};
use transparency::score::Networks;
use transparency::verdict::CtOutcome;
use transparency::{Conclusion, Moment, Pinned, Policy, Question, Verdict, judge};

use crate::place::{chain, data, json as read_json, own};

/// What a case is judged by.
struct Case<'a> {
    chain: &'a [CertificateDer<'static>],
    name: Option<&'a str>,
    list: &'a LogList,
    roots: &'a RootStore,
    crls: &'a CrlSet,
    at: Moment,
}

impl Case<'_> {
    fn judged_by(&self, policy: Policy) -> Verdict {
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

fn moment(value: &Value) -> Moment {
    value.as_str().unwrap().parse().unwrap()
}

fn list(path: &Path) -> LogList {
    LogList::parse(&std::fs::read(path).unwrap()).unwrap()
}

fn roots(path: &Path) -> RootStore {
    let anchors = anchors_from_pem(&std::fs::read(path).unwrap()).unwrap();
    RootStore::new("test", anchors.into_iter().map(|anchor| (anchor, RootKind::Public)))
}

fn no_roots() -> RootStore {
    RootStore::new("none", [])
}

/// The statuses as the verdict's JSON has them.
fn statuses(verdict: &Verdict) -> Value {
    serde_json::to_value(&verdict.ct.sct_status).unwrap()
}

fn lists(data: &Path) -> BTreeMap<String, LogList> {
    let names =
        ["2025-04-10", "2025-12-14", "2026-01-20", "2023-06-20"].map(|name| format!("log-lists/{name}.json"));
    names.into_iter().map(|name| (name.clone(), list(&data.join(name)))).collect()
}

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

/// Judges a synthetic case, and hands its verdicts by Chrome's and by Apple's policy on.
fn synthetic(folder: &Path, file: &str, check: &dyn Fn(&Value, &Verdict, &Verdict)) -> usize {
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

fn agrees(found: bool, expected: &Value) -> bool {
    expected.is_null() || *expected == found
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

/// When our own chains are judged.
const AUGUST: &str = "2026-08-01T00:00:00Z";

/// Judges one of our own chains, with what `change` does to what it is judged by.
fn own_judged(id: &str, change: &dyn Fn(&mut Question<'_>, &mut Pinned<'_>)) -> Verdict {
    judged_at(AUGUST.parse().unwrap(), id, change)
}

fn judged_at(at: Moment, id: &str, change: &dyn Fn(&mut Question<'_>, &mut Pinned<'_>)) -> Verdict {
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

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.reasons.iter().map(|reason| reason.code()).collect()
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

/// What was found out about the promise of this timestamp.
fn finding(verdict: &Verdict, position: usize, inclusion: Inclusion) -> Audited {
    let sct = &verdict.ct.scts[position];
    Audited { log: sct.log_id.unwrap(), leaf: sct.leaf_hash.unwrap(), inclusion }
}

#[test]
fn a_broken_promise_is_invalid_and_worth_nothing() {
    let bare = own_judged("good", &|_, _| {});
    let audited = |inclusion| [finding(&bare, 0, inclusion)];
    let broken = own_judged("good", &|question, _| {
        question.audited = audited(Inclusion::BrokenPromise).to_vec().leak();
    });
    assert_eq!((broken.verdict, broken.score.total), (Conclusion::Invalid, 0));
    assert_eq!(codes(&broken), ["broken_promise"]);
    let one =
        own_judged("good", &|question, _| question.audited = audited(Inclusion::Proved).to_vec().leak());
    assert_eq!(
        (one.verdict, one.score.total, one.ct.inclusion),
        (Conclusion::Valid, 60, Inclusion::NotChecked)
    );
    let all = [0, 1].map(|position| finding(&bare, position, Inclusion::Proved));
    let both = own_judged("good", &|question, _| question.audited = all.to_vec().leak());
    assert_eq!((both.score.total, both.ct.inclusion), (75, Inclusion::Proved));
}

#[test]
fn other_networks_that_saw_a_valid_certificate_count_in_the_score_alone() {
    let seen = |id: &str, agreeing| {
        own_judged(id, &|_, _| {}).with_findings(&[], Some(Networks { agreeing, looked: 4 }))
    };
    let points = |verdict: &Verdict| (verdict.score.networks, verdict.score.total);
    assert_eq!([1, 3, 4].map(|agreeing| points(&seen("good", agreeing))), [(0, 60), (10, 70), (15, 75)]);
    assert_eq!(seen("good", 4).reasons, own_judged("good", &|_, _| {}).reasons);
    assert_eq!(
        (seen("bad-expired", 4).verdict, points(&seen("bad-expired", 4))),
        (Conclusion::Invalid, (0, 0))
    );
}

#[test]
fn findings_brought_in_later_say_what_a_judgement_with_them_says() {
    use Inclusion::{BrokenPromise, NotChecked, Pending, Proved};
    let stale = list(&own().join("log_list_stale.json"));
    let (words, mut cases) = ([NotChecked, Pending, Proved, BrokenPromise], 0);
    let names = [
        "good",
        "good-retired",
        "bad-one",
        "bad-flipped",
        "bad-retired",
        "bad-twice",
        "bad-expired",
        "bad-two-lists",
        "bad-none",
    ];
    for (name, host) in
        names.into_iter().flat_map(|name| [None, Some("good.example.org")].map(|host| (name, host)))
    {
        for way in 0..5 {
            let change = |question: &mut Question<'_>, pinned: &mut Pinned<'_>| {
                question.name = host;
                match way {
                    0 => {}
                    1 => pinned.log_list = None,
                    2 => pinned.log_list = Some(Box::leak(Box::new(stale.clone()))),
                    3 => {
                        (pinned.crls, pinned.revocation) =
                            (Box::leak(Box::new(CrlSet::new([]))), RevocationMode::Required);
                    }
                    _ => question.purpose = Purpose::Client,
                }
            };
            let bare = own_judged(name, &change);
            for (first, second) in words.into_iter().flat_map(|first| words.map(|second| (first, second))) {
                let found = [first, second].into_iter().enumerate().filter_map(|(position, inclusion)| {
                    let sct = bare.ct.scts.get(position)?;
                    Some(Audited { log: sct.log_id?, leaf: sct.leaf_hash?, inclusion })
                });
                let found: Vec<Audited> = found.collect();
                for networks in [None, Some(Networks { agreeing: 3, looked: 4 })] {
                    let judged = own_judged(name, &|question, pinned| {
                        change(question, pinned);
                        (question.audited, question.networks) = (found.clone().leak(), networks);
                    });
                    let later = bare.clone().with_findings(&found, networks);
                    assert_eq!(ordered(&later), ordered(&judged), "{name} {host:?} {way} {found:?}");
                    assert_eq!(ordered(&later.with_findings(&[], None)), ordered(&bare), "and back");
                    cases += 1;
                }
            }
        }
    }
    println!("{cases} verdicts");
}

/// The verdict with reasons of equal weight in the order of their texts.
fn ordered(verdict: &Verdict) -> Verdict {
    let mut verdict = verdict.clone();
    verdict.reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.severity()), reason.to_string()));
    verdict
}

#[test]
fn what_was_found_out_about_one_log_says_nothing_of_another() {
    let bare = own_judged("good", &|_, _| {});
    let other = bare.ct.scts[1].log_id.unwrap();
    let found = [Audited { log: other, ..finding(&bare, 0, Inclusion::BrokenPromise) }];
    assert_eq!(
        bare.clone().with_findings(&found, None),
        bare,
        "two logs that promised at once promised one leaf"
    );
}

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

#[test]
fn equal_inputs_give_equal_bytes_and_other_inputs_others() {
    let verdict = own_judged("good", &|_, _| {});
    assert_eq!(verdict.canonical(), own_judged("good", &|_, _| {}).canonical());
    assert_ne!(verdict.digest(), own_judged("good", &|_, pinned| pinned.policy = &Policy::Apple).digest());
    assert_ne!(
        verdict.digest(),
        own_judged("good", &|question, _| question.chain = &question.chain[..1]).digest()
    );
    let crls = Box::leak(Box::new(CrlSet::new([Crl::parse(b"none")])));
    assert_ne!(verdict.digest(), own_judged("good", &|_, pinned| pinned.crls = crls).digest());
}

/// The verdicts on all of our own chains, for this name.
fn own_verdicts(name: impl Fn(&str) -> Option<String>) -> Vec<(CertificateDer<'static>, Verdict)> {
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

#[test]
fn verdict_without_a_name_can_be_asked_for_one() {
    let sorted = |mut verdict: Verdict| {
        verdict.reasons.sort_by_key(|reason| reason.code());
        String::from_utf8(verdict.canonical()).unwrap()
    };
    for suffix in [".example.org", ".example.net"] {
        let nameless = own_verdicts(|_| None);
        let named = own_verdicts(|stem| Some(format!("{stem}{suffix}")));
        assert!(nameless.len() > 20);
        for ((leaf, nameless), (_, named)) in nameless.iter().zip(named) {
            let name = named.subject.name.clone().unwrap();
            let asked = nameless.for_name(leaf, &name);
            assert_eq!(sorted(asked), sorted(named), "{name}");
        }
    }
}

#[test]
fn what_is_agreed_on_does_not_hang_on_texts_of_libraries() {
    let (_, verdict) = own_verdicts(|_| None).swap_remove(0);
    let with = |reason| {
        let mut verdict = verdict.clone();
        verdict.reasons.push(reason);
        verdict.agreed_digest()
    };
    let broken = |text: &str| with(Reason::ChainBroken(text.to_owned()));
    assert_eq!(broken("bad der"), broken("malformed"));
    assert_ne!(broken("bad der"), with(Reason::UntrustedRoot), "codes are agreed on");
    let mut older = verdict.clone();
    older.inputs.roots.version = "another name".to_owned();
    older.certificate = None;
    assert_eq!(older.agreed_digest(), verdict.agreed_digest());
}
