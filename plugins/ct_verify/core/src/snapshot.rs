//! Snapshots of revocation lists: which list takes the place of which, and whether one snapshot may take the place of another.
//!
//! A list covers what its issuer, the identifier of the key that signed it and its distribution point say; of two that cover the same, the
//! later one counts. What cannot be judged by, like a delta list, is no list here, so that it hides none. Signatures are checked by whoever
//! knows the issuers.

use std::collections::BTreeMap;

use thiserror::Error;
use x509_parser::der_parser::{Oid, oid};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::der::{self, Reader};
use crate::digest::Sha256;
use crate::moment::Moment;
use crate::revocation::is_readable;

/// What a list covers, as a digest over issuer, key identifier and distribution point. An issuer with a new key still makes lists with the old
/// one, for what that signed. RFC 5280 §5.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cover(Sha256);

/// Which list this is.
#[derive(Debug, Clone, Copy)]
struct Listed {
    cover: Cover,
    this_update: Moment,
    next_update: Option<Moment>,
}

/// Why a snapshot may not take the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SnapshotProblem {
    /// A list is none, or none that certificates can be judged by.
    #[error("a list is malformed")]
    Malformed,
    /// Two lists cover the same.
    #[error("two lists cover the same")]
    Ambiguous,
    /// A list is older than the one in use.
    #[error("a list is older than the one in use")]
    Older,
    /// A list in use that has not expired is gone.
    #[error("a list in use is gone")]
    Gone,
}

impl SnapshotProblem {
    /// The word for programs.
    pub fn code(self) -> &'static str {
        match self {
            SnapshotProblem::Malformed => "list_malformed",
            SnapshotProblem::Ambiguous => "lists_ambiguous",
            SnapshotProblem::Older => "list_older",
            SnapshotProblem::Gone => "list_gone",
        }
    }
}

/// The latest list for each cover, of our own and of those in use; what is expired or no list is left out, and so is what is older than the list in
/// use, be that expired. So the outcome may take the place of `in_use`; see [`check_successor`].
pub fn merge(own: &[Vec<u8>], in_use: &[Vec<u8>], now: Moment) -> Vec<Vec<u8>> {
    let mut oldest: BTreeMap<Cover, Moment> = BTreeMap::new();
    for listed in in_use.iter().filter_map(|list| read(list)) {
        let held = oldest.entry(listed.cover).or_insert(listed.this_update);
        *held = listed.this_update.max(*held);
    }
    let mut latest: BTreeMap<Cover, (Moment, Sha256, &Vec<u8>)> = BTreeMap::new();
    for list in own.iter().chain(in_use) {
        let Some(listed) = read(list).filter(|listed| !listed.is_expired(now)) else { continue };
        if oldest.get(&listed.cover).is_some_and(|oldest| listed.this_update < *oldest) {
            continue;
        }
        let candidate = (listed.this_update, Sha256::of(list), list);
        let held = latest.entry(listed.cover).or_insert(candidate);
        if (held.0, held.1) < (candidate.0, candidate.1) {
            *held = candidate;
        }
    }
    latest.into_values().map(|(_, _, list)| list.clone()).collect()
}

/// Whether `new` may take the place of `old`: it holds every list that `old` holds and that has not expired, or a later one.
///
/// # Errors
/// [`SnapshotProblem`]: the first that speaks against it.
pub fn check_successor(old: &[Vec<u8>], new: &[Vec<u8>], now: Moment) -> Result<(), SnapshotProblem> {
    let mut covers = BTreeMap::new();
    for list in new {
        let listed = read(list).ok_or(SnapshotProblem::Malformed)?;
        if covers.insert(listed.cover, listed.this_update).is_some() {
            return Err(SnapshotProblem::Ambiguous);
        }
    }
    for listed in old.iter().filter_map(|list| read(list)) {
        match covers.get(&listed.cover) {
            Some(this_update) if *this_update < listed.this_update => return Err(SnapshotProblem::Older),
            None if !listed.is_expired(now) => return Err(SnapshotProblem::Gone),
            _ => {}
        }
    }
    Ok(())
}

