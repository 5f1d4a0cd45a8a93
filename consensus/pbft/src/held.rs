//! Observations that are held under a checked signature, and how those that are needed go out again under it.

use std::collections::BTreeMap;
use std::sync::Arc;

use certificate::{Digest, ReplicaId, Signature};

use crate::{Item, Observation, SignedObservations};

/// The signed frame of a set, without its observations.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Seal {
    pub(crate) replica: ReplicaId,
    pub(crate) digests: Vec<Digest>,
    pub(crate) signature: Signature,
}

/// An observation under a checked signature.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) seal: Arc<Seal>,
    pub(crate) item: usize,
    pub(crate) observation: Observation,
}

impl Held {
    pub(crate) fn digest(&self) -> Digest {
        self.seal.digests[self.item]
    }

    pub(crate) fn bytes(&self) -> usize {
        self.observation.encoded_len()
    }
}

/// The sets that hold exactly these observations in full, by replica and signature.
pub(crate) fn prune<'a>(held: impl Iterator<Item = &'a Held>) -> Vec<SignedObservations> {
    let mut sets: BTreeMap<(ReplicaId, Signature), SignedObservations> = BTreeMap::new();
    for held in held {
        let seal = &held.seal;
        let set = sets.entry((seal.replica, seal.signature)).or_insert_with(|| SignedObservations {
            replica: seal.replica,
            items: seal.digests.iter().copied().map(Item::Pruned).collect(),
            signature: seal.signature,
        });
        set.items[held.item] = Item::Full(held.observation.clone());
    }
    sets.into_values().collect()
}
