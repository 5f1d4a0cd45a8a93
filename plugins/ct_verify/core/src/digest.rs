//! SHA-256 values as certificates, logs and trees use them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

/// A SHA-256 value. Shown and serialised as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_pieces(&[bytes])
    }

    /// The digest of these pieces, one after the other.
    pub fn of_pieces(pieces: &[&[u8]]) -> Self {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        pieces.iter().for_each(|piece| context.update(piece));
        let mut value = [0; 32];
        value.copy_from_slice(context.finish().as_ref());
        Sha256(value)
    }

    /// The value that these bytes are, if they are 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Sha256)
    }

    /// The value of a text of 64 hexadecimal digits, if it is one.
    pub fn from_hex(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
        bytes.filter(|_| rest.is_empty()).as_deref().and_then(Self::from_slice)
    }

    /// The value in base64, as logs write it.
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The value of such a base64 text, if it is one of 32 bytes.
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok().as_deref().and_then(Self::from_slice)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Sha256::from_hex(&text).ok_or_else(|| D::Error::custom("expected 64 hexadecimal digits"))
    }
}

/// The identity of a CT log: SHA-256 of its public key. Shown and serialised in base64, as log lists write it.
///
/// Source: RFC 6962 §3.2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub Sha256);

impl fmt::Display for LogId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.base64())
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for LogId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_nothing_is_the_known_one() {
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Sha256::of(b"").to_string(), expected);
        assert_eq!(Sha256::from_hex(expected), Some(Sha256::of(b"")));
        for other in [&expected[1..], &format!("{expected}0"), &expected.replace('e', "+")] {
            assert_eq!(Sha256::from_hex(other), None, "{other}");
        }
        assert_eq!(
            Sha256::from_base64("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").unwrap(),
            Sha256::of(b"")
        );
    }
}
