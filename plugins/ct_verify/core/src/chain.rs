//! Chain, names, dates and purpose of a certificate, by rustls-webpki.
//!
//! Says all that is wrong, where the library says the first thing: dates and names are looked at by themselves, and an expired
//! certificate's chain is built for a time at which it was valid.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use serde::Serialize;
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};
use x509_parser::prelude::FromDer;

use crate::der;
use crate::digest::Sha256;
use crate::facts::Facts;
use crate::moment::Moment;
use crate::presented::Presented;
use crate::reason::Reason;
use crate::roots::{Intermediates, RootKind, RootStore};
use crate::skeleton::Skeleton;

/// What a certificate is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A TLS server.
    #[default]
    Server,
    /// A TLS client.
    Client,
    /// Mail, signed or encrypted.
    Email,
    /// Whatever it says.
    Any,
}

/// What came of building a chain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ChainVerdict {
    /// Whether certificate, name, dates, purpose and chain to a trusted root all hold.
    pub x509_chain_valid: bool,
    /// Whether the certificate's own dates hold.
    pub within_validity: bool,
    /// SHA-256 of each certificate from the leaf up, the root not among them; empty if there is no chain.
    pub path: Vec<Sha256>,
    /// SHA-256 of the root's public key.
    pub root_key_sha256: Option<Sha256>,
    /// Who trusts the root.
    pub root_kind: Option<RootKind>,
}

/// Where chains are built from.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    /// Where they must end.
    pub roots: &'a RootStore,
    /// What helps.
    pub intermediates: &'a Intermediates,
}

/// A certificate that is being judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    /// The certificate, then its issuers.
    pub chain: &'a [CertificateDer<'a>],
    /// Where the parts of the first one are.
    pub leaf: &'a Skeleton<'a>,
    /// What it says of itself.
    pub facts: &'a Facts,
}

/// The one that issued a certificate, as far as it is known.
#[derive(Debug, Clone)]
pub(crate) struct Issuer<'a> {
    /// The name, without tag and length.
    pub subject: &'a [u8],
    /// SubjectPublicKeyInfo, with tag and length.
    pub spki: Cow<'a, [u8]>,
    /// Its certificate; `None` when all that is known is a root.
    pub certificate: Option<Skeleton<'a>>,
}

impl Purpose {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Purpose::Server => "server",
            Purpose::Client => "client",
            Purpose::Email => "email",
            Purpose::Any => "any",
        }
    }
}

impl ExtendedKeyUsageValidator for Purpose {
    fn validate(&self, mut iter: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        match self {
            Purpose::Server => KeyUsage::server_auth().validate(iter),
            Purpose::Client => KeyUsage::client_auth().validate(iter),
            Purpose::Email => KeyUsage::required_if_present(EMAIL_PROTECTION).validate(iter),
            Purpose::Any => iter.try_for_each(|purpose| purpose.map(|_| ())),
        }
    }
}

/// Builds the chain of a certificate, and adds all that is wrong to `reasons`.
///
/// `name` is a DNS name or an address; without one no name is checked.
pub(crate) fn check_chain(
    candidate: Candidate<'_>,
    (name, purpose): (Option<&str>, Purpose),
    trust: Trust<'_>,
    now: Moment,
    reasons: &mut Vec<Reason>,
) -> ChainVerdict {
    let Candidate { chain, leaf, facts } = candidate;
    let already = reasons.len();
    let has_begun = facts.not_before <= now.plus_seconds(NOT_BEFORE_TOLERANCE_SECONDS);
    let within_validity = has_begun && now.seconds() <= facts.not_after.seconds();
    if !has_begun {
        reasons.push(Reason::NotYetValid(facts.not_before));
    } else if !within_validity {
        reasons.push(Reason::Expired(facts.not_after));
    }
    let mut verdict = ChainVerdict { within_validity, ..ChainVerdict::default() };
    let helpers = helpers(chain, trust.intermediates);
    let time = unix(now.clamp(facts.not_before, facts.not_after.max(facts.not_before)));
    let looked = Presented::new(leaf).look(|leaf, algorithms| {
        check_name(leaf, name, reasons);
        match leaf.verify_for_usage(algorithms, &trust.roots.anchors, &helpers, time, purpose, None, None) {
            Ok(path) => {
                let issuers =
                    path.intermediate_certificates().map(|certificate| Sha256::of(&certificate.der()));
                verdict.path = std::iter::once(Sha256::of(&chain[0])).chain(issuers).collect();
                verdict.root_key_sha256 = Some(Sha256::of(&webpki::spki_for_anchor(path.anchor())));
                verdict.root_kind = Some(trust.roots.kind(path.anchor()));
            }
            Err(error) => reasons.push(path_reason(&error, chain, purpose, trust)),
        }
    });
    if let Err(error) = looked {
        reasons.push(Reason::ChainBroken(words(&error)));
    }
    verdict.x509_chain_valid = reasons.len() == already;
    verdict
}

