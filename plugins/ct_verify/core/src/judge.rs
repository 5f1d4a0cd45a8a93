//! The judgement: one pure function from a certificate and pinned inputs to a verdict.

use rustls_pki_types::CertificateDer;

use crate::chain::{CHAIN_MAX, Candidate, ChainVerdict, Issuer, Purpose, Trust, check_chain, find_issuer};
use crate::digest::Sha256;
use crate::facts::Facts;
use crate::findings::sort;
use crate::inclusion::{Audited, Inclusion};
use crate::log_list::LogList;
use crate::moment::Moment;
use crate::policy::{Policy, suspected_backdating};
use crate::reason::{Reason, Severity};
use crate::revocation::{CrlSet, RevocationMode, RevocationStatus, check_revocation};
use crate::roots::{Intermediates, RootKind, RootStore};
use crate::score::{Networks, Score};
use crate::sct_check::{SctList, SctStatus, SctVerdict, check_scts};
use crate::skeleton::Skeleton;
use crate::verdict::{CtOutcome, CtVerdict, Inputs, Subject, Verdict, conclude};

/// What is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The certificate, then its issuers in any order.
    pub chain: &'a [CertificateDer<'a>],
    /// The DNS name or address that it is to be for; without one, names are not checked.
    pub name: Option<&'a str>,
    /// What it is to be used for.
    pub purpose: Purpose,
    /// What was found out about its promises.
    pub audited: &'a [Audited],
    /// From how many networks it was looked at.
    pub networks: Option<Networks>,
}

/// By what it is judged. All of it is pinned by digests in the verdict.
#[derive(Debug, Clone, Copy)]
pub struct Pinned<'a> {
    /// Which timestamps a certificate needs.
    pub policy: &'a Policy,
    /// The logs; without a list, whether timestamps suffice is indeterminate.
    pub log_list: Option<&'a LogList>,
    /// Where chains must end.
    pub roots: &'a RootStore,
    /// What helps to build them.
    pub intermediates: &'a Intermediates,
    /// Revocation lists.
    pub crls: &'a CrlSet,
    /// What an unknown revocation status does.
    pub revocation: RevocationMode,
    /// Whether certificates under the operator's own roots need timestamps, too.
    pub private_roots_need_logs: bool,
}

/// Judges a certificate for a time. Equal arguments give equal verdicts.
pub fn judge(question: &Question<'_>, pinned: &Pinned<'_>, now: Moment) -> Verdict {
    judge_pinned(question, pinned, now).with_findings(question.audited, question.networks)
}

/// The judgement without what was found out beside what is pinned; it has no score yet.
fn judge_pinned(question: &Question<'_>, pinned: &Pinned<'_>, now: Moment) -> Verdict {
    let mut reasons = Vec::new();
    let chain = &question.chain[..question.chain.len().min(CHAIN_MAX)];
    if chain.len() < question.chain.len() {
        reasons.push(Reason::ChainTooLong(CHAIN_MAX));
    }
    let (skeleton, facts) = match read_leaf(chain) {
        Ok(leaf) => leaf,
        Err(reason) => {
            reasons.push(reason);
            return unread(question, pinned, now, reasons);
        }
    };
    let trust = Trust { roots: pinned.roots, intermediates: pinned.intermediates };
    let asked = (question.name, question.purpose);
    let candidate = Candidate { chain, leaf: &skeleton, facts: &facts };
    let chain_verdict = check_chain(candidate, asked, trust, now, &mut reasons);
    let issuer = find_issuer(&skeleton, chain, trust);
    let ct = judge_scts(candidate, (question, pinned), (&chain_verdict, issuer.as_ref()), now, &mut reasons);
    let lists = (pinned.crls, pinned.revocation);
    let whole = chain_verdict.root_kind.map(|_| trust);
    let revocation = check_revocation(candidate, (issuer.as_ref(), whole), lists, now, &mut reasons);
    verdict(
        question,
        pinned,
        now,
        reasons,
        Found { chain: chain_verdict, ct, revocation, facts: Some(facts) },
    )
}

fn read_leaf<'a>(chain: &'a [CertificateDer<'_>]) -> Result<(Skeleton<'a>, Facts), Reason> {
    let leaf = chain.first().ok_or(Reason::NoCertificate)?;
    let malformed = |why| Reason::MalformedCertificate { position: 0, why };
    let skeleton = Skeleton::parse(leaf).map_err(|error| malformed(error.to_string()))?;
    let facts = Facts::read(&skeleton).map_err(malformed)?;
    Ok((skeleton, facts))
}

