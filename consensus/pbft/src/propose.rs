//! The primary's part: when to seal a batch, and what goes into it.
//!
//! A proposal has all observations that the primary holds and that count; backups find the same header by `judge::header_of`.

use std::collections::BTreeMap;
use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, Sequence, Signature};

use crate::batch::BATCH_OVERHEAD_BYTES;
use crate::held::{Held, prune};
use crate::judge::{self, Verdict};
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

    /// Adds an entry, unless it or another one would then have fewer than q observations that count in the time of the batch.
    fn add(
        &mut self,
        digest: Digest,
        operation: Operation,
        held: Vec<Held>,
        (quorum, prefix, window_ms): (usize, Point, u64),
    ) -> bool {
        let cost = self.cost(&operation, &held);
        let sets: Vec<_> = held.iter().map(|held| (held.seal.replica, held.seal.signature)).collect();
        self.entries.push((digest, operation, held));
        let Some(limit_ms) = self.limit(quorum, &prefix, window_ms) else {
            self.entries.pop();
            return false;
        };
        for (_, _, held) in &mut self.entries {
            held.retain(|held| held.observation.time_ms <= limit_ms);
        }
        self.bytes += cost;
        self.sets.extend(sets.into_iter().map(|set| (set, ())));
        true
    }

    /// Up to which time observations count in a batch of these entries: what is later is left out, and the batch's time is the earlier for
    /// it, until that stands. `None` when an entry would have fewer than q.
    fn limit(&self, quorum: usize, prefix: &Point, window_ms: u64) -> Option<u64> {
        let mut limit_ms = u64::MAX;
        // The batch's time is not before the earliest of them: nearly always all are so near that it need not be known.
        let (earliest, latest) = (self.times().min()?, self.times().max()?);
        if latest <= earliest.max(prefix.time_ms).saturating_add(window_ms) {
            return Some(limit_ms);
        }
        loop {
            let times: Vec<u64> = self.times().filter(|time| *time <= limit_ms).collect();
            let latest = times.iter().copied().max()?;
            let next_ms = judge::time_of(times, prefix).saturating_add(window_ms);
            if latest <= next_ms {
                return Some(limit_ms);
            }
            limit_ms = next_ms;
            let counts = |held: &&Held| held.observation.time_ms <= limit_ms;
            if self.entries.iter().any(|(_, _, held)| held.iter().filter(counts).count() < quorum) {
                return None;
            }
        }
    }

    fn times(&self) -> impl Iterator<Item = u64> + '_ {
        let held = self.entries.iter().flat_map(|(_, _, held)| held);
        held.map(|held| held.observation.time_ms)
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

    /// The oldest proposable entries that fit, in bytes and in time: the first that does not waits for the next batch, where it is the first.
    fn draft(&mut self) -> Option<Draft> {
        let prefix = self.log.last();
        let rules = (self.quorum(), prefix, self.parameters.observation_window_ms);
        let mut draft = Draft { bytes: BATCH_OVERHEAD_BYTES, ..Draft::default() };
        let candidates: Vec<Digest> = self.requests.proposable().map(|(_, digest)| digest).collect();
        for digest in candidates {
            if draft.entries.len() >= self.parameters.pace.entries {
                break;
            }
            let Some((operation, held)) = self.entry(&digest) else { continue };
            let fits = draft.bytes + draft.cost(&operation, &held) <= self.parameters.batch_bytes;
            if !fits || !draft.add(digest, operation, held, rules) {
                assert!(
                    !draft.entries.is_empty(),
                    "one entry fits: observations are at most their share, and those that count together count in a batch of it alone"
                );
                break;
            }
        }
        (!draft.entries.is_empty()).then_some(draft)
    }

    /// An operation with its observations that count in a batch of it alone. One that turns out to lack q of them is no longer proposable.
    fn entry(&mut self, digest: &Digest) -> Option<(Operation, Vec<Held>)> {
        self.drop_past(digest);
        let request = self.requests.of(digest).filter(|request| request.proposable_ms.is_some())?;
        let Some(counting) = self.counting(request) else {
            self.reassess(digest);
            return None;
        };
        Some((request.operation.clone(), counting.into_iter().cloned().collect()))
    }

    /// Drops the observations of an operation that grew stale or are used.
    fn drop_past(&mut self, digest: &Digest) {
        let Some(request) = self.requests.of(digest) else { return };
        let lasts = |held: &Held| self.lasts(held.observation.time_ms, held.digest());
        let past: Vec<ReplicaId> =
            request.observations.iter().filter(|(_, held)| !lasts(held)).map(|(id, _)| *id).collect();
        if past.is_empty() {
            return;
        }
        self.requests.retain(digest, |held| !past.contains(&held.seal.replica));
        if past.contains(&self.me()) {
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
