//! What one replica found out by itself, brought into a verdict: whether logs kept their promises, and how many networks saw the certificate.
//!
//! Replicas agree on verdicts without any of it: each has asked other logs, at other times.

use crate::digest::{LogId, Sha256};
use crate::inclusion::{Audited, Inclusion};
use crate::reason::Reason;
use crate::score::{Grounds, Networks, score};
use crate::sct_check::{SctList, SctStatus, SctVerdict};
use crate::verdict::{CtOutcome, CtVerdict, Verdict, conclude};

impl Verdict {
    /// This verdict by these findings, in the place of those that it was given by: what [`crate::judge()`] says of the same question with them.
    ///
    /// A broken promise of any log whose signature holds makes it invalid, whether the timestamp counts or not.
    pub fn with_findings(mut self, audited: &[Audited], networks: Option<Networks>) -> Verdict {
        if let SctList::Checked(scts) = &mut self.ct.sct_status {
            scts.iter_mut().for_each(|sct| sct.inclusion = inclusion(sct, audited));
            self.ct.scts.clone_from(scts);
        }
        self.ct.inclusion = least_inclusion(&self.ct.scts);
        self.reasons.retain(|reason| !matches!(reason, Reason::BrokenPromise(_)));
        self.reasons.extend(broken_promises(&self.ct.scts));
        sort(&mut self.reasons);
        self.verdict = conclude(&self.reasons);
        let counted = self.ct.scts.iter().filter(|sct| sct.counts);
        self.score = score(&Grounds {
            chain_valid: self.chain.x509_chain_valid,
            policy_met: policy_met(self.ct.outcome),
            inclusions: &counted.map(|sct| sct.inclusion).collect::<Vec<_>>(),
            revocation: self.revocation,
            networks,
            reasons: &self.reasons,
        });
        self
    }
}

impl CtVerdict {
    /// The promises that can be looked into: log and leaf of every timestamp that a log of the list signed.
    pub fn promises(&self) -> Vec<(LogId, Sha256)> {
        let signed = self.scts.iter().filter(|sct| sct.status == SctStatus::Valid);
        signed.filter_map(|sct| Some((sct.log_id?, sct.leaf_hash?))).collect()
    }
}

/// The gravest first.
pub(crate) fn sort(reasons: &mut [Reason]) {
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.severity()));
}

/// The worst that was found out about one promise.
fn inclusion(sct: &SctVerdict, audited: &[Audited]) -> Inclusion {
    if sct.status != SctStatus::Valid {
        return Inclusion::NotChecked;
    }
    let promise = (sct.log_id, sct.leaf_hash);
    let findings = audited.iter().filter(|found| (Some(found.log), Some(found.leaf)) == promise);
    findings.map(|found| found.inclusion).max().unwrap_or_default()
}

fn broken_promises(scts: &[SctVerdict]) -> impl Iterator<Item = Reason> {
    let broken = scts.iter().enumerate().filter(|(_, sct)| sct.inclusion == Inclusion::BrokenPromise);
    broken.map(|(position, _)| Reason::BrokenPromise(position))
}

/// The least that is known of the promises that count; a broken one is worse than all.
fn least_inclusion(scts: &[SctVerdict]) -> Inclusion {
    if scts.iter().any(|sct| sct.inclusion == Inclusion::BrokenPromise) {
        return Inclusion::BrokenPromise;
    }
    let counted = scts.iter().filter(|sct| sct.counts).map(|sct| sct.inclusion);
    counted.min().unwrap_or_default()
}

/// Whether the policy is satisfied; `None` when it does not apply or could not be applied.
fn policy_met(outcome: CtOutcome) -> Option<bool> {
    match outcome {
        CtOutcome::Compliant => Some(true),
        CtOutcome::NotCompliant => Some(false),
        _ => None,
    }
}
