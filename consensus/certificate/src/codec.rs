//! The one binary encoding of everything that is signed, sent between peers or stored: one byte string for one value.
//!
//! Integers are big-endian and of fixed width; byte strings carry their length before them; lists their count. A reader refuses
//! what it does not expect, and `finish` refuses what is left over, so that no two byte strings decode to one value.

use thiserror::Error;

/// Why bytes could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The input ends inside a field.
    #[error("expected {expected} more bytes at offset {offset}, found {found}")]
    Truncated {
        /// Where the field starts.
        offset: usize,
        /// How many bytes the field needs.
        expected: usize,
        /// How many are left.
        found: usize,
    },
    /// Bytes follow the last field.
    #[error("expected the end at offset {offset}, found {found} more bytes")]
    TrailingBytes {
        /// Where the value ends.
        offset: usize,
        /// How many bytes follow.
        found: usize,
    },
    /// A field holds a value that this version does not know or that breaks a rule of the format.
    #[error("{field} at offset {offset}: expected {expected}, found `{found}`")]
    Invalid {
        /// The field's name in `FORMAT.md`.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
        /// What would have been right.
        expected: &'static str,
        /// What stands there.
        found: u64,
    },
}

/// Appends fields to a byte string.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// An empty writer with room for so many bytes: for what is written often and of known length.
    pub fn with_capacity(bytes: usize) -> Writer {
        Writer { bytes: Vec::with_capacity(bytes) }
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Appends two bytes, big-endian.
    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Appends four bytes, big-endian.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Appends eight bytes, big-endian.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Appends bytes as they are: for fields of fixed length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a length of one byte and the bytes.
    ///
    /// Panics: when `bytes` are more than 255, which the caller's own bound excludes.
    pub fn bytes8(&mut self, bytes: &[u8]) {
        self.u8(u8::try_from(bytes.len()).expect("the caller bounds the field at 255 bytes"));
        self.raw(bytes);
    }

    /// Appends a length of two bytes and the bytes.
    ///
    /// Panics: when `bytes` are more than 65 535, which the caller's own bound excludes.
    pub fn bytes16(&mut self, bytes: &[u8]) {
        self.u16(u16::try_from(bytes.len()).expect("the caller bounds the field at 65535 bytes"));
        self.raw(bytes);
    }

    /// Appends a length of four bytes and the bytes.
    ///
    /// Panics: when `bytes` are more than 4 GiB, which the caller's own bound excludes.
    pub fn bytes32(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).expect("the caller bounds the field at 4 GiB"));
        self.raw(bytes);
    }

    /// The number of bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The finished byte string.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes fields from the front of a byte string.
#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, offset: 0 }
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// Reads `count` bytes as they are. Allocates nothing.
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        if self.remaining() < count {
            return Err(DecodeError::Truncated {
                offset: self.offset,
                expected: count,
                found: self.remaining(),
            });
        }
        let bytes = &self.bytes[self.offset..self.offset + count];
        self.offset += count;
        Ok(bytes)
    }

    /// Reads a field of fixed length.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        Ok(self.raw(N)?.try_into().expect("raw returns exactly N bytes"))
    }

    /// Reads one byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads two bytes, big-endian.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Reads four bytes, big-endian.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Reads eight bytes, big-endian.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Reads a byte string with a length of one byte.
    pub fn bytes8(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u8()?;
        self.raw(usize::from(length))
    }

    /// Reads a byte string with a length of two bytes.
    pub fn bytes16(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u16()?;
        self.raw(usize::from(length))
    }

    /// Reads a byte string with a length of four bytes. Nothing is allocated, whatever the length claims.
    pub fn bytes32(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u32()?;
        self.raw(length as usize)
    }

    /// An error about the field that starts at `offset`.
    pub fn invalid(offset: usize, field: &'static str, expected: &'static str, found: u64) -> DecodeError {
        DecodeError::Invalid { field, offset, expected, found }
    }

    /// Accepts the end, refuses anything left over.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            found => Err(DecodeError::TrailingBytes { offset: self.offset, found }),
        }
    }
}

/// A value with exactly one encoding.
pub trait Encode {
    /// Appends the encoding to `writer`.
    fn encode(&self, writer: &mut Writer);

    /// The encoding as a byte string.
    fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.encode(&mut writer);
        writer.finish()
    }
}

/// A value that can be read back from its encoding: `decode(encode(x)) == x`, and `encode(decode(b)) == b` for every `b` that decodes.
pub trait Decode: Sized {
    /// Takes the value from the front of `reader`.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Decodes the whole of `bytes`.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

impl Encode for crate::Digest {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.0);
    }
}

impl Decode for crate::Digest {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(crate::Digest(reader.array()?))
    }
}
