//! What the replica asks of its owner: judge the content of observations, hold the keys.

use std::sync::Arc;

use certificate::{ReplicaId, Signature};

use crate::Operation;

/// An observation as `decide` sees it. In a slice they stand by replica, lowest first, one each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted<'a> {
    /// Who saw it.
    pub replica: ReplicaId,
    /// When, in milliseconds since 1970, by the observer's clock.
    pub time_ms: u64,
    /// What was seen.
    pub payload: &'a [u8],
}

/// What the cluster agrees on. All methods are pure functions of their arguments and the cluster file, or replicas would disagree.
pub trait Application {
    /// Whether `payload` is a well-formed observation of `operation` by `replica`. A signed one that is not is a fault.
    fn check(&self, operation: &Operation, replica: ReplicaId, payload: &[u8]) -> bool;

    /// Whether waiting for the replicas that are missing from `observations` is of no use. Only the primary's pace depends on it.
    fn settled(&self, operation: &Operation, observations: &[Counted<'_>]) -> bool;

    /// The encoded leaf that `observations` decide. Total: whatever passed `check` gives a leaf.
    fn decide(&self, operation: &Operation, observations: &[Counted<'_>]) -> Vec<u8>;
}

impl<A: Application + ?Sized> Application for Arc<A> {
    fn check(&self, operation: &Operation, replica: ReplicaId, payload: &[u8]) -> bool {
        (**self).check(operation, replica, payload)
    }

    fn settled(&self, operation: &Operation, observations: &[Counted<'_>]) -> bool {
        (**self).settled(operation, observations)
    }

    fn decide(&self, operation: &Operation, observations: &[Counted<'_>]) -> Vec<u8> {
        (**self).decide(operation, observations)
    }
}

/// The signing key of this replica and the public keys of all.
pub trait Keyring {
    /// Signs as this replica.
    fn sign(&self, preimage: &[u8]) -> Signature;

    /// Whether `signature` is that of `replica` over `preimage`. Strict: all verifiers give the same result.
    fn verify(&self, replica: ReplicaId, preimage: &[u8], signature: &Signature) -> bool;
}

impl<K: Keyring + ?Sized> Keyring for Arc<K> {
    fn sign(&self, preimage: &[u8]) -> Signature {
        (**self).sign(preimage)
    }

    fn verify(&self, replica: ReplicaId, preimage: &[u8], signature: &Signature) -> bool {
        (**self).verify(replica, preimage, signature)
    }
}
