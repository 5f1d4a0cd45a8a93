//! Public keys of CT logs, and the three things that they sign. RFC 6962 §2.1.4, §3.2, §3.5.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use thiserror::Error;

use crate::der::{self, DerError, Reader};
use crate::digest::{LogId, Sha256};
use crate::merkle::hash_leaf;
use crate::moment::Moment;
use crate::precertificate::LogEntry;
use crate::sct::{DigitallySigned, Sct};
use crate::wire::push_vector;

/// The public key of a log: ECDSA on P-256, or RSA of 2048 bits or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    id: LogId,
    kind: Kind,
    /// The point, or RSAPublicKey: what `ring` wants.
    key: Vec<u8>,
    spki: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    Rsa,
}

/// Why a key is none that a log may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LogKeyError {
    /// It is no SubjectPublicKeyInfo.
    #[error("the key is no SubjectPublicKeyInfo")]
    Der(#[from] DerError),
    /// RFC 6962 §2.1.4 allows P-256 and RSA alone.
    #[error("the key is neither of P-256 nor RSA")]
    Algorithm,
    /// RSA with fewer than 2048 bits, or more than 8192.
    #[error("the RSA key has not 2048 to 8192 bits")]
    Size,
}

/// The signature does not fit: damage, forgery, or another log's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature does not fit")]
pub struct BadSignature;

impl LogKey {
    /// Reads a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`LogKeyError`] when it is none, or not of a kind that logs use.
    pub fn from_spki(spki: &[u8]) -> Result<Self, LogKeyError> {
        let mut fields = Reader::new(der::only(spki, der::SEQUENCE)?.body);
        let algorithm = fields.expect(der::SEQUENCE)?.body;
        let bits = fields.expect(der::BIT_STRING)?.body;
        fields.end()?;
        let Some((&0, key)) = bits.split_first() else { return Err(DerError::Content.into()) };
        let kind = match algorithm {
            P256_ALGORITHM if key.len() == 65 && key[0] == UNCOMPRESSED => Kind::P256,
            RSA_ALGORITHM => check_rsa_size(key).map(|()| Kind::Rsa)?,
            _ => return Err(LogKeyError::Algorithm),
        };
        Ok(LogKey { id: LogId(Sha256::of(spki)), kind, key: key.to_vec(), spki: spki.to_vec() })
    }

    /// SHA-256 of the key: the log's identity.
    pub fn id(&self) -> LogId {
        self.id
    }

    /// The key as SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Verifies what a log signed. Both algorithm numbers must be those of SHA-256 and of this key.
    ///
    /// # Errors
    /// [`BadSignature`] when they are not, or the signature does not fit.
    pub fn verify(&self, message: &[u8], signed: &DigitallySigned<'_>) -> Result<(), BadSignature> {
        let (algorithm, number): (&dyn VerificationAlgorithm, u8) = match self.kind {
            Kind::P256 => (&ECDSA_P256_SHA256_ASN1, ECDSA),
            Kind::Rsa => (&RSA_PKCS1_2048_8192_SHA256, RSA),
        };
        if signed.hash != SHA256 || signed.algorithm != number {
            return Err(BadSignature);
        }
        UnparsedPublicKey::new(algorithm, &self.key)
            .verify(message, signed.signature)
            .map_err(|_| BadSignature)
    }

    /// Verifies a bare signature by this key with SHA-256, such as the one that comes beside a log list.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not fit.
    pub fn verify_detached(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let algorithm = match self.kind {
            Kind::P256 => ECDSA,
            Kind::Rsa => RSA,
        };
        self.verify(message, &DigitallySigned { hash: SHA256, algorithm, signature })
    }

    /// Verifies a timestamp over this entry.
    ///
    /// # Errors
    /// [`BadSignature`] when the log has not signed this.
    pub fn verify_sct(&self, sct: &Sct<'_>, entry: &LogEntry<'_>) -> Result<(), BadSignature> {
        let encoded = entry.encode().ok_or(BadSignature)?;
        self.verify_encoded(sct, &encoded)
    }

