//! DANE: whether a served chain is what the TLSA records of its name ask for. RFC 6698 §2.1.1, RFC 7671 §5.
//!
//! DANE-EE asks for the certificate alone; names, dates and timestamps are not looked at. The others need a chain, dates and a
//! name: to the records' own authority, or to the public roots.

use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor};
use serde::Serialize;
use x509_parser::prelude::FromDer;

use crate::chain::{CHAIN_MAX, Purpose, Trust, helpers, unix};
use crate::der;
use crate::moment::Moment;
use crate::presented::Presented;
use crate::skeleton::Skeleton;
use crate::tlsa::{Matching, Selector, Tlsa, Usage};

/// What came of comparing a chain with the records of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum DaneOutcome {
    /// A record fits, and all that it asks for holds.
    Matched {
        /// Which record.
        record: usize,
        /// Which certificate of the chain, the leaf being 0.
        depth: usize,
    },
    /// A record fits, but the certificate is for another name.
    NameMismatch {
        /// Which record.
        record: usize,
        /// Which certificate of the chain, the leaf being 0.
        depth: usize,
    },
    /// No record fits a chain that holds.
    NoMatch,
    /// The leaf cannot be read.
    Malformed,
}

/// Compares a chain, the leaf first, with the usable records of its name, for any of these names.
///
/// Records are tried by what they ask for, the least first: DANE-EE, DANE-TA, PKIX-EE, PKIX-TA; at most [`RECORDS_MAX`].
/// Without names, none is checked.
pub fn check_dane(
    records: &[Tlsa<'_>],
    chain: &[CertificateDer<'_>],
    names: &[&str],
    trust: Trust<'_>,
    now: Moment,
) -> DaneOutcome {
    let served = chain.iter().take(CHAIN_MAX).map(|one| CertificateDer::from(&one[..]));
    let authorities = records.iter().take(RECORDS_MAX).filter(|record| record.names_authority());
    let carried = authorities.filter_map(Tlsa::certificate).map(|one| CertificateDer::from(one.der));
    // Authorities that the records carry help to build chains, so that servers need not send them.
    let chain: Vec<CertificateDer<'_>> = served.chain(carried).collect();
    let chain = chain.as_slice();
    let Some(leaf) = chain.first().and_then(|leaf| Skeleton::parse(leaf).ok()) else {
        return DaneOutcome::Malformed;
    };
    let mut order: Vec<(usize, &Tlsa<'_>)> = records.iter().take(RECORDS_MAX).enumerate().collect();
    order.sort_by_key(|(_, record)| match record.usage {
        Usage::DaneEe => 0,
        Usage::DaneTa => 1,
        Usage::PkixEe => 2,
        Usage::PkixTa => 3,
    });
    for (number, record) in order {
        let depth = match record.usage {
            Usage::DaneEe => {
                if record.matches(&leaf) {
                    return DaneOutcome::Matched { record: number, depth: 0 };
                }
                None
            }
            Usage::DaneTa => dane_ta(record, &leaf, chain, now),
            Usage::PkixEe if !record.matches(&leaf) => None,
            Usage::PkixEe => built(&leaf, chain, trust, &trust.roots.anchors, now).map(|_| 0),
            Usage::PkixTa => pkix_ta(record, &leaf, chain, trust, now),
        };
        let Some(depth) = depth else { continue };
        return if names.is_empty() || names.iter().any(|name| is_for(&leaf, name)) {
            DaneOutcome::Matched { record: number, depth }
        } else {
            DaneOutcome::NameMismatch { record: number, depth }
        };
    }
    DaneOutcome::NoMatch
}

/// The depth of the authority that the record names, if the leaf's chain leads to it.
fn dane_ta(
    record: &Tlsa<'_>,
    leaf: &Skeleton<'_>,
    chain: &[CertificateDer<'_>],
    now: Moment,
) -> Option<usize> {
    let nothing = (crate::roots::RootStore::new("", []), crate::roots::Intermediates::default());
    let trust = Trust { roots: &nothing.0, intermediates: &nothing.1 };
    for certificate in chain.iter().skip(1).filter(|one| fits(record, one)) {
        let Ok(anchor) = webpki::anchor_from_trusted_cert(certificate) else { continue };
        if let Some(path) = built(leaf, chain, trust, &[anchor], now) {
            return Some(path.len());
        }
    }
    if (record.selector, record.matching) != (Selector::Key, Matching::Full) {
        return None;
    }
    // A bare key signs the last certificate of the chain; it has no place of its own.
    let spki = der::only(record.data, der::SEQUENCE).ok()?.body;
    chain.iter().filter_map(|one| Skeleton::parse(one).ok()).find_map(|one| {
        let subject = der::only(one.issuer, der::SEQUENCE).ok()?.body.to_vec();
        let anchor = TrustAnchor {
            subject: subject.into(),
            subject_public_key_info: spki.into(),
            name_constraints: None,
        };
        built(leaf, chain, trust, &[anchor], now).map(|path| path.len() - 1)
    })
}

/// The depth of the publicly trusted authority that the record names.
fn pkix_ta(
    record: &Tlsa<'_>,
    leaf: &Skeleton<'_>,
    chain: &[CertificateDer<'_>],
    trust: Trust<'_>,
    now: Moment,
) -> Option<usize> {
    for anchor in &trust.roots.anchors {
        let Some(path) = built(leaf, chain, trust, std::slice::from_ref(anchor), now) else { continue };
        if let Some(above) = path.iter().skip(1).position(|one| fits(record, one)) {
            return Some(above + 1);
        }
        // Of a root, the store has name and key; its certificate comes with the chain or in the record.
        let spki = webpki::spki_for_anchor(anchor);
        let is_root = |one: &CertificateDer<'_>| Skeleton::parse(one).is_ok_and(|one| one.spki == &*spki);
        let root = chain.iter().skip(1).any(|one| fits(record, one) && is_root(one));
        if root || (record.selector == Selector::Key && record.matches_bytes(&spki)) {
            return Some(path.len());
        }
    }
    None
}

fn fits(record: &Tlsa<'_>, certificate: &CertificateDer<'_>) -> bool {
    Skeleton::parse(certificate).is_ok_and(|one| record.matches(&one))
}

/// The certificates from the leaf up to one of the anchors, those not included, if there is such a chain now.
fn built(
    leaf: &Skeleton<'_>,
    chain: &[CertificateDer<'_>],
    trust: Trust<'_>,
    anchors: &[TrustAnchor<'_>],
    now: Moment,
) -> Option<Vec<CertificateDer<'static>>> {
    let helpers = helpers(chain, trust.intermediates);
    let looked = Presented::new(leaf).look(|end, algorithms| {
        let path = end
            .verify_for_usage(algorithms, anchors, &helpers, unix(now), Purpose::Server, None, None)
            .ok()?;
        let above = path.intermediate_certificates().map(|one| one.der().into_owned());
        Some(std::iter::once(CertificateDer::from(leaf.der.to_vec())).chain(above).collect())
    });
    looked.ok().flatten()
}

/// Whether the leaf is for this name: by its alternative names or, when it has none for hosts, by its common name, as mail
/// servers' certificates still may. RFC 7671 §10.1 leaves names to the application; RFC 7672 §3.2.3 allows common names.
fn is_for(leaf: &Skeleton<'_>, name: &str) -> bool {
    let Ok(server) = ServerName::try_from(name) else { return false };
    let by_names = Presented::new(leaf).look(|end, _| {
        (end.verify_is_valid_for_subject_name(&server).is_ok(), end.valid_dns_names().next().is_some())
    });
    match by_names {
        Ok((true, _)) => true,
        Ok((false, true)) | Err(_) => false,
        Ok((false, false)) => common_names(leaf).iter().any(|common| same_host(common, name)),
    }
}

fn common_names(leaf: &Skeleton<'_>) -> Vec<String> {
    let Ok((_, parsed)) = x509_parser::certificate::X509Certificate::from_der(leaf.der) else {
        return Vec::new();
    };
    let names = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    names.take(COMMON_NAMES_MAX).map(str::to_owned).collect()
}

/// Whether a presented host name, perhaps with `*` as its first label, is this name.
fn same_host(presented: &str, name: &str) -> bool {
    let (presented, name) = (presented.trim_end_matches('.'), name.trim_end_matches('.'));
    let wildcard = presented.strip_prefix("*.").filter(|rest| rest.contains('.'));
    match (wildcard, name.split_once('.')) {
        (Some(rest), Some((_, parent))) => rest.eq_ignore_ascii_case(parent),
        _ => presented.eq_ignore_ascii_case(name),
    }
}

/// How many TLSA records of one name are looked at.
pub const RECORDS_MAX: usize = 32;
const COMMON_NAMES_MAX: usize = 4;