/// The name of who issued a list, with tag and length; `None` when it is no list. RFC 5280 §5.1.
pub fn issuer(list: &[u8]) -> Option<&[u8]> {
    let signed = Reader::new(der::only(list, der::SEQUENCE).ok()?.body).expect(der::SEQUENCE).ok()?;
    let mut fields = Reader::new(signed.body);
    fields.optional(der::INTEGER).ok()?;
    fields.expect(der::SEQUENCE).ok()?;
    Some(fields.expect(der::SEQUENCE).ok()?.whole)
}

impl Listed {
    fn is_expired(&self, now: Moment) -> bool {
        self.next_update.is_none_or(|next| next <= now)
    }
}

fn read(der: &[u8]) -> Option<Listed> {
    if !is_readable(der) {
        return None;
    }
    let (rest, list) = CertificateRevocationList::from_der(der).ok()?;
    let digest = |oid: Oid<'_>| {
        let extension = list.extensions().iter().find(|extension| extension.oid == oid);
        extension.map_or(Sha256([0; 32]), |extension| Sha256::of(extension.value))
    };
    let issuer = Sha256::of(list.issuer().as_raw());
    let (key, place) = (digest(AUTHORITY_KEY_IDENTIFIER), digest(ISSUING_DISTRIBUTION_POINT));
    let cover = Sha256::of_pieces(&[&issuer.0, &key.0, &place.0]);
    rest.is_empty().then(|| Listed {
        cover: Cover(cover),
        this_update: Moment::from_seconds(list.last_update().timestamp()),
        next_update: list.next_update().map(|next| Moment::from_seconds(next.timestamp())),
    })
}

