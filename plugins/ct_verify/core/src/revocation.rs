//! Whether a certificate is revoked, by the revocation lists at hand; rustls-webpki reads them and checks their signatures.
//!
//! Each list is asked by itself: one that is expired, forged or of another shard hides no other. Dates of lists are checked here,
//! the library looks at neither beginning nor, for an expired certificate, end.

use std::collections::{BTreeMap, BTreeSet};

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use webpki::{
    CertRevocationList, Error, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::chain::{Candidate, Issuer, Purpose, Trust, helpers, unix, words};
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

/// Revocation lists by issuer: a snapshot, whatever its order.
#[derive(Debug)]
pub struct CrlSet {
    identity: CrlSetIdentity,
    by_issuer: BTreeMap<Vec<u8>, Vec<Crl>>,
    unreadable: Vec<Crl>,
}

/// Which lists these are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CrlSetIdentity {
    /// SHA-256 over the SHA-256 of each list, in their order as numbers.
    pub digest: Sha256,
    /// How many.
    pub lists: usize,
}

impl Default for CrlSet {
    fn default() -> Self {
        CrlSet::new([])
    }
}

impl CrlSet {
    /// A snapshot of these lists.
    pub fn new(lists: impl IntoIterator<Item = Crl>) -> Self {
        let mut lists: Vec<Crl> = lists.into_iter().collect();
        lists.sort_by_key(Crl::digest);
        lists.dedup_by_key(|list| list.digest());
        let digests: Vec<Sha256> = lists.iter().map(Crl::digest).collect();
        let digest = Sha256::of_pieces(&digests.iter().map(|digest| &digest.0[..]).collect::<Vec<_>>());
        let identity = CrlSetIdentity { digest, lists: lists.len() };
        let (mut by_issuer, mut unreadable) = (BTreeMap::<Vec<u8>, Vec<Crl>>::new(), Vec::new());
        for list in lists {
            match &list.content {
                Ok(content) => by_issuer.entry(content.list.issuer().to_vec()).or_default().push(list),
                Err(_) => unreadable.push(list),
            }
        }
        CrlSet { identity, by_issuer, unreadable }
    }

    /// Which lists these are.
    pub fn identity(&self) -> &CrlSetIdentity {
        &self.identity
    }

    /// thisUpdate and nextUpdate of each list that could be read.
    pub(crate) fn dates(&self) -> impl Iterator<Item = (Moment, Option<Moment>)> {
        let read = self.by_issuer.values().flatten().filter_map(|list| list.content.as_ref().ok());
        read.map(|content| (content.this_update, content.next_update))
    }