/// Judges the timestamps. What speaks against them counts only where they are asked for.
fn judge_scts(
    candidate: Candidate<'_>,
    (question, pinned): (&Question<'_>, &Pinned<'_>),
    (chain, issuer): (&ChainVerdict, Option<&Issuer<'_>>),
    now: Moment,
    reasons: &mut Vec<Reason>,
) -> CtVerdict {
    let Some(list) = pinned.log_list else {
        let excused = excuse(question, pinned, chain);
        reasons.push(excused.clone().map_or(Reason::NoLogList, |(_, reason)| reason));
        return CtVerdict::empty(excused.map_or(CtOutcome::NoLogList, |(outcome, _)| outcome));
    };
    let mut found = Vec::new();
    let mut scts = check_scts(candidate.leaf, issuer.map(Issuer::key_hash), list, now, &mut found);
    let mut counted = crate::policy::Counted::default();
    if let SctList::Checked(scts) = &mut scts {
        counted = pinned.policy.count(scts, candidate.facts.lifetime_seconds());
        found.extend(suspected_backdating(scts).into_iter().map(Reason::BackdatingSuspected));
        found.extend(outside_spans(scts, list, candidate.facts.not_after));
    }
    let compliant = matches!(scts, SctList::Checked(_)) && counted.missing.is_empty();
    found.extend(counted.missing);
    let outcome = match (excuse(question, pinned, chain), stale(list, now)) {
        (Some((outcome, reason)), _) | (None, Some((outcome, reason))) => {
            found.retain(|reason| reason.severity() == Severity::Notice);
            found.push(reason);
            outcome
        }
        (None, None) if compliant => CtOutcome::Compliant,
        (None, None) if scts == SctList::IssuerUnknown => CtOutcome::IssuerUnknown,
        (None, None) => CtOutcome::NotCompliant,
    };
    reasons.extend(found);
    let each = scts.scts().to_vec();
    CtVerdict {
        outcome,
        compliant: Some(compliant),
        list_stale: Some(list.is_stale(now)),
        log_states: each.iter().map(|sct| sct.log_state).collect(),
        counted_logs: counted.logs.len(),
        operators: counted.operators,
        inclusion: Inclusion::NotChecked,
        sct_status: scts,
        scts: each,
    }
}

/// Why no timestamps are asked for.
fn excuse(question: &Question<'_>, pinned: &Pinned<'_>, chain: &ChainVerdict) -> Option<(CtOutcome, Reason)> {
    if question.purpose != Purpose::Server {
        return Some((CtOutcome::NotApplicable, Reason::CtNotApplicable(question.purpose.word())));
    }
    let private = chain.root_kind == Some(RootKind::Private) && !pinned.private_roots_need_logs;
    private.then_some((CtOutcome::Exempt, Reason::ExemptPrivateRoot))
}

/// Why the list is not one to judge by now.
fn stale(list: &LogList, now: Moment) -> Option<(CtOutcome, Reason)> {
    let made = list.identity().timestamp;
    if list.is_stale(now) {
        return Some((CtOutcome::ListStale, Reason::LogListStale(made)));
    }
    let future = now.plus_seconds(LOG_LIST_FUTURE_TOLERANCE_SECONDS) < made;
    future.then_some((CtOutcome::ListStale, Reason::LogListFuture(made)))
}

/// Timestamps of logs that are for certificates which expire at another time: odd, but no browser minds.
fn outside_spans(scts: &[SctVerdict], list: &LogList, not_after: Moment) -> impl Iterator<Item = Reason> {
    let outside = move |sct: &SctVerdict| {
        let span = sct.log_id.and_then(|id| list.log(&id)).and_then(|log| log.temporal_interval);
        sct.status == SctStatus::Valid
            && span.is_some_and(|(start, end)| not_after < start || end <= not_after)
    };
    let found = scts.iter().enumerate().filter(move |(_, sct)| outside(sct));
    found.map(|(position, _)| Reason::OutsideTemporalInterval(position))
}

/// What was found, on the way into a verdict.
struct Found {
    chain: ChainVerdict,
    ct: CtVerdict,
    revocation: RevocationStatus,
    facts: Option<Facts>,
}

fn unread(question: &Question<'_>, pinned: &Pinned<'_>, now: Moment, reasons: Vec<Reason>) -> Verdict {
    let found = Found {
        chain: ChainVerdict::default(),
        ct: CtVerdict::empty(CtOutcome::Unread),
        revocation: RevocationStatus::NotChecked,
        facts: None,
    };
    verdict(question, pinned, now, reasons, found)
}

fn verdict(
    question: &Question<'_>,
    pinned: &Pinned<'_>,
    now: Moment,
    mut reasons: Vec<Reason>,
    found: Found,
) -> Verdict {
    sort(&mut reasons);
    let prints: Vec<Sha256> = question.chain.iter().map(|certificate| Sha256::of(certificate)).collect();
    Verdict {
        verdict: conclude(&reasons),
        reasons,
        subject: Subject {
            chain_sha256: Sha256::of_pieces(&prints.iter().map(|print| &print.0[..]).collect::<Vec<_>>()),
            name: question.name.map(str::to_owned),
            purpose: question.purpose,
            at: now,
        },
        inputs: Inputs {
            policy: pinned.policy.to_string(),
            log_list: pinned.log_list.map(|list| list.identity().clone()),
            roots: pinned.roots.identity().clone(),
            intermediates: pinned.intermediates.digest(),
            crls: pinned.crls.identity().clone(),
        },
        chain: found.chain,
        ct: found.ct,
        revocation: found.revocation,
        score: Score::default(),
        certificate: found.facts,
    }
}

impl CtVerdict {
    fn empty(outcome: CtOutcome) -> Self {
        CtVerdict {
            outcome,
            compliant: None,
            list_stale: None,
            sct_status: SctList::Checked(Vec::new()),
            log_states: Vec::new(),
            counted_logs: 0,
            operators: Default::default(),
            inclusion: Inclusion::NotChecked,
            scts: Vec::new(),
        }
    }
}

/// How far ahead of the judging clock a log list may be, in seconds: a day, for lists that are made in advance.
pub const LOG_LIST_FUTURE_TOLERANCE_SECONDS: u64 = 86_400;
