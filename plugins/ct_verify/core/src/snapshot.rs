//! Snapshots of revocation lists: which list takes the place of which, and whether one snapshot may take the place of another.
//!
//! A list covers what its issuer, the identifier of the key that signed it and its distribution point say; of two that cover the same, the
//! later one counts. What cannot be judged by, like a delta list, is no list here, so that it hides none. Signatures are checked by whoever
//! knows the issuers.

use std::collections::{BTreeMap, BTreeSet};

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
    next_update: Moment,
    digest: Sha256,
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
    /// A list has expired, and is not in use.
    #[error("a list has expired")]
    Expired,
    /// A list in use is gone, though an earlier one could come in its place.
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
            SnapshotProblem::Expired => "list_expired",
            SnapshotProblem::Gone => "list_gone",
        }
    }
}

/// The latest list for each cover, of our own and of those in use; what is no list is left out, and so is what is older than the list in use.
///
/// What has expired is left out unless it is in use: that stays for [`KEPT_SECONDS`], since without it an earlier list that is valid for longer could
/// come back, and with it what was revoked since would be good. So the outcome may take the place of `in_use`; see [`check_successor`].
pub fn merge(own: &[Vec<u8>], in_use: &[Vec<u8>], now: Moment) -> Vec<Vec<u8>> {
    let newest = newest(in_use);
    let mut latest: BTreeMap<Cover, (Listed, &Vec<u8>)> = BTreeMap::new();
    for list in own.iter().chain(in_use) {
        let Some(listed) = read(list) else { continue };
        let used = newest.get(&listed.cover);
        let stays = used.is_some_and(|used| used.digest == listed.digest && !used.may_go(now));
        let comes = !listed.is_expired(now) && used.is_none_or(|used| used.this_update <= listed.this_update);
        if !stays && !comes {
            continue;
        }
        let held = latest.entry(listed.cover).or_insert((listed, list));
        if held.0.order() < listed.order() {
            *held = (listed, list);
        }
    }
    latest.into_values().map(|(_, list)| list.clone()).collect()
}

/// Whether `new` may take the place of `old`: it holds every list that `old` holds, or a later one, but for such as expired long ago; and no
/// other list that has expired.
///
/// # Errors
/// [`SnapshotProblem`]: the first that speaks against it.
pub fn check_successor(old: &[Vec<u8>], new: &[Vec<u8>], now: Moment) -> Result<(), SnapshotProblem> {
    let old = newest(old);
    let mut covers = BTreeMap::new();
    for list in new {
        let listed = read(list).ok_or(SnapshotProblem::Malformed)?;
        let is_used = old.get(&listed.cover).is_some_and(|used| used.digest == listed.digest);
        if listed.is_expired(now) && !is_used {
            return Err(SnapshotProblem::Expired);
        }
        if covers.insert(listed.cover, listed.this_update).is_some() {
            return Err(SnapshotProblem::Ambiguous);
        }
    }
    for (cover, used) in &old {
        match covers.get(cover) {
            Some(this_update) if *this_update < used.this_update => return Err(SnapshotProblem::Older),
            None if !used.may_go(now) => return Err(SnapshotProblem::Gone),
            _ => {}
        }
    }
    Ok(())
}

/// Whether one of the lists covers something that none of `known` covers.
pub fn covers_more<'a>(lists: &[Vec<u8>], known: impl IntoIterator<Item = &'a Vec<u8>>) -> bool {
    let cover = |list: &Vec<u8>| read(list).map(|listed| listed.cover);
    let known: BTreeSet<Cover> = known.into_iter().filter_map(cover).collect();
    lists.iter().filter_map(cover).any(|cover| !known.contains(&cover))
}