    /// As `verify_sct`, for an entry that has been encoded once for all timestamps.
    pub(crate) fn verify_encoded(&self, sct: &Sct<'_>, entry: &[u8]) -> Result<(), BadSignature> {
        if sct.log_id != self.id {
            return Err(BadSignature);
        }
        let message =
            leaf_body(CERTIFICATE_TIMESTAMP, sct.timestamp, entry, sct.extensions).ok_or(BadSignature)?;
        self.verify(&message, &sct.signed)
    }
}

/// Version, kind, time, entry and extensions: the signed bytes of a timestamp and `MerkleTreeLeaf` are both so, and equal in
/// every byte because both kinds have the number 0.
fn leaf_body(kind: u8, timestamp: Moment, entry: &[u8], extensions: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(entry.len() + extensions.len() + 12);
    bytes.extend_from_slice(&[V1, kind]);
    bytes.extend_from_slice(&timestamp.milliseconds().to_be_bytes());
    bytes.extend_from_slice(entry);
    push_vector(&mut bytes, 2, extensions)?;
    Some(bytes)
}

/// The leaf of the log's tree that a timestamp promises; `None` if the entry is longer than a log can say.
///
/// Source: RFC 6962 §3.4.
pub fn merkle_tree_leaf(timestamp: Moment, entry: &LogEntry<'_>, extensions: &[u8]) -> Option<Vec<u8>> {
    leaf_body(TIMESTAMPED_ENTRY, timestamp, &entry.encode()?, extensions)
}

/// The hash of the leaf that a timestamp promises, for an encoded entry.
pub(crate) fn leaf_hash(sct: &Sct<'_>, entry: &[u8]) -> Option<Sha256> {
    leaf_body(TIMESTAMPED_ENTRY, sct.timestamp, entry, sct.extensions).map(|leaf| hash_leaf(&leaf))
}

fn check_rsa_size(key: &[u8]) -> Result<(), LogKeyError> {
    let modulus = Reader::new(der::only(key, der::SEQUENCE)?.body).expect(der::INTEGER)?.body;
    let first = modulus.iter().position(|byte| *byte != 0).unwrap_or(modulus.len());
    let bits =
        (modulus.len() - first) * 8 - modulus.get(first).map_or(0, |byte| byte.leading_zeros() as usize);
    if (2048..=8192).contains(&bits) { Ok(()) } else { Err(LogKeyError::Size) }
}

const V1: u8 = 0;
const CERTIFICATE_TIMESTAMP: u8 = 0;
const TIMESTAMPED_ENTRY: u8 = 0;
const SHA256: u8 = 4;
const RSA: u8 = 1;
const ECDSA: u8 = 3;
const UNCOMPRESSED: u8 = 4;
/// id-ecPublicKey, prime256v1.
const P256_ALGORITHM: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];
/// rsaEncryption, NULL.
const RSA_ALGORITHM: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let p384 = der::element(
            der::SEQUENCE,
            &[
                &der::element(
                    der::SEQUENCE,
                    &[&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22]],
                ),
                &der::element(der::BIT_STRING, &[&[0; 98]]),
            ],
        );
        assert_eq!(LogKey::from_spki(&p384), Err(LogKeyError::Algorithm));
    }

    #[test]
    fn short_rsa_keys_are_refused() {
        let key = der::element(
            der::SEQUENCE,
            &[&der::element(der::INTEGER, &[&[0], &[0xff; 128]]), &der::element(der::INTEGER, &[&[1, 0, 1]])],
        );
        let spki = der::element(
            der::SEQUENCE,
            &[&der::element(der::SEQUENCE, &[RSA_ALGORITHM]), &der::element(der::BIT_STRING, &[&[0], &key])],
        );
        assert_eq!(LogKey::from_spki(&spki), Err(LogKeyError::Size));
    }
}
