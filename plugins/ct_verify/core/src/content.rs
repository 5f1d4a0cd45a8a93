//! Content that operations name by its SHA-256, as bytes: a chain, roots with intermediates, revocation lists. A log list is its own bytes.
//!
//! Two replicas that hold the same things make the same bytes, in whatever order they came by them.

use std::collections::BTreeMap;

use rustls_pki_types::{CertificateDer, Der, TrustAnchor};
use thiserror::Error;

use crate::chain::CHAIN_MAX;
use crate::digest::Sha256;
use crate::revocation::{Crl, CrlSet};
use crate::roots::{INTERMEDIATES_MAX, Intermediates, ROOTS_MAX, RootKind, RootStore};
use crate::skeleton::CERTIFICATE_BYTES_MAX;
use crate::wire::{Wire, push_vector};

/// The bytes are not such content.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not {what}: {why}")]
pub struct ContentError {
    what: &'static str,
    why: &'static str,
}

/// A chain: u32 number of certificates, then each led by its u32 length, in the order given. Those beyond [`CHAIN_CERTIFICATES_MAX`] are left
/// out.
pub fn encode_chain(chain: &[CertificateDer<'_>]) -> Vec<u8> {
    let chain = &chain[..chain.len().min(CHAIN_CERTIFICATES_MAX)];
    let mut out = Vec::new();
    push_list(&mut out, chain.iter().map(|certificate| &certificate[..]));
    out
}

/// Reads a chain.
///
/// # Errors
/// [`ContentError`]: there is none, it has more or longer certificates than are looked at, or bytes are missing or left.
pub fn decode_chain(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, ContentError> {
    let error = |why| ContentError { what: "a chain", why };
    let mut wire = Wire::new(bytes);
    let list = list(&mut wire, CHAIN_CERTIFICATES_MAX, CERTIFICATE_BYTES_MAX).map_err(error)?;
    match (wire.is_empty(), list.is_empty()) {
        (false, _) => Err(error(BYTES_LEFT)),
        (_, true) => Err(error("it is empty")),
        _ => Ok(list.into_iter().map(|one| CertificateDer::from(one.to_vec())).collect()),
    }
}

/// Roots and intermediates: a version byte, public roots, private roots, intermediates; each a list in the order of its bytes, none twice.
pub fn encode_trust(roots: &RootStore, intermediates: &Intermediates) -> Vec<u8> {
    let mut out = vec![TRUST_VERSION];
    for kind in [RootKind::Public, RootKind::Private] {
        let of_kind = roots.entries().filter(|(_, one)| *one == kind);
        push_sorted(&mut out, of_kind.map(|(anchor, _)| encode_anchor(anchor)).collect());
    }
    push_sorted(&mut out, intermediates.iter().map(|one| one.to_vec()).collect());
    out
}

/// Reads roots and intermediates. The store's version is the word `agreed`.
///
/// # Errors
/// [`ContentError`]: of another version, out of bounds, or bytes are missing or left.
pub fn decode_trust(bytes: &[u8]) -> Result<(RootStore, Intermediates), ContentError> {
    let error = |why| ContentError { what: "roots", why };
    let mut wire = Wire::new(bytes);
    if wire.u8() != Some(TRUST_VERSION) {
        return Err(error("of another version"));
    }
    let mut anchors = Vec::new();
    for kind in [RootKind::Public, RootKind::Private] {
        for anchor in list(&mut wire, ROOTS_MAX - anchors.len(), CERTIFICATE_BYTES_MAX).map_err(error)? {
            anchors.push((decode_anchor(anchor).ok_or(error("a root is malformed"))?, kind));
        }
    }
    let above = list(&mut wire, INTERMEDIATES_MAX, CERTIFICATE_BYTES_MAX).map_err(error)?;
    if !wire.is_empty() {
        return Err(error(BYTES_LEFT));
    }
    let above = above.into_iter().map(|one| CertificateDer::from(one.to_vec()));
    Ok((RootStore::new(TRUST_NAME, anchors), Intermediates::new(above)))
}

/// Revocation lists in DER: a list in the order of their SHA-256, none twice.
pub fn encode_lists(lists: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let by_digest: BTreeMap<Sha256, &[u8]> = lists.iter().map(|list| (Sha256::of(list), &list[..])).collect();
    push_list(&mut out, by_digest.values().copied());
    out
}

/// Reads revocation lists: each in DER, whether it is well formed or not.
///
/// # Errors
/// [`ContentError`]: more or longer lists than are looked at, or bytes are missing or left.
pub fn decode_lists(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ContentError> {
    let error = |why| ContentError { what: "revocation lists", why };
    let mut wire = Wire::new(bytes);
    let lists = list(&mut wire, LISTS_MAX, bytes.len()).map_err(error)?;
    if wire.is_empty() { Ok(lists.into_iter().map(<[u8]>::to_vec).collect()) } else { Err(error(BYTES_LEFT)) }
}

/// The lists as certificates are asked about them.
pub fn crl_set(lists: &[Vec<u8>]) -> CrlSet {
    CrlSet::new(lists.iter().map(|list| Crl::parse(list)))
}

/// Name, key and name constraints: each led by its u32 length, the last absent when there are none.
fn encode_anchor(anchor: &TrustAnchor<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let parts =
        [Some(&anchor.subject), Some(&anchor.subject_public_key_info), anchor.name_constraints.as_ref()];
    for part in parts.into_iter().flatten() {
        push_vector(&mut out, 4, part).expect("a certificate is shorter than 4 GiB");
    }
    out
}

fn decode_anchor(bytes: &[u8]) -> Option<TrustAnchor<'static>> {
    let mut wire = Wire::new(bytes);
    let owned = |part: &[u8]| Der::from(part.to_vec());
    let (subject, key) = (owned(wire.vector(4)?), owned(wire.vector(4)?));
    let constraints = if wire.is_empty() { None } else { Some(owned(wire.vector(4)?)) };
    wire.is_empty().then_some(TrustAnchor {
        subject,
        subject_public_key_info: key,
        name_constraints: constraints,
    })
}

fn push_sorted(out: &mut Vec<u8>, mut items: Vec<Vec<u8>>) {
    items.sort_unstable();
    items.dedup();
    push_list(out, items.iter().map(Vec::as_slice));
}

fn push_list<'a>(out: &mut Vec<u8>, items: impl ExactSizeIterator<Item = &'a [u8]>) {
    let count = u32::try_from(items.len()).expect("lists are bounded");
    out.extend(count.to_be_bytes());
    items.for_each(|item| push_vector(out, 4, item).expect("an item is shorter than 4 GiB"));
}

fn list<'a>(wire: &mut Wire<'a>, most: usize, bytes_max: usize) -> Result<Vec<&'a [u8]>, &'static str> {
    const ENDS_EARLY: &str = "it ends early";
    let count = wire.number(4).ok_or(ENDS_EARLY)?;
    if count > most as u64 {
        return Err("it has too many parts");
    }
    let mut items = Vec::new();
    for _ in 0..count {
        let item = wire.vector(4).ok_or(ENDS_EARLY)?;
        if item.len() > bytes_max {
            return Err("a part is too long");
        }
        items.push(item);
    }
    Ok(items)
}

