//! Reads the TLS presentation language: big-endian numbers and vectors led by their length. RFC 8446 §3, used by RFC 6962.

/// Reads from the front of bytes; `None` means that they end too early.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire<'a> {
    rest: &'a [u8],
}

impl<'a> Wire<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Wire { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// So many bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// A fixed number of bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A number of so many bytes, at most eight.
    pub fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A vector led by its length, a number of so many bytes.
    pub fn vector(&mut self, length_bytes: usize) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number(length_bytes)?).ok()?;
        self.take(length)
    }
}

/// Appends a vector led by its length in so many bytes; `None` if it is too long for that.
pub(crate) fn push_vector(out: &mut Vec<u8>, length_bytes: usize, body: &[u8]) -> Option<()> {
    let length = (body.len() as u64).to_be_bytes();
    let (skipped, digits) = length.split_at(8 - length_bytes);
    if skipped.iter().any(|byte| *byte != 0) {
        return None;
    }
    out.extend_from_slice(digits);
    out.extend_from_slice(body);
    Some(())
}
