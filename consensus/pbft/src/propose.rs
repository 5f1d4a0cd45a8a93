//! The primary's part: when to seal a batch, and what goes into it.
//!
//! A proposal has all observations that the primary holds and that count; backups find the same header by `judge::header_of`.

use std::collections::BTreeMap;
use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, Sequence, Signature};

use crate::batch::BATCH_OVERHEAD_BYTES;
use crate::held::{Held, prune};
use crate::judge::{self, Standing, Verdict};
use crate::observation::SET_OVERHEAD_BYTES;
use crate::replica::Replica;
use crate::requests::Own;
use crate::state::Point;
use crate::{Application, Batch, Keyring, Message, Operation, PrePrepare, Record};

/// Entries chosen for a batch, and what they cost.
#[derive(Default)]
struct Draft {
    entries: Vec<(Digest, Operation, Vec<Held>)>,
    sets: BTreeMap<(ReplicaId, Signature), ()>,
    bytes: usize,
}

impl Draft {
    /// What an entry would add, in bytes.
    fn cost(&self, operation: &Operation, held: &[Held]) -> usize {
        let of_set = |held: &Held| {
            let seal = &held.seal;
            let known = self.sets.contains_key(&(seal.replica, seal.signature));
            let frame = if known { 0 } else { SET_OVERHEAD_BYTES + seal.digests.len() * (1 + 32) };
            frame + held.observation.encoded_len() - 32
        };
        operation.encoded_len() + held.iter().map(of_set).sum::<usize>()
    }

    fn add(&mut self, digest: Digest, operation: Operation, held: Vec<Held>) {
        self.bytes += self.cost(&operation, &held);
        self.sets.extend(held.iter().map(|held| ((held.seal.replica, held.seal.signature), ())));
        self.entries.push((digest, operation, held));
    }

    fn times(&self) -> Vec<u64> {
        let held = self.entries.iter().flat_map(|(_, _, held)| held);
        held.map(|held| held.observation.time_ms).collect()
    }

    fn batch(&self) -> Batch {
        Batch {
            operations: self.entries.iter().map(|(_, operation, _)| operation.clone()).collect(),
            sets: prune(self.entries.iter().flat_map(|(_, _, held)| held)),
        }
    }
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Proposes as long as there is room in the pipeline and a batch to seal.
    pub(crate) fn propose(&mut self) {
        while self.has_room() && self.is_sealed() {
            let Some(draft) = self.draft() else { continue };
            self.send_proposal(draft);
        }
    }

    /// Whether the next slot is within the pipeline, counted from the own decided prefix, and within the water marks.
    pub(crate) fn has_room(&self) -> bool {
        let next = self.proposed.max(self.executed()).next();
        self.is_primary()
            && next.0 - self.executed().0 <= self.parameters.pace.pipeline
            && next <= self.marks.high()
            && self.requests.proposable_len() > 0
    }

    /// Whether the batch is sealed: full, or the pipeline idle, or the oldest entry has waited enough.
    fn is_sealed(&self) -> bool {
        let waited = self.batch_due().is_some_and(|due| due <= self.now.monotonic_ms);
        waited
            || self.proposed <= self.executed()
            || self.requests.proposable_len() >= self.parameters.pace.entries
            || self.proposable_bytes_reach(self.parameters.batch_bytes)
    }

    /// When the oldest entry has waited enough, if there is room for it.
    pub(crate) fn batch_due(&self) -> Option<u64> {
        let (oldest, _) = self.requests.proposable().next()?;
        Some(oldest.saturating_add(self.parameters.timeouts.batch_wait_ms))
    }

    fn proposable_bytes_reach(&self, bytes: usize) -> bool {
        let mut sum = 0;
        self.requests.proposable().any(|(_, digest)| {
            let held =
                self.requests.of(&digest).into_iter().flat_map(|request| request.observations.values());
            sum += held.map(|held| held.observation.encoded_len()).sum::<usize>();
            sum >= bytes
        })
    }

    /// The oldest proposable entries that fit. Entries that turn out to lack q observations that count are no longer proposable.
    fn draft(&mut self) -> Option<Draft> {
        let prefix = self.log.last();
        let mut draft = Draft { bytes: BATCH_OVERHEAD_BYTES, ..Draft::default() };
        let candidates: Vec<Digest> = self.requests.proposable().map(|(_, digest)| digest).collect();
        for digest in candidates {
            if draft.entries.len() >= self.parameters.pace.entries {
                break;
            }
            self.drop_uncounted(&digest, u64::MAX, &prefix);
            let Some(request) = self.requests.of(&digest).filter(|request| request.proposable_ms.is_some())
            else {
                continue;
            };
            let held: Vec<Held> = request.observations.values().cloned().collect();
            if draft.bytes + draft.cost(&request.operation, &held) > self.parameters.batch_bytes {
                assert!(!draft.entries.is_empty(), "one entry fits: observations are at most their share");
                break;
            }
            draft.add(digest, request.operation.clone(), held);
        }
        self.without_future(draft, &prefix)
    }

    /// Takes out observations that are too far ahead of the batch's time, until that time stands.
    fn without_future(&mut self, draft: Draft, prefix: &Point) -> Option<Draft> {
        if draft.entries.is_empty() {
            return None;
        }
        let time_ms = judge::time_of(draft.times(), prefix);
        let limit = time_ms.saturating_add(self.parameters.observation_window_ms);
        if draft.times().into_iter().all(|time| time <= limit) {
            return Some(draft);
        }
        for (digest, _, _) in &draft.entries {
            self.drop_uncounted(digest, time_ms, prefix);
        }
        None
    }

    /// Drops the observations of an operation that do not count in a slot of this time.
    fn drop_uncounted(&mut self, digest: &Digest, time_ms: u64, prefix: &Point) {
        let (log, parameters) = (&self.log, &self.parameters);
        let counts = |held: &Held| {
            let observed_ms = held.observation.time_ms;
            judge::standing(observed_ms, held.digest(), time_ms, (log, prefix), parameters)
                == Standing::Counts
        };
        let Some(request) = self.requests.of(digest) else { return };
        if request.observations.values().all(counts) {
            return;
        }
        let own_goes = request.observations.get(&self.me()).is_some_and(|held| !counts(held));
        self.requests.retain(digest, counts);
        if own_goes {
            self.requests.lack(digest, Own::Missing);
        }
        self.reassess(digest);
    }

    fn send_proposal(&mut self, draft: Draft) {
        let sequence: Sequence = self.proposed.max(self.executed()).next();
        let prefix = self.log.last();
        let batch = draft.batch();
        assert!(batch.encoded_len() <= self.parameters.batch_bytes, "the draft counted what the batch costs");
        let evidence = batch.evidence().expect("entries are unique and hold one observation a replica");
        let leaves = batch.decided_by(&evidence, &self.application);
        let header = judge::header_of(sequence, &batch, &evidence, &leaves, (&prefix, &self.parameters));
        let verdict = Verdict::of(leaves, &evidence);
        drop(evidence);
        let digest = header.digest();
        let signature = self.sign(MessageType::PrePrepare, sequence, digest).signature;
        let proposal = PrePrepare { view: self.view, header, signature, batch: Arc::new(batch) };
        self.proposed = sequence;
        self.ready.persist.push(Record::Accepted { proposal: proposal.clone(), prepare: None });
        self.send_all(Message::PrePrepare(proposal.clone()));
        self.hold_accepted(proposal, digest, None, Some(verdict));
    }
}
