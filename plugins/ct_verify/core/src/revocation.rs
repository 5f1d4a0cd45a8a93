//! Whether a certificate is revoked, by the revocation lists at hand; rustls-webpki reads them and checks their signatures.
//!
//! Each list is asked by itself: one that is expired, forged or of another shard hides no other. Dates of lists are checked here,
//! the library looks at neither beginning nor, for an expired certificate, end.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::Serialize;
use webpki::{
    CertRevocationList, Error, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::chain::{Issuer, Purpose, Trust, helpers, unix, words};
use crate::der::{self, Reader};
use crate::digest::Sha256;
use crate::facts::Facts;
use crate::moment::Moment;
use crate::presented::Presented;
use crate::reason::Reason;
use crate::skeleton::Skeleton;

/// A revocation list, usable or not; one that is not says why when it is asked.
#[derive(Debug)]
pub struct Crl {
    digest: Sha256,
    content: Result<Content, String>,
}

#[derive(Debug)]
struct Content {
    list: CertRevocationList<'static>,
    this_update: Moment,
    next_update: Option<Moment>,
}

/// Whether a certificate is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationStatus {
    /// A valid list covers it, and does not name it.
    Good,
    /// A valid list names it, or a certificate that issued it.
    Revoked,
    /// No valid list covers it.
    Unknown,
    /// No list was at hand.
    NotChecked,
    /// No list covers it, and none needs to: it lives at most [`SHORT_LIVED_SECONDS`].
    NotNeeded,
}

/// What an unknown status does to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevocationMode {
    /// Lists are not looked at.
    Off,
    /// Unknown is reported.
    #[default]
    Soft,
    /// Unknown makes the verdict indeterminate.
    Required,
}

impl Crl {
    /// Reads a list in DER or PEM.
    pub fn parse(bytes: &[u8]) -> Self {
        let decoded;
        let der = if bytes.first() == Some(&der::SEQUENCE) {
            bytes
        } else {
            decoded = CertificateRevocationListDer::from_pem_slice(bytes).ok();
            decoded.as_deref().unwrap_or(bytes)
        };
        Crl { digest: Sha256::of(der), content: read(der) }
    }

    /// SHA-256 of the list.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// When the issuer will have published the next one, if the list could be read and says so.
    pub fn next_update(&self) -> Option<Moment> {
        self.content.as_ref().ok().and_then(|content| content.next_update)
    }

    /// The list, if it is valid at that time.
    fn at(&self, now: Moment) -> Result<&CertRevocationList<'static>, String> {
        let content = self.content.as_ref().map_err(Clone::clone)?;
        if now.plus_seconds(THIS_UPDATE_TOLERANCE_SECONDS) < content.this_update {
            return Err(format!("it is of {}, which is in the future", content.this_update));
        }
        match content.next_update {
            None => Err("it does not say until when it is valid".to_owned()),
            Some(next) if next <= now => Err(format!("expired on {next}")),
            Some(_) => Ok(&content.list),
        }
    }
}

fn read(der: &[u8]) -> Result<Content, String> {
    if der.len() > CRL_BYTES_MAX {
        return Err(format!("more than {CRL_BYTES_MAX} bytes"));
    }
    let (this_update, next_update) = dates(der).ok_or("no revocation list")?;
    let list = OwnedCertRevocationList::from_der(der).map_err(|error| words(&error))?;
    Ok(Content { list: list.into(), this_update, next_update })
}

/// thisUpdate and nextUpdate. RFC 5280 §5.1.
fn dates(der: &[u8]) -> Option<(Moment, Option<Moment>)> {
    let list = Reader::new(der::only(der, der::SEQUENCE).ok()?.body).expect(der::SEQUENCE).ok()?;
    let mut fields = Reader::new(list.body);
    fields.optional(der::INTEGER).ok()?;
    fields.expect(der::SEQUENCE).ok()?;
    fields.expect(der::SEQUENCE).ok()?;
    let time = |bytes| ASN1Time::from_der(bytes).ok().map(|(_, time)| Moment::from_seconds(time.timestamp()));
    let this_update = time(fields.any().ok()?.whole)?;
    let next_update = fields.any().ok().and_then(|element| time(element.whole));
    Some((this_update, next_update))
}

/// Whether this is a revocation list rather than a certificate; both may stand in a CERT record.
pub fn is_crl(der: &[u8]) -> bool {
    dates(der).is_some()
}

