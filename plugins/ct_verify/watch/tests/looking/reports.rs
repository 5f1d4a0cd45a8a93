//! What is said of a served chain and the TLSA records of its name.

use ct_log::{Authority, Clock, Issued};
use ct_watch::names::TlsaAnswer;
use ct_watch::served::{DaneState, Protocol, Report, Served, Warning, report};
use transparency::{Conclusion, Moment};

use crate::peers::{HOST, Trusting, target, tlsa};

struct Case {
    authority: Authority,
    issued: Issued,
    now: Moment,
}

impl Case {
    fn new() -> Self {
        let clock = Clock::at("2026-08-01T00:00:00Z");
        let authority = Authority::new("Alder CA", &clock);
        let issued = authority.leaf(HOST).valid(clock.now(), 90).issue(&[]);
        Case { authority, issued, now: clock.now().plus_seconds(3600) }
    }

    fn report(&self, tlsa: Option<&TlsaAnswer>) -> Report {
        let here = "127.0.0.1".parse().unwrap();
        let chain = self.issued.chain.iter().map(|der| der.clone().into()).collect();
        let served = Served { addresses: vec![here], address: here, chain };
        let trusting = Trusting::in_authority(&self.authority);
        report(&target(443, Protocol::Tls), &served, tlsa, &trusting.pinned(), self.now)
    }

    fn said(&self, records: &[String], validated: impl Into<Option<bool>>) -> (DaneState, Vec<Warning>) {
        let report = self.report(Some(&tlsa(records, validated)));
        (report.dane.state, report.warnings)
    }
}

fn other(record: &str) -> String {
    format!("{} {}", &record[..5], "ab".repeat(32))
}

#[test]
fn a_chain_with_present_and_next_record_needs_nothing() {
    let case = Case::new();
    let record = case.issued.tlsa_record(3, 1, 1);
    assert_eq!(case.said(&[other(&record), record], true), (DaneState::Matches, vec![]));
    assert_eq!(case.report(None).conclusion, Conclusion::Valid);
}

#[test]
fn a_lone_record_of_the_present_key_has_no_rollover() {
    let case = Case::new();
    let record = case.issued.tlsa_record(3, 1, 1);
    assert_eq!(case.said(&[record], true), (DaneState::Matches, vec![Warning::NoRolloverRecord]));
}

#[test]
fn records_of_other_keys_break_the_service() {
    let case = Case::new();
    let record = case.issued.tlsa_record(3, 1, 1);
    let (state, warnings) = case.said(&[other(&record), format!("3 1 1 {}", "cd".repeat(32))], true);
    assert_eq!((state, warnings), (DaneState::NoMatch, vec![Warning::DaneNoMatch]));
    assert!(Warning::DaneNoMatch.is_grave());
}

#[test]
fn records_without_ad_are_unusable() {
    let case = Case::new();
    let record = case.issued.tlsa_record(3, 1, 1);
    let (state, warnings) = case.said(&[record.clone(), other(&record)], false);
    assert_eq!((state, warnings), (DaneState::UnusableWithoutAd, vec![Warning::DaneWithoutAd]));
}

#[test]
fn records_that_do_not_fit_are_warned_of_whether_validated_or_not() {
    let case = Case::new();
    let record = case.issued.tlsa_record(3, 1, 1);
    let others = [other(&record), format!("3 1 1 {}", "cd".repeat(32))];
    let warnings = vec![Warning::DaneNoMatch, Warning::DaneWithoutAd];
    assert_eq!(case.said(&others, false), (DaneState::UnusableWithoutAd, warnings));
    // Who has the zone itself never says that anything is validated.
    assert_eq!(case.said(&others, None), (DaneState::NoMatch, vec![Warning::DaneNoMatch]));
    assert_eq!(case.said(&[other(&record), record], None), (DaneState::Matches, vec![]));
}

#[test]
fn no_records_and_no_answer_are_told_apart() {
    let case = Case::new();
    assert_eq!(case.said(&[], true), (DaneState::NoRecords, vec![]));
    let report = case.report(None);
    assert_eq!((report.dane.state, report.warnings), (DaneState::NoAnswer, vec![Warning::DaneNoAnswer]));
}

#[test]
fn a_record_that_says_nothing_is_named_beside_one_that_does() {
    let case = Case::new();
    let record = case.issued.tlsa_record(3, 1, 1);
    let private_use = format!("255 1 1 {}", "ab".repeat(32));
    let report = case.report(Some(&tlsa(&[private_use.clone(), record], true)));
    assert_eq!(report.dane.state, DaneState::Matches);
    assert_eq!(report.warnings, [Warning::DaneUnusableRecord]);
    // The number of the record is that of all records, not of the usable ones.
    let outcome = serde_json::to_value(report.dane.outcome).unwrap();
    assert_eq!(outcome["record"], 1);
    assert_eq!(case.said(&[private_use], true).0, DaneState::NoneUsable);
}

#[test]
fn the_end_of_a_certificate_is_warned_of_for_fourteen_days() {
    let mut case = Case::new();
    let start = Moment::from_seconds(1_785_542_400);
    let warned = |case: &mut Case, days: u64| {
        case.now = start.plus_seconds(days * 86_400);
        case.report(Some(&tlsa(&[], true))).warnings
    };
    assert_eq!(start.to_string(), "2026-08-01T00:00:00Z");
    assert_eq!(warned(&mut case, 75), []);
    assert_eq!(warned(&mut case, 77), [Warning::ExpiresSoon]);
    assert_eq!(warned(&mut case, 91), [Warning::Expired]);
}

#[test]
fn a_record_of_usage_three_makes_dates_and_roots_irrelevant() {
    let mut case = Case::new();
    let clock = Clock::at("2026-08-01T00:00:00Z");
    case.issued = Issued::self_signed("another.example.net", &clock);
    case.now = clock.now().plus_seconds(5000 * 86_400);
    let record = case.issued.tlsa_record(3, 1, 1);
    assert_eq!(case.said(&[record.clone(), other(&record)], true), (DaneState::Matches, vec![]));
    let (_, warnings) = case.said(&[], true);
    assert!(warnings.contains(&Warning::Expired), "{warnings:?}");
}

#[test]
fn a_chain_that_does_not_hold_is_grave_without_records() {
    let mut case = Case::new();
    let clock = Clock::at("2026-08-01T00:00:00Z");
    case.issued = Issued::self_signed(HOST, &clock);
    case.now = clock.now().plus_seconds(3600);
    let report = case.report(Some(&tlsa(&[], true)));
    assert_eq!(report.conclusion, Conclusion::Invalid);
    assert!(report.warnings.contains(&Warning::ChainInvalid), "{:?}", report.warnings);
}
