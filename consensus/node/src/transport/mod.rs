//! The peers: one QUIC connection to each other replica, whoever dialled it.
//!
//! `tls.rs` says who may connect, `hello.rs` whether both ends mean the same cluster, `dial.rs` when a connection is tried and which is kept,
//! `link.rs` what we have with a peer, `allowance.rs` how much it may make us do, `link_error.rs` why it is over, `peers.rs` all of it together.
//!
//! `class.rs` says what streams a connection has, `connection.rs` opens them, `send_queue.rs` is where frames wait for them, and `traffic.rs` runs
//! them: messages of `pbft`, news (`news.rs`), and content by its digest (`content.rs` on one stream, `fetch.rs` whom to ask). Consensus, bulk
//! and news have a stream each, and each fetch has one, so that neither a replica that catches up nor one that reads long lists holds up votes.
//!
//! `socket.rs` makes the socket with the filter on it, `endpoint.rs` what QUIC does on it, `guarded.rs` is the filter where the kernel does not have
//! it, `ids.rs` what both know our connections by.

mod allowance;
mod class;
mod connection;
mod content;
mod dial;
mod endpoint;
mod fetch;
mod guarded;
mod hello;
mod ids;
mod link;
mod link_error;
mod news;
mod peers;
#[cfg(test)]
pub(crate) mod raw;
mod send_queue;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
mod traffic;

pub use allowance::{
    ANSWER_BYTES_PER_WINDOW_MAX, ANSWER_WINDOW, FETCH_STREAMS_MAX, FETCH_WINDOW, FETCHES_PER_WINDOW_MAX,
    NEWS_HEARD_PER_WINDOW_MAX, NEWS_TOLD_PER_WINDOW_MAX, NEWS_WINDOW,
};
pub use class::NEWS_BYTES_MAX;
pub use content::CONTENT_BYTES_MAX;
#[cfg(feature = "fuzzing")]
pub(crate) use hello::Hello;
pub(crate) use link_error::CloseCode;
pub use peers::FETCHES_MAX;
pub(crate) use peers::{Peers, PeersConfig, PeersError};
pub use send_queue::{QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX, QUEUED_ANSWER_BYTES_MAX, QUEUED_NEWS_MAX};
pub use socket::peer_socket;
pub(crate) use socket::{SocketError, filtered_socket, load_filter};
