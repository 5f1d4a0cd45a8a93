//! Signed tree heads of RFC 6962 logs, and what two heads of one log say together. RFC 6962 §3.5, §4.3.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use thiserror::Error;

use crate::digest::Sha256;
use crate::log_key::{BadSignature, LogKey};
use crate::merkle::{ProofError, verify_consistency};
use crate::moment::Moment;
use crate::sct::{DigitallySigned, parse_digitally_signed};

/// The state of a log at a time, once its signature has been verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// How many leaves.
    pub size: u64,
    /// When the log said so.
    pub timestamp: Moment,
    /// The root over them.
    pub root: Sha256,
}

/// A tree head and the log's signature. The signature does not name the log: it fits whoever's key it fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTreeHead {
    /// What is signed.
    pub head: TreeHead,
    /// `DigitallySigned`, as the log sent it.
    pub signature: Vec<u8>,
}

/// Why a tree head is not taken.
#[derive(Debug, Error)]
pub enum TreeHeadError {
    /// The answer is longer than any.
    #[error("the tree head has more than {TREE_HEAD_BYTES_MAX} bytes")]
    TooLong,
    /// Not the JSON of get-sth.
    #[error("expected the answer of get-sth")]
    Json(#[from] serde_json::Error),
    /// A field is not what it should be.
    #[error("{0}: malformed")]
    Field(&'static str),
    /// The signature does not fit.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// Dated after now.
    #[error("the tree head is of {0}, which is in the future")]
    Future(Moment),
}

#[derive(Deserialize)]
struct SthJson {
    tree_size: u64,
    timestamp: u64,
    sha256_root_hash: String,
    tree_head_signature: String,
}

impl SignedTreeHead {
    /// Reads the answer of get-sth. The signature is not verified yet.
    ///
    /// # Errors
    /// [`TreeHeadError`] when it is not one.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TreeHeadError> {
        if bytes.len() > TREE_HEAD_BYTES_MAX {
            return Err(TreeHeadError::TooLong);
        }
        let json: SthJson = serde_json::from_slice(bytes)?;
        let root =
            Sha256::from_base64(&json.sha256_root_hash).ok_or(TreeHeadError::Field("sha256_root_hash"))?;
        let signature = STANDARD
            .decode(&json.tree_head_signature)
            .map_err(|_| TreeHeadError::Field("tree_head_signature"))?;
        let timestamp = Moment::from_milliseconds(json.timestamp);
        Ok(SignedTreeHead { head: TreeHead { size: json.tree_size, timestamp, root }, signature })
    }

    /// Verifies signature and time, and returns what is then known.
    ///
    /// # Errors
    /// [`TreeHeadError`] when the log has not signed it, or dated it after `now` (a tolerance aside).
    pub fn verify(&self, key: &LogKey, now: Moment) -> Result<TreeHead, TreeHeadError> {
        let signed =
            parse_digitally_signed(&self.signature).ok_or(TreeHeadError::Field("tree_head_signature"))?;
        verify_head(&self.head, &signed, key)?;
        if now.plus_seconds(FUTURE_TOLERANCE_SECONDS) < self.head.timestamp {
            return Err(TreeHeadError::Future(self.head.timestamp));
        }
        Ok(self.head)
    }
}

/// Verifies the signature over a tree head; checkpoints of static-ct logs carry the same one.
pub(crate) fn verify_head(
    head: &TreeHead,
    signed: &DigitallySigned<'_>,
    key: &LogKey,
) -> Result<(), BadSignature> {
    let mut message = Vec::with_capacity(50);
    message.extend_from_slice(&[V1, TREE_HASH]);
    message.extend_from_slice(&head.timestamp.milliseconds().to_be_bytes());
    message.extend_from_slice(&head.size.to_be_bytes());
    message.extend_from_slice(&head.root.0);
    key.verify(&message, signed)
}

/// What a later head of a log says about an earlier one. Both have been verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The same tree.
    Same,
    /// The earlier tree is the beginning of the later.
    Grown,
    /// The head is later, its tree smaller: flag it, and keep the larger tree.
    WentBack,
    /// One size, two roots: proof of a split view by itself. Keep both signed heads.
    Equivocation,
    /// The proof between them does not hold: a split view, or a bad answer.
    Inconsistent(ProofError),
}

impl TreeHead {
    /// Compares with a `later` head of the same log, given the log's consistency proof between them.
    pub fn progress(&self, later: &TreeHead, proof: &[Sha256]) -> Progress {
        if self.size == later.size {
            return if self.root == later.root { Progress::Same } else { Progress::Equivocation };
        }
        if later.size < self.size {
            return Progress::WentBack;
        }
        if self.size == 0 {
            return if self.root == Sha256::of(b"") {
                Progress::Grown
            } else {
                Progress::Inconsistent(ProofError::Root)
            };
        }
        match verify_consistency((self.size, &self.root), (later.size, &later.root), proof) {
            Ok(()) => Progress::Grown,
            Err(error) => Progress::Inconsistent(error),
        }
    }

    /// Whether the head is so old that the log has stopped: more than its maximum merge delay.
    pub fn is_stale(&self, mmd_seconds: u64, now: Moment) -> bool {
        self.timestamp.plus_seconds(mmd_seconds) < now
    }
}

/// How long an answer of get-sth may be.
pub const TREE_HEAD_BYTES_MAX: usize = 4096;
/// How far ahead of the judging clock a tree head may be, in seconds.
pub const FUTURE_TOLERANCE_SECONDS: u64 = 300;
const V1: u8 = 0;
const TREE_HASH: u8 = 1;
