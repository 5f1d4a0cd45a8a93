//! Checks every timestamp of a certificate against a log list: signature, time, and what is odd about it.
//!
//! Says what each timestamp is; whether they suffice is for `policy.rs`. Offline, and the only costly step is one signature
//! check a timestamp.

use serde::{Deserialize, Serialize};

use crate::digest::{LogId, Sha256};
use crate::inclusion::Inclusion;
use crate::log_list::{CtLog, LogList, State, StateKind};
use crate::moment::Moment;
use crate::precertificate::{LogEntry, SpliceError, sct_list, tbs_without_scts};
use crate::reason::Reason;
use crate::sct::{ListEntry, Sct, leaf_index, parse_extension};
use crate::skeleton::Skeleton;

/// What became of one timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SctStatus {
    /// A log of the list signed it. Whether it counts depends on the state of that log.
    Valid,
    /// The log it names is in the list and has not signed this.
    InvalidSignature,
    /// The log it names is not in the list.
    UnknownLog,
    /// Signed, but dated after now.
    FutureTimestamp,
    /// Not of version 1.
    UnsupportedVersion,
    /// Of version 1, but not in its form.
    Malformed,
}

/// One timestamp and what was found about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SctVerdict {
    /// What it is.
    pub status: SctStatus,
    /// The log it names.
    pub log_id: Option<LogId>,
    /// The name of that log in the list.
    pub log: Option<String>,
    /// Who ran the log at the timestamp's time.
    pub operator: Option<String>,
    /// The state of the log: a state of the list, or `denied` for a log whose private key is public.
    pub log_state: Option<LogState>,
    /// Whether the log has the interface of RFC 6962, not that of static-ct.
    pub rfc6962: bool,
    /// When the log promised.
    pub timestamp: Option<Moment>,
    /// The entry's position in a static-ct log.
    pub leaf_index: Option<u64>,
    /// The hash of the leaf that the log must hold, when the issuer is known.
    pub leaf_hash: Option<Sha256>,
    /// Whether the policy counted it.
    pub counts: bool,
    /// Whether the log has kept its promise, as far as it was looked into.
    pub inclusion: Inclusion,
    #[serde(skip)]
    pub(crate) state: Option<State>,
}

/// The state of a log, as a verdict shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogState {
    /// The list does not say.
    Unstated,
    /// Its private key is public.
    Denied,
    /// As in the list.
    #[serde(untagged)]
    Listed(StateKind),
}

/// The timestamps of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SctList {
    /// Each was looked at; none at all is an empty list.
    Checked(Vec<SctVerdict>),
    /// The list as a whole is malformed.
    MalformedList,
    /// The certificate has two lists.
    DuplicateExtension,
    /// They are there, but nobody knows the issuer's key, which they cover.
    IssuerUnknown,
}

impl SctList {
    /// The timestamps, none if they could not be looked at.
    pub fn scts(&self) -> &[SctVerdict] {
        match self {
            SctList::Checked(scts) => scts,
            _ => &[],
        }
    }
}

/// Serialised as one word a timestamp, in the certificate's order, or one word for all.
impl Serialize for SctList {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            SctList::Checked(scts) => serializer.collect_seq(scts.iter().map(|sct| sct.status)),
            SctList::MalformedList => serializer.serialize_str("malformed_list"),
            SctList::DuplicateExtension => serializer.serialize_str("malformed (duplicate extension)"),
            SctList::IssuerUnknown => serializer.serialize_str("issuer_unknown"),
        }
    }
}

