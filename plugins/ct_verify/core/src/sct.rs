//! Signed certificate timestamps, and the list of them in a certificate. RFC 6962 §3.2 and §3.3.
//!
//! Reads bytes. Whether a signature fits is for `signature.rs`, whether the timestamp counts for `policy.rs`.

use thiserror::Error;

use crate::der;
use crate::digest::{LogId, Sha256};
use crate::moment::Moment;
use crate::wire::Wire;

/// One signed certificate timestamp of version 1; borrows from the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sct<'a> {
    /// The log that signed it.
    pub log_id: LogId,
    /// When the log promised to take the certificate in.
    pub timestamp: Moment,
    /// `CtExtensions`, which the signature covers; empty, or with `leaf_index` from a static-ct log.
    pub extensions: &'a [u8],
    /// What was signed how, and the signature.
    pub signed: DigitallySigned<'a>,
}

/// `DigitallySigned` of RFC 5246 §4.7: two algorithm numbers and the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitallySigned<'a> {
    /// TLS HashAlgorithm: 4 is SHA-256.
    pub hash: u8,
    /// TLS SignatureAlgorithm: 3 is ECDSA, 1 is RSA PKCS#1 v1.5.
    pub algorithm: u8,
    /// The signature itself.
    pub signature: &'a [u8],
}

/// One entry of a list, opaque to the list itself: what one holds does not spoil the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListEntry<'a> {
    /// A timestamp of version 1.
    V1(Sct<'a>),
    /// An entry of a version that we do not know; its body is not looked at.
    UnknownVersion(u8),
    /// An entry of version 1 whose body is not one.
    Malformed,
}

/// Why a whole list is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ListError {
    /// The extension's value is not one OCTET STRING.
    #[error("the extension's value is not exactly one OCTET STRING")]
    NotOctetString,
    /// The list's length is not that of the bytes.
    #[error("the length of the list is not that of its bytes")]
    Length,
    /// The list has no entry.
    #[error("the list is empty")]
    Empty,
    /// An entry has no bytes.
    #[error("an entry of the list is empty")]
    EmptyEntry,
    /// More entries than anybody embeds.
    #[error("the list has more than {SCTS_MAX} entries")]
    TooMany,
}

/// Reads the list that an X.509 extension holds; `value` is the content of its `extnValue`.
///
/// # Errors
/// [`ListError`] when any of the three levels has bytes too many or too few; no entry is returned then.
pub fn parse_extension(value: &[u8]) -> Result<Vec<ListEntry<'_>>, ListError> {
    let inner = der::only(value, der::OCTET_STRING).map_err(|_| ListError::NotOctetString)?;
    parse_list(inner.body)
}

/// Reads a `SignedCertificateTimestampList` as the TLS extension carries it.
///
/// # Errors
/// [`ListError`] when the list as a whole is malformed.
pub fn parse_list(bytes: &[u8]) -> Result<Vec<ListEntry<'_>>, ListError> {
    let mut outer = Wire::new(bytes);
    let body = outer.vector(2).ok_or(ListError::Length)?;
    if !outer.is_empty() {
        return Err(ListError::Length);
    }
    if body.is_empty() {
        return Err(ListError::Empty);
    }
    let mut list = Wire::new(body);
    let mut entries = Vec::new();
    while !list.is_empty() {
        let entry = list.vector(2).ok_or(ListError::Length)?;
        if entries.len() == SCTS_MAX {
            return Err(ListError::TooMany);
        }
        entries.push(match entry.first() {
            None => return Err(ListError::EmptyEntry),
            Some(&V1) => parse_sct(entry).map_or(ListEntry::Malformed, ListEntry::V1),
            Some(&version) => ListEntry::UnknownVersion(version),
        });
    }
    Ok(entries)
}

/// Reads one timestamp of version 1, with nothing after it.
pub fn parse_sct(bytes: &[u8]) -> Option<Sct<'_>> {
    let mut wire = Wire::new(bytes);
    if wire.u8()? != V1 {
        return None;
    }
    let log_id = LogId(Sha256(wire.array()?));
    let timestamp = Moment::from_milliseconds(wire.number(8)?);
    let extensions = wire.vector(2)?;
    let signed = parse_signed(&mut wire)?;
    wire.is_empty().then_some(Sct { log_id, timestamp, extensions, signed })
}

/// Reads a `DigitallySigned` that is all of the bytes.
pub fn parse_digitally_signed(bytes: &[u8]) -> Option<DigitallySigned<'_>> {
    let mut wire = Wire::new(bytes);
    parse_signed(&mut wire).filter(|_| wire.is_empty())
}

