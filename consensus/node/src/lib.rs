//! One replica on tokio: the write-ahead log, the QUIC connections to its peers, and the one thread that owns the state machine.
//!
//! `pbft` decides everything; this crate gives it time, messages and a disk, and keeps the order that safety rests on: what is
//! recorded is on disk before what was promised leaves. It knows nothing of DNS: the [`Host`] looks things up.

#[cfg(feature = "adversary")]
pub mod adversary;
mod began;
mod chronicle;
mod clock;
mod config;
mod counters;
mod driver;
pub mod evidence;
pub mod frame;
#[cfg(feature = "fuzzing")]
pub mod fuzzed;
mod genesis;
mod handle;
mod host;
mod inbox;
mod inquiry;
mod keyring;
pub mod log;
mod node;
mod port;
mod questions;
mod recall;
mod reputation;
mod rounds;
mod rules;
mod status;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transport;
mod warden;

pub use config::{NodeConfig, StartError, identify};
pub use counters::{Counted, Counters};
pub use detector;
pub use genesis::{InitialiseError, initialise, initialise_sized};
pub use handle::NodeHandle;
pub use host::Host;
pub use inbox::{Busy, HOST_EVENTS_MAX, PEER_BYTES_MAX, PEER_MESSAGES_MAX};
pub use node::Node;
pub use peer_filter::{
    FilterError, FilterStatistics, Kind as FilterKind, Mode as FilterMode, ModeError as FilterModeError,
};
pub use port::Port;
pub use rounds::Round;
pub use status::{NodeStatus, Packets, PeerState};
pub use transport::{
    ANSWER_BYTES_PER_WINDOW_MAX, ANSWER_WINDOW, CONTENT_BYTES_MAX, FETCH_STREAMS_MAX, FETCH_WINDOW,
    FETCHES_MAX, FETCHES_PER_WINDOW_MAX, NEWS_BYTES_MAX, NEWS_HEARD_PER_WINDOW_MAX, NEWS_TOLD_PER_WINDOW_MAX,
    NEWS_WINDOW, QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX, QUEUED_ANSWER_BYTES_MAX, QUEUED_NEWS_MAX, peer_socket,
};
