//! What replicas agree on: what each of them saw, reduced to a canonical form, and the pure function that makes one answer of it.
//!
//! [`canonical::read`] turns a DNS response into a value that can be compared; [`observation::Observed`] is what a replica signs;
//! [`check::check`] judges what a peer signed; [`decide::decide`] computes the leaf of a certificate from at least a quorum of observations, the same at
//! every replica; [`serve::serve`] turns a leaf back into records; [`testimonies`] is what each observer of a decision said; [`statement`] does all of this
//! for operations that are no DNS questions. Knows no protocol, clock, socket or file.

pub mod canonical;
mod chain;
pub mod check;
mod counted;
pub mod decide;
pub mod explain;
pub mod extra;
pub mod history;
pub mod matches;
pub mod name;
pub mod observation;
pub mod payload;
mod per_record;
pub mod present;
pub mod proofs;
pub mod rdata;
mod record;
mod round;
pub mod serve;
pub mod statement;
mod tally;
pub mod testimony;

pub use chain::CHAIN_LINKS_MAX;
pub use check::{CheckError, check};
pub use counted::Observation;
pub use decide::{Decision, decide, settled};
pub use matches::{Mismatch, matches};
pub use observation::{Dnssec, Observed, ObservedOutcome};
pub use proofs::{NoProofs, Proofs};
pub use record::to_hickory;
pub use serve::{Served, serve};
pub use statement::{Said, Statement};
pub use testimony::{Testimony, testimonies};
