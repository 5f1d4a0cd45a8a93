//! What a judgement says: the conclusion, every reason, and all inputs by their digests.

use std::collections::BTreeSet;

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::chain::{ChainVerdict, Purpose, name_reason};
use crate::digest::Sha256;
use crate::facts::Facts;
use crate::findings::sort;
use crate::inclusion::Inclusion;
use crate::log_list::LogListIdentity;
use crate::moment::Moment;
use crate::reason::{Reason, Severity};
use crate::revocation::{CrlSetIdentity, RevocationStatus};
use crate::roots::RootStoreIdentity;
use crate::score::Score;
use crate::sct_check::{LogState, SctList, SctVerdict};

/// The conclusion. Nothing is taken for valid because it cannot be judged, nor for invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// All that was asked holds.
    Valid,
    /// Something does not hold.
    Invalid,
    /// Nothing is known not to hold, but something that was asked cannot be judged.
    Indeterminate,
}

/// A verdict. Equal inputs give equal verdicts, byte for byte in [`Verdict::canonical`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The conclusion.
    pub verdict: Conclusion,
    /// All that was found, the gravest first.
    pub reasons: Vec<Reason>,
    /// What was judged.
    pub subject: Subject,
    /// By what it was judged.
    pub inputs: Inputs,
    /// The chain, names and dates.
    pub chain: ChainVerdict,
    /// The timestamps.
    pub ct: CtVerdict,
    /// Whether it is revoked.
    pub revocation: RevocationStatus,
    /// The trust score with its parts.
    pub score: Score,
    /// What the certificate says of itself; `None` when it cannot be read.
    pub certificate: Option<Facts>,
}

/// What was judged, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// SHA-256 over the SHA-256 of each certificate of the chain as it was given.
    pub chain_sha256: Sha256,
    /// The name that the certificate was to be for.
    pub name: Option<String>,
    /// What it was to be used for.
    pub purpose: Purpose,
    /// For which time.
    pub at: Moment,
}

/// By what it was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inputs {
    /// The policy.
    pub policy: String,
    /// The log list.
    pub log_list: Option<LogListIdentity>,
    /// The roots.
    pub roots: RootStoreIdentity,
    /// SHA-256 over the intermediate certificates at hand.
    pub intermediates: Sha256,
    /// The snapshot of revocation lists.
    pub crls: CrlSetIdentity,
}

/// What came of the timestamps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CtVerdict {
    /// Whether they suffice.
    pub outcome: CtOutcome,
    /// Whether the policy is satisfied by this list, however old it is; `None` without a list.
    pub compliant: Option<bool>,
    /// Whether the list is too old to judge by; `None` without a list.
    pub list_stale: Option<bool>,
    /// One word a timestamp in the certificate's order, or one word for all: see [`crate::sct_check::SctStatus`].
    pub sct_status: SctList,
    /// The state of each timestamp's log.
    pub log_states: Vec<Option<LogState>>,
    /// How many distinct logs count.
    pub counted_logs: usize,
    /// The operators of those logs.
    pub operators: BTreeSet<String>,
    /// The least that is known of the promises that count.
    pub inclusion: Inclusion,
    /// Each timestamp.
    pub scts: Vec<SctVerdict>,
}

/// Whether the timestamps of a certificate suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CtOutcome {
    /// They satisfy the policy.
    Compliant,
    /// They do not.
    NotCompliant,
    /// The log list is too old, or of the future: nothing is enforced.
    ListStale,
    /// There is no log list.
    NoLogList,
    /// The issuer's key, which they cover, is not known.
    IssuerUnknown,
    /// The root is the operator's own.
    Exempt,
    /// The purpose is not a server's.
    NotApplicable,
    /// The certificate could not be read.
    Unread,
}

impl Verdict {
    /// The verdict as bytes: JSON without spaces, fields in the order of the types.
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers, texts and lists alone")
    }

    /// A verdict that was given without a name, for this name: what [`crate::judge()`] says of the same certificate when it is asked with the name,
    /// but for the order of reasons that weigh the same.
    pub fn for_name(&self, leaf: &CertificateDer<'_>, name: &str) -> Verdict {
        let mut verdict = self.clone();
        verdict.subject.name = Some(name.to_owned());
        // Of a certificate that cannot be read, nothing more is said.
        if let Some(reason) = verdict.certificate.as_ref().and_then(|_| name_reason(leaf, name)) {
            verdict.reasons.push(reason);
            sort(&mut verdict.reasons);
            verdict.chain.x509_chain_valid = false;
            verdict.verdict = conclude(&verdict.reasons);
            verdict.score = Score::default();
        }
        verdict
    }

    /// SHA-256 of the canonical bytes.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(&self.canonical())
    }
}

/// The conclusion that follows from the reasons.
pub(crate) fn conclude(reasons: &[Reason]) -> Conclusion {
    match reasons.iter().map(Reason::severity).max() {
        Some(Severity::Invalid) => Conclusion::Invalid,
        Some(Severity::Indeterminate) => Conclusion::Indeterminate,
        Some(Severity::Notice) | None => Conclusion::Valid,
    }
}