/// Why the leaf is not for this name; `None` when it is, or when the library cannot read it, which a judgement says by itself.
pub fn name_reason(leaf: &CertificateDer<'_>, name: &str) -> Option<Reason> {
    let leaf = Skeleton::parse(leaf).ok()?;
    let mut reasons = Vec::new();
    let looked = Presented::new(&leaf).look(|leaf, _| check_name(leaf, Some(name), &mut reasons));
    looked.ok().and_then(|()| reasons.pop())
}

fn check_name(leaf: &EndEntityCert<'_>, name: Option<&str>, reasons: &mut Vec<Reason>) {
    let Some(name) = name else { return };
    match ServerName::try_from(name) {
        Err(_) => reasons.push(Reason::NameMalformed(name.chars().take(NAME_SHOWN_MAX).collect())),
        Ok(server) => {
            if leaf.verify_is_valid_for_subject_name(&server).is_err() {
                reasons.push(Reason::NameMismatch(name.to_owned()));
            }
        }
    }
}

fn path_reason(error: &Error, chain: &[CertificateDer<'_>], purpose: Purpose, trust: Trust<'_>) -> Reason {
    match error {
        Error::UnknownIssuer => unknown_issuer(chain, trust),
        Error::InvalidSignatureForPublicKey => Reason::BadSignature,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            Reason::WrongPurpose(purpose.word())
        }
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            Reason::UnsupportedAlgorithm(words(error))
        }
        Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => Reason::ChainTooHard(words(error)),
        _ => Reason::ChainBroken(words(error)),
    }
}

/// Why no chain was found: nobody knows the leaf's issuer, or everybody known leads elsewhere.
fn unknown_issuer(chain: &[CertificateDer<'_>], trust: Trust<'_>) -> Reason {
    let Ok(leaf) = Skeleton::parse(&chain[0]) else { return Reason::IssuerUnknown };
    match find_issuer(&leaf, chain, trust) {
        None => Reason::IssuerUnknown,
        Some(issuer) if issuer.subject != leaf.parts.issuer.body => {
            Reason::ChainBroken("the second certificate is not the issuer of the first".to_owned())
        }
        Some(_) => Reason::UntrustedRoot,
    }
}

/// The certificates that could stand between leaf and root: those of the chain, and those that the bundle has for them.
pub(crate) fn helpers<'a>(
    chain: &'a [CertificateDer<'_>],
    bundle: &'a Intermediates,
) -> Vec<CertificateDer<'a>> {
    let mut helpers: Vec<CertificateDer<'a>> = chain
        .iter()
        .skip(1)
        .take(CHAIN_MAX)
        .map(|certificate| CertificateDer::from(&certificate[..]))
        .collect();
    let mut wanted: Vec<&[u8]> =
        chain.iter().filter_map(|one| Skeleton::parse(one).ok()).map(|one| one.issuer).collect();
    let mut asked: BTreeSet<&[u8]> = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !asked.insert(name) {
            continue;
        }
        for certificate in bundle.named(name) {
            if helpers.len() == HELPERS_MAX {
                return helpers;
            }
            wanted.extend(Skeleton::parse(certificate).ok().map(|one| one.issuer));
            helpers.push(CertificateDer::from(&certificate[..]));
        }
    }
    helpers
}

