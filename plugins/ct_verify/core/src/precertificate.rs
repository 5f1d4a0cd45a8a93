//! What a log signed when it promised to take a certificate in: the pre-certificate's TBSCertificate. RFC 6962 §3.2.
//!
//! Splices original bytes; nothing but the enclosing lengths is written anew, so serial numbers, odd strings and the order of
//! extensions survive.

use thiserror::Error;

use crate::der::{self, Reader};
use crate::digest::Sha256;
use crate::skeleton::{Skeleton, SkeletonError};

/// Why the bytes that a log signed cannot be rebuilt from a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SpliceError {
    /// It is not a certificate.
    #[error(transparent)]
    Skeleton(#[from] SkeletonError),
    /// The extension to cut out occurs twice, which RFC 5280 forbids.
    #[error("duplicate extension")]
    Duplicate,
    /// The certificate has no extension of the kind to cut out.
    #[error("the certificate has no such extension")]
    Absent,
    /// The certificate given as a Precertificate Signing Certificate is none.
    #[error("the issuer is no precertificate signing certificate")]
    NoSigner,
}

/// The list of timestamps in a certificate; the content of its `extnValue`.
///
/// # Errors
/// [`SpliceError::Duplicate`] when the certificate has two.
pub fn sct_list<'a>(certificate: &Skeleton<'a>) -> Result<Option<&'a [u8]>, SpliceError> {
    let mut lists = certificate.extensions(SCT_LIST);
    let list = lists.next();
    if lists.next().is_some() { Err(SpliceError::Duplicate) } else { Ok(list) }
}

/// The TBSCertificate of a final certificate without its list of timestamps: what the logs saw.
///
/// # Errors
/// [`SpliceError::Duplicate`] when there are two lists, [`SpliceError::Absent`] when there is none.
pub fn tbs_without_scts(certificate: &Skeleton<'_>) -> Result<Vec<u8>, SpliceError> {
    cut(certificate, SCT_LIST)
}

/// The TBSCertificate of a pre-certificate without its poison, when the CA's own key signed it.
///
/// # Errors
/// [`SpliceError::Duplicate`] when it is poisoned twice, [`SpliceError::Absent`] when it is no pre-certificate.
pub fn tbs_without_poison(precertificate: &Skeleton<'_>) -> Result<Vec<u8>, SpliceError> {
    cut(precertificate, POISON)
}

/// The TBSCertificate of a pre-certificate that a Precertificate Signing Certificate signed: the final issuer's name and key
/// identifier take the place of the signer's.
///
/// `signer` is the Precertificate Signing Certificate; what it says of its own issuer is what the final certificate will say.
///
/// # Errors
/// As [`tbs_without_poison`]; [`SpliceError::NoSigner`] when `signer` lacks the key purpose for this.
///
/// Source: RFC 6962 §3.2.
pub fn tbs_of_presigned(
    precertificate: &Skeleton<'_>,
    signer: &Skeleton<'_>,
) -> Result<Vec<u8>, SpliceError> {
    if !is_precertificate_signer(signer) {
        return Err(SpliceError::NoSigner);
    }
    check_once(precertificate, POISON)?;
    let of_signer = signer.parts.extensions.as_deref().unwrap_or_default().iter();
    let key_id =
        of_signer.filter(|extension| extension.oid == AUTHORITY_KEY_ID).map(|found| found.whole).next();
    let all = precertificate.parts.extensions.as_deref().unwrap_or_default();
    let mut kept = Vec::new();
    let mut replaced = false;
    for extension in all.iter().filter(|extension| extension.oid != POISON) {
        if extension.oid != AUTHORITY_KEY_ID {
            kept.push(extension.whole);
        } else if !std::mem::replace(&mut replaced, true) {
            kept.extend(key_id);
        }
    }
    if !replaced {
        kept.extend(key_id);
    }
    Ok(precertificate.parts.encode(signer.issuer, &kept))
}

/// Whether this certificate is for signing pre-certificates alone.
pub fn is_precertificate_signer(certificate: &Skeleton<'_>) -> bool {
    certificate.extensions(EXTENDED_KEY_USAGE).any(|value| {
        let Ok(purposes) = der::only(value, der::SEQUENCE) else { return false };
        let mut purposes = Reader::new(purposes.body);
        std::iter::from_fn(|| purposes.any().ok()).any(|purpose| purpose.body == PRECERTIFICATE_SIGNING)
    })
}

/// Whether this is a pre-certificate: one with the poison extension.
pub fn is_precertificate(certificate: &Skeleton<'_>) -> bool {
    certificate.extensions(POISON).next().is_some()
}

/// Whether a final certificate is the one that its pre-certificate announced, byte for byte but for poison and timestamps.
///
/// # Errors
/// [`SpliceError`] when either is not what its place demands.
pub fn corresponds(precertificate: &Skeleton<'_>, certificate: &Skeleton<'_>) -> Result<bool, SpliceError> {
    Ok(tbs_without_poison(precertificate)? == tbs_without_scts(certificate)?)
}

fn cut(certificate: &Skeleton<'_>, oid: &[u8]) -> Result<Vec<u8>, SpliceError> {
    check_once(certificate, oid)?;
    let all = certificate.parts.extensions.as_deref().unwrap_or_default().iter();
    let kept: Vec<&[u8]> =
        all.filter(|extension| extension.oid != oid).map(|extension| extension.whole).collect();
    Ok(certificate.parts.encode(certificate.issuer, &kept))
}

fn check_once(certificate: &Skeleton<'_>, oid: &[u8]) -> Result<(), SpliceError> {
    match certificate.extensions(oid).count() {
        0 => Err(SpliceError::Absent),
        1 => Ok(()),
        _ => Err(SpliceError::Duplicate),
    }
}

/// What a log takes in and signs: the end of `MerkleTreeLeaf` and of the signed bytes of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEntry<'a> {
    /// A certificate as it is, with all its bytes.
    X509(&'a [u8]),
    /// A pre-certificate.
    Precertificate {
        /// SHA-256 of the final issuer's SubjectPublicKeyInfo.
        issuer_key_hash: Sha256,
        /// TBSCertificate without poison and timestamps.
        tbs: &'a [u8],
    },
}

impl LogEntry<'_> {
    /// `entry_type` and `signed_entry` as bytes; `None` if the entry is longer than a log can say.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            LogEntry::X509(certificate) => {
                bytes.extend_from_slice(&X509_ENTRY.to_be_bytes());
                crate::wire::push_vector(&mut bytes, 3, certificate)?;
            }
            LogEntry::Precertificate { issuer_key_hash, tbs } => {
                bytes.extend_from_slice(&PRECERT_ENTRY.to_be_bytes());
                bytes.extend_from_slice(&issuer_key_hash.0);
                crate::wire::push_vector(&mut bytes, 3, tbs)?;
            }
        }
        Some(bytes)
    }
}

/// 1.3.6.1.4.1.11129.2.4.2: the list of timestamps.
const SCT_LIST: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02];
/// 1.3.6.1.4.1.11129.2.4.3: the poison that keeps a pre-certificate from being used.
const POISON: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x03];
/// 1.3.6.1.4.1.11129.2.4.4: the key purpose of a Precertificate Signing Certificate.
const PRECERTIFICATE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x04];
/// 2.5.29.35.
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
/// 2.5.29.37.
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
pub(crate) const X509_ENTRY: u16 = 0;
pub(crate) const PRECERT_ENTRY: u16 = 1;
