//! The body of a proposal: operations, and the signed observations that decide them.
//!
//! One batch has one encoding: operations are unique; sets stand by replica, then signature; each set holds at least one observation in
//! full, and each full observation is of an operation in the batch. Which observations decide an entry follows: all full ones
//! of its operation. The evidence root binds every byte, so a header's digest has one body.

use std::collections::{BTreeMap, BTreeSet};

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::{Digest, Kinds, OperationKind, ReplicaId, merkle};
use thiserror::Error;

use crate::observation::Item;
use crate::{
    Application, BATCH_ENTRIES_MAX, Counted, MESSAGE_BYTES_MAX, Operation, SignedObservations, lists,
};

/// What a batch costs besides its entries and sets: two counts.
pub(crate) const BATCH_OVERHEAD_BYTES: usize = 2 + 2;

/// Why a batch is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BatchError {
    /// No entry: only a new view fixes null slots.
    #[error("expected at least one entry, found a null batch")]
    Null,
    /// An entry asks for nothing.
    #[error("entry {entry}: expected an operation, found a null operation")]
    NullOperation {
        /// Its place.
        entry: usize,
    },
    /// Two entries for one operation.
    #[error("entry {entry}: expected a new operation, found one of an earlier entry")]
    DuplicateOperation {
        /// The place of the second.
        entry: usize,
    },
    /// Sets out of order or twice.
    #[error("set {set}: expected sets by replica and signature, found one out of order")]
    SetOrder {
        /// Its place.
        set: usize,
    },
    /// A set without a full observation.
    #[error("set {set}: expected an observation in full, found none")]
    EmptySet {
        /// Its place.
        set: usize,
    },
    /// An observation of an operation that is not in the batch.
    #[error("set {set}: expected observations of the batch's operations, found another")]
    ForeignObservation {
        /// The place of its set.
        set: usize,
    },
    /// Two observations of one replica for one entry.
    #[error("entry {entry}: expected one observation of replica {replica}, found two")]
    DuplicateObservation {
        /// The place of the entry.
        entry: usize,
        /// Whose.
        replica: ReplicaId,
    },
}

/// The body of a proposal. The default is the null batch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// What is decided, in the order of the leaves.
    pub operations: Vec<Operation>,
    /// By what: pruned to what the batch uses.
    pub sets: Vec<SignedObservations>,
}

/// The observations of a batch by entry, with every digest computed once.
#[derive(Clone, Debug)]
pub(crate) struct BatchEvidence<'a> {
    /// Of each entry, lowest replica first.
    pub(crate) entries: Vec<Vec<Evidence<'a>>>,
    /// The digests of the items of each set.
    pub(crate) digests: Vec<Vec<Digest>>,
}

/// One observation in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) replica: ReplicaId,
    pub(crate) set: usize,
    pub(crate) item: usize,
    pub(crate) observation: &'a crate::Observation,
    pub(crate) digest: Digest,
}

