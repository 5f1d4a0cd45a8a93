//! One entry of a log, and its forms: leaf of the tree, answer of get-entries, place in a data tile.

use transparency::Moment;
use transparency::digest::Sha256;
use transparency::log_key::merkle_tree_leaf;
use transparency::merkle::hash_leaf;
use transparency::precertificate::LogEntry;
use transparency::skeleton::Skeleton;

/// What a log holds for one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When the log promised to take it in.
    pub timestamp: Moment,
    /// What it is of.
    pub subject: Subject,
    /// `CtExtensions` of its timestamp.
    pub extensions: Vec<u8>,
    /// The issuers up to the root, as DER.
    pub issuers: Vec<Vec<u8>>,
}

/// What an entry is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A certificate.
    Certificate(Vec<u8>),
    /// A pre-certificate.
    Precertificate {
        /// As it was handed in, with its poison.
        der: Vec<u8>,
        /// Its TBSCertificate without the poison.
        tbs: Vec<u8>,
        /// SHA-256 of the final issuer's key.
        issuer_key_hash: Sha256,
    },
}

impl Subject {
    /// What the log signs of it.
    pub fn log_entry(&self) -> LogEntry<'_> {
        match self {
            Subject::Certificate(der) => LogEntry::X509(der),
            Subject::Precertificate { tbs, issuer_key_hash, .. } => {
                LogEntry::Precertificate { issuer_key_hash: *issuer_key_hash, tbs }
            }
        }
    }

    /// The certificate or pre-certificate as it was handed in.
    pub fn der(&self) -> &[u8] {
        match self {
            Subject::Certificate(der) | Subject::Precertificate { der, .. } => der,
        }
    }
}

impl Entry {
    /// `leaf_input` of get-entries: MerkleTreeLeaf. RFC 6962 §3.4.
    ///
    /// # Panics
    /// Never: submissions of 2^24 bytes are not taken in.
    pub fn leaf_input(&self) -> Vec<u8> {
        let leaf = merkle_tree_leaf(self.timestamp, &self.subject.log_entry(), &self.extensions);
        leaf.expect("submissions have a bound")
    }

    /// The hash of the entry's leaf.
    pub fn leaf_hash(&self) -> Sha256 {
        hash_leaf(&self.leaf_input())
    }

    /// `extra_data` of get-entries. RFC 6962 §4.6.
    pub fn extra_data(&self) -> Vec<u8> {
        let chain: Vec<u8> = self.issuers.iter().flat_map(|issuer| vector(3, issuer)).collect();
        match &self.subject {
            Subject::Certificate(_) => vector(3, &chain),
            Subject::Precertificate { der, .. } => [vector(3, der), vector(3, &chain)].concat(),
        }
    }

    /// `TileLeaf` of a data tile. C2SP static-ct-api "Log Entries".
    pub fn tile_leaf(&self) -> Vec<u8> {
        // A TimestampedEntry is what follows version and kind in a leaf.
        let mut bytes = self.leaf_input().split_off(2);
        if let Subject::Precertificate { der, .. } = &self.subject {
            bytes.extend(vector(3, der));
        }
        let prints: Vec<u8> = self.issuers.iter().flat_map(|issuer| Sha256::of(issuer).0).collect();
        bytes.extend(vector(2, &prints));
        bytes
    }

    /// Another entry for the same certificate, as if it had been handed in a millisecond later.
    pub(crate) fn decoy(&self) -> Entry {
        Entry { timestamp: Moment::from_milliseconds(self.timestamp.milliseconds() + 1), ..self.clone() }
    }

    /// SHA-256 of the certificate's or pre-certificate's key.
    ///
    /// # Panics
    /// Never: what is no certificate is not taken in.
    pub fn key_hash(&self) -> Sha256 {
        Skeleton::parse(self.subject.der()).expect("it was read when it was handed in").key_hash()
    }
}

/// `leaf_index` of a static-ct log as an extension of a timestamp. C2SP static-ct-api "SCT Extension".
pub(crate) fn leaf_index_extension(index: u64) -> Vec<u8> {
    [&[0, 0, 5][..], &index.to_be_bytes()[3..]].concat()
}

/// A vector led by its length in so many bytes.
pub(crate) fn vector(length_bytes: usize, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u64).to_be_bytes();
    [&length[8 - length_bytes..], body].concat()
}
