//! Why a connection is refused, or does not go on.

use std::time::Duration;

use certificate::codec::DecodeError;
use certificate::timestamp::Timestamp;
use certificate::{Digest, Epoch, ReplicaId};
use quinn::ReadExactError;
use thiserror::Error;

use super::class::Class;
use crate::frame::FrameError;

/// A peer has so long to say Hello.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(2);

/// Peers are told by this number why a connection ends; the text beside it is for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum CloseCode {
    ShuttingDown = 0,
    /// Another connection between the two is kept.
    Duplicate = 1,
    /// The Hello was refused.
    Refused = 2,
    /// A frame or message could not be read.
    Unreadable = 3,
    /// Messages were queued faster than the peer took them.
    QueueFull = 4,
    /// The replica does not take part any more.
    Failed = 5,
    /// The peer is shut out for a while; the reason says why and until when.
    Quarantined = 6,
}

impl CloseCode {
    pub(crate) fn close(self, connection: &quinn::Connection, reason: &str) {
        connection.close(quinn::VarInt::from(self as u8), reason.as_bytes());
    }

    pub(crate) fn is_of(self, closed: &quinn::ConnectionError) -> bool {
        let code = quinn::VarInt::from(self as u8);
        matches!(closed, quinn::ConnectionError::ApplicationClosed(close) if close.error_code == code)
    }
}

/// Why a peer's Hello is refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum HelloError {
    #[error(
        "versions differ: ours greets with version {ours}, the peer's with version {theirs}; all replicas need the same release of quorate"
    )]
    Version { ours: u8, theirs: u8 },
    #[error("clusters differ: ours is `{}` with id {}, the peer's is `{}` with id {}", ours.0, ours.1, theirs.0, theirs.1)]
    Cluster { ours: (String, Digest), theirs: (String, Digest) },
    #[error("epochs differ: ours is {ours}, the peer's is {theirs}")]
    Epoch { ours: Epoch, theirs: Epoch },
    #[error(
        "cluster files differ at epoch {epoch}: the digest of ours is {ours}, of the peer's {theirs}; all replicas need the same file"
    )]
    File { epoch: Epoch, ours: Digest, theirs: Digest },
    #[error("the key is that of replica {proven}, but the peer says that it is replica {claimed}")]
    Replica { proven: ReplicaId, claimed: ReplicaId },
    #[error(
        "the log of replica {replica} began at {began}, but one that began at {later} was met since: an earlier state folder was brought back, which \
         does not hold what the replica has signed; move that folder away, and the replica learns"
    )]
    EarlierLog { replica: ReplicaId, began: Timestamp, later: Timestamp },
}

/// Why a connection does not go on.
#[derive(Debug, Error)]
pub(crate) enum LinkError {
    #[error(transparent)]
    Hello(#[from] HelloError),
    #[error("{}", printable(.0))]
    Connection(#[from] quinn::ConnectionError),
    #[error("stream ended: {0}")]
    Read(#[from] ReadExactError),
    #[error("stream ended: {0}")]
    Write(#[from] quinn::WriteError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("message cannot be read: {0}")]
    Message(#[from] DecodeError),
    #[error("expected stream {expected:?}, got stream {found}")]
    Stream { expected: Class, found: u8 },
    #[error("no answer to a handshake within 3 s")]
    NoHandshake,
    #[error("own transport key cannot be used")]
    OwnKey,
    #[error("{0}")]
    Dial(#[from] quinn::ConnectError),
    #[error("no Hello within {} s", HELLO_TIMEOUT.as_secs())]
    NoHello,
}

impl LinkError {
    /// Whether the peer keeps another connection instead.
    pub(crate) fn is_duplicate(&self) -> bool {
        matches!(self, LinkError::Connection(closed) if CloseCode::Duplicate.is_of(closed))
    }

    /// Whether an operator must act: one of the two ends has refused the other's Hello.
    pub(crate) fn is_misconfiguration(&self) -> bool {
        match self {
            LinkError::Hello(_) => true,
            LinkError::Connection(closed) => CloseCode::Refused.is_of(closed),
            _ => false,
        }
    }

    /// Whether the peer has shut this replica out.
    pub(crate) fn is_quarantine(&self) -> bool {
        matches!(self, LinkError::Connection(closed) if CloseCode::Quarantined.is_of(closed))
    }

    /// Whether the peer sent what no replica sends.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self, LinkError::Frame(_) | LinkError::Message(_) | LinkError::Stream { .. })
    }
}

/// The text of a peer's close reason is the peer's: what would garble a log is escaped.
fn printable(closed: &quinn::ConnectionError) -> String {
    let mut text = String::new();
    for character in closed.to_string().chars() {
        match character.is_control() {
            true => text.extend(character.escape_default()),
            false => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn close_reason_of_a_peer_cannot_garble_a_log() {
        let close = quinn::ApplicationClose {
            error_code: quinn::VarInt::from(CloseCode::Failed as u8),
            reason: Bytes::from_static(b"disk\nWARN all is lost\x1b[2J \xe2\x80\x94 \xff"),
        };
        let text = LinkError::Connection(quinn::ConnectionError::ApplicationClosed(close)).to_string();
        assert!(text.contains("disk\\nWARN all is lost\\u{1b}[2J \u{2014} \u{fffd}"), "{text}");
        assert!(!text.contains(char::is_control), "{text}");
    }
}
