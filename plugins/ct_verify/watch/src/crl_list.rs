//! One revocation list: what it says of itself, who signed it, and which one may follow it.

use bytes::Bytes;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::Serialize;
use thiserror::Error;
use transparency::Moment;
use transparency::digest::Sha256;
use transparency::revocation::is_readable;
use transparency::skeleton::Skeleton;
use x509_parser::prelude::{CertificateRevocationList, FromDer, SubjectPublicKeyInfo};

use crate::config::Source;
use crate::fetch::FetchError;

/// What a list says of itself, its signature verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListFacts {
    /// SHA-256 of the list.
    pub sha256: Sha256,
    /// Who issued it.
    pub issuer: String,
    /// SHA-256 of the key that signed it.
    pub key_sha256: Sha256,
    /// SHA-256 of what it says about which certificates it is for (RFC 5280 §5.2.5); `None` when it is for all of its issuer.
    pub scope: Option<Sha256>,
    /// When it was made.
    pub this_update: Moment,
    /// Until when it is valid.
    pub next_update: Moment,
}

impl ListFacts {
    /// Whether the other list is an earlier or later one of the same signer, for the same certificates.
    fn is_of_place(&self, other: &ListFacts) -> bool {
        (self.key_sha256, self.scope) == (other.key_sha256, other.scope)
    }
}

/// Why a list is not taken.
#[derive(Debug, Error)]
pub enum ListError {
    /// The file cannot be read.
    #[error("not readable: {0}")]
    File(#[from] std::io::Error),
    /// The URL does not answer.
    #[error("not to be had: {0}")]
    Fetch(#[from] FetchError),
    /// Longer than any that is handed on.
    #[error("the list has more than {CRL_BYTES_MAX} bytes")]
    TooLong,
    /// No revocation list, or none that certificates can be judged by, like a delta list.
    #[error("no complete revocation list")]
    Malformed,
    /// Nobody at hand has its issuer's name.
    #[error("its issuer `{0}` is not known")]
    UnknownIssuer(String),
    /// Its issuer has not signed it.
    #[error("no key of its issuer `{0}` signed it")]
    Signature(String),
    /// It does not say until when it is valid.
    #[error("it does not say until when it is valid")]
    Unlimited,
    /// Its time is over.
    #[error("it expired on {0}")]
    Expired(Moment),
    /// Its time has not come.
    #[error("it is of {0}, which is in the future")]
    Future(Moment),
    /// The one in use is newer.
    #[error("it is of {new}, the one in use of {old}")]
    Older {
        /// When the list in use was made.
        old: Moment,
        /// When this one was made.
        new: Moment,
    },
    /// Another key signed it than the one in use, or it is for other certificates.
    #[error(
        "another key signed it, or it is for other certificates, than the one in use, which is valid until {until}"
    )]
    Another {
        /// Until when the list in use is valid.
        until: Moment,
    },
    /// More lists than are looked at.
    #[error("more than {LISTS_PER_PLACE_MAX} lists at one place")]
    TooMany,
    /// No room for it beside the others.
    #[error("all lists together would have more than {SNAPSHOT_BYTES_MAX} bytes")]
    NoRoom,
}

