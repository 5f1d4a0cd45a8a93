//! Strict DER, just enough to cut certificates at the right places.
//!
//! Reads elements with one-byte tags and definite, minimal lengths, and keeps the original bytes of each: what is spliced is
//! never re-encoded. Knows nothing of what the elements mean.

use thiserror::Error;

/// Why bytes are not the DER that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DerError {
    /// The bytes end inside an element.
    #[error("the bytes end inside an element")]
    Truncated,
    /// Bytes are left where none may be.
    #[error("bytes are left after the last element")]
    Trailing,
    /// Another element stands here than expected.
    #[error("expected an element with tag 0x{expected:02x}, got 0x{found:02x}")]
    Tag {
        /// The tag that should stand here.
        expected: u8,
        /// The tag that stands here.
        found: u8,
    },
    /// The length is indefinite, not minimal, or beyond 32 bits.
    #[error("a length is not minimal, or too long")]
    Length,
    /// A tag number of 31 or more, which nothing in a certificate has.
    #[error("a tag takes more than one byte")]
    LongTag,
    /// The element's content is not what its type allows.
    #[error("the content of an element is not allowed by its type")]
    Content,
}

/// One element: its tag, its content, and both with the length between as they stand in the input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub tag: u8,
    pub body: &'a [u8],
    pub whole: &'a [u8],
}

/// Reads elements from the front of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads whatever element comes next.
    pub fn any(&mut self) -> Result<Element<'a>, DerError> {
        let &[tag, first, ..] = self.rest else { return Err(DerError::Truncated) };
        if tag & 0x1f == 0x1f {
            return Err(DerError::LongTag);
        }
        let (head, length) =
            if first < 0x80 { (2, usize::from(first)) } else { long_length(self.rest, first)? };
        let end = head.checked_add(length).ok_or(DerError::Length)?;
        if self.rest.len() < end {
            return Err(DerError::Truncated);
        }
        let (whole, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Element { tag, body: &whole[head..], whole })
    }

    /// Reads the next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>, DerError> {
        let element = self.any()?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(DerError::Tag { expected: tag, found: element.tag })
        }
    }

    /// Reads the next element if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, DerError> {
        if self.rest.first() == Some(&tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// Says that nothing may be left.
    pub fn end(&self) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError::Trailing) }
    }
}

/// The one element that the bytes are, with this tag.
pub(crate) fn only(bytes: &[u8], tag: u8) -> Result<Element<'_>, DerError> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(tag)?;
    reader.end()?;
    Ok(element)
}

/// The number of head bytes and the length of an element whose second byte is `first`, 0x80 or more.
fn long_length(bytes: &[u8], first: u8) -> Result<(usize, usize), DerError> {
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Err(DerError::Length);
    }
    let digits = bytes.get(2..2 + count).ok_or(DerError::Truncated)?;
    let length = digits.iter().fold(0u64, |sum, digit| sum << 8 | u64::from(*digit));
    let minimal = digits[0] != 0 && length >= 0x80;
    if !minimal {
        return Err(DerError::Length);
    }
    Ok((2 + count, usize::try_from(length).map_err(|_| DerError::Length)?))
}

/// Encodes an element whose content is these pieces, one after the other.
pub(crate) fn element(tag: u8, pieces: &[&[u8]]) -> Vec<u8> {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut encoded = Vec::with_capacity(length + 6);
    encoded.push(tag);
    if length < 0x80 {
        encoded.push(length as u8);
    } else {
        let digits = (length as u64).to_be_bytes();
        let skipped = (length as u64).leading_zeros() as usize / 8;
        encoded.push(0x80 | (8 - skipped) as u8);
        encoded.extend_from_slice(&digits[skipped..]);
    }
    pieces.iter().for_each(|piece| encoded.extend_from_slice(piece));
    encoded
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_come_back_as_they_were_written() {
        for length in [0, 1, 127, 128, 255, 256, 65535, 65536] {
            let body = vec![7; length];
            let encoded = element(OCTET_STRING, &[&body]);
            assert_eq!(only(&encoded, OCTET_STRING).unwrap().body, body, "length {length}");
        }
    }

    #[test]
    fn lengths_that_are_not_minimal_are_refused() {
        for bytes in [&[4, 0x81, 1, 0][..], &[4, 0x82, 0, 0x80], &[4, 0x80, 0, 0], &[4, 0x85, 1, 0, 0, 0, 0]]
        {
            assert_eq!(Reader::new(bytes).any().unwrap_err(), DerError::Length, "{bytes:?}");
        }
    }

    #[test]
    fn an_element_may_not_reach_beyond_the_bytes() {
        assert_eq!(Reader::new(&[4, 2, 0]).any().unwrap_err(), DerError::Truncated);
        assert_eq!(Reader::new(&[4, 0x84, 0xff, 0xff, 0xff, 0xff]).any().unwrap_err(), DerError::Truncated);
    }

    #[test]
    fn bytes_after_the_only_element_are_refused() {
        assert_eq!(only(&[4, 0, 0], OCTET_STRING).unwrap_err(), DerError::Trailing);
    }
}
