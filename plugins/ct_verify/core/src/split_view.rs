//! Proof that a CT log shows different trees to different people: two heads that it signed and that no one tree can have.
//!
//! The proof is portable: whoever has it and knows the log's key needs nothing else. Two heads of different sizes that do not fit are
//! no proof by themselves, for a missing consistency proof shows nothing; monitors find those ([`crate::tree_head::Progress`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::checkpoint::{CHECKPOINT_BYTES_MAX, Checkpoint, CheckpointError};
use crate::digest::LogId;
use crate::log_key::{LogKey, LogKeyError};
use crate::moment::Moment;
use crate::tree_head::{SignedTreeHead, TreeHead, TreeHeadError};

/// Two signed heads of one log, as the log sent them; written and read as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitView {
    kind: Kind,
    /// The log's public key, SubjectPublicKeyInfo in base64.
    log_key: String,
    /// The origin of the log's checkpoints; none for a log with the interface of RFC 6962.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    heads: [String; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    #[serde(rename = "ct-split-view")]
    SplitView,
}

/// What the log has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Misbehaviour {
    /// One size, two roots.
    Equivocation,
    /// A later head with a smaller tree, where a log only ever grows.
    Shrunk,
}

/// What two heads prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenSplit {
    /// The key of the log that did it.
    pub key: LogKey,
    /// What it did.
    pub misbehaviour: Misbehaviour,
    /// Both heads.
    pub heads: [TreeHead; 2],
}

/// Why two heads prove nothing.
#[derive(Debug, Error)]
pub enum SplitViewError {
    /// Longer than any.
    #[error("more than {SPLIT_VIEW_BYTES_MAX} bytes")]
    TooLong,
    /// Not the JSON of one.
    #[error("expected a split view")]
    Json(#[from] serde_json::Error),
    /// The key is none.
    #[error("log_key: {0}")]
    Key(LogKeyError),
    /// A tree head does not verify.
    #[error("tree head: {0}")]
    TreeHead(#[from] TreeHeadError),
    /// A checkpoint does not verify.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// One tree can have both heads.
    #[error("one tree can have both heads")]
    Consistent,
}

impl SplitView {
    /// Two answers of get-sth, as the log with this key sent them.
    pub fn of_tree_heads(key: &LogKey, heads: [&str; 2]) -> Self {
        SplitView::new(key, None, heads)
    }

    /// Two checkpoints, as the log with this key and origin sent them.
    pub fn of_checkpoints(key: &LogKey, origin: &str, heads: [&str; 2]) -> Self {
        SplitView::new(key, Some(origin.to_owned()), heads)
    }

    fn new(key: &LogKey, origin: Option<String>, heads: [&str; 2]) -> Self {
        let log_key = STANDARD.encode(key.spki());
        SplitView { kind: Kind::SplitView, log_key, origin, heads: heads.map(str::to_owned) }
    }

    /// Reads one. Nothing in it has been verified then.
    ///
    /// # Errors
    /// [`SplitViewError`] when it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, SplitViewError> {
        if bytes.len() > SPLIT_VIEW_BYTES_MAX {
            return Err(SplitViewError::TooLong);
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The JSON to keep and to hand on.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts alone")
    }

    /// The identity of the log whose key stands in it, if it is a key. Nothing has been verified.
    pub fn claimed_log(&self) -> Option<LogId> {
        let spki = STANDARD.decode(&self.log_key).ok()?;
        LogKey::from_spki(&spki).ok().map(|key| key.id())
    }

    /// Both heads, as the log sent them. Nothing in them has been verified.
    pub fn heads(&self) -> [&str; 2] {
        let [first, second] = &self.heads;
        [first, second]
    }

    /// Verifies both signatures, and that no one tree can have both heads. Whose key it is, the reader must know.
    ///
    /// # Errors
    /// [`SplitViewError`] when they prove nothing.
    pub fn verify(&self) -> Result<ProvenSplit, SplitViewError> {
        let spki = STANDARD.decode(&self.log_key).map_err(|_| SplitViewError::Key(LogKeyError::Algorithm))?;
        let key = LogKey::from_spki(&spki).map_err(SplitViewError::Key)?;
        let heads = [self.head(&key, 0)?, self.head(&key, 1)?];
        let [first, second] = &heads;
        let shrunk = |earlier: &TreeHead, later: &TreeHead| {
            earlier.timestamp < later.timestamp && later.size < earlier.size
        };
        let misbehaviour = if first.size == second.size && first.root != second.root {
            Misbehaviour::Equivocation
        } else if shrunk(first, second) || shrunk(second, first) {
            Misbehaviour::Shrunk
        } else {
            return Err(SplitViewError::Consistent);
        };
        Ok(ProvenSplit { key, misbehaviour, heads })
    }

    fn head(&self, key: &LogKey, number: usize) -> Result<TreeHead, SplitViewError> {
        let text = self.heads[number].as_bytes();
        // A signature proves at any time.
        let whenever = Moment::from_milliseconds(u64::MAX);
        Ok(match &self.origin {
            Some(origin) => Checkpoint::parse(text)?.verify(key, origin, whenever)?,
            None => SignedTreeHead::from_json(text)?.verify(key, whenever)?,
        })
    }
}

/// How long a split view may be, in bytes: two checkpoints, their line feeds escaped, and a key.
pub const SPLIT_VIEW_BYTES_MAX: usize = 3 * CHECKPOINT_BYTES_MAX;