    /// Lists of the issuer with this name, without tag and length, that may cover a certificate whose lists are at these URLs.
    fn of<'a>(&'a self, issuer: &[u8], urls: &'a [String]) -> impl Iterator<Item = &'a Crl> {
        let lists = self.by_issuer.get(issuer).map(Vec::as_slice).unwrap_or_default().iter();
        lists.filter(move |crl| {
            let place =
                crl.content.as_ref().ok().and_then(|content| content.list.issuing_distribution_point());
            // A list that says where it is covers those that say so, too; the library compares them exactly.
            place
                .is_none_or(|place| urls.is_empty() || urls.iter().any(|url| contains(place, url.as_bytes())))
        })
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}

/// Whether a certificate is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// Whether certificates can be judged by this list, in DER, while it is valid. By a partial one, a delta list, they cannot. RFC 5280 §5.2.4.
pub fn is_readable(der: &[u8]) -> bool {
    read(der).is_ok()
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

/// Asks the lists about the leaf and, when its chain holds, about its issuers; adds what was found to `reasons`.
pub(crate) fn check_revocation(
    candidate: Candidate<'_>,
    (issuer, trust): (Option<&Issuer<'_>>, Option<Trust<'_>>),
    (crls, mode): (&CrlSet, RevocationMode),
    now: Moment,
    reasons: &mut Vec<Reason>,
) -> RevocationStatus {
    let Candidate { leaf, facts, .. } = candidate;
    if mode == RevocationMode::Off {
        return RevocationStatus::NotChecked;
    }
    let mut unusable: Vec<(Sha256, String)> = Vec::new();
    for crl in crls.unreadable.iter().take(CRLS_MAX) {
        unusable.extend(crl.at(now).err().map(|why| (crl.digest, why)));
    }
    let mut good = false;
    for (number, crl) in crls.of(leaf.parts.issuer.body, &facts.crl_urls).enumerate() {
        if number == CRLS_MAX {
            unusable.push((crl.digest, format!("more than {CRLS_MAX} lists may cover this certificate")));
            break;
        }
        match crl.at(now).map_err(Answer::Unknown).and_then(|list| ask(candidate, issuer, list)) {
            Ok(()) => good = true,
            Err(Answer::Unknown(why)) => unusable.push((crl.digest, why)),
            Err(Answer::Revoked) => {
                reasons.push(Reason::Revoked);
                return RevocationStatus::Revoked;
            }
        }
    }
    reasons.extend(unusable.into_iter().map(|(crl, why)| Reason::CrlUnusable { crl, why }));
    if trust.is_some_and(|trust| issuer_revoked(candidate, trust, crls, now)) {
        reasons.push(Reason::IssuerRevoked);
        return RevocationStatus::Revoked;
    }
    if good {
        return RevocationStatus::Good;
    }
    if facts.lifetime_seconds() <= SHORT_LIVED_SECONDS {
        reasons.push(Reason::RevocationNotNeeded);
        return RevocationStatus::NotNeeded;
    }
    let none = crls.identity.lists == 0;
    if mode == RevocationMode::Required {
        reasons.push(Reason::RevocationRequired);
    } else if !none {
        reasons.push(Reason::RevocationUnknown);
    }
    if none { RevocationStatus::NotChecked } else { RevocationStatus::Unknown }
}

enum Answer {
    Revoked,
    Unknown(String),
}

/// Asks one list about the leaf. Its issuer stands in for a root, so that the answer does not hang on trust.
fn ask(
    candidate: Candidate<'_>,
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
    let (anchors, time) = ([anchor], unix(candidate.facts.not_before));
    let looked = Presented::new(candidate.leaf).look(|leaf, algorithms| {
        leaf.verify_for_usage(algorithms, &anchors, &[], time, Purpose::Any, Some(options), None).map(|_| ())
    });
    match looked.flatten() {
        Ok(()) => Ok(()),
        Err(Error::CertRevoked) => Err(Answer::Revoked),
        Err(Error::UnknownRevocationStatus) => Err(unknown("it does not cover this certificate")),
        Err(error) => Err(Answer::Unknown(words(&error))),
    }
}

/// Whether a list names one of the certificates between leaf and root.
fn issuer_revoked(candidate: Candidate<'_>, trust: Trust<'_>, crls: &CrlSet, now: Moment) -> bool {
    let Candidate { chain, leaf, facts } = candidate;
    let helpers = helpers(chain, trust.intermediates);
    let above = helpers
        .iter()
        .filter_map(|helper| Skeleton::parse(helper).ok())
        .map(|helper| helper.parts.issuer.body);
    let names: BTreeSet<&[u8]> = above.collect();
    let lists = names.into_iter().flat_map(|name| crls.of(name, &[])).filter_map(|crl| crl.at(now).ok());
    // One list at a time: the library asks the first that covers a certificate, and no other.
    lists.take(CRLS_MAX).any(|list| {
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
    })
}

/// How long a revocation list may be, in bytes.
pub const CRL_BYTES_MAX: usize = 64 << 20;
/// How many revocation lists one certificate, and how many its issuers are looked up in.
pub const CRLS_MAX: usize = 16;
/// A certificate that lives no longer than this needs no revocation, in seconds: seven days.
pub const SHORT_LIVED_SECONDS: u64 = 7 * 86_400;
pub(crate) const THIS_UPDATE_TOLERANCE_SECONDS: u64 = 300;
