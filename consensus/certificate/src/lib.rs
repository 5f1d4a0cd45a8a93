//! What a quorum signed, and how a stranger checks it.
//!
//! Holds the formats that outlive a process: the cluster file, the header of a slot, the leaf of an answer, the quorum certificate,
//! and their verification. `FORMAT.md` beside this crate describes every byte. Knows no clock, no socket, no protocol state:
//! `pbft` makes certificates, this crate says whether one is valid.

pub mod certified;
pub mod cluster;
pub mod codec;
pub mod delivery;
pub mod digest;
pub mod header;
pub mod keys;
pub mod leaf;
pub mod merkle;
pub mod name;
pub mod policy;
pub mod question;
pub mod remark;
pub mod replicas;
pub mod rrset;
pub mod signing;
pub mod timestamp;
pub mod verify;

pub use certified::{CertifiedAnswer, QuorumCertificate};
pub use cluster::{Cluster, ClusterError, Member};
pub use digest::Digest;
pub use header::{Kinds, OperationKind, SlotHeader};
pub use keys::{PublicKey, SeedKey, SigningKey, TransportKey};
pub use leaf::{Class, Denial, Leaf, Outcome, Policy, Question, RrSet, Subject};
pub use remark::{Judged, Remark};
pub use replicas::{Epoch, ReplicaId, ReplicaSet, Replicas, Sequence, View};
pub use signing::{Domain, MessageType, Signature};
pub use verify::{Verified, VerifyError};
