//! The filter on the peer port: an eBPF program, its loader, and the same policy in userspace.
//!
//! Decides, for every datagram that arrives at the port where replicas talk to each other, whether QUIC gets to see it:
//! unknown sources, quarantined peers, floods and what cannot be QUIC are thrown away in the kernel (`bpf/`), or,
//! without the privilege, in userspace by the same rules ([`PeerFilter::judge`]).
//!
//! Knows neither DNS nor consensus: peers are small numbers with addresses. Who deserves a quarantine, and for how
//! long, is decided by whoever calls [`PeerFilter::quarantine`].

mod address;
mod bucket;
mod clock;
mod connection_ids;
mod error;
mod filter;
mod kernel;
mod mode;
mod policy;
mod privileges;
mod shape;
mod socket_options;
mod statistics;
mod twin;
mod unknown;
mod verdict;

#[cfg(test)]
mod tests;

pub use connection_ids::{CONNECTION_ID_BYTES, ConnectionIds};
pub use error::FilterError;
pub use filter::PeerFilter;
pub use mode::{Kind, Mode, ModeError};
pub use policy::{Limits, PEER_ADDRESSES_MAX, Peer, Policy, Rate, TIGHTEN_FACTOR_MAX};
pub use privileges::{drop_privileges, drop_privileges_of_thread};
pub use socket_options::arrive_one_by_one;
pub use statistics::{
    Behaviour, FilterStatistics, PeerStatistics, QuarantineState, UnknownSource, VerdictCount,
};
pub use verdict::Verdict;