/// The latest list for each cover.
fn newest(lists: &[Vec<u8>]) -> BTreeMap<Cover, Listed> {
    let mut newest: BTreeMap<Cover, Listed> = BTreeMap::new();
    for listed in lists.iter().filter_map(|list| read(list)) {
        let held = newest.entry(listed.cover).or_insert(listed);
        if held.order() < listed.order() {
            *held = listed;
        }
    }
    newest
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
        self.next_update <= now
    }

    /// Whether nothing comes back in its place: it has expired, and so has every earlier list that was valid for [`KEPT_SECONDS`] at most.
    fn may_go(&self, now: Moment) -> bool {
        self.is_expired(now) && self.this_update.plus_seconds(KEPT_SECONDS) <= now
    }

    /// Of two lists that cover the same, the one with the greater order counts.
    fn order(&self) -> (Moment, Moment, Sha256) {
        (self.this_update, self.next_update, self.digest)
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
    let next_update = list.next_update()?;
    rest.is_empty().then(|| Listed {
        cover: Cover(cover),
        this_update: Moment::from_seconds(list.last_update().timestamp()),
        next_update: Moment::from_seconds(next_update.timestamp()),
        digest: Sha256::of(der),
    })
}

/// For how long a list in use stays though it has expired, from when it was made, in seconds: 400 days. Public authorities make lists that are
/// valid for a year at most.
const KEPT_SECONDS: u64 = 400 * 86_400;
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
        let (lasting, used) = (lasting("Alder", None, 1, 20), lasting("Alder", None, 2, 3));
        let other = list("Birch", None, 3);
        let own = [lasting, other.clone()];
        let mut in_use = vec![used.clone()];
        for round in 0..3 {
            let mut merged = merge(&own, &in_use, day(5));
            assert_eq!(check_successor(&in_use, &merged, day(5)), Ok(()), "{round}");
            let mut expected = vec![used.clone(), other.clone()];
            merged.sort_unstable();
            expected.sort_unstable();
            assert_eq!(merged, expected, "{round}");
            in_use = merged;
        }
        let successor = |lists: &[Vec<u8>]| check_successor(&in_use, lists, day(5));
        assert_eq!(successor(&own), Err(SnapshotProblem::Older));
        assert_eq!(successor(&[other]), Err(SnapshotProblem::Gone), "a snapshot between would let it back");
    }

    #[test]
    fn an_expired_list_in_use_goes_once_no_earlier_one_is_valid() {
        let (used, other) = (lasting("Alder", None, 2, 3), lasting("Birch", None, 2, 3));
        let in_use = [used.clone()];
        let (last, over) = ("2027-09-05T23:59:59Z".parse().unwrap(), "2027-09-06T00:00:00Z".parse().unwrap());
        assert_eq!(merge(&in_use, &in_use, last), in_use);
        assert_eq!(check_successor(&in_use, &[], last), Err(SnapshotProblem::Gone));
        assert_eq!(merge(&in_use, &in_use, over), Vec::<Vec<u8>>::new());
        assert_eq!(check_successor(&in_use, &[], over), Ok(()));
        assert_eq!(check_successor(&in_use, &[used, other], last), Err(SnapshotProblem::Expired));
    }

    #[test]
    fn shards_of_one_issuer_stand_beside_each_other() {
        let shards = [list("Alder", Some("http://a/1"), 1), list("Alder", Some("http://a/2"), 1)];
        assert_eq!(merge(&shards, &[], day(2)).len(), 2);
        assert_eq!(check_successor(&shards, &shards[..1], day(2)), Err(SnapshotProblem::Gone));
    }

    #[test]
    fn a_later_list_covers_no_more() {
        let (old, new, other) = (list("Alder", None, 1), list("Alder", None, 2), list("Birch", None, 2));
        assert!(!covers_more(std::slice::from_ref(&new), [&old]));
        assert!(covers_more(&[new, other], [&old]));
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
        assert_eq!(
            check(&[&old, &other], &[&other], day(8)),
            Err(SnapshotProblem::Gone),
            "nor what has expired"
        );
        assert_eq!(check(&[], &[&old, &new], day(3)), Err(SnapshotProblem::Ambiguous));
        assert_eq!(check(&[], &[&b"none".to_vec()], day(3)), Err(SnapshotProblem::Malformed));
    }
}