/// Who issued the leaf: whoever has the issuer's name, preferably with the key that fits the leaf's signature. When nobody has
/// the name, the second certificate of the chain, which claims to be the issuer by standing there.
pub(crate) fn find_issuer<'a>(
    leaf: &Skeleton<'a>,
    chain: &'a [CertificateDer<'_>],
    trust: Trust<'a>,
) -> Option<Issuer<'a>> {
    let of_certificate =
        |certificate: &'a CertificateDer<'_>| Skeleton::parse(certificate).ok().map(Issuer::of);
    let in_chain = chain.iter().take(CHAIN_MAX).filter_map(of_certificate);
    let in_bundle = trust.intermediates.named(leaf.issuer).iter().filter_map(of_certificate);
    let name = leaf.parts.issuer.body;
    let in_roots =
        trust.roots.anchors.iter().filter(|anchor| *anchor.subject == *name).map(|anchor| Issuer {
            subject: &anchor.subject,
            spki: webpki::spki_for_anchor(anchor).to_vec().into(),
            certificate: None,
        });
    let named = in_chain.chain(in_bundle).chain(in_roots);
    let mut named: Vec<Issuer<'a>> =
        named.filter(|issuer| issuer.subject == name).take(ISSUER_CANDIDATES_MAX).collect();
    if named.is_empty() {
        return chain.get(1).and_then(of_certificate);
    }
    let fitting = match named.as_slice() {
        [_] => 0,
        _ => named.iter().position(|issuer| signed_by(leaf, &issuer.spki)).unwrap_or(0),
    };
    Some(named.swap_remove(fitting))
}

impl<'a> Issuer<'a> {
    fn of(certificate: Skeleton<'a>) -> Self {
        Issuer {
            subject: certificate.parts.subject.body,
            spki: certificate.spki.into(),
            certificate: Some(certificate),
        }
    }

    /// SHA-256 of the key, as every timestamp of what it issued covers it.
    pub fn key_hash(&self) -> Sha256 {
        Sha256::of(&self.spki)
    }

    /// A root that is this issuer.
    pub fn anchor(&self) -> Option<TrustAnchor<'_>> {
        let spki = der::only(&self.spki, der::SEQUENCE).ok()?.body;
        Some(TrustAnchor {
            subject: self.subject.into(),
            subject_public_key_info: spki.into(),
            name_constraints: None,
        })
    }
}

/// Whether this key made the certificate's signature.
fn signed_by(certificate: &Skeleton<'_>, spki: &[u8]) -> bool {
    let parsed = x509_parser::certificate::X509Certificate::from_der(certificate.der);
    let key = x509_parser::x509::SubjectPublicKeyInfo::from_der(spki);
    matches!((parsed, key), (Ok((_, parsed)), Ok((_, key))) if parsed.verify_signature(Some(&key)).is_ok())
}

pub(crate) fn unix(moment: Moment) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(moment.seconds()))
}

/// The name of a library error as words: `NameConstraintViolation` becomes `name constraint violation`.
pub(crate) fn words(error: &Error) -> String {
    let debug = format!("{error:?}");
    let name: String = debug.chars().take_while(char::is_ascii_alphanumeric).collect();
    let name = name.strip_suffix("Context").unwrap_or(&name);
    let mut text = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

/// How many certificates of a chain are looked at.
pub const CHAIN_MAX: usize = 16;
/// How many certificates a chain may be built from, those of the chain among them.
pub const HELPERS_MAX: usize = 64;
/// How many certificates with the issuer's name are tried.
const ISSUER_CANDIDATES_MAX: usize = 8;
const NAME_SHOWN_MAX: usize = 255;
/// How far ahead of the judging clock a certificate may begin, in seconds: a minute.
///
/// Clusters judge for the begin of a minute, within which an authority of one's own may have issued the certificate. Deviates: RFC 5280 §6.1.3
/// knows no tolerance. Timestamps, log lists and revocation lists are given more.
pub(crate) const NOT_BEFORE_TOLERANCE_SECONDS: u64 = 60;
/// 1.3.6.1.5.5.7.3.4.
const EMAIL_PROTECTION: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x04];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_errors_become_words() {
        assert_eq!(words(&Error::NameConstraintViolation), "name constraint violation");
        assert_eq!(words(&Error::BadDer), "bad der");
    }
}