/// Checks the timestamps in a certificate; adds what is odd about them to `reasons`.
///
/// `issuer_key_hash` is SHA-256 of the issuer's SubjectPublicKeyInfo, which every timestamp covers; without it none can be
/// checked. A timestamp may be [`SCT_FUTURE_TOLERANCE_SECONDS`] ahead of `now`.
pub fn check_scts(
    certificate: &Skeleton<'_>,
    issuer_key_hash: Option<Sha256>,
    list: &LogList,
    now: Moment,
    reasons: &mut Vec<Reason>,
) -> SctList {
    let extension = match sct_list(certificate) {
        Ok(Some(extension)) => extension,
        Ok(None) => return SctList::Checked(Vec::new()),
        Err(_) => {
            reasons.push(Reason::DuplicateSctExtension);
            return SctList::DuplicateExtension;
        }
    };
    let entries = match parse_extension(extension) {
        Ok(entries) => entries,
        Err(error) => {
            reasons.push(Reason::MalformedSctList(error.to_string()));
            return SctList::MalformedList;
        }
    };
    let Some(issuer_key_hash) = issuer_key_hash else {
        reasons.push(Reason::SctIssuerUnknown);
        return SctList::IssuerUnknown;
    };
    let tbs = match tbs_without_scts(certificate) {
        Ok(tbs) => tbs,
        Err(
            SpliceError::Duplicate | SpliceError::Absent | SpliceError::Skeleton(_) | SpliceError::NoSigner,
        ) => {
            unreachable!("the certificate has been read, and has exactly one list")
        }
    };
    let entry = LogEntry::Precertificate { issuer_key_hash, tbs: &tbs };
    let entry = entry
        .encode()
        .expect("a TBSCertificate is shorter than the certificate, which has a bound below 2^24");
    let check = |(position, one): (usize, &ListEntry<'_>)| match one {
        ListEntry::V1(sct) => check_sct(position, sct, &entry, list, now, reasons),
        ListEntry::UnknownVersion(version) => {
            reasons.push(Reason::SctUnsupportedVersion(position, *version));
            SctVerdict::unread(SctStatus::UnsupportedVersion)
        }
        ListEntry::Malformed => {
            reasons.push(Reason::SctMalformed(position));
            SctVerdict::unread(SctStatus::Malformed)
        }
    };
    SctList::Checked(entries.iter().enumerate().map(check).collect())
}

fn check_sct(
    position: usize,
    sct: &Sct<'_>,
    entry: &[u8],
    list: &LogList,
    now: Moment,
    reasons: &mut Vec<Reason>,
) -> SctVerdict {
    let mut verdict = SctVerdict::unread(SctStatus::UnknownLog);
    verdict.log_id = Some(sct.log_id);
    verdict.timestamp = Some(sct.timestamp);
    let denied = list.denied_log(&sct.log_id);
    let Some(log) = list.log(&sct.log_id).or(denied) else {
        reasons.push(Reason::SctUnknownLog { position, log: sct.log_id });
        return verdict;
    };
    verdict.describe(log, sct.timestamp);
    if denied.is_some() {
        verdict.log_state = Some(LogState::Denied);
        verdict.state = None;
        reasons.push(Reason::SctDeniedLog { position, log: sct.log_id });
    }
    match leaf_index(sct.extensions) {
        Ok(index) => verdict.leaf_index = index,
        Err(_) => reasons.push(Reason::SctExtensionsMalformed(position)),
    }
    if log.key.verify_encoded(sct, entry).is_err() {
        reasons.push(Reason::SctInvalidSignature(position));
        verdict.status = SctStatus::InvalidSignature;
        return verdict;
    }
    verdict.leaf_hash = crate::log_key::leaf_hash(sct, entry);
    if now.plus_seconds(SCT_FUTURE_TOLERANCE_SECONDS) < sct.timestamp {
        reasons.push(Reason::SctFuture(position));
        verdict.status = SctStatus::FutureTimestamp;
        return verdict;
    }
    if log.is_static() && verdict.leaf_index.is_none() {
        reasons.push(Reason::SctWithoutLeafIndex(position));
    }
    verdict.status = SctStatus::Valid;
    verdict
}

impl SctVerdict {
    fn unread(status: SctStatus) -> Self {
        SctVerdict {
            status,
            log_id: None,
            log: None,
            operator: None,
            log_state: None,
            rfc6962: false,
            timestamp: None,
            leaf_index: None,
            leaf_hash: None,
            counts: false,
            inclusion: Inclusion::NotChecked,
            state: None,
        }
    }

    fn describe(&mut self, log: &CtLog, time: Moment) {
        self.log = Some(log.description.clone());
        self.operator = Some(log.operator_at(time).to_owned());
        self.log_state = Some(log.state.map_or(LogState::Unstated, |state| LogState::Listed(state.kind)));
        self.rfc6962 = !log.is_static();
        self.state = log.state;
    }
}

/// How far ahead of the judging clock a timestamp may be, in seconds.
pub const SCT_FUTURE_TOLERANCE_SECONDS: u64 = 300;
