//! A head that a log signed, together with the text that shows it: the unit of what is kept, compared and handed on.

use std::sync::Arc;

use thiserror::Error;
use transparency::Moment;
use transparency::checkpoint::{Checkpoint, CheckpointError};
use transparency::log_list::CtLog;
use transparency::split_view::SplitView;
use transparency::tree_head::{SignedTreeHead, TreeHead, TreeHeadError};

/// A head whose signature has been verified, and the text that anybody can verify it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// What the log signed.
    pub head: TreeHead,
    /// The answer of get-sth, or a checkpoint with the log's signature alone.
    pub text: Arc<str>,
}

/// Why a text is no head of a log.
#[derive(Debug, Error)]
pub enum HeadError {
    /// It is no text.
    #[error("the head is not in UTF-8")]
    Text,
    /// No tree head of this log.
    #[error(transparent)]
    TreeHead(#[from] TreeHeadError),
    /// No checkpoint of this log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl HeadError {
    /// Whether the log itself answered and has not signed what it shows: an error page, or a clock that is wrong, says nothing of it.
    pub fn is_of_the_log(&self) -> bool {
        match self {
            HeadError::Text => false,
            HeadError::TreeHead(error) => matches!(error, TreeHeadError::Signature(_)),
            HeadError::Checkpoint(error) => matches!(
                error,
                CheckpointError::Origin(_) | CheckpointError::Unsigned | CheckpointError::Signature(_)
            ),
        }
    }
}

impl SignedHead {
    /// Reads a head of this log and verifies it: signature, origin, and that it is not of the future.
    ///
    /// # Errors
    /// [`HeadError`] when it is none.
    pub fn verify(log: &CtLog, bytes: &[u8], now: Moment) -> Result<Self, HeadError> {
        let text = std::str::from_utf8(bytes).map_err(|_| HeadError::Text)?;
        if log.is_static() {
            let head = Checkpoint::parse(bytes)?.verify(&log.key, log.origin(), now)?;
            return Ok(SignedHead { head, text: own_signature(text, log, now).into() });
        }
        let head = SignedTreeHead::from_json(bytes)?.verify(&log.key, now)?;
        Ok(SignedHead { head, text: text.into() })
    }

    /// The proof that a log signed both heads; it holds only if no one tree can have both.
    pub fn against(&self, other: &SignedHead, log: &CtLog) -> SplitView {
        let heads = [&*self.text, &*other.text];
        if log.is_static() {
            SplitView::of_checkpoints(&log.key, log.origin(), heads)
        } else {
            SplitView::of_tree_heads(&log.key, heads)
        }
    }

    /// Whether no one tree can have both heads: one size with two roots, or a later head of a smaller tree.
    pub fn contradicts(&self, other: &SignedHead) -> bool {
        let (one, two) = (&self.head, &other.head);
        let shrunk = |earlier: &TreeHead, later: &TreeHead| {
            earlier.timestamp < later.timestamp && later.size < earlier.size
        };
        (one.size == two.size && one.root != two.root) || shrunk(one, two) || shrunk(two, one)
    }
}

/// The checkpoint with the line alone that is the log's signature: witnesses change, and whatever else stands there makes it long.
fn own_signature(text: &str, log: &CtLog, now: Moment) -> String {
    let Some((body, signatures)) = text.split_once("\n\n") else { return text.to_owned() };
    let ours = format!("\u{2014} {} ", log.origin());
    let mut alone =
        signatures.lines().filter(|line| line.starts_with(&ours)).map(|line| format!("{body}\n\n{line}\n"));
    // Lines of other keys under the log's name are passed over without looking at what they sign.
    let verified = alone.find(|text| {
        let checkpoint = Checkpoint::parse(text.as_bytes());
        checkpoint.is_ok_and(|checkpoint| checkpoint.verify(&log.key, log.origin(), now).is_ok())
    });
    verified.unwrap_or_else(|| text.to_owned())
}