const ISSUING_DISTRIBUTION_POINT: Oid<'static> = oid!(2.5.29.28);
const AUTHORITY_KEY_IDENTIFIER: Oid<'static> = oid!(2.5.29.35);

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
        CrlIssuingDistributionPoint, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
        date_time_ymd,
    };

    /// A list of the issuer `name`, made on this day of August 2026 and valid for a week.
    fn list(name: &str, place: Option<&str>, day: u8) -> Vec<u8> {
        lasting(name, place, day, 7)
    }

    fn lasting(name: &str, place: Option<&str>, day: u8, days: u8) -> Vec<u8> {
        signed_by(b"the first key", name, place, day, days)
    }

    fn signed_by(key: &[u8], name: &str, place: Option<&str>, day: u8, days: u8) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
        params.key_identifier_method = KeyIdMethod::PreSpecified(key.to_vec());
        let issuer = Issuer::new(params, KeyPair::generate().unwrap());
        let place = place.map(|uri| CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec![uri.to_owned()] },
            scope: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 8, day),
            next_update: date_time_ymd(2026, 8, day + days),
            crl_number: SerialNumber::from(u64::from(day)),
            issuing_distribution_point: place,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::PreSpecified(key.to_vec()),
        };
        list.signed_by(&issuer).unwrap().der().to_vec()
    }

    /// The same list, but for the number of a base that it would complete.
    fn as_delta(list: &[u8]) -> Vec<u8> {
        let (number, base) = ([0x06, 0x03, 0x55, 0x1d, 0x14], [0x06, 0x03, 0x55, 0x1d, 0x1b]);
        let at = list.windows(number.len()).position(|window| window == number).unwrap();
        [&list[..at], &base, &list[at + number.len()..]].concat()
    }

    fn day(day: u8) -> Moment {
        format!("2026-08-{day:02}T00:00:00Z").parse().unwrap()
    }

    #[test]
    fn of_two_lists_for_the_same_the_later_one_is_kept() {
        let (old, new, other) = (list("Alder", None, 1), list("Alder", None, 2), list("Birch", None, 1));
        let mut merged = merge(&[old.clone(), other.clone()], std::slice::from_ref(&new), day(3));
        merged.sort_unstable();
        let mut expected = vec![new, other];
        expected.sort_unstable();
        assert_eq!(merged, expected);
        assert_eq!(merge(&[old], &[b"none".to_vec()], day(9)), Vec::<Vec<u8>>::new(), "expired");
    }

    #[test]
    fn a_delta_list_neither_follows_nor_hides_its_base() {
        let base = list("Alder", None, 1);
        let delta = as_delta(&list("Alder", None, 2));
        let (in_use, both) = (std::slice::from_ref(&base), [base.clone(), delta.clone()]);
        assert_eq!(merge(&both, &[], day(3)), in_use);
        assert_eq!(merge(std::slice::from_ref(&delta), in_use, day(3)), in_use);
        assert_eq!(merge(in_use, std::slice::from_ref(&delta), day(3)), in_use);
        assert_eq!(check_successor(in_use, &[delta], day(3)), Err(SnapshotProblem::Malformed));
        assert_eq!(check_successor(in_use, &both, day(3)), Err(SnapshotProblem::Malformed));
        assert_eq!(check_successor(&both, in_use, day(3)), Ok(()), "what was in use before this rule goes");
    }

    #[test]
    fn a_list_that_is_older_than_an_expired_one_in_use_does_not_come_back() {
        let (lasting, in_use) = (lasting("Alder", None, 1, 20), lasting("Alder", None, 2, 3));
        let other = list("Birch", None, 3);
        let own = [lasting, other.clone()];
        let merged = merge(&own, std::slice::from_ref(&in_use), day(5));
        assert_eq!(merged, [other], "the older one would be refused, and all others with it");
        assert_eq!(check_successor(std::slice::from_ref(&in_use), &merged, day(5)), Ok(()));
        assert_eq!(check_successor(&[in_use], &own, day(5)), Err(SnapshotProblem::Older));
    }

    #[test]
    fn shards_of_one_issuer_stand_beside_each_other() {
        let shards = [list("Alder", Some("http://a/1"), 1), list("Alder", Some("http://a/2"), 1)];
        assert_eq!(merge(&shards, &[], day(2)).len(), 2);
        assert_eq!(check_successor(&shards, &shards[..1], day(2)), Err(SnapshotProblem::Gone));
    }

    #[test]
    fn lists_by_two_keys_of_one_issuer_stand_beside_each_other() {
        let keys = [(b"the first key", 1), (b"the other key", 2)];
        let lists = keys.map(|(key, day)| signed_by(key, "Alder", None, day, 7));
        assert_eq!(merge(&lists, &[], day(3)).len(), 2);
        assert_eq!(check_successor(&lists[..1], &lists, day(3)), Ok(()));
        assert_eq!(check_successor(&lists, &lists[1..], day(3)), Err(SnapshotProblem::Gone));
    }

    #[test]
    fn a_successor_forgets_nothing_and_goes_not_back() {
        let (old, new, other) = (list("Alder", None, 1), list("Alder", None, 2), list("Birch", None, 2));
        let check = |before: &[&Vec<u8>], after: &[&Vec<u8>], now| {
            let owned = |lists: &[&Vec<u8>]| lists.iter().map(|list| (*list).clone()).collect::<Vec<_>>();
            check_successor(&owned(before), &owned(after), now)
        };
        assert_eq!(check(&[&old], &[&new, &other], day(3)), Ok(()));
        assert_eq!(check(&[&new], &[&old], day(3)), Err(SnapshotProblem::Older));
        assert_eq!(check(&[&old, &other], &[&old], day(3)), Err(SnapshotProblem::Gone));
        assert_eq!(check(&[&old, &other], &[&other], day(8)), Ok(()), "what is expired may go");
        assert_eq!(check(&[], &[&old, &new], day(3)), Err(SnapshotProblem::Ambiguous));
        assert_eq!(check(&[], &[&b"none".to_vec()], day(3)), Err(SnapshotProblem::Malformed));
    }
}