const BYTES_LEFT: &str = "bytes are left";
const TRUST_VERSION: u8 = 1;
/// What a store of roots that were agreed on is called in verdicts.
pub const TRUST_NAME: &str = "agreed";
/// How many certificates of a chain are handed on: one more than is looked at, so that the verdict can say so.
pub const CHAIN_CERTIFICATES_MAX: usize = CHAIN_MAX + 1;
/// How many revocation lists stand in one snapshot.
pub const LISTS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(name: &str, constraints: Option<&str>) -> TrustAnchor<'static> {
        TrustAnchor {
            subject: name.as_bytes().to_vec().into(),
            subject_public_key_info: b"key".to_vec().into(),
            name_constraints: constraints.map(|text| text.as_bytes().to_vec().into()),
        }
    }

    #[test]
    fn chains_come_back_as_they_were() {
        let chain = [CertificateDer::from(vec![1, 2, 3]), CertificateDer::from(vec![4])];
        let bytes = encode_chain(&chain);
        assert_eq!(bytes, [0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 1, 4]);
        assert_eq!(decode_chain(&bytes).unwrap(), chain);
        for length in 0..bytes.len() {
            assert!(decode_chain(&bytes[..length]).is_err(), "{length}");
        }
        assert!(decode_chain(&[&bytes[..], &[0]].concat()).is_err());
        assert!(decode_chain(&encode_chain(&[])).is_err());
    }

    #[test]
    fn a_chain_beyond_the_bound_is_cut_when_written_and_refused_when_read() {
        let many = vec![CertificateDer::from(vec![1]); CHAIN_CERTIFICATES_MAX + 1];
        assert_eq!(decode_chain(&encode_chain(&many)).unwrap().len(), CHAIN_CERTIFICATES_MAX);
        let mut bytes = encode_chain(&many);
        bytes[3] += 1;
        bytes.extend([0, 0, 0, 1, 1]);
        assert!(decode_chain(&bytes).is_err());
    }

    #[test]
    fn roots_come_back_with_their_kinds_whatever_their_order() {
        let public = (anchor("a", None), RootKind::Public);
        let private = (anchor("b", Some("only example.org")), RootKind::Private);
        let none = Intermediates::default();
        let bytes = encode_trust(&RootStore::new("x", [public.clone(), private.clone()]), &none);
        let again =
            encode_trust(&RootStore::new("y", [private.clone(), public.clone(), public.clone()]), &none);
        assert_eq!(bytes, again);
        let (roots, intermediates) = decode_trust(&bytes).unwrap();
        assert_eq!(
            roots.entries().map(|(anchor, kind)| (anchor.clone(), kind)).collect::<Vec<_>>(),
            [public, private]
        );
        assert!(intermediates.is_empty());
        for length in 0..bytes.len() {
            assert!(decode_trust(&bytes[..length]).is_err(), "{length}");
        }
        assert!(decode_trust(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn a_count_that_the_bytes_do_not_hold_costs_nothing() {
        assert!(decode_lists(&[0xff; 8]).is_err());
        assert!(decode_lists(&[0, 0, 4, 0]).is_err());
        assert!(decode_chain(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn lists_come_back_sorted_and_once() {
        let bytes = encode_lists(&[vec![9], vec![1, 2], vec![9]]);
        let mut expected = [vec![1, 2], vec![9]];
        expected.sort_by_key(|list| Sha256::of(list));
        assert_eq!(decode_lists(&bytes).unwrap(), expected);
        assert_eq!(bytes, encode_lists(&[vec![1, 2], vec![9]]));
    }
}
