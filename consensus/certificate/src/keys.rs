//! Keys: the one secret of a replica, the two key pairs derived from it, and public keys that can be trusted to be sound.
//!
//! Reading and writing files, and checking that they have mode 0600, is left to the caller. Secrets are wiped when dropped
//! and never printed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Digest, Signature};

const SEED_PREFIX: &str = "ed25519-seed:";
const PUBLIC_PREFIX: &str = "ed25519:";
const SIGNING_LABEL: &[u8] = b"quorate signing v1";
const TRANSPORT_LABEL: &[u8] = b"quorate transport v1";

/// DER before the 32 bytes of an Ed25519 seed in PKCS #8. RFC 8410 §7.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// DER before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo. RFC 8410 §4.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a text or bytes are not a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Another kind of key, or none.
    #[error("expected a key that starts with `{expected}`")]
    Prefix {
        /// How a key of the wanted kind starts.
        expected: &'static str,
    },
    /// What follows the prefix is not base64 (RFC 4648 §4, with padding).
    #[error("expected base64 after `{prefix}`")]
    Base64 {
        /// How the key starts.
        prefix: &'static str,
    },
    /// Base64, but of another length.
    #[error("expected a key of 32 bytes, found {found}")]
    Length {
        /// Length of what was found, in bytes.
        found: usize,
    },
    /// The bytes are no point of the curve, or not in their only form.
    #[error("expected an Ed25519 public key, found bytes that are no point of the curve")]
    NotAPoint,
    /// A key of small order accepts one signature for many messages.
    #[error("expected a sound Ed25519 public key, found a weak one (of small order)")]
    Weak,
}

/// The secret of a replica: 32 random bytes, from which both of its key pairs are derived.
#[derive(Clone)]
pub struct SeedKey {
    seed: Zeroizing<[u8; 32]>,
}

impl SeedKey {
    /// Takes 32 bytes from a source of randomness, which this crate does not have.
    pub fn new(seed: [u8; 32]) -> SeedKey {
        SeedKey { seed: Zeroizing::new(seed) }
    }

    /// Reads the text of a key file: `ed25519-seed:` and base64; white space around it does not matter.
    pub fn parse(text: &str) -> Result<SeedKey, KeyError> {
        Ok(SeedKey { seed: decode(text.trim(), SEED_PREFIX)? })
    }

    /// The text of a key file, with a line end. A secret: written with mode 0600 and nowhere else.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(SEED_PREFIX.len() + 45));
        text.push_str(SEED_PREFIX);
        STANDARD.encode_string(self.seed.as_slice(), &mut text);
        text.push('\n');
        text
    }

    /// The key that signs votes and observations.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey { key: ed25519_dalek::SigningKey::from_bytes(&self.derive(SIGNING_LABEL)) }
    }

    /// The key that proves the replica's identity to its peers.
    pub fn transport_key(&self) -> TransportKey {
        TransportKey { seed: self.derive(TRANSPORT_LABEL) }
    }

    fn derive(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(Digest::of_parts(&[label, self.seed.as_slice()]).0)
    }
}

impl fmt::Debug for SeedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeedKey(..)")
    }
}

/// The key that signs votes and observations. Ed25519 (RFC 8032).
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// Signs `message`, which should be a preimage of `Domain::preimage`.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.key.sign(message).to_bytes())
    }

    /// The key that others verify with.
    pub fn public_key(&self) -> PublicKey {
        PublicKey { key: self.key.verifying_key() }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public_key())
    }
}

/// The key of a replica's QUIC connections, presented as a raw public key (RFC 7250).
#[derive(Clone)]
pub struct TransportKey {
    seed: Zeroizing<[u8; 32]>,
}

impl TransportKey {
    /// The 32 bytes of the Ed25519 private key.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The private key as PKCS #8 (RFC 8410 §7), as TLS libraries take it.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&PKCS8_PREFIX[..], self.seed.as_slice()].concat())
    }

    /// The key that peers know this replica by.
    pub fn public_key(&self) -> PublicKey {
        PublicKey { key: ed25519_dalek::SigningKey::from_bytes(&self.seed).verifying_key() }
    }
}

impl fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportKey({})", self.public_key())
    }
}

/// A sound Ed25519 public key: a point of the curve in its only form, not of small order. Its text form is `ed25519:<base64>`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    key: ed25519_dalek::VerifyingKey,
}