impl Batch {
    /// The observations of each entry, lowest replica first; checks everything that makes a batch well formed.
    pub(crate) fn evidence(&self) -> Result<BatchEvidence<'_>, BatchError> {
        if self.operations.is_empty() {
            return Err(BatchError::Null);
        }
        let mut places = BTreeMap::new();
        for (entry, operation) in self.operations.iter().enumerate() {
            if operation.kind == OperationKind::Null {
                return Err(BatchError::NullOperation { entry });
            }
            if places.insert(operation, entry).is_some() {
                return Err(BatchError::DuplicateOperation { entry });
            }
        }
        let mut entries: Vec<BTreeMap<ReplicaId, Evidence<'_>>> =
            vec![BTreeMap::new(); self.operations.len()];
        let digests: Vec<Vec<Digest>> = self.sets.iter().map(SignedObservations::digests).collect();
        for (place, set) in self.sets.iter().enumerate() {
            let before = place.checked_sub(1).map(|before| &self.sets[before]);
            if before.is_some_and(|before| (before.replica, before.signature) >= (set.replica, set.signature))
            {
                return Err(BatchError::SetOrder { set: place });
            }
            let mut full = 0;
            for (item, observed) in set.items.iter().enumerate() {
                let Item::Full(observation) = observed else { continue };
                full += 1;
                let entry = *places
                    .get(&observation.operation)
                    .ok_or(BatchError::ForeignObservation { set: place })?;
                let digest = digests[place][item];
                let evidence = Evidence { replica: set.replica, set: place, item, observation, digest };
                if entries[entry].insert(set.replica, evidence).is_some() {
                    return Err(BatchError::DuplicateObservation { entry, replica: set.replica });
                }
            }
            if full == 0 {
                return Err(BatchError::EmptySet { set: place });
            }
        }
        let entries = entries.into_iter().map(|entry| entry.into_values().collect()).collect();
        Ok(BatchEvidence { entries, digests })
    }

    /// The kinds of operation in the batch.
    pub fn kinds(&self) -> Kinds {
        self.operations.iter().map(|operation| operation.kind).collect()
    }

    /// Length of the encoding in bytes.
    pub fn encoded_len(&self) -> usize {
        BATCH_OVERHEAD_BYTES
            + self.operations.iter().map(Operation::encoded_len).sum::<usize>()
            + self.sets.iter().map(SignedObservations::encoded_len).sum::<usize>()
    }

    /// What the evidence tree of the header holds for each entry: the operation's digest, then for each observation, lowest replica first,
    /// the replica, the digest of the set's signed bytes, its signature, the item's place and the item's digest.
    pub fn evidence_leaves(&self) -> Result<Vec<Vec<u8>>, BatchError> {
        let evidence = self.evidence()?;
        Ok(self.leaves_of(&evidence))
    }

    pub(crate) fn leaves_of(&self, evidence: &BatchEvidence<'_>) -> Vec<Vec<u8>> {
        let sets: Vec<Digest> = evidence.digests.iter().map(|digests| digest_of(digests)).collect();
        let leaf = |operation: &Operation, observations: &Vec<Evidence<'_>>| {
            let mut writer = Writer::new();
            operation.digest().encode(&mut writer);
            for observation in observations {
                writer.u8(observation.replica.0);
                sets[observation.set].encode(&mut writer);
                self.sets[observation.set].signature.encode(&mut writer);
                writer.u8(observation.item as u8);
                observation.digest.encode(&mut writer);
            }
            writer.finish()
        };
        self.operations
            .iter()
            .zip(&evidence.entries)
            .map(|(operation, observations)| leaf(operation, observations))
            .collect()
    }

    /// The observations of each entry as `Application::decide` sees them: lowest replica first. Empty for what is no batch.
    pub fn observations(&self) -> Vec<Vec<Counted<'_>>> {
        let Ok(evidence) = self.evidence() else {
            return Vec::new();
        };
        evidence.entries.iter().map(|entry| entry.iter().map(Evidence::counted).collect()).collect()
    }

    /// The leaf of each entry, recomputed from its observations.
    pub fn decide(&self, application: &impl Application) -> Result<Vec<Vec<u8>>, BatchError> {
        let evidence = self.evidence()?;
        Ok(self.decided_by(&evidence, application))
    }

    pub(crate) fn decided_by(
        &self,
        evidence: &BatchEvidence<'_>,
        application: &impl Application,
    ) -> Vec<Vec<u8>> {
        let leaf = |operation: &Operation, observations: &Vec<Evidence<'_>>| {
            let counted: Vec<Counted<'_>> = observations.iter().map(Evidence::counted).collect();
            application.decide(operation, &counted)
        };
        self.operations
            .iter()
            .zip(&evidence.entries)
            .map(|(operation, observations)| leaf(operation, observations))
            .collect()
    }
}

/// One digest for the list of a set's.
fn digest_of(digests: &[Digest]) -> Digest {
    let parts: Vec<&[u8]> = digests.iter().map(|digest| digest.0.as_slice()).collect();
    Digest::of_parts(&parts)
}

impl<'a> Evidence<'a> {
    pub(crate) fn counted(&self) -> Counted<'a> {
        Counted {
            replica: self.replica,
            time_ms: self.observation.time_ms,
            payload: &self.observation.payload,
        }
    }
}

/// The root over byte strings, as headers carry it.
pub(crate) fn root(leaves: &[Vec<u8>]) -> Digest {
    let leaves: Vec<&[u8]> = leaves.iter().map(Vec::as_slice).collect();
    merkle::root(&leaves)
}

/// The lower median: of an even number of times the earlier of the middle two. `None` of none.
pub(crate) fn lower_median(mut times: Vec<u64>) -> Option<u64> {
    times.sort_unstable();
    let middle = times.len().checked_sub(1)? / 2;
    times.get(middle).copied()
}

impl Encode for Batch {
    fn encode(&self, writer: &mut Writer) {
        lists::write16(writer, &self.operations);
        lists::write16(writer, &self.sets);
    }
}

impl Decode for Batch {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let operations: Vec<Operation> = lists::read16(reader, "operations", BATCH_ENTRIES_MAX)?;
        let offset = reader.offset();
        if operations.iter().collect::<BTreeSet<_>>().len() != operations.len() {
            return Err(Reader::invalid(offset, "operations", "unique operations", operations.len() as u64));
        }
        Ok(Batch { operations, sets: lists::read16(reader, "sets", MESSAGE_BYTES_MAX)? })
    }
}
