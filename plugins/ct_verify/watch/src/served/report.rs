//! What a served chain is worth, and whether it agrees with the TLSA records of its name: warnings before mail or sites break.

use std::net::IpAddr;

use rustls_pki_types::CertificateDer;
use serde::Serialize;
use transparency::chain::{Purpose, Trust};
use transparency::dane::{DaneOutcome, check_dane};
use transparency::digest::Sha256;
use transparency::tlsa::{Advice, Tlsa, TlsaError, Usage, advise};
use transparency::{Conclusion, Moment, Pinned, Question, judge};

use super::look::Served;
use super::target::Target;
use crate::names::TlsaAnswer;

/// What was found at a target at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Which server.
    pub target: Target,
    /// When it was looked at.
    pub at: Moment,
    /// All addresses that its name had.
    pub addresses: Vec<IpAddr>,
    /// The one that was connected to.
    pub address: IpAddr,
    /// SHA-256 of each certificate that it sent, the leaf first.
    pub chain: Vec<Sha256>,
    /// SHA-256 of the leaf.
    pub leaf_sha256: Sha256,
    /// SHA-256 of the leaf's public key with algorithm; `None` when the leaf cannot be read.
    pub key_sha256: Option<Sha256>,
    /// Until when the leaf is valid.
    pub not_after: Option<Moment>,
    /// The verdict on the chain, as a browser would want it.
    pub conclusion: Conclusion,
    /// Why, as codes.
    pub reasons: Vec<&'static str>,
    /// What DNS says of it.
    pub dane: Dane,
    /// What an operator should look at, in the order of [`Warning`].
    pub warnings: Vec<Warning>,
}

/// How the served chain and the TLSA records agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Dane {
    /// What a client that uses them would find.
    pub state: DaneState,
    /// What it would find if the records were validated; `None` without usable records.
    pub outcome: Option<DaneOutcome>,
    /// How many records there are.
    pub records: usize,
}

/// What a client that uses TLSA records would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DaneState {
    /// DNS gave no answer: mail is not sent then.
    NoAnswer,
    /// There are none.
    NoRecords,
    /// DNSSEC does not prove them, so nobody may use them; the outcome says whether they would fit.
    UnusableWithoutAd,
    /// There are some, and none says anything.
    NoneUsable,
    /// One of them fits, and what it asks for holds.
    Matches,
    /// One of them fits, but the certificate is for another name.
    NameMismatch,
    /// None fits.
    NoMatch,
}

/// What an operator should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// The records and the server disagree: clients that use them refuse it.
    DaneNoMatch,
    /// As before, because of the name.
    DaneNameMismatch,
    /// The certificate is no longer valid, and nothing says that this does not matter.
    Expired,
    /// The chain does not hold, and no record says that it need not.
    ChainInvalid,
    /// The records are there, and nobody may use them.
    DaneWithoutAd,
    /// No record, or not every one, says anything.
    DaneUnusableRecord,
    /// One record that fits the present certificate or key alone: the next renewal breaks the service.
    NoRolloverRecord,
    /// The certificate ends within [`EXPIRY_WARNING_SECONDS`].
    ExpiresSoon,
    /// DNS did not say whether there are records.
    DaneNoAnswer,
}

impl Warning {
    /// The word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Warning::DaneNoMatch => "dane_no_match",
            Warning::DaneNameMismatch => "dane_name_mismatch",
            Warning::Expired => "expired",
            Warning::ChainInvalid => "chain_invalid",
            Warning::DaneWithoutAd => "dane_without_ad",
            Warning::DaneUnusableRecord => "dane_unusable_record",
            Warning::NoRolloverRecord => "no_rollover_record",
            Warning::ExpiresSoon => "expires_soon",
            Warning::DaneNoAnswer => "dane_no_answer",
        }
    }

    /// Whether the service is broken already, for clients that look.
    pub fn is_grave(self) -> bool {
        self <= Warning::ChainInvalid
    }

    /// What it means, for people.
    pub fn text(self) -> &'static str {
        match self {
            Warning::DaneNoMatch => "no TLSA record fits the certificate that is served",
            Warning::DaneNameMismatch => "a TLSA record fits, but the certificate is for another name",
            Warning::Expired => "the certificate has expired",
            Warning::ChainInvalid => "the chain does not hold",
            Warning::DaneWithoutAd => "the TLSA records are not validated by DNSSEC, so no client uses them",
            Warning::DaneUnusableRecord => "a TLSA record says nothing that a client understands",
            Warning::NoRolloverRecord => {
                "the only TLSA record fits the present key alone; publish the next one's first"
            }
            Warning::ExpiresSoon => "the certificate expires within 14 days",
            Warning::DaneNoAnswer => "DNS did not say whether there are TLSA records",
        }
    }
}

