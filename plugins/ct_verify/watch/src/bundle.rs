//! Several files as one: what replicas hand one another when they agree on a snapshot of revocation lists.
//!
//! A count in four bytes, then each item's length in four bytes and the item; big-endian. Items stand in the order of their SHA-256,
//! none twice, so that equal sets are equal bytes.

use bytes::Bytes;
use thiserror::Error;
use transparency::digest::Sha256;

/// The bytes are no bundle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    /// More items than the bound.
    #[error("the bundle has more than {BUNDLE_ITEMS_MAX} items")]
    TooMany,
    /// An item is cut off, or bytes are left.
    #[error("the bundle is cut off, or bytes are left behind it")]
    Length,
    /// The items do not stand in the order of their digests, or one stands there twice.
    #[error("the items of the bundle are not in their order")]
    Order,
}

/// The bundle of these items, whatever their order.
///
/// # Panics
/// Never: items beyond [`BUNDLE_ITEMS_MAX`] are left out, and none is as long as a `u32` can say.
pub fn encode<'a>(items: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut items: Vec<(Sha256, &[u8])> = items.into_iter().map(|item| (Sha256::of(item), item)).collect();
    items.sort_unstable_by_key(|(digest, _)| *digest);
    items.dedup_by_key(|(digest, _)| *digest);
    items.truncate(BUNDLE_ITEMS_MAX);
    let length =
        |length: usize| u32::try_from(length).expect("items are bounded far below 4 GiB").to_be_bytes();
    let mut bytes = length(items.len()).to_vec();
    for (_, item) in items {
        bytes.extend_from_slice(&length(item.len()));
        bytes.extend_from_slice(item);
    }
    bytes.into()
}

/// The items of a bundle.
///
/// # Errors
/// [`BundleError`] when the bytes are not exactly what [`encode`] makes of them.
pub fn decode(bytes: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let (count, mut rest) = number(bytes).ok_or(BundleError::Length)?;
    if BUNDLE_ITEMS_MAX < count {
        return Err(BundleError::TooMany);
    }
    let (mut items, mut last) = (Vec::with_capacity(count), None);
    for _ in 0..count {
        let (length, behind) = number(rest).ok_or(BundleError::Length)?;
        let (item, behind) = behind.split_at_checked(length).ok_or(BundleError::Length)?;
        let digest = Sha256::of(item);
        if last.is_some_and(|last| digest <= last) {
            return Err(BundleError::Order);
        }
        (last, rest) = (Some(digest), behind);
        items.push(item);
    }
    if rest.is_empty() { Ok(items) } else { Err(BundleError::Length) }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*number)).ok().map(|number| (number, rest))
}

/// How many items a bundle may have.
pub const BUNDLE_ITEMS_MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_is_the_same_whatever_the_order_of_its_items() {
        let bundle = encode([&b"one"[..], b"two", b"three", b"two"]);
        assert_eq!(encode([&b"three"[..], b"one", b"two"]), bundle);
        let mut items = decode(&bundle).unwrap();
        items.sort_unstable();
        assert_eq!(items, [&b"one"[..], b"three", b"two"]);
        assert_eq!(decode(&encode([])).unwrap(), Vec::<&[u8]>::new());
    }

    #[test]
    fn what_encode_does_not_make_is_refused() {
        let bundle = encode([&b"one"[..], b"two"]);
        for cut in 0..bundle.len() {
            assert_eq!(decode(&bundle[..cut]), Err(BundleError::Length), "{cut}");
        }
        assert_eq!(decode(&[&bundle[..], b"x"].concat()), Err(BundleError::Length));
        let swapped = [&bundle[..4], &bundle[11..], &bundle[4..11]].concat();
        assert_eq!(decode(&swapped), Err(BundleError::Order));
        let twice = [&bundle[..4], &bundle[4..11], &bundle[4..11]].concat();
        assert_eq!(decode(&twice), Err(BundleError::Order));
        assert_eq!(decode(&u32::MAX.to_be_bytes()), Err(BundleError::TooMany));
    }
}