/// Checks a list in DER: form, that certificates can be judged by it, signature by one of these issuers, and that its time is now.
///
/// # Errors
/// [`ListError`] when one of these does not hold.
pub fn check_list<'a>(
    der: &[u8],
    issuers: impl IntoIterator<Item = &'a CertificateDer<'static>>,
    now: Moment,
) -> Result<ListFacts, ListError> {
    if CRL_BYTES_MAX < der.len() {
        return Err(ListError::TooLong);
    }
    let (rest, list) = CertificateRevocationList::from_der(der).map_err(|_| ListError::Malformed)?;
    if !rest.is_empty() || !is_readable(der) {
        return Err(ListError::Malformed);
    }
    let name = list.issuer().as_raw();
    let shown: String = list.issuer().to_string().chars().take(NAME_SHOWN_MAX).collect();
    let issuers = issuers.into_iter().filter_map(|issuer| Skeleton::parse(issuer).ok());
    let named: Vec<Skeleton<'_>> = issuers.filter(|issuer| issuer.subject == name).collect();
    if named.is_empty() {
        return Err(ListError::UnknownIssuer(shown));
    }
    let signed = |issuer: &&Skeleton<'_>| {
        SubjectPublicKeyInfo::from_der(issuer.spki).is_ok_and(|(_, key)| list.verify_signature(&key).is_ok())
    };
    let Some(signer) = named.iter().take(SAME_NAME_MAX).find(signed) else {
        return Err(ListError::Signature(shown));
    };
    let this_update = Moment::from_seconds(list.last_update().timestamp());
    let next_update = list.next_update().ok_or(ListError::Unlimited)?;
    let next_update = Moment::from_seconds(next_update.timestamp());
    if now.plus_seconds(FUTURE_TOLERANCE_SECONDS) < this_update {
        return Err(ListError::Future(this_update));
    }
    if next_update <= now {
        return Err(ListError::Expired(next_update));
    }
    let (sha256, key_sha256) = (Sha256::of(der), signer.key_hash());
    let scope = list.extensions().iter().find(|extension| extension.oid.as_bytes() == SCOPE_OID);
    let scope = scope.map(|extension| Sha256::of(extension.value));
    Ok(ListFacts { sha256, issuer: shown, key_sha256, scope, this_update, next_update })
}

/// The lists in these bytes, in DER: one that came so, or all that there are in PEM.
///
/// # Errors
/// [`ListError::TooMany`] when there are more than are looked at.
pub(crate) fn lists_of(bytes: &[u8]) -> Result<Vec<Bytes>, ListError> {
    // Whatever stands before and between the sections of PEM, a list in DER is a sequence.
    let pem = !bytes.starts_with(&[DER_SEQUENCE]);
    let sections = pem.then(|| {
        let sections = CertificateRevocationListDer::pem_slice_iter(bytes).take(LISTS_PER_PLACE_MAX + 1);
        sections.map(|list| list.map(|list| Bytes::copy_from_slice(&list))).collect::<Result<Vec<_>, _>>()
    });
    match sections {
        Some(Ok(lists)) if LISTS_PER_PLACE_MAX < lists.len() => Err(ListError::TooMany),
        Some(Ok(lists)) if !lists.is_empty() => Ok(lists),
        _ => Ok(vec![Bytes::copy_from_slice(bytes)]),
    }
}

/// A list in use.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub der: Bytes,
    pub facts: ListFacts,
}

/// What is in use of a place once it gave `new` lists, and why one of these is not: one list for each signer and scope, none older than
/// before. `is_all` says that every list there could be checked.
///
/// A file has what the operator wants. What a URL gives must be the next list of the same signer and scope, as long as one of it is valid.
pub(crate) fn succeed(
    source: &Source,
    held: &[Held],
    mut new: Vec<Held>,
    is_all: bool,
    now: Moment,
) -> (Vec<Held>, Option<ListError>) {
    let is_file = matches!(source, Source::File(_));
    let (mut next, mut refused): (Vec<Held>, _) = (Vec::new(), None);
    let valid = held.iter().map(|one| one.facts.next_update).filter(|until| now < *until).max();
    // Of two lists with one signer and scope, the newer one counts.
    new.sort_by_key(|one| std::cmp::Reverse(one.facts.this_update));
    for one in new {
        if next.iter().any(|other| other.facts.is_of_place(&one.facts)) {
            continue;
        }
        match (held.iter().find(|old| old.facts.is_of_place(&one.facts)), valid) {
            (Some(old), _) if one.facts.this_update < old.facts.this_update => {
                let (old_time, new) = (old.facts.this_update, one.facts.this_update);
                refused = refused.or(Some(ListError::Older { old: old_time, new }));
                next.push(old.clone());
            }
            (None, Some(until)) if !is_file => refused = refused.or(Some(ListError::Another { until })),
            _ => next.push(one),
        }
    }
    let stays = |old: &&Held| !is_all || (!is_file && now < old.facts.next_update);
    let is_there = |old: &Held| next.iter().any(|one| one.facts.is_of_place(&old.facts));
    let stay: Vec<Held> = held.iter().filter(stays).filter(|old| !is_there(old)).cloned().collect();
    next.extend(stay);
    (next, refused)
}

