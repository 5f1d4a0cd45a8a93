//! What comes of checking an evidence file.

use std::fmt;

use certificate::{Digest, Epoch, ReplicaId, Sequence, View};
use pbft::Fault;
use thiserror::Error;

use super::kind::EvidenceKind;

/// What an evidence file proves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proven {
    /// The kind of fault.
    pub kind: EvidenceKind,
    /// Who did it.
    pub replica: ReplicaId,
    /// In which view, where there is one.
    pub view: Option<View>,
    /// For which slot, where there is one.
    pub sequence: Option<Sequence>,
    /// The fault, as a replica would raise it; its text says what is wrong.
    pub fault: Fault,
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

/// Why an evidence file proves nothing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum EvidenceError {
    /// Of another cluster.
    #[error("expected evidence of cluster {ours}, found that of cluster {theirs}")]
    Cluster {
        /// By the cluster file.
        ours: Digest,
        /// By the evidence.
        theirs: Digest,
    },
    /// Of another version of the cluster file.
    #[error(
        "expected evidence of epoch {ours}, found that of epoch {theirs}: the cluster file of that epoch is needed"
    )]
    Epoch {
        /// By the cluster file.
        ours: Epoch,
        /// By the evidence.
        theirs: Epoch,
    },
    /// Of nobody.
    #[error("expected a replica of the cluster, found {0}")]
    UnknownReplica(ReplicaId),
    /// What is shown was signed by another replica than the one that is accused.
    #[error("the file accuses replica {accused}, what it shows is of replica {shown}")]
    OtherReplica {
        /// Whom the file accuses.
        accused: ReplicaId,
        /// Whose it is.
        shown: ReplicaId,
    },
    /// A signature that is not that of the accused.
    #[error("signed part {part}: expected the signature of replica {replica}, found another")]
    Signature {
        /// The place of the part in the file, from 1.
        part: usize,
        /// The accused.
        replica: ReplicaId,
    },
    /// Two signed parts about different things.
    #[error("expected two statements about one {what}, found statements about two")]
    NoContradiction {
        /// What they should have in common.
        what: &'static str,
    },
    /// Two signed parts that say the same.
    #[error("expected two statements that differ, found the same twice")]
    Same,
    /// Nothing is wrong with what was signed.
    #[error("nothing is wrong with the {what}: every rule holds")]
    Sound {
        /// What was signed.
        what: &'static str,
    },
    /// The new view does not name a view change that is beside it.
    #[error("signed part {part}: the new view names no such view change")]
    NotNamed {
        /// The place of the part in the file, from 1.
        part: usize,
    },
    /// A view change that the new view names is needed and not there.
    #[error("the view change of replica {0} is needed and not in the file")]
    Missing(ReplicaId),
    /// The view changes beside a new view show more than f faulty replicas: none of them alone.
    #[error(
        "the view changes prove two digests of view {view}: more replicas are faulty than the cluster tolerates"
    )]
    Conflict {
        /// The view.
        view: View,
    },
    /// What is wrong with the observation only the application can tell.
    #[error(
        "the signature holds; whether the observation is one, only a verifier that knows its content can tell"
    )]
    NeedsApplication,
    /// The signature holds, and is no proof of a fault.
    #[error(
        "the signature holds, but a refused proposal is no proof: what is wrong with it depends on the decided log or the batch"
    )]
    NoProof,
}
