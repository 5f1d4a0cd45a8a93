//! Judges certificates: Certificate Transparency, chain, names, validity, revocation, and what DNS says of them.
//!
//! Pure functions on bytes. No socket, file or clock: lists, roots, revocation lists and the time come in, verdicts with all
//! their reasons go out, so that every replica judges alike and a stranger can judge again.

pub mod checkpoint;
mod der;
pub mod digest;
pub mod inclusion;
pub mod log_key;
pub mod log_list;
pub mod merkle;
pub mod moment;
pub mod policy;
pub mod precertificate;
pub mod reason;
pub mod sct;
pub mod sct_check;
pub mod skeleton;
pub mod tile;
pub mod tree_head;
mod wire;
