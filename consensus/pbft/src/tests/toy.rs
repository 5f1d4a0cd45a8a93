//! What replicas under test agree on, and with which keys: the smallest of each.

use std::cell::Cell;
use std::rc::Rc;

use certificate::codec::Encode;
use certificate::{Digest, Domain, Epoch, OperationKind, ReplicaId, Replicas, Signature};

use crate::*;

/// When the virtual time begins on the wall clock, milliseconds since 1970.
pub const WALL_MS: u64 = 1_800_000_000_000;

/// Agrees on payloads: a leaf lists who saw what. A payload that begins with 255 is malformed.
#[derive(Clone)]
pub struct Toy {
    pub quorum: usize,
}

impl Application for Toy {
    fn check(&self, _: &Operation, _: ReplicaId, payload: &[u8]) -> bool {
        !payload.is_empty() && payload[0] != 255
    }

    fn settled(&self, _: &Operation, observations: &[Counted<'_>]) -> bool {
        let equal = |one: &Counted<'_>| observations.iter().filter(|it| it.payload == one.payload).count();
        observations.iter().any(|one| equal(one) >= self.quorum)
    }

    fn decide(&self, operation: &Operation, observations: &[Counted<'_>]) -> Vec<u8> {
        let mut leaf = operation.to_bytes();
        for counted in observations {
            leaf.push(counted.replica.0);
            leaf.extend_from_slice(counted.payload);
        }
        leaf
    }
}

/// A signature is a digest under a secret: nobody makes that of another but through its `ToyKeys`.
#[derive(Clone)]
pub struct ToyKeys {
    pub me: ReplicaId,
    pub checks: Rc<Cell<usize>>,
}

impl ToyKeys {
    pub fn of(me: u8) -> ToyKeys {
        ToyKeys { me: ReplicaId(me), checks: Rc::default() }
    }
}

fn signature_of(replica: ReplicaId, preimage: &[u8]) -> Signature {
    let half = Digest::of_parts(&[b"secret", &[replica.0], preimage]);
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&half.0);
    bytes[32..].copy_from_slice(&Digest::of(&half.0).0);
    Signature(bytes)
}

impl Keyring for ToyKeys {
    fn sign(&self, preimage: &[u8]) -> Signature {
        signature_of(self.me, preimage)
    }

    fn verify(&self, replica: ReplicaId, preimage: &[u8], signature: &Signature) -> bool {
        self.checks.set(self.checks.get() + 1);
        signature_of(replica, preimage) == *signature
    }
}

pub fn domain() -> Domain {
    Domain { cluster_id: Digest::of(b"cluster"), epoch: Epoch(1) }
}

pub fn parameters(me: u8, count: u32, faults: u32) -> Parameters {
    Parameters::new(
        ReplicaId(me),
        Replicas::new(count, faults).unwrap(),
        domain(),
        Digest::of(b"cluster file"),
    )
}

/// The smallest windows that hold together.
pub fn tiny(mut parameters: Parameters) -> Parameters {
    parameters.checkpoint_interval = 4;
    parameters.window = 8;
    parameters.batch_entries = 2;
    parameters.pace.entries = 2;
    parameters
}

pub fn operation(number: u64) -> Operation {
    Operation { kind: OperationKind::Resolve, subject: number.to_be_bytes().to_vec() }
}

pub fn genesis(parameters: &Parameters) -> Record {
    Record::Genesis { cluster_digest: parameters.cluster_digest, me: parameters.me }
}

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