fn parse_signed<'a>(wire: &mut Wire<'a>) -> Option<DigitallySigned<'a>> {
    Some(DigitallySigned { hash: wire.u8()?, algorithm: wire.u8()?, signature: wire.vector(2)? })
}

/// Where in its log a static-ct log put the entry, from the extensions of its timestamp.
///
/// `Ok(None)` when no such extension is there; other extensions are passed over.
///
/// # Errors
/// [`ExtensionsError`] when the extensions are not a list of extensions, or hold two positions.
///
/// Source: C2SP static-ct-api, "SCT Extension".
pub fn leaf_index(extensions: &[u8]) -> Result<Option<u64>, ExtensionsError> {
    let mut wire = Wire::new(extensions);
    let mut index = None;
    while !wire.is_empty() {
        let kind = wire.u8().ok_or(ExtensionsError)?;
        let data = wire.vector(2).ok_or(ExtensionsError)?;
        if kind == LEAF_INDEX {
            let mut data = Wire::new(data);
            let number = data.number(LEAF_INDEX_BYTES).filter(|_| data.is_empty()).ok_or(ExtensionsError)?;
            if index.replace(number).is_some() {
                return Err(ExtensionsError);
            }
        }
    }
    Ok(index)
}

/// The extensions of a timestamp are not a list of extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the extensions of the timestamp are malformed")]
pub struct ExtensionsError;

/// How many entries a list may have. The most seen in a real certificate is 13.
pub const SCTS_MAX: usize = 64;
const V1: u8 = 0;
const LEAF_INDEX: u8 = 0;
const LEAF_INDEX_BYTES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn sct(version: u8) -> Vec<u8> {
        let mut bytes = vec![version];
        bytes.extend([9; 32]);
        bytes.extend(1_000u64.to_be_bytes());
        bytes.extend([0, 0, 4, 3, 0, 2, 1, 2]);
        bytes
    }

    fn list(entries: &[&[u8]]) -> Vec<u8> {
        let body: Vec<u8> = entries
            .iter()
            .flat_map(|entry| (entry.len() as u16).to_be_bytes().into_iter().chain(entry.iter().copied()))
            .collect();
        [&(body.len() as u16).to_be_bytes()[..], &body].concat()
    }

    #[test]
    fn an_unknown_version_does_not_hide_the_entries_after_it() {
        let bytes = list(&[&[9], &sct(0)]);
        let entries = parse_list(&bytes).unwrap();
        assert_eq!(entries[0], ListEntry::UnknownVersion(9));
        assert!(
            matches!(entries[1], ListEntry::V1(sct) if sct.timestamp == Moment::from_milliseconds(1_000))
        );
    }

    #[test]
    fn bytes_after_a_signature_spoil_one_entry_alone() {
        let mut longer = sct(0);
        longer.push(0);
        let bytes = list(&[&longer, &sct(0)]);
        let entries = parse_list(&bytes).unwrap();
        assert_eq!(entries[0], ListEntry::Malformed);
        assert!(matches!(entries[1], ListEntry::V1(_)));
    }

    #[test]
    fn empty_lists_and_empty_entries_are_refused() {
        assert_eq!(parse_list(&[0, 0]), Err(ListError::Empty));
        assert_eq!(parse_list(&[]), Err(ListError::Length));
        assert_eq!(parse_list(&list(&[&[]])), Err(ListError::EmptyEntry));
    }

    #[test]
    fn lists_longer_or_shorter_than_they_say_are_refused() {
        let mut bytes = list(&[&sct(0)]);
        bytes.push(0);
        assert_eq!(parse_list(&bytes), Err(ListError::Length));
        bytes.truncate(bytes.len() - 2);
        assert_eq!(parse_list(&bytes), Err(ListError::Length));
    }

    #[test]
    fn more_entries_than_the_bound_are_refused() {
        let entry: &[u8] = &[9];
        assert_eq!(parse_list(&list(&[entry; SCTS_MAX])).unwrap().len(), SCTS_MAX);
        assert_eq!(parse_list(&list(&[entry; SCTS_MAX + 1])), Err(ListError::TooMany));
    }

    #[test]
    fn the_position_is_read_among_other_extensions() {
        assert_eq!(leaf_index(&[]), Ok(None));
        assert_eq!(leaf_index(&[7, 0, 1, 1, 0, 0, 5, 0, 0, 0, 1, 2]), Ok(Some(258)));
        for malformed in
            [&[0, 0, 4, 0, 0, 0, 1][..], &[0, 0, 5, 0], &[0, 0, 5, 0, 0, 0, 0, 1, 0, 0, 5, 0, 0, 0, 0, 1]]
        {
            assert_eq!(leaf_index(malformed), Err(ExtensionsError), "{malformed:?}");
        }
    }
}
