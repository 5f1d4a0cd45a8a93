//! Everything that can be said about a certificate, as one list of words with their values.
//!
//! A verdict carries all reasons that hold, not the first one found. Each says by itself what it does to the verdict.

use serde::{Serialize, Serializer, ser::SerializeStruct};
use thiserror::Error;

use crate::digest::{LogId, Sha256};
use crate::moment::Moment;

/// What a reason does to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth saying; changes nothing.
    Notice,
    /// It cannot be judged.
    Indeterminate,
    /// It is not valid.
    Invalid,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // Each variant's text is its documentation.
pub enum Reason {
    // The certificate and its chain.
    #[error("the chain is empty")]
    NoCertificate,
    #[error("certificate {position} of the chain is malformed: {why}")]
    MalformedCertificate { position: usize, why: String },
    #[error("more than {0} certificates in the chain")]
    ChainTooLong(usize),
    #[error("expired on {0}")]
    Expired(Moment),
    #[error("not valid before {0}")]
    NotYetValid(Moment),
    #[error("not valid for the name `{0}`")]
    NameMismatch(String),
    #[error("`{0}` is no name that a certificate could be for")]
    NameMalformed(String),
    #[error("not issued for the purpose `{0}`")]
    WrongPurpose(&'static str),
    #[error("no issuer of the chain is among the trusted roots")]
    UntrustedRoot,
    #[error("the certificate's own signature is not by its issuer")]
    BadSignature,
    #[error("the chain does not hold: {0}")]
    ChainBroken(String),
    #[error("the issuer's certificate is not known")]
    IssuerUnknown,
    #[error("the chain needs an algorithm that is not known: {0}")]
    UnsupportedAlgorithm(String),
    #[error("the chain could not be judged within its bounds: {0}")]
    ChainTooHard(String),

    // Its timestamps.
    #[error("the list of timestamps is malformed: {0}")]
    MalformedSctList(String),
    #[error("the certificate has two lists of timestamps")]
    DuplicateSctExtension,
    #[error("timestamps of {counted} logs count, {needed} are needed")]
    TooFewLogs { counted: usize, needed: usize },
    #[error("timestamps of {counted} operators count, {needed} are needed")]
    TooFewOperators { counted: usize, needed: usize },
    #[error("timestamps of {counted} of today's logs count, {needed} are needed")]
    TooFewCurrentLogs { counted: usize, needed: usize },
    #[error("timestamps of {counted} RFC 6962 logs count, {needed} are needed")]
    TooFewRfc6962Logs { counted: usize, needed: usize },
    #[error("the timestamps cannot be checked without the issuer's certificate")]
    SctIssuerUnknown,
    #[error("there is no log list")]
    NoLogList,
    #[error("the log list is of {0}, too old to judge by")]
    LogListStale(Moment),
    #[error("the log list is of {0}, which is in the future")]
    LogListFuture(Moment),
    #[error("timestamp {0}: the signature of a known log does not fit")]
    SctInvalidSignature(usize),
    #[error("timestamp {0}: malformed")]
    SctMalformed(usize),
    #[error("timestamp {0}: of version {1}, which is not known")]
    SctUnsupportedVersion(usize, u8),
    #[error("timestamp {position}: log `{log}` is not in the list")]
    SctUnknownLog { position: usize, log: LogId },
    #[error("timestamp {0}: dated in the future")]
    SctFuture(usize),
    #[error(
        "timestamp {position}: the private key of log `{log}` is public, so anybody could have signed it"
    )]
    SctDeniedLog { position: usize, log: LogId },
    #[error("timestamp {0}: of a static-ct log, but without the entry's position")]
    SctWithoutLeafIndex(usize),
    #[error("timestamp {0}: its extensions are malformed")]
    SctExtensionsMalformed(usize),
    #[error("timestamp {0}: the certificate expires outside the span of that log")]
    OutsideTemporalInterval(usize),
    #[error("timestamp {0}: of a log that was retired before any other log saw the certificate")]
    BackdatingSuspected(usize),
    #[error("issued under a private root, for which no logs are asked")]
    ExemptPrivateRoot,
    #[error("certificate transparency is for servers' certificates, not for the purpose `{0}`")]
    CtNotApplicable(&'static str),
    #[error("timestamp {0}: the log broke its promise to take the certificate in")]
    BrokenPromise(usize),

    // Its revocation.
    #[error("revoked by its issuer")]
    Revoked,
    #[error("a certificate between it and the root is revoked")]
    IssuerRevoked,
    #[error("revocation list `{crl}`: {why}")]
    CrlUnusable { crl: Sha256, why: String },
    #[error("whether it is revoked is not known")]
    RevocationUnknown,
    #[error("whether it is revoked is not known, and must be")]
    RevocationRequired,
    #[error("lives so short that nobody revokes it")]
    RevocationNotNeeded,
}

