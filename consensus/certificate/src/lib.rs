//! What a quorum signed, and how a stranger checks it.
//!
//! Holds the formats that outlive a process: the cluster file, the header of a slot, the leaf of an answer, the quorum certificate,
//! and their verification. `FORMAT.md` beside this crate describes every byte. Knows no clock, no socket, no protocol state:
//! `pbft` makes certificates, this crate says whether one is valid.

pub mod codec;
pub mod digest;
pub mod header;
pub mod replicas;
pub mod signing;

pub use digest::Digest;
pub use header::{Kinds, OperationKind, SlotHeader};
pub use replicas::{Epoch, ReplicaId, ReplicaSet, Replicas, Sequence, View};
pub use signing::{Domain, MessageType, Signature};
