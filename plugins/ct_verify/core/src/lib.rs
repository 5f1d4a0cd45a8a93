//! Judges certificates: Certificate Transparency, chain, names, validity, revocation, and what DNS says of them.
//!
//! Pure functions on bytes. No socket, file or clock: lists, roots, revocation lists and the time come in, verdicts with all
//! their reasons go out, so that every replica judges alike and a stranger can judge again.

mod agreed;
pub mod cert_record;
pub mod chain;
pub mod checkpoint;
pub mod content;
pub mod dane;
mod der;
pub mod digest;
pub mod facts;
mod findings;
pub mod inclusion;
pub mod judge;
pub mod lasting;
pub mod local;
pub mod log_key;
pub mod log_list;
mod log_list_json;
pub mod merkle;
pub mod moment;
pub mod operation;
pub mod policy;
pub mod precertificate;
mod presented;
pub mod reason;
pub mod revocation;
pub mod roots;
pub mod rrset;
pub mod score;
pub mod sct;
pub mod sct_check;
pub mod skeleton;
pub mod snapshot;
pub mod split_view;
pub mod tile;
pub mod tlsa;
pub mod tree_head;
pub mod verdict;
mod wire;

pub use judge::{Pinned, Question, judge};
pub use moment::Moment;
pub use policy::Policy;
pub use verdict::{Conclusion, Verdict};
