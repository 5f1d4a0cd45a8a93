//! CERT records: what their data is. RFC 4398.
//!
//! URLs in a record are never followed: whoever answers could send us anywhere.

use serde::Serialize;
use thiserror::Error;

use crate::der;
use crate::revocation::is_crl;
use crate::skeleton::Skeleton;

/// What a CERT record carries.
#[derive(Debug, Clone)]
pub enum CertContent<'a> {
    /// A certificate.
    X509(Box<Skeleton<'a>>),
    /// Something that no log knows.
    Other(CertKind),
}

/// What a CERT record carries that is no certificate. RFC 4398 §2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CertKind {
    /// A revocation list; it shares the number of certificates.
    Crl,
    /// An SPKI certificate.
    Spki,
    /// An OpenPGP packet.
    Pgp,
    /// A certificate's URL and digest.
    Ipkix,
    /// An SPKI certificate's URL and digest.
    Ispki,
    /// An OpenPGP key's fingerprint and URL.
    Ipgp,
    /// An attribute certificate.
    Acpkix,
    /// An attribute certificate's URL and digest.
    Iacpkix,
    /// Private, named by a URI.
    Uri,
    /// Private, named by an object identifier.
    Oid,
    /// A number without meaning.
    Unknown,
}

/// Why a CERT record's data cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertRecordError {
    /// Shorter than its fixed fields, or without anything behind them.
    #[error("malformed_rdata")]
    Rdata,
    /// Said to be a certificate, and is none.
    #[error("malformed_certificate")]
    Certificate,
}

/// Reads the data of a CERT record. Key tag and algorithm say nothing about a certificate and are passed over.
///
/// # Errors
/// [`CertRecordError`] when the data, or the certificate in it, is malformed.
pub fn read_cert(rdata: &[u8]) -> Result<CertContent<'_>, CertRecordError> {
    let Some((head, content)) = rdata.split_first_chunk::<5>() else { return Err(CertRecordError::Rdata) };
    let kind = match u16::from_be_bytes([head[0], head[1]]) {
        1 => return read_pkix(content),
        2 => CertKind::Spki,
        3 => CertKind::Pgp,
        4 => CertKind::Ipkix,
        5 => CertKind::Ispki,
        6 => CertKind::Ipgp,
        7 => CertKind::Acpkix,
        8 => CertKind::Iacpkix,
        253 => CertKind::Uri,
        254 => CertKind::Oid,
        _ => CertKind::Unknown,
    };
    Ok(CertContent::Other(kind))
}

fn read_pkix(content: &[u8]) -> Result<CertContent<'_>, CertRecordError> {
    match Skeleton::parse(content) {
        Ok(certificate) => Ok(CertContent::X509(Box::new(certificate))),
        Err(_) if der::only(content, der::SEQUENCE).is_ok() && is_crl(content) => {
            Ok(CertContent::Other(CertKind::Crl))
        }
        Err(_) => Err(CertRecordError::Certificate),
    }
}
