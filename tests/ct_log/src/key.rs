//! The key of a log, and the two things that it signs. RFC 6962 §3.2 and §3.5.

use std::process::Command;

use rcgen::{KeyPair, PublicKeyData, SigningKey};
use transparency::Moment;
use transparency::digest::{LogId, Sha256};
use transparency::log_key::{LogKey, merkle_tree_leaf};
use transparency::precertificate::LogEntry;
use transparency::tree_head::TreeHead;

/// A private key, P-256 or RSA.
#[derive(Debug)]
pub struct PrivateKey {
    pair: KeyPair,
    /// TLS SignatureAlgorithm.
    algorithm: u8,
}

impl PrivateKey {
    /// A new key on P-256.
    ///
    /// # Panics
    /// When the machine has no randomness.
    pub fn p256() -> Self {
        PrivateKey { pair: KeyPair::generate().expect("the machine has randomness"), algorithm: ECDSA }
    }

    /// A new RSA key of 2048 bits, made by `openssl`; `None` when that is not installed.
    pub fn rsa() -> Option<Self> {
        let options = ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
        let made = Command::new("openssl").args(options).output().ok()?;
        let pem = String::from_utf8(made.stdout).ok()?;
        let pair = KeyPair::from_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256).ok()?;
        Some(PrivateKey { pair, algorithm: RSA })
    }

    /// SubjectPublicKeyInfo.
    pub fn spki(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// The key as those see it who verify.
    ///
    /// # Panics
    /// Never: both kinds of keys are such as logs may have.
    pub fn public(&self) -> LogKey {
        LogKey::from_spki(&self.spki()).expect("P-256 or RSA of 2048 bits")
    }

    /// The identity of the log with this key.
    pub fn id(&self) -> LogId {
        LogId(Sha256::of(&self.spki()))
    }

    /// `DigitallySigned` over these bytes.
    ///
    /// # Panics
    /// When the machine has no randomness.
    pub fn digitally_signed(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(message).expect("the machine has randomness");
        [&[SHA256, self.algorithm][..], &(signature.len() as u16).to_be_bytes(), &signature].concat()
    }

    /// `DigitallySigned` of a timestamp: over what is also the leaf of the tree.
    ///
    /// # Panics
    /// When the entry has more than 2^24 bytes.
    pub fn sign_timestamp(&self, time: Moment, entry: &LogEntry<'_>, extensions: &[u8]) -> Vec<u8> {
        // The signed bytes and the leaf differ in two names for the number 0.
        let message = merkle_tree_leaf(time, entry, extensions).expect("entries have a bound");
        self.digitally_signed(&message)
    }

    /// `DigitallySigned` of a tree head.
    pub fn sign_head(&self, head: &TreeHead) -> Vec<u8> {
        let time = head.timestamp.milliseconds().to_be_bytes();
        self.digitally_signed(&[&[V1, TREE_HASH][..], &time, &head.size.to_be_bytes(), &head.root.0].concat())
    }
}

const V1: u8 = 0;
const TREE_HASH: u8 = 1;
const SHA256: u8 = 4;
const RSA: u8 = 1;
const ECDSA: u8 = 3;
