//! The bones of a certificate: where its parts stand, with their bytes untouched.
//!
//! What a part means is read elsewhere (`facts.rs`); this is for cutting, comparing and hashing.

use thiserror::Error;

use crate::der::{self, DerError, Element, Reader};
use crate::digest::Sha256;

/// A certificate, borrowed from its DER.
#[derive(Debug, Clone)]
pub struct Skeleton<'a> {
    /// The whole certificate.
    pub der: &'a [u8],
    /// Its TBSCertificate, with tag and length.
    pub tbs: &'a [u8],
    /// The issuer's name, with tag and length.
    pub issuer: &'a [u8],
    /// The subject's name, with tag and length.
    pub subject: &'a [u8],
    /// SubjectPublicKeyInfo, with tag and length.
    pub spki: &'a [u8],
    pub(crate) parts: Parts<'a>,
}

/// The content of a TBSCertificate.
#[derive(Debug, Clone)]
pub(crate) struct Parts<'a> {
    /// From the version to the serial number's algorithm: all before the issuer.
    pub before_issuer: &'a [u8],
    pub issuer: Element<'a>,
    pub subject: Element<'a>,
    pub spki: Element<'a>,
    /// All between the issuer and the extensions.
    pub after_issuer: &'a [u8],
    /// `None` when there is no `[3]`.
    pub extensions: Option<Vec<Extension<'a>>>,
}

/// One X.509 extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extension<'a> {
    pub oid: &'a [u8],
    pub value: &'a [u8],
    pub whole: &'a [u8],
}

/// Why bytes are not a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SkeletonError {
    /// The encoding is not DER, or not of a certificate.
    #[error(transparent)]
    Der(#[from] DerError),
    /// Longer than any certificate we look at.
    #[error("the certificate has more than {CERTIFICATE_BYTES_MAX} bytes")]
    TooLong,
    /// More extensions than any certificate has.
    #[error("the certificate has more than {EXTENSIONS_MAX} extensions")]
    TooManyExtensions,
}

impl<'a> Skeleton<'a> {
    /// Reads a certificate that is all of the bytes.
    ///
    /// # Errors
    /// [`SkeletonError`] when it is not exactly one certificate in DER.
    pub fn parse(der: &'a [u8]) -> Result<Self, SkeletonError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(SkeletonError::TooLong);
        }
        let mut certificate = Reader::new(der::only(der, der::SEQUENCE)?.body);
        let tbs = certificate.expect(der::SEQUENCE)?;
        certificate.expect(der::SEQUENCE)?;
        certificate.expect(der::BIT_STRING)?;
        certificate.end()?;
        let parts = Parts::parse(tbs)?;
        Ok(Skeleton {
            der,
            tbs: tbs.whole,
            issuer: parts.issuer.whole,
            subject: parts.subject.whole,
            spki: parts.spki.whole,
            parts,
        })
    }

    /// SHA-256 of the whole certificate.
    pub fn fingerprint(&self) -> Sha256 {
        Sha256::of(self.der)
    }

    /// SHA-256 of the public key with its algorithm: what a timestamp calls `issuer_key_hash`.
    pub fn key_hash(&self) -> Sha256 {
        Sha256::of(self.spki)
    }

    /// The contents of all extensions with this identifier, in order.
    pub(crate) fn extensions(&self, oid: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        let all = self.parts.extensions.as_deref().unwrap_or_default().iter();
        all.filter(move |extension| extension.oid == oid).map(|extension| extension.value)
    }
}

impl<'a> Parts<'a> {
    /// Reads the content of a TBSCertificate. RFC 5280 §4.1.
    pub fn parse(tbs: Element<'a>) -> Result<Self, SkeletonError> {
        let mut reader = Reader::new(tbs.body);
        reader.optional(VERSION)?;
        reader.expect(der::INTEGER)?;
        reader.expect(der::SEQUENCE)?;
        let before_issuer = read_so_far(tbs.body, &reader);
        let issuer = reader.expect(der::SEQUENCE)?;
        let middle = reader.rest();
        reader.expect(der::SEQUENCE)?;
        let subject = reader.expect(der::SEQUENCE)?;
        let spki = reader.expect(der::SEQUENCE)?;
        reader.optional(ISSUER_UNIQUE_ID)?;
        reader.optional(SUBJECT_UNIQUE_ID)?;
        let after_issuer = read_so_far(middle, &reader);
        let extensions =
            reader.optional(EXTENSIONS)?.map(|tagged| parse_extensions(tagged.body)).transpose()?;
        reader.end()?;
        Ok(Parts { before_issuer, issuer, subject, spki, after_issuer, extensions })
    }

    /// The TBSCertificate with this issuer and these extensions; without any, the `[3]` goes, too.
    pub fn encode(&self, issuer: &[u8], extensions: &[&[u8]]) -> Vec<u8> {
        let mut pieces = vec![self.before_issuer, issuer, self.after_issuer];
        let tagged;
        if !extensions.is_empty() {
            tagged = der::element(EXTENSIONS, &[&der::element(der::SEQUENCE, extensions)]);
            pieces.push(&tagged);
        }
        der::element(der::SEQUENCE, &pieces)
    }
}

/// The bytes at the front of `all` that the reader has passed; the reader reads in them.
fn read_so_far<'a>(all: &'a [u8], reader: &Reader<'a>) -> &'a [u8] {
    &all[..all.len() - reader.rest().len()]
}

fn parse_extensions(bytes: &[u8]) -> Result<Vec<Extension<'_>>, SkeletonError> {
    let mut list = Reader::new(der::only(bytes, der::SEQUENCE)?.body);
    let mut extensions = Vec::new();
    while !list.is_empty() {
        let extension = list.expect(der::SEQUENCE)?;
        let mut fields = Reader::new(extension.body);
        let oid = fields.expect(der::OBJECT_IDENTIFIER)?.body;
        fields.optional(der::BOOLEAN)?;
        let value = fields.expect(der::OCTET_STRING)?.body;
        fields.end()?;
        if extensions.len() == EXTENSIONS_MAX {
            return Err(SkeletonError::TooManyExtensions);
        }
        extensions.push(Extension { oid, value, whole: extension.whole });
    }
    Ok(extensions)
}

/// How long a certificate may be that we look at. The longest real one seen has 3 500 bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 65_535;
/// How many extensions a certificate may have.
pub const EXTENSIONS_MAX: usize = 64;
const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;
