//! What replicas agree on about a certificate, a server or an input: short, and the same at every honest replica.
//!
//! Texts of libraries and what a certificate says of itself are left out: the first may change with a version, the second is pinned by the
//! certificate's digest. Reasons stand as their codes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chain::ChainVerdict;
use crate::digest::Sha256;
use crate::inclusion::Inclusion;
use crate::log_list::LogListIdentity;
use crate::reason::{Reason, Severity};
use crate::revocation::RevocationStatus;
use crate::score::Score;
use crate::sct_check::{SctList, SctVerdict};
use crate::verdict::{Conclusion, CtOutcome, Subject, Verdict};

/// What is agreed on about a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreed {
    /// The conclusion.
    pub verdict: Conclusion,
    /// The codes of all that was found, each once, in the order of the alphabet.
    pub reasons: Vec<String>,
    /// Whether the timestamps suffice.
    pub outcome: CtOutcome,
    /// One word a timestamp, in the certificate's order, the first [`SCT_WORDS_MAX`]; or one word for all.
    pub sct_status: Vec<String>,
    /// How many distinct logs count.
    pub counted_logs: usize,
    /// Who runs them: the first [`OPERATORS_MAX`], each cut to [`OPERATOR_CHARS_MAX`] characters.
    pub operators: Vec<String>,
    /// Whether it is revoked.
    pub revocation: RevocationStatus,
    /// The trust score with its parts.
    pub score: Score,
    /// [`Verdict::agreed_digest`] of the whole verdict.
    pub digest: Sha256,
}

/// What is agreed on about a server that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// SHA-256 of the certificate that it served.
    pub leaf: Sha256,
    /// SHA-256 of that certificate's public key.
    pub key: Sha256,
    /// What came of judging the served chain.
    pub chain: Conclusion,
}

/// What replicas say of an input that is to be put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is what this replica has itself, or as good.
    Accepted,
    /// It is not; the code of why.
    Refused(String),
}

/// The bytes are not what replicas agree on.
#[derive(Debug, Error)]
pub enum AgreedError {
    /// Longer than any.
    #[error("more than {AGREED_BYTES_MAX} bytes")]
    TooLong,
    /// Not of the form.
    #[error("not what replicas agree on")]
    Form(#[from] serde_json::Error),
    /// Not the only encoding.
    #[error("not in the one way that replicas write it")]
    NotCanonical,
}

impl Agreed {
    /// What is agreed on of a verdict.
    pub fn of(verdict: &Verdict) -> Self {
        let codes: BTreeSet<&str> = verdict.reasons.iter().map(Reason::code).collect();
        let operators = verdict.ct.operators.iter().take(OPERATORS_MAX);
        Agreed {
            verdict: verdict.verdict,
            reasons: codes.into_iter().map(str::to_owned).collect(),
            outcome: verdict.ct.outcome,
            sct_status: words(&verdict.ct.sct_status),
            counted_logs: verdict.ct.counted_logs,
            operators: operators.map(|name| name.chars().take(OPERATOR_CHARS_MAX).collect()).collect(),
            revocation: verdict.revocation,
            score: verdict.score,
            digest: verdict.agreed_digest(),
        }
    }

    /// As bytes: JSON without spaces, fields in the order of the type; at most [`AGREED_BYTES_MAX`].
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers, texts and lists alone")
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`AgreedError`] when they are none, or not the only ones for their value.
    pub fn decode(bytes: &[u8]) -> Result<Self, AgreedError> {
        decode(bytes, Agreed::encode)
    }
}

impl Seen {
    /// As bytes: JSON without spaces, fields in the order of the type.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers, texts and lists alone")
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`AgreedError`] when they are none, or not the only ones for their value.
    pub fn decode(bytes: &[u8]) -> Result<Self, AgreedError> {
        decode(bytes, Seen::encode)
    }
}

impl Answer {
    /// As bytes: `accepted`, or `refused: CODE`.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Answer::Accepted => ACCEPTED.to_vec(),
            Answer::Refused(code) => [REFUSED, code.as_bytes()].concat(),
        }
    }

    /// Reads the bytes; `None` when they are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes == ACCEPTED {
            return Some(Answer::Accepted);
        }
        let code = bytes.strip_prefix(REFUSED).filter(|code| code.len() <= CODE_BYTES_MAX)?;
        let is_code = !code.is_empty() && code.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_');
        is_code.then(|| Answer::Refused(String::from_utf8_lossy(code).into_owned()))
    }
}

fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8], encode: fn(&T) -> Vec<u8>) -> Result<T, AgreedError> {
    if bytes.len() > AGREED_BYTES_MAX {
        return Err(AgreedError::TooLong);
    }
    let value = serde_json::from_slice(bytes)?;
    if encode(&value) == bytes { Ok(value) } else { Err(AgreedError::NotCanonical) }
}