impl PublicKey {
    /// Checks the 32 bytes of a key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<PublicKey, KeyError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        if !is_reduced(bytes) {
            return Err(KeyError::NotAPoint);
        }
        Ok(PublicKey { key })
    }

    /// Reads `ed25519:<base64>`.
    pub fn parse(text: &str) -> Result<PublicKey, KeyError> {
        PublicKey::from_bytes(&*decode(text, PUBLIC_PREFIX)?)
    }

    /// The 32 bytes of the key.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// The key as SubjectPublicKeyInfo (RFC 8410 §4), which is what a peer presents as its raw public key.
    pub fn to_spki_der(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.to_bytes()].concat()
    }

    /// Whether `signature` is this key's over `message`; strictly, so that nobody else can make a second one out of it.
    ///
    /// Signatures with S >= L or with an R of small order are refused, and R is compared by its bytes. Always one by one:
    /// batches accept what this refuses.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.key.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", STANDARD.encode(self.to_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// Whether the y coordinate, without the sign bit, is below p = 2^255 - 19. RFC 8032 §5.1.3 step 1.
fn is_reduced(bytes: &[u8; 32]) -> bool {
    bytes[0] < 0xed || bytes[31] & 0x7f != 0x7f || bytes[1..31].iter().any(|byte| *byte != 0xff)
}

fn decode(text: &str, prefix: &'static str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let text = text.strip_prefix(prefix).ok_or(KeyError::Prefix { expected: prefix })?;
    let mut bytes = STANDARD.decode(text).map_err(|_| KeyError::Base64 { prefix })?;
    let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| KeyError::Length { found: bytes.len() });
    bytes.zeroize();
    key.map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> SeedKey {
        SeedKey::new([7; 32])
    }

    #[test]
    fn seed_file_round_trips() {
        let text = seed().to_text();
        assert_eq!(text.as_str(), "ed25519-seed:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n");
        let read = SeedKey::parse(&text).unwrap();
        assert_eq!(read.signing_key().public_key(), seed().signing_key().public_key());
    }

    #[test]
    fn signing_and_transport_keys_differ() {
        assert_ne!(seed().signing_key().public_key(), seed().transport_key().public_key());
    }

    #[test]
    fn derivation_is_sha256_of_label_and_seed() {
        let expected = Digest::of_parts(&[b"quorate transport v1", &[7; 32]]).0;
        assert_eq!(seed().transport_key().seed(), &expected);
        let expected = Digest::of_parts(&[b"quorate signing v1", &[7; 32]]).0;
        assert_eq!(seed().signing_key().key.to_bytes(), expected);
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", seed()), "SeedKey(..)");
        let public = seed().transport_key().public_key();
        assert_eq!(format!("{:?}", seed().transport_key()), format!("TransportKey({public})"));
    }

    #[test]
    fn signature_verifies_for_its_message_and_key_only() {
        let signature = seed().signing_key().sign(b"message");
        assert!(seed().signing_key().public_key().verify(b"message", &signature));
        assert!(!seed().signing_key().public_key().verify(b"massage", &signature));
        assert!(!seed().transport_key().public_key().verify(b"message", &signature));
    }

    #[test]
    fn signature_with_unreduced_scalar_is_refused() {
        // S + L: RFC 8032 §5.1.7 asks for 0 <= S < L.
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut signature = seed().signing_key().sign(b"message");
        let mut carry = 0;
        for (byte, order) in signature.0[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        assert!(!seed().signing_key().public_key().verify(b"message", &signature));
    }

    #[test]
    fn weak_and_malformed_public_keys_are_refused() {
        let mut one = [0; 32];
        one[0] = 1;
        let mut two = [0; 32];
        two[0] = 2;
        let mut unreduced_three = [0xff; 32];
        unreduced_three[0] = 0xf0;
        unreduced_three[31] = 0x7f;
        for (bytes, error) in [
            (one, KeyError::Weak),
            ([0; 32], KeyError::Weak),
            (two, KeyError::NotAPoint),
            (unreduced_three, KeyError::NotAPoint),
        ] {
            assert_eq!(PublicKey::from_bytes(&bytes), Err(error));
        }
    }

    #[test]
    fn public_key_text_round_trips_and_says_what_is_wrong() {
        let key = seed().signing_key().public_key();
        assert_eq!(PublicKey::parse(&key.to_string()), Ok(key));
        for (text, error) in [
            ("AAAA", KeyError::Prefix { expected: "ed25519:" }),
            ("ed25519:?", KeyError::Base64 { prefix: "ed25519:" }),
            ("ed25519:AAAA", KeyError::Length { found: 3 }),
        ] {
            assert_eq!(PublicKey::parse(text), Err(error));
        }
    }

    #[test]
    fn der_forms_have_the_lengths_of_rfc_8410() {
        assert_eq!(seed().transport_key().to_pkcs8_der().len(), 48);
        let spki = seed().transport_key().public_key().to_spki_der();
        assert_eq!(spki.len(), 44);
        assert!(spki.ends_with(&seed().transport_key().public_key().to_bytes()));
    }
}