/// Asks every list about the leaf and, when its chain holds, about its issuers; adds what was found to `reasons`.
pub(crate) fn check_revocation(
    chain: &[CertificateDer<'_>],
    (leaf, facts): (&Skeleton<'_>, &Facts),
    issuer: Option<&Issuer<'_>>,
    trust: Option<Trust<'_>>,
    (crls, mode): (&[Crl], RevocationMode),
    now: Moment,
    reasons: &mut Vec<Reason>,
) -> RevocationStatus {
    if mode == RevocationMode::Off {
        return RevocationStatus::NotChecked;
    }
    let mut good = false;
    for (position, crl) in crls.iter().take(CRLS_MAX).enumerate() {
        let list = match crl.at(now) {
            Ok(list) => list,
            Err(why) => {
                reasons.push(Reason::CrlUnusable { position, why });
                continue;
            }
        };
        match ask((leaf, facts), issuer, list) {
            Ok(()) => good = true,
            Err(Answer::Revoked) => {
                reasons.push(Reason::Revoked);
                return RevocationStatus::Revoked;
            }
            Err(Answer::Unknown(why)) => {
                if trust.is_some_and(|trust| issuer_revoked(chain, (leaf, facts), trust, list)) {
                    reasons.push(Reason::IssuerRevoked);
                    return RevocationStatus::Revoked;
                }
                reasons.push(Reason::CrlUnusable { position, why });
            }
        }
    }
    if good {
        return RevocationStatus::Good;
    }
    if facts.lifetime_seconds() <= SHORT_LIVED_SECONDS {
        reasons.push(Reason::RevocationNotNeeded);
        return RevocationStatus::NotNeeded;
    }
    if mode == RevocationMode::Required {
        reasons.push(Reason::RevocationRequired);
    } else if !crls.is_empty() {
        reasons.push(Reason::RevocationUnknown);
    }
    if crls.is_empty() { RevocationStatus::NotChecked } else { RevocationStatus::Unknown }
}

enum Answer {
    Revoked,
    Unknown(String),
}

/// Asks one list about the leaf. Its issuer stands in for a root, so that the answer does not hang on trust.
fn ask(
    (leaf, facts): (&Skeleton<'_>, &Facts),
    issuer: Option<&Issuer<'_>>,
    list: &CertRevocationList<'static>,
) -> Result<(), Answer> {
    let unknown = |why: &str| Answer::Unknown(why.to_owned());
    let issuer = issuer.ok_or_else(|| unknown("the issuer's certificate is not known"))?;
    let anchor = issuer.anchor().ok_or_else(|| unknown("the issuer's certificate is malformed"))?;
    let may_sign =
        issuer.certificate.as_ref().is_none_or(|one| Facts::read(one).is_ok_and(|facts| facts.signs_crls));
    if !may_sign {
        return Err(unknown("the issuer may not sign revocation lists"));
    }
    let lists = [list];
    let options = RevocationOptionsBuilder::new(&lists).expect("one list is at hand");
    let options = options
        .with_depth(RevocationCheckDepth::EndEntity)
        .with_status_policy(UnknownStatusPolicy::Deny)
        .with_expiration_policy(ExpirationPolicy::Ignore)
        .build();
    let (anchors, time) = ([anchor], unix(facts.not_before));
    let looked = Presented::new(leaf).look(|leaf, algorithms| {
        leaf.verify_for_usage(algorithms, &anchors, &[], time, Purpose::Any, Some(options), None).map(|_| ())
    });
    match looked.flatten() {
        Ok(()) => Ok(()),
        Err(Error::CertRevoked) => Err(Answer::Revoked),
        Err(Error::UnknownRevocationStatus) => Err(unknown("it does not cover this certificate")),
        Err(error) => Err(Answer::Unknown(words(&error))),
    }
}

/// Whether the list names one of the certificates between leaf and root.
fn issuer_revoked(
    chain: &[CertificateDer<'_>],
    (leaf, facts): (&Skeleton<'_>, &Facts),
    trust: Trust<'_>,
    list: &CertRevocationList<'static>,
) -> bool {
    let helpers = helpers(chain, trust.intermediates);
    let lists = [list];
    let options = RevocationOptionsBuilder::new(&lists).expect("one list is at hand");
    let options = options
        .with_depth(RevocationCheckDepth::Chain)
        .with_status_policy(UnknownStatusPolicy::Allow)
        .with_expiration_policy(ExpirationPolicy::Ignore)
        .build();
    let (anchors, time) = (&trust.roots.anchors, unix(facts.not_after));
    let looked = Presented::new(leaf).look(|leaf, algorithms| {
        leaf.verify_for_usage(algorithms, anchors, &helpers, time, Purpose::Any, Some(options), None)
            .map(|_| ())
    });
    looked.flatten() == Err(Error::CertRevoked)
}

/// How long a revocation list may be, in bytes.
pub const CRL_BYTES_MAX: usize = 64 << 20;
/// How many revocation lists one certificate is looked up in.
pub const CRLS_MAX: usize = 16;
/// A certificate that lives no longer than this needs no revocation, in seconds: seven days.
pub const SHORT_LIVED_SECONDS: u64 = 7 * 86_400;
const THIS_UPDATE_TOLERANCE_SECONDS: u64 = 300;