fn words(list: &SctList) -> Vec<String> {
    let value = serde_json::to_value(list).expect("words alone");
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    match value.as_array() {
        Some(each) => each.iter().take(SCT_WORDS_MAX).map(word).collect(),
        None => vec![word(&value)],
    }
}

impl Verdict {
    /// SHA-256 of the verdict without what two honest replicas might write differently: texts of reasons, names of root stores, and what
    /// the certificate says of itself.
    pub fn agreed_digest(&self) -> Sha256 {
        let reasons = self.reasons.iter().map(|reason| (reason.code(), reason.severity())).collect();
        let form = Form {
            verdict: self.verdict,
            reasons,
            subject: &self.subject,
            policy: &self.inputs.policy,
            log_list: self.inputs.log_list.as_ref(),
            roots: self.inputs.roots.digest,
            intermediates: self.inputs.intermediates,
            crls: self.inputs.crls.digest,
            chain: &self.chain,
            outcome: self.ct.outcome,
            sct_status: &self.ct.sct_status,
            counted_logs: self.ct.counted_logs,
            operators: &self.ct.operators,
            inclusion: self.ct.inclusion,
            scts: &self.ct.scts,
            revocation: self.revocation,
            score: self.score,
        };
        Sha256::of(&serde_json::to_vec(&form).expect("numbers, texts and lists alone"))
    }
}

/// What the digest is over, in this order.
#[derive(Serialize)]
struct Form<'a> {
    verdict: Conclusion,
    reasons: Vec<(&'static str, Severity)>,
    subject: &'a Subject,
    policy: &'a str,
    log_list: Option<&'a LogListIdentity>,
    roots: Sha256,
    intermediates: Sha256,
    crls: Sha256,
    chain: &'a ChainVerdict,
    outcome: CtOutcome,
    sct_status: &'a SctList,
    counted_logs: usize,
    operators: &'a BTreeSet<String>,
    inclusion: Inclusion,
    scts: &'a [SctVerdict],
    revocation: RevocationStatus,
    score: Score,
}

const ACCEPTED: &[u8] = b"accepted";
const REFUSED: &[u8] = b"refused: ";
/// The longest code of a refusal, in bytes.
const CODE_BYTES_MAX: usize = 64;
/// The longest encoding, in bytes: what a leaf has room for.
pub const AGREED_BYTES_MAX: usize = 4096;
/// How many words of timestamps are agreed on.
pub const SCT_WORDS_MAX: usize = 32;
/// How many operators are named.
pub const OPERATORS_MAX: usize = 12;
/// How many characters of an operator's name are told.
pub const OPERATOR_CHARS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed() -> Agreed {
        Agreed {
            verdict: Conclusion::Valid,
            reasons: vec!["revocation_unknown".to_owned()],
            outcome: CtOutcome::Compliant,
            sct_status: vec!["valid".to_owned(), "valid".to_owned()],
            counted_logs: 2,
            operators: vec!["Alder".to_owned(), "Birch".to_owned()],
            revocation: RevocationStatus::Unknown,
            score: Score { total: 60, chain: 30, policy: 30, ..Score::default() },
            digest: Sha256::of(b"verdict"),
        }
    }

    #[test]
    fn what_is_agreed_on_comes_back_as_it_was() {
        let seen = Seen { leaf: Sha256::of(b"a"), key: Sha256::of(b"b"), chain: Conclusion::Indeterminate };
        assert_eq!(Agreed::decode(&agreed().encode()).unwrap(), agreed());
        assert_eq!(Seen::decode(&seen.encode()).unwrap(), seen);
        for answer in [Answer::Accepted, Answer::Refused("differs".to_owned())] {
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
    }

    #[test]
    fn another_way_to_write_the_same_is_refused() {
        let text = String::from_utf8(agreed().encode()).unwrap();
        let spaced = text.replace(',', ", ");
        assert!(matches!(Agreed::decode(spaced.as_bytes()), Err(AgreedError::NotCanonical)));
        let upper = text.replace(&agreed().digest.to_string(), &agreed().digest.to_string().to_uppercase());
        assert!(Agreed::decode(upper.as_bytes()).is_err());
        assert!(Agreed::decode(&vec![b' '; AGREED_BYTES_MAX + 1]).is_err());
        assert!(Agreed::decode(text.replace("\"verdict\"", "\"verdikt\"").as_bytes()).is_err());
        for bytes in [&b""[..], b"refused: ", b"refused: NO", b"accepted "] {
            assert_eq!(Answer::decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_longest_fits() {
        let longest = Agreed {
            // Every code that there is has less than this together.
            reasons: vec!["unsupported_algorithm".to_owned(); 48],
            sct_status: vec!["unsupported_version".to_owned(); SCT_WORDS_MAX],
            // A control character takes six bytes of JSON.
            operators: vec!["\u{1}".repeat(OPERATOR_CHARS_MAX); OPERATORS_MAX],
            ..agreed()
        };
        let length = longest.encode().len();
        assert!(length <= AGREED_BYTES_MAX, "{length}");
    }
}
