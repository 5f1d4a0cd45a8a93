//! Faults with their evidence, kept as files so that they can be shown to others: `evidence/NUMBER-KIND-REPLICA.txt` in the state
//! folder.
//!
//! `EVIDENCE.md` is the format, from which a stranger can write a verifier. `kind.rs` names what is kept, `exhibit.rs` holds what was signed,
//! `file.rs` reads and writes the text, `verify.rs` checks it against a cluster file and nothing else, `verdict.rs` is what comes of that, `listing.rs` finds the files, `keep.rs` writes
//! them while a replica runs, and `shelf.rs` says what is kept and what goes.

mod exhibit;
mod file;
mod keep;
mod kind;
mod listing;
mod shelf;
#[cfg(test)]
mod tests;
mod verdict;
mod verify;

pub use exhibit::Exhibit;
pub use file::{EVIDENCE_BYTES_MAX, EvidenceFile, EvidenceReadError, EvidenceSyntaxError};
pub(crate) use keep::Evidence;
pub use kind::EvidenceKind;
pub use listing::{Listed, list};
pub use shelf::{EVIDENCE_FILES_MAX, PROOFS_PER_KIND_MAX, REFUSALS_PER_REPLICA_MAX};
pub use verdict::{EvidenceError, Proven};

/// The folder of evidence, in the state folder.
pub const EVIDENCE_FOLDER: &str = "evidence";
