//! Trusted roots, and intermediate certificates that help to build chains.

use std::collections::BTreeMap;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use serde::Serialize;
use thiserror::Error;

use crate::digest::Sha256;
use crate::skeleton::Skeleton;

/// Who trusts a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RootKind {
    /// Everybody: certificates under it must be in public logs.
    Public,
    /// The operator alone: nobody asks for logs.
    Private,
}

/// The roots that are trusted. Which these are goes into every verdict.
#[derive(Debug, Clone)]
pub struct RootStore {
    identity: RootStoreIdentity,
    pub(crate) anchors: Vec<TrustAnchor<'static>>,
    kinds: Vec<RootKind>,
}

/// Which roots these are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootStoreIdentity {
    /// The version as its origin names it, like `webpki-roots 1.0.10`.
    pub version: String,
    /// SHA-256 over the roots, whatever their order.
    pub digest: Sha256,
    /// How many.
    pub roots: usize,
}

/// A file of certificates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificatesError {
    /// Not PEM.
    #[error("certificate {position}: not PEM: {why}")]
    Pem {
        /// Which, counted from 1.
        position: usize,
        /// What is wrong.
        why: String,
    },
    /// Not a certificate.
    #[error("certificate {position}: {why}")]
    Certificate {
        /// Which, counted from 1.
        position: usize,
        /// What is wrong.
        why: String,
    },
    /// None at all.
    #[error("expected certificates in PEM, found none")]
    Empty,
    /// More than the bound.
    #[error("more than {0} certificates")]
    TooMany(usize),
}

/// Reads the certificates of a PEM text, at most so many.
///
/// # Errors
/// [`CertificatesError`] at the first thing that is wrong, or when there is no certificate.
pub fn certificates_from_pem(
    pem: &[u8],
    most: usize,
) -> Result<Vec<CertificateDer<'static>>, CertificatesError> {
    let mut certificates = Vec::new();
    for (number, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        if number == most {
            return Err(CertificatesError::TooMany(most));
        }
        let error = |error: rustls_pki_types::pem::Error| CertificatesError::Pem {
            position: number + 1,
            why: error.to_string(),
        };
        certificates.push(certificate.map_err(error)?);
    }
    if certificates.is_empty() { Err(CertificatesError::Empty) } else { Ok(certificates) }
}

/// Reads root certificates of a PEM text.
///
/// # Errors
/// [`CertificatesError`] at the first that is no root.
pub fn anchors_from_pem(pem: &[u8]) -> Result<Vec<TrustAnchor<'static>>, CertificatesError> {
    anchors_of(&certificates_from_pem(pem, ROOTS_MAX)?)
}

/// Roots out of their certificates.
///
/// # Errors
/// [`CertificatesError`] at the first that is no root.
pub fn anchors_of(
    certificates: &[CertificateDer<'_>],
) -> Result<Vec<TrustAnchor<'static>>, CertificatesError> {
    let anchors = certificates.iter().enumerate().map(|(number, certificate)| {
        let anchor = webpki::anchor_from_trusted_cert(certificate);
        anchor.map(|anchor| anchor.to_owned()).map_err(|error| CertificatesError::Certificate {
            position: number + 1,
            why: crate::chain::words(&error),
        })
    });
    anchors.collect()
}

impl RootStore {
    /// A store of these roots. Roots beyond [`ROOTS_MAX`] are left out.
    pub fn new(
        version: impl Into<String>,
        roots: impl IntoIterator<Item = (TrustAnchor<'static>, RootKind)>,
    ) -> Self {
        let (anchors, kinds): (Vec<_>, Vec<_>) = roots.into_iter().take(ROOTS_MAX).unzip();
        let mut prints: Vec<Sha256> =
            anchors.iter().zip(&kinds).map(|(anchor, kind)| print(anchor, *kind)).collect();
        prints.sort_unstable();
        prints.dedup();
        let pieces: Vec<&[u8]> = prints.iter().map(|print| &print.0[..]).collect();
        let identity = RootStoreIdentity {
            version: version.into(),
            digest: Sha256::of_pieces(&pieces),
            roots: anchors.len(),
        };
        RootStore { identity, anchors, kinds }
    }

    /// Which roots these are.
    pub fn identity(&self) -> &RootStoreIdentity {
        &self.identity
    }

    /// The roots and who trusts them, in the order given.
    pub fn entries(&self) -> impl Iterator<Item = (&TrustAnchor<'static>, RootKind)> {
        self.anchors.iter().zip(self.kinds.iter().copied())
    }

    /// Who trusts this root: everybody, if any entry for its key says so.
    pub(crate) fn kind(&self, anchor: &TrustAnchor<'_>) -> RootKind {
        let same = |(ours, _): &(&TrustAnchor<'_>, &RootKind)| {
            ours.subject == anchor.subject && ours.subject_public_key_info == anchor.subject_public_key_info
        };
        self.anchors
            .iter()
            .zip(&self.kinds)
            .filter(same)
            .map(|(_, kind)| *kind)
            .min()
            .unwrap_or(RootKind::Public)
    }
}

fn print(anchor: &TrustAnchor<'_>, kind: RootKind) -> Sha256 {
    let constraints = anchor.name_constraints.as_deref().unwrap_or_default();
    let parts = [anchor.subject.as_ref(), anchor.subject_public_key_info.as_ref(), constraints];
    let digests = parts.map(Sha256::of);
    Sha256::of_pieces(&[&digests[0].0, &digests[1].0, &digests[2].0, &[kind as u8]])
}

/// Certificates of authorities that help where a chain lacks one, by the name of their subject.
#[derive(Debug, Clone)]
pub struct Intermediates {
    by_subject: BTreeMap<Vec<u8>, Vec<CertificateDer<'static>>>,
    count: usize,
    digest: Sha256,
}

impl Default for Intermediates {
    fn default() -> Self {
        Intermediates::new([])
    }
}

impl Intermediates {
    /// A collection of these; what is no certificate, or beyond [`INTERMEDIATES_MAX`], is left out.
    pub fn new(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        let (mut by_subject, mut count) = (BTreeMap::<Vec<u8>, Vec<CertificateDer<'static>>>::new(), 0);
        for certificate in certificates {
            let Ok(subject) = Skeleton::parse(&certificate).map(|read| read.subject.to_vec()) else {
                continue;
            };
            if count == INTERMEDIATES_MAX {
                break;
            }
            by_subject.entry(subject).or_default().push(certificate);
            count += 1;
        }
        let prints: Vec<Sha256> = by_subject.values().flatten().map(|one| Sha256::of(one)).collect();
        let digest = Sha256::of_pieces(&prints.iter().map(|print| &print.0[..]).collect::<Vec<_>>());
        Intermediates { by_subject, count, digest }
    }

    /// How many certificates these are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The certificates, by the names of their subjects.
    pub fn iter(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.by_subject.values().flatten()
    }

    /// SHA-256 over the certificates, by the names of their subjects.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// Those whose subject has this name, with tag and length.
    pub(crate) fn named(&self, subject: &[u8]) -> &[CertificateDer<'static>] {
        self.by_subject.get(subject).map(Vec::as_slice).unwrap_or_default()
    }
}

/// How many roots a store may have. The largest real ones have fewer than 300.
pub const ROOTS_MAX: usize = 2048;
/// How many intermediate certificates a collection may have. All that are publicly trusted are about 2 500.
pub const INTERMEDIATES_MAX: usize = 16_384;
