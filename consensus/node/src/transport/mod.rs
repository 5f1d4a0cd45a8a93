//! The peers: one QUIC connection to each other replica, whoever dialled it.
//!
//! `tls.rs` says who may connect, `hello.rs` whether both ends mean the same cluster, `connection.rs` how messages go over one
//! connection, `dial.rs` when one is tried and which is kept, `link.rs` what we have with a peer, `allowance.rs` how much it may make us answer, `peers.rs` all of it together. `traffic.rs` is what goes over a connection; beside the messages of `pbft`, news (`news.rs`) and content by its digest (`content.rs` on one stream, `fetch.rs` whom to ask). `socket.rs`
//! makes the socket with the filter on it, `endpoint.rs` what QUIC does on it, `guarded.rs` is the filter where the kernel does not have it, `ids.rs` what both know our connections by. Consensus, bulk and news have a stream each,
//! and each fetch has one, so that neither a replica that catches up nor one that reads long lists holds up votes.

mod allowance;
mod connection;
mod content;
mod dial;
mod endpoint;
mod fetch;
mod guarded;
mod hello;
mod ids;
mod link;
mod news;
mod peers;
#[cfg(test)]
pub(crate) mod raw;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
mod traffic;

pub use allowance::{ANSWER_BYTES_PER_WINDOW_MAX, ANSWER_WINDOW};
pub use connection::{QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX, QUEUED_ANSWER_BYTES_MAX};
pub use content::CONTENT_BYTES_MAX;
pub use fetch::{FETCH_STREAMS_MAX, FETCH_WINDOW, FETCHES_MAX, FETCHES_PER_WINDOW_MAX};
pub use news::{
    NEWS_BYTES_MAX, NEWS_HEARD_PER_WINDOW_MAX, NEWS_TOLD_PER_WINDOW_MAX, NEWS_WINDOW, QUEUED_NEWS_MAX,
};
pub(crate) use peers::{Peers, PeersConfig, PeersError};
pub use socket::peer_socket;
pub(crate) use socket::{SocketError, filtered_socket, load_filter};

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