/// Judges what was served at `now`, and compares it with the records; `tlsa` is `None` when DNS gave no answer.
pub fn report(
    target: &Target,
    served: &Served,
    tlsa: Option<&TlsaAnswer>,
    pinned: &Pinned<'_>,
    now: Moment,
) -> Report {
    let question = Question {
        chain: &served.chain,
        name: Some(target.host()),
        purpose: Purpose::Server,
        audited: &[],
        networks: None,
    };
    let verdict = judge(&question, pinned, now);
    let records: Vec<Result<Tlsa<'_>, TlsaError>> =
        tlsa.map(|answer| answer.records.iter().map(|rdata| Tlsa::read(rdata)).collect()).unwrap_or_default();
    let dane = compare(target, &served.chain, tlsa, &records, pinned, now);
    let not_after = verdict.certificate.as_ref().map(|facts| facts.not_after);
    let leaf = served.chain.first().map_or(&[][..], |leaf| leaf);
    Report {
        target: target.clone(),
        at: now,
        addresses: served.addresses.clone(),
        address: served.address,
        chain: served.chain.iter().map(|one| Sha256::of(one)).collect(),
        leaf_sha256: Sha256::of(leaf),
        key_sha256: verdict.certificate.as_ref().map(|facts| facts.key_sha256),
        not_after,
        conclusion: verdict.verdict,
        reasons: verdict.reasons.iter().map(|reason| reason.code()).collect(),
        dane,
        warnings: warnings(&dane, &records, verdict.verdict, not_after, now),
    }
}

fn compare(
    target: &Target,
    chain: &[CertificateDer<'_>],
    tlsa: Option<&TlsaAnswer>,
    records: &[Result<Tlsa<'_>, TlsaError>],
    pinned: &Pinned<'_>,
    now: Moment,
) -> Dane {
    let usable: Vec<Tlsa<'_>> = records.iter().flatten().copied().collect();
    let trust = Trust { roots: pinned.roots, intermediates: pinned.intermediates };
    let checked = || check_dane(&usable, chain, &[target.host()], trust, now);
    let outcome = (!usable.is_empty()).then(checked).map(|outcome| in_terms_of(outcome, records));
    let state = match (tlsa, outcome) {
        (None, _) => DaneState::NoAnswer,
        (Some(answer), _) if answer.records.is_empty() => DaneState::NoRecords,
        (Some(answer), _) if answer.validated == Some(false) => DaneState::UnusableWithoutAd,
        (Some(_), None) => DaneState::NoneUsable,
        (Some(_), Some(DaneOutcome::Matched { .. })) => DaneState::Matches,
        (Some(_), Some(DaneOutcome::NameMismatch { .. })) => DaneState::NameMismatch,
        (Some(_), Some(DaneOutcome::NoMatch | DaneOutcome::Malformed)) => DaneState::NoMatch,
    };
    Dane { state, outcome, records: records.len() }
}

/// The outcome with the number of the record among all, rather than among the usable ones.
fn in_terms_of(outcome: DaneOutcome, records: &[Result<Tlsa<'_>, TlsaError>]) -> DaneOutcome {
    let of_all = |usable: usize| {
        let numbers =
            records.iter().enumerate().filter(|(_, record)| record.is_ok()).map(|(number, _)| number);
        numbers.into_iter().nth(usable).unwrap_or(usable)
    };
    match outcome {
        DaneOutcome::Matched { record, depth } => DaneOutcome::Matched { record: of_all(record), depth },
        DaneOutcome::NameMismatch { record, depth } => {
            DaneOutcome::NameMismatch { record: of_all(record), depth }
        }
        other => other,
    }
}

fn warnings(
    dane: &Dane,
    records: &[Result<Tlsa<'_>, TlsaError>],
    conclusion: Conclusion,
    not_after: Option<Moment>,
    now: Moment,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    match dane.state {
        DaneState::NoAnswer => warnings.push(Warning::DaneNoAnswer),
        DaneState::UnusableWithoutAd => warnings.push(Warning::DaneWithoutAd),
        _ => {}
    }
    // Whoever resolves elsewhere may have the records validated: that they disagree is said in any case.
    match dane.outcome {
        Some(DaneOutcome::NameMismatch { .. }) => warnings.push(Warning::DaneNameMismatch),
        Some(DaneOutcome::NoMatch | DaneOutcome::Malformed) => warnings.push(Warning::DaneNoMatch),
        Some(DaneOutcome::Matched { .. }) | None => {}
    }
    match advise(records) {
        Some(Advice::NoneUsable | Advice::SomeUnusable) => warnings.push(Warning::DaneUnusableRecord),
        Some(Advice::NoSuccessor) => warnings.push(Warning::NoRolloverRecord),
        None => {}
    }
    // A record of usage 2 or 3 that fits is all that DANE asks for; of usage 3, dates mean nothing (RFC 7671 §5.1).
    let matched = match (dane.state, dane.outcome) {
        (DaneState::Matches, Some(DaneOutcome::Matched { record, .. })) => {
            records.get(record).and_then(|record| record.as_ref().ok()).map(|record| record.usage)
        }
        _ => None,
    };
    let private = matches!(matched, Some(Usage::DaneEe | Usage::DaneTa));
    match not_after {
        Some(end) if end < now && matched != Some(Usage::DaneEe) => warnings.push(Warning::Expired),
        Some(end) if now <= end && end <= now.plus_seconds(EXPIRY_WARNING_SECONDS) => {
            warnings.push(Warning::ExpiresSoon);
        }
        _ => {}
    }
    if conclusion == Conclusion::Invalid && !private && !warnings.contains(&Warning::Expired) {
        warnings.push(Warning::ChainInvalid);
    }
    warnings.sort_unstable();
    warnings
}

/// How long before its end a certificate is warned of, in seconds: 14 days.
pub const EXPIRY_WARNING_SECONDS: u64 = 14 * 86_400;