/// How long a revocation list may be that is fetched, in bytes: what replicas hand one another.
pub const CRL_BYTES_MAX: usize = SNAPSHOT_BYTES_MAX - 2 * LENGTH_BYTES;
/// How long all lists together may be, with their lengths.
pub const SNAPSHOT_BYTES_MAX: usize = 16 << 20;
pub(crate) const LENGTH_BYTES: usize = 4;
/// How many lists one file or answer may have.
pub const LISTS_PER_PLACE_MAX: usize = 64;
/// How many issuers of one name are tried.
const SAME_NAME_MAX: usize = 8;
const DER_SEQUENCE: u8 = 0x30;
/// `id-ce-issuingDistributionPoint`, 2.5.29.28.
const SCOPE_OID: &[u8] = &[0x55, 0x1d, 0x1c];
const NAME_SHOWN_MAX: usize = 200;
const FUTURE_TOLERANCE_SECONDS: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of this key and scope, made at `hour`, valid for a day.
    fn list(key: u8, scope: Option<u8>, hour: u64) -> Held {
        let this_update = Moment::from_seconds(1_785_542_400).plus_seconds(hour * 3600);
        let sha256 = Sha256::of(&[key, scope.unwrap_or(0), hour as u8]);
        let facts = ListFacts {
            sha256,
            issuer: "CN=Alder".to_owned(),
            key_sha256: Sha256([key; 32]),
            scope: scope.map(|scope| Sha256([scope; 32])),
            this_update,
            next_update: this_update.plus_seconds(86_400),
        };
        Held { der: Bytes::new(), facts }
    }

    /// What follows, as digests, and whether something is refused.
    fn after(source: &Source, held: &[&Held], new: &[&Held], hour: u64) -> (Vec<Sha256>, bool) {
        let now = Moment::from_seconds(1_785_542_400).plus_seconds(hour * 3600);
        let [held, new] = [held, new].map(|lists| lists.iter().copied().cloned().collect::<Vec<_>>());
        let (next, refused) = succeed(source, &held, new, true, now);
        (digests(&next.iter().collect::<Vec<_>>()), refused.is_some())
    }

    fn digests(lists: &[&Held]) -> Vec<Sha256> {
        lists.iter().map(|one| one.facts.sha256).collect()
    }

    #[test]
    fn list_of_a_place_is_followed_by_one_of_the_same_signer_and_scope() {
        let url = Source::Url("http://crl.example.org/1.crl".to_owned());
        let (held, newer) = (list(1, Some(1), 0), list(1, Some(1), 2));
        assert_eq!(after(&url, &[&held], &[&newer], 2), (digests(&[&newer]), false));
        for other in [list(1, Some(2), 2), list(1, None, 2), list(2, Some(1), 2)] {
            assert_eq!(after(&url, &[&held], &[&other], 2), (digests(&[&held]), true));
            assert_eq!(after(&url, &[&held], &[&other], 24), (digests(&[&other]), false));
        }
    }

    #[test]
    fn older_list_follows_none_even_beside_others() {
        let file = Source::File("ours.pem".into());
        let (one, two) = (list(1, None, 5), list(2, None, 5));
        let (older, newer) = (list(1, None, 4), list(2, None, 6));
        let next = after(&file, &[&one, &two], &[&older, &newer], 6);
        assert_eq!(next, (digests(&[&newer, &one]), true));
    }

    #[test]
    fn newest_of_one_signer_and_scope_counts() {
        let file = Source::File("ours.pem".into());
        let (old, new) = (list(1, None, 1), list(1, None, 2));
        for order in [[&old, &new], [&new, &old]] {
            assert_eq!(after(&file, &[], &order, 3), (digests(&[&new]), false));
        }
    }
}
