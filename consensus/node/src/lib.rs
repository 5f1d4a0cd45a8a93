//! One replica on tokio: the write-ahead log, the QUIC connections to its peers, and the one thread that owns the state machine.
//!
//! `pbft` decides everything; this crate gives it time, messages and a disk, and keeps the order that safety rests on: what is
//! recorded is on disk before what was promised leaves.

pub mod frame;
pub mod log;
