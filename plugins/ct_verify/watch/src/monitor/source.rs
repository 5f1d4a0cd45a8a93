//! How entries are had from a log: what both interfaces give, and what can go wrong.

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use transparency::digest::Sha256;
use transparency::log_list::{CtLog, Interface};
use transparency::merkle::ProofError;
use transparency::precertificate::LogEntry;
use transparency::tree_head::TreeHead;

use super::frontier::Frontier;
use super::logs::{Rfc6962, StaticCt};
use crate::fetch::{FetchError, Fetcher};
use crate::logs::asked::{AskError, Asked};

/// Gives the entries of one log.
#[async_trait]
pub(super) trait Source: Send + Sync {
    /// Reads entries from `from` on, at most up to `to`, both before the end of the head's tree; hands each to `sink` in order. May give fewer.
    async fn read(
        &self,
        from: u64,
        to: u64,
        head: &TreeHead,
        sink: &mut Sink<'_>,
    ) -> Result<Read, SourceError>;

    /// The frontier of the first `size` leaves, shown to be in the head's tree.
    async fn anchor(&self, size: u64, head: &TreeHead) -> Result<Frontier, SourceError>;
}

/// Takes entries in: the hash of the leaf, and what the leaf says, if it can be read.
pub(super) type Sink<'s> = dyn for<'e> FnMut(Sha256, Option<LogEntry<'e>>) + Send + 's;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    /// How many entries were handed on.
    pub entries: u64,
    /// How many bytes they took.
    pub bytes: u64,
}

/// Why a log's entries were not had.
#[derive(Debug, Error)]
pub(super) enum SourceError {
    /// The log did not answer, or not within the bounds.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The log answered, but not all that was asked in time.
    #[error("not done within {} s", .0.as_secs())]
    Slow(Duration),
    /// The log's answer is none.
    #[error("{0}: malformed")]
    Malformed(&'static str),
    /// What the log gives is not in the tree that it signed.
    #[error("not in the tree that the log signed: {0}")]
    NotInTree(#[from] ProofError),
    /// The frontier that comes out is another than the one shown to be in the tree.
    #[error("the entries are not those of the tree that the log signed")]
    OtherEntries,
}

impl From<AskError> for SourceError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Fetch(error) => SourceError::Fetch(error),
            AskError::Answer(of) => SourceError::Malformed(of),
            AskError::Head(_) => SourceError::Malformed("head"),
        }
    }
}

impl SourceError {
    /// Whether the log contradicts what it signed.
    pub fn is_lie(&self) -> bool {
        matches!(self, SourceError::NotInTree(_) | SourceError::OtherEntries)
    }

    /// Whether fewer entries at a time might help.
    pub fn is_too_much(&self) -> bool {
        matches!(
            self,
            SourceError::Fetch(FetchError::TooLong(_) | FetchError::TimedOut(_)) | SourceError::Slow(_)
        )
    }
}

/// The source for a log, by its interface.
pub(super) fn source_of<'a>(log: &'a CtLog, fetcher: &'a Fetcher, batch: u64) -> Box<dyn Source + 'a> {
    let asked = Asked { fetcher, log };
    match &log.interface {
        Interface::Rfc6962 { .. } => Box::new(Rfc6962 { asked, batch }),
        Interface::StaticCt { .. } => Box::new(StaticCt { asked }),
    }
}
