//! TLSA and SMIMEA records: what they ask for, and whether a certificate is it. RFC 6698 §2.1, RFC 7671, RFC 8162.

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::der;
use crate::digest::Sha256;
use crate::skeleton::Skeleton;

/// A usable record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlsa<'a> {
    /// What the certificate must be.
    pub usage: Usage,
    /// Which part of it is compared.
    pub selector: Selector,
    /// How it is compared.
    pub matching: Matching,
    /// With what.
    pub data: &'a [u8],
}

/// Certificate usages. RFC 7218 names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Usage {
    /// 0: an authority in the chain, which must be publicly trusted, too.
    PkixTa,
    /// 1: the server's certificate, whose chain must be publicly trusted, too.
    PkixEe,
    /// 2: an authority that is trusted because the record says so.
    DaneTa,
    /// 3: the server's certificate itself, whatever its names, dates and chain.
    DaneEe,
}

/// Which part of a certificate is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector {
    /// 0: all of it.
    Certificate,
    /// 1: its public key with algorithm.
    Key,
}

/// How it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// 0: byte by byte.
    Full,
    /// 1.
    Sha256,
    /// 2.
    Sha512,
}

/// Why a record's data says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TlsaError {
    /// Too short to be one.
    #[error("malformed_rdata")]
    Rdata,
    /// A usage for private use.
    #[error("unusable (private-use usage)")]
    PrivateUsage,
    /// A usage without meaning.
    #[error("unusable (unknown usage)")]
    Usage,
    /// A selector without meaning.
    #[error("unusable (unknown selector)")]
    Selector,
    /// A matching type without meaning.
    #[error("unusable (unknown matching type)")]
    Matching,
    /// A digest of another length than its kind has.
    #[error("unusable (digest length)")]
    DigestLength,
    /// Said to be a certificate, and is none.
    #[error("malformed_certificate")]
    Certificate,
    /// Said to be a public key, and is none.
    #[error("unusable (malformed key)")]
    Key,
}

impl Serialize for TlsaError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Usage {
    /// Whether the chain must hold by the public roots, and so timestamps are asked for. RFC 7671 §4.2 asks for none with the
    /// other two.
    pub fn wants_public_trust(self) -> bool {
        matches!(self, Usage::PkixTa | Usage::PkixEe)
    }
}

impl<'a> Tlsa<'a> {
    /// Reads the data of a TLSA or SMIMEA record.
    ///
    /// # Errors
    /// [`TlsaError`] when it is malformed, or nobody knows what it asks for: such a record is as if it were not there.
    pub fn read(rdata: &'a [u8]) -> Result<Self, TlsaError> {
        let Some((&[usage, selector, matching], data)) = rdata.split_first_chunk::<3>() else {
            return Err(TlsaError::Rdata);
        };
        if data.is_empty() {
            return Err(TlsaError::Rdata);
        }
        let usage = match usage {
            0 => Usage::PkixTa,
            1 => Usage::PkixEe,
            2 => Usage::DaneTa,
            3 => Usage::DaneEe,
            255 => return Err(TlsaError::PrivateUsage),
            _ => return Err(TlsaError::Usage),
        };
        let selector = match selector {
            0 => Selector::Certificate,
            1 => Selector::Key,
            _ => return Err(TlsaError::Selector),
        };
        let (matching, length) = match matching {
            0 => (Matching::Full, None),
            1 => (Matching::Sha256, Some(32)),
            2 => (Matching::Sha512, Some(64)),
            _ => return Err(TlsaError::Matching),
        };
        if length.is_some_and(|length| length != data.len()) {
            return Err(TlsaError::DigestLength);
        }
        let record = Tlsa { usage, selector, matching, data };
        record.check_content()?;
        Ok(record)
    }

    /// The certificate in the record; only one with all its bytes carries one.
    pub fn certificate(&self) -> Option<Skeleton<'a>> {
        let whole = (self.selector, self.matching) == (Selector::Certificate, Matching::Full);
        whole.then(|| Skeleton::parse(self.data).ok()).flatten()
    }

    /// Whether this certificate, or its key, is the one in the record.
    pub fn matches(&self, certificate: &Skeleton<'_>) -> bool {
        let part = match self.selector {
            Selector::Certificate => certificate.der,
            Selector::Key => certificate.spki,
        };
        self.matches_bytes(part)
    }

    /// Whether the record is about an authority rather than about the server's own certificate.
    pub fn names_authority(&self) -> bool {
        matches!(self.usage, Usage::PkixTa | Usage::DaneTa)
    }

    pub(crate) fn matches_bytes(&self, part: &[u8]) -> bool {
        match self.matching {
            Matching::Full => self.data == part,
            Matching::Sha256 => self.data == Sha256::of(part).0,
            Matching::Sha512 => self.data == ring::digest::digest(&ring::digest::SHA512, part).as_ref(),
        }
    }

    fn check_content(&self) -> Result<(), TlsaError> {
        match (self.selector, self.matching) {
            (Selector::Certificate, Matching::Full) => {
                Skeleton::parse(self.data).map(|_| ()).map_err(|_| TlsaError::Certificate)
            }
            (Selector::Key, Matching::Full) => {
                der::only(self.data, der::SEQUENCE).map(|_| ()).map_err(|_| TlsaError::Key)
            }
            _ => Ok(()),
        }
    }
}

/// What an operator should look at in a set of TLSA records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// No record is usable: clients act as if there were none.
    NoneUsable,
    /// Some records are not usable.
    SomeUnusable,
    /// One record that fits one certificate or key alone: the next renewal breaks the service.
    NoSuccessor,
}

/// What an operator should look at in the TLSA records of one name.
pub fn advise(records: &[Result<Tlsa<'_>, TlsaError>]) -> Option<Advice> {
    let usable: Vec<&Tlsa<'_>> = records.iter().flatten().collect();
    match usable.as_slice() {
        [] if records.is_empty() => None,
        [] => Some(Advice::NoneUsable),
        _ if usable.len() < records.len() => Some(Advice::SomeUnusable),
        [one] if matches!(one.usage, Usage::DaneEe | Usage::PkixEe) => Some(Advice::NoSuccessor),
        _ => None,
    }
}
