//! The PBFT replica as a pure state machine: an event and the time go in, what to store, send and report comes out.
//!
//! No socket, no file, no clock, no randomness, and no knowledge of DNS: what is agreed on is bytes, judged by an [`Application`].
//! It holds Castro & Liskov 1999 §4.2 (normal case), §4.3 (checkpoints), §4.4 (view changes), a fast path, restart, catch-up, and what a replica
//! does that lost its log.
//!
//! What always holds, with at most f faulty replicas:
//!
//! - **One digest a vote.** A replica signs at most one digest for one (view, sequence number, phase), across restarts: the record
//!   of a signature stands in [`Ready::persist`] before the message stands in [`Ready::send`], and [`Replica::restore`] reads it back.
//! - **One decision a slot.** A slot is decided by commits of q distinct replicas of one view for one digest, so two honest
//!   replicas never decide differently; slots execute in order, without gaps.
//! - **A vote is a pure function** of the proposal, the decided prefix that its header names, and the cluster file. The one exception:
//!   a proposal whose time is more than [`CLOCK_SKEW_MAX_MS`] ahead of the voter's clock gets no vote yet. That, and a time as far behind,
//!   is reported as [`Fault::ClockSkew`].
//! - **Nothing decided is lost by a view change.** What an honest replica decided in a slot, the next views propose again or prove decided.
//! - **Leaves are recomputed**, never taken from the wire; the evidence root of the header binds the batch to the last byte.
//! - **A peer can not stop us.** No input panics; everything a peer feeds is bounded by a constant whose name ends in `_MAX`.
//!
//! Where to find what: `replica.rs` runs a step; `intake.rs`, `lookups.rs` and `reminders.rs` are the demand, `requests.rs`, `held.rs` and
//! `accounts.rs` hold it, `together.rs` says what of it counts; `propose.rs` is the primary's part and `judge.rs` the rule that both sides share; `normal.rs`, `log.rs` and
//! `ballot.rs` are the three phases, `fast_path.rs` goes before the last, `execute.rs` comes after it; `change.rs` gives a view up, `enter.rs` and `bodies.rs` begin one, `select.rs` says with what, `views.rs`
//! holds what that needs; `learn.rs` is for a replica that lost its log; `state.rs` is what replicas have in common, `checkpoint.rs` cuts the log; `catch_up.rs`, `serve.rs`,
//! `fetch.rs` and `transfer.rs` bring replicas up to date, `restore.rs` brings one back, `timer.rs` says when to come again.

mod accounts;
mod application;
mod ballot;
mod batch;
mod bodies;
mod catch_up;
mod change;
mod checkpoint;
mod enter;
mod execute;
mod fairness;
mod fast_path;
mod fault;
mod fetch;
mod held;
mod intake;
mod judge;
mod learn;
mod lists;
mod log;
mod lookups;
mod message;
mod new_view;
mod normal;
mod observation;
mod operation;
mod parameters;
pub mod planted;
mod propose;
mod ready;
mod record;
mod reminders;
mod replica;
mod requests;
mod restore;
pub mod select;
mod serve;
mod state;
mod timer;
mod together;
mod transfer;
mod view_change;
mod views;
mod vote;

pub use application::{Application, Counted, Keyring};
pub use batch::{Batch, BatchError};
pub use fault::{Fault, Refusal, SignedVote};
pub use message::{DecidedSlot, Message, PeerStatus, PrePrepare, StateChunk};
pub use new_view::{FIXED_SLOTS_MAX, NewView, NewViewError, NewViewFault};
pub use observation::{Item, Observation, SignedObservations};
pub use operation::Operation;
pub use parameters::*;
pub use ready::{Decided, Early, Event, Lookup, Now, Ready, Recipients, Standing, Status};
pub use record::Record;
pub use replica::Replica;
pub use restore::RestoreError;
pub use view_change::{
    Prepared, Proof, SlotClaim, ViewChange, ViewChangeError, Voted, view_change_bytes_max,
};
pub use vote::{CheckpointCertificate, CheckpointVote, CommitCertificate, Vote};

#[cfg(test)]
mod tests;
