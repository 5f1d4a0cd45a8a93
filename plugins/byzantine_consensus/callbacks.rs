//! What the node tells the cluster's shared state, and what it asks of it. Called on the replica's own thread, so all work is handed on.

use std::sync::Weak;
use std::time::Instant;

use bytes::Bytes;
use certificate::{Digest, ReplicaId};
use node::{Host, NodeHandle, Round};
use pbft::{Decided, Early, Fault, Lookup};
use tracing::debug;

use super::connectivity::Row;
use super::consensus::Consensus;
use super::validations;

/// Lets the node call back into the cluster's shared state, as long as that is used: the state holds the node, not the other way
/// round, so that a replica that is released goes with its socket and its memory.
pub struct Callbacks(pub Weak<Consensus>);

impl Host for Callbacks {
    fn lookup(&self, _node: &NodeHandle, lookup: Lookup) {
        let Some(consensus) = self.0.upgrade() else { return };
        consensus.runtime.clone().spawn(consensus.look_up(lookup));
    }

    fn early(&self, early: &Early) {
        let Some(consensus) = self.0.upgrade() else { return };
        if !consensus.releases_early() {
            consensus.metrics.withheld.inc();
            return;
        }
        let early = early.clone();
        consensus.runtime.clone().spawn(async move { consensus.take_early(&early) });
    }

    fn decided(&self, decided: &Decided) {
        let Some(consensus) = self.0.upgrade() else { return };
        // Here slots come in order; the tasks below run side by side.
        consensus.validations.hand_on(validations::tasks_of(decided));
        // Hashing and encoding must not hold the replica up.
        let decided = decided.clone();
        consensus.runtime.clone().spawn(async move { consensus.take_slot(&decided) });
    }

    fn measured(&self, round: &Round) {
        if let Some(consensus) = self.0.upgrade() {
            consensus.metrics.rounds.take(round);
        }
    }

    fn answered(&self, from: ReplicaId, operation: Digest, bytes: &[u8]) {
        let Some(consensus) = self.0.upgrade() else { return };
        let Ok(permit) = consensus.verifying.clone().try_acquire_owned() else {
            return debug!(%from, "dropped an answer: too many are being verified");
        };
        let bytes = bytes.to_vec();
        consensus.runtime.clone().spawn(async move {
            consensus.take_answer(from, operation, &bytes);
            drop(permit);
        });
    }

    fn refused(&self, operation: Digest) {
        debug!(%operation, "the replica took no more requests");
        if let Some(consensus) = self.0.upgrade() {
            consensus.waiting.not_taken(&operation);
            consensus.tasks.not_taken(&operation);
        }
    }

    fn told(&self, from: ReplicaId, bytes: Bytes) {
        let Some(consensus) = self.0.upgrade() else { return };
        if Row::is_one(&bytes) {
            consensus.connectivity.hear(Instant::now(), from, &bytes, consensus.cluster.replicas);
        } else if let Some(validator) = consensus.validator() {
            validator.told(from, &bytes);
        }
    }

    fn content(&self, digest: &Digest) -> Option<Bytes> {
        self.0.upgrade()?.validator()?.content(digest)
    }

    fn fault(&self, _fault: &Fault) {
        if let Some(consensus) = self.0.upgrade() {
            consensus.metrics.faults.inc();
        }
    }
}
