//! What was found, in the words that replicas agree on: conclusion and codes, nothing that differs between honest replicas.

use std::collections::BTreeSet;

use certificate::{Judged, Remark};
use transparency::Conclusion;
use transparency::reason::Severity;
use transparency::rrset::{Finding, RrsetVerdict};

use super::sets::{Set, word};

/// What was found about one RRset, when there is anything to say.
pub struct Found {
    pub judged: Judged,
    text: String,
}

/// What is said of a set; `None` when it carries nothing to judge, or asks for nothing to be judged.
pub fn found(set: &Set, verdict: &RrsetVerdict) -> Option<Found> {
    let spoken = |finding: &Finding| match finding {
        Finding::Judged(_)
        | Finding::MalformedRdata
        | Finding::MalformedCertificate
        | Finding::NotLookedAt => true,
        // What clients pass over, too, spoils nothing.
        Finding::Unusable(_) => false,
        Finding::Authority | Finding::NotApplicable(_) | Finding::Untouched(_) => false,
    };
    if !verdict.findings.iter().any(spoken) {
        return None;
    }
    let judged = match verdict.verdict {
        Conclusion::Valid => Judged::Valid,
        Conclusion::Invalid => Judged::Invalid,
        Conclusion::Indeterminate => Judged::Indeterminate,
    };
    let codes: BTreeSet<&str> =
        verdict.findings.iter().flat_map(|finding| codes(finding, verdict.verdict)).collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let colon = if codes.is_empty() { "" } else { ": " };
    let text = format!("ct-verify: {} {}{colon}{}", word(set.kind), judged.word(), codes.join(", "));
    Some(Found { judged, text })
}

/// The codes of what led to this conclusion.
fn codes(finding: &Finding, conclusion: Conclusion) -> Vec<&'static str> {
    let grave = match conclusion {
        Conclusion::Valid => return Vec::new(),
        Conclusion::Indeterminate => Severity::Indeterminate,
        Conclusion::Invalid => Severity::Invalid,
    };
    match finding {
        Finding::Judged(verdict) => {
            let weighty = verdict.reasons.iter().filter(|reason| reason.severity() == grave);
            weighty.map(transparency::reason::Reason::code).collect()
        }
        Finding::MalformedRdata if grave == Severity::Invalid => vec!["malformed_rdata"],
        Finding::MalformedCertificate if grave == Severity::Invalid => vec!["malformed_certificate"],
        Finding::NotLookedAt if grave == Severity::Indeterminate => vec!["too_many_certificates"],
        _ => Vec::new(),
    }
}

/// What is said of a set whose judgement was broken off: nobody knows.
pub fn broken_off(set: &Set) -> Found {
    let judged = Judged::Indeterminate;
    Found { judged, text: format!("ct-verify: {} {}: judgement_broken_off", word(set.kind), judged.word()) }
}

impl Found {
    /// Conclusion and codes in words.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The remark; `blocks` says that the answer is withheld because of it.
    pub fn remark(&self, blocks: bool) -> Remark {
        Remark::new(self.judged, if blocks { BLOCKED } else { OTHER }, &self.text)
    }
}

/// How grave a finding is.
pub fn gravity(judged: Judged) -> u8 {
    match judged {
        Judged::Valid => 0,
        Judged::Indeterminate => 1,
        Judged::Invalid => 2,
    }
}

/// INFO-CODE of RFC 8914 §4.1.
const OTHER: u16 = 0;
/// INFO-CODE of RFC 8914 §4.16: the answer is withheld by the policy of the operator.
const BLOCKED: u16 = 15;