impl Reason {
    /// What it does to the verdict.
    pub fn severity(&self) -> Severity {
        use Reason::*;
        match self {
            NoCertificate
            | MalformedCertificate { .. }
            | ChainTooLong(_)
            | Expired(_)
            | NotYetValid(_)
            | NameMismatch(_)
            | NameMalformed(_)
            | WrongPurpose(_)
            | UntrustedRoot
            | BadSignature
            | ChainBroken(_)
            | MalformedSctList(_)
            | DuplicateSctExtension
            | TooFewLogs { .. }
            | TooFewOperators { .. }
            | TooFewCurrentLogs { .. }
            | TooFewRfc6962Logs { .. }
            | BrokenPromise(_)
            | Revoked
            | IssuerRevoked => Severity::Invalid,
            IssuerUnknown
            | UnsupportedAlgorithm(_)
            | ChainTooHard(_)
            | SctIssuerUnknown
            | NoLogList
            | LogListStale(_)
            | LogListFuture(_)
            | RevocationRequired => Severity::Indeterminate,
            SctInvalidSignature(_)
            | SctMalformed(_)
            | SctUnsupportedVersion(..)
            | SctUnknownLog { .. }
            | SctFuture(_)
            | SctDeniedLog { .. }
            | SctWithoutLeafIndex(_)
            | SctExtensionsMalformed(_)
            | OutsideTemporalInterval(_)
            | BackdatingSuspected(_)
            | ExemptPrivateRoot
            | CtNotApplicable(_)
            | CrlUnusable { .. }
            | RevocationUnknown
            | RevocationNotNeeded => Severity::Notice,
        }
    }

    /// The word for programs; it never changes, as the text may.
    pub fn code(&self) -> &'static str {
        use Reason::*;
        match self {
            NoCertificate => "no_certificate",
            MalformedCertificate { .. } => "malformed_certificate",
            ChainTooLong(_) => "chain_too_long",
            Expired(_) => "expired",
            NotYetValid(_) => "not_yet_valid",
            NameMismatch(_) => "name_mismatch",
            NameMalformed(_) => "name_malformed",
            WrongPurpose(_) => "wrong_purpose",
            UntrustedRoot => "untrusted_root",
            BadSignature => "bad_signature",
            ChainBroken(_) => "chain_broken",
            IssuerUnknown => "issuer_unknown",
            UnsupportedAlgorithm(_) => "unsupported_algorithm",
            ChainTooHard(_) => "chain_too_hard",
            MalformedSctList(_) => "malformed_sct_list",
            DuplicateSctExtension => "duplicate_sct_extension",
            TooFewLogs { .. } => "too_few_logs",
            TooFewOperators { .. } => "too_few_operators",
            TooFewCurrentLogs { .. } => "too_few_current_logs",
            TooFewRfc6962Logs { .. } => "too_few_rfc6962_logs",
            SctIssuerUnknown => "sct_issuer_unknown",
            NoLogList => "no_log_list",
            LogListStale(_) => "log_list_stale",
            LogListFuture(_) => "log_list_future",
            SctInvalidSignature(_) => "sct_invalid_signature",
            SctMalformed(_) => "sct_malformed",
            SctUnsupportedVersion(..) => "sct_unsupported_version",
            SctUnknownLog { .. } => "sct_unknown_log",
            SctFuture(_) => "sct_future_timestamp",
            SctDeniedLog { .. } => "sct_denied_log",
            SctWithoutLeafIndex(_) => "sct_without_leaf_index",
            SctExtensionsMalformed(_) => "sct_extensions_malformed",
            OutsideTemporalInterval(_) => "outside_temporal_interval",
            BackdatingSuspected(_) => "backdating_suspected",
            ExemptPrivateRoot => "exempt_private_root",
            CtNotApplicable(_) => "ct_not_applicable",
            BrokenPromise(_) => "broken_promise",
            Revoked => "revoked",
            IssuerRevoked => "issuer_revoked",
            CrlUnusable { .. } => "crl_unusable",
            RevocationUnknown => "revocation_unknown",
            RevocationRequired => "revocation_required",
            RevocationNotNeeded => "revocation_not_needed",
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Reason", 3)?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("severity", &self.severity())?;
        fields.serialize_field("text", &self.to_string())?;
        fields.end()
    }
}
