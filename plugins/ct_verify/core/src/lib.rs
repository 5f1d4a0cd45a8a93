//! Judges certificates: Certificate Transparency, chain, names, validity, revocation, and what DNS says of them.
//!
//! Pure functions on bytes. No socket, file or clock: lists, roots, revocation lists and the time come in, verdicts with all
//! their reasons go out, so that every replica judges alike and a stranger can judge again.

mod der;
pub mod digest;
pub mod log_key;
pub mod moment;
pub mod precertificate;
pub mod sct;
pub mod skeleton;
mod wire;
