//! Certified answers that this replica knows, so that it can answer and hand them to replicas that were behind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use certificate::leaf::{Class, Leaf};
use certificate::{Digest, ReplicaId, Sequence};
use moka::policy::EvictionPolicy;

use crate::certification::Completion;
use crate::response::Certified;

/// Bytes of answers, certificates and observations that are kept.
pub const STORE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of answers that are kept by their references, also when a later slot has replaced them.
pub const REFERENCED_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// What an entry costs beside its own bytes.
const ENTRY_BYTES: usize = 600;
/// Slots whose answers may wait for their commits: more than any cluster has in flight.
pub const EARLY_SLOTS_MAX: usize = 64;

/// An answer with less life than this, or than a tenth of its TTL, is looked up anew instead of being handed out.
const HAND_OUT_MARGIN_MS: u64 = 1000;

/// One replica's part in a decision, as it was signed: for "why this answer?".
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Who observed.
    pub replica: ReplicaId,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// What, encoded.
    pub payload: Vec<u8>,
}

/// A decision about a question, perhaps before its commits are in.
#[derive(Debug)]
pub struct Held {
    /// The slot that it was decided in.
    pub sequence: Sequence,
    /// What was decided.
    pub leaf: Leaf,
    /// Its certificate, when the commits are in.
    pub certificate: Completion,
    /// The records served beside it, in the form of `agreement::extra`.
    pub extra: Vec<u8>,
    /// The observations behind it; none when the answer came from another replica.
    pub evidence: Vec<Evidence>,
}

impl Held {
    /// A certified answer.
    pub fn certified(certified: Certified, extra: Vec<u8>, evidence: Vec<Evidence>) -> Held {
        let (header, leaf) = (&certified.answer.certificate.header, &certified.answer.leaf);
        let (sequence, leaf) = (header.sequence, leaf.clone());
        let certificate = Completion::open(certified.option_code);
        certificate.complete(Arc::new(certified));
        Held { sequence, leaf, certificate, extra, evidence }
    }

    /// Whether the answer holds at `now_ms`.
    pub fn holds(&self, now_ms: u64) -> bool {
        now_ms < self.leaf.not_after_ms
    }

    /// Whether the answer holds long enough at `now_ms` to be worth handing to another replica, whose clock may differ; that it has a
    /// certificate is for the caller to see.
    pub fn is_worth_handing_out(&self, now_ms: u64) -> bool {
        let margin_ms = (u64::from(self.leaf.ttl) * 1000 / 10).max(HAND_OUT_MARGIN_MS);
        self.holds(now_ms.saturating_add(margin_ms))
    }

    /// Whether something was agreed on: neither a failure nor disagreement.
    pub fn is_answer(&self) -> bool {
        self.leaf.class > Class::Failure
    }

    fn weight(&self) -> u32 {
        let evidence: usize = self.evidence.iter().map(|evidence| evidence.payload.len() + 32).sum();
        // The leaf is held decoded and encoded.
        let certificate = 2 * self.certificate.certification().bytes();
        (ENTRY_BYTES + certificate + self.extra.len() + evidence) as u32
    }
}

/// The decisions by question and by reference, both bounded in bytes.
pub struct Store {
    entries: moka::sync::Cache<Digest, Arc<Held>>,
    /// By the reference that clients got instead of the certificate: the last ones, also when the question was decided anew since.
    referenced: moka::sync::Cache<[u8; 33], Arc<Held>>,
    /// The questions whose answers wait for their commits, by slot.
    early: Mutex<BTreeMap<Sequence, Vec<Digest>>>,
}

/// What came of `Store::insert`.
pub struct Kept {
    /// What is kept about the question.
    pub held: Arc<Held>,
    /// Whether the slot was known, or released early, with another answer: more than f replicas are faulty.
    pub contradicts: bool,
}

impl Default for Store {
    fn default() -> Store {
        let entries = moka::sync::Cache::builder()
            .max_capacity(STORE_BYTES_MAX)
            .weigher(|_, held: &Arc<Held>| held.weight())
            .build();
        // What is asked for often is no better than what nobody has asked for yet.
        let referenced = moka::sync::Cache::builder()
            .max_capacity(REFERENCED_BYTES_MAX)
            .weigher(|_, held: &Arc<Held>| held.weight())
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Store { entries, referenced, early: Mutex::default() }
    }
}

impl Store {
    /// The decision about the question `key`, whether it still holds or not.
    pub fn get(&self, key: &Digest) -> Option<Arc<Held>> {
        self.entries.get(key)
    }

    /// The decision about the question `key`, if it holds at `now_ms`.
    pub fn valid(&self, key: &Digest, now_ms: u64) -> Option<Arc<Held>> {
        self.get(key).filter(|held| held.holds(now_ms))
    }

    /// Keeps a decision, unless the same or a later one about the question is there. One that was kept early, of the same slot, is completed: those
    /// who have it get their certificate.
    pub fn insert(&self, key: Digest, held: &Arc<Held>) -> Kept {
        if held.certificate.get().is_none() {
            self.note_early(held.sequence, key);
        }
        let mut contradicts = false;
        let entry = self.entries.entry(key).and_upsert_with(|known| {
            let Some(known) = known.map(moka::Entry::into_value) else { return held.clone() };
            if known.sequence != held.sequence {
                return if known.sequence > held.sequence { known } else { held.clone() };
            }
            let Some(certified) = held.certificate.get() else { return known };
            if known.leaf != held.leaf {
                contradicts = true;
                let was_early = known.certificate.get().is_none();
                known.certificate.give_up();
                return if was_early { held.clone() } else { known };
            }
            known.certificate.complete(certified);
            // What this replica decided itself comes with its observations, perhaps after another has handed it out.
            if known.evidence.is_empty() && !held.evidence.is_empty() { held.clone() } else { known }
        });
        let kept = entry.into_value();
        let is_same = kept.sequence == held.sequence && kept.leaf == held.leaf;
        self.refer(if is_same { &kept } else { held });
        Kept { held: kept, contradicts }
    }

    /// Keeps an answer by its reference once its certificate is complete; the first copy stays, unless it lacks the observations that this one has.
    fn refer(&self, held: &Arc<Held>) {
        let Some(certified) = held.certificate.get() else { return };
        let known = self.referenced.get(&certified.reference);
        if known.is_none_or(|known| known.evidence.is_empty() && !held.evidence.is_empty()) {
            self.referenced.insert(certified.reference, held.clone());
        }
    }

    /// The certified answer that a client got this reference of.
    pub fn referenced(&self, reference: &[u8; 33]) -> Option<Arc<Held>> {
        self.referenced.get(reference)
    }

    /// The certified answers of a slot that are kept, in the order of the slot. Looks at all that are kept.
    pub fn of_slot(&self, sequence: Sequence) -> Vec<Arc<Held>> {
        let all = self.referenced.iter().map(|(_, held)| held);
        let mut found: Vec<Arc<Held>> = all.filter(|held| held.sequence == sequence).collect();
        found.sort_by_key(|held| held.certificate.get().map(|certified| certified.answer.index));
        found
    }

    fn note_early(&self, sequence: Sequence, key: Digest) {
        let mut early = self.early();
        early.entry(sequence).or_default().push(key);
        if early.len() > EARLY_SLOTS_MAX {
            early.pop_first();
        }
    }

    /// Slot `executed` was decided: whoever still waits for a certificate of a slot far below will get none from this replica, which has not
    /// executed that slot but fetched the state behind it.
    pub fn settle(&self, executed: Sequence) {
        let passed = {
            let mut early = self.early();
            let open = early.split_off(&Sequence(executed.0.saturating_sub(EARLY_SLOTS_MAX as u64)));
            std::mem::replace(&mut *early, open)
        };
        for (sequence, key) in passed.iter().flat_map(|(slot, keys)| keys.iter().map(move |key| (*slot, key)))
        {
            if let Some(held) = self.get(key).filter(|held| held.sequence == sequence) {
                held.certificate.give_up();
            }
        }
    }

    fn early(&self) -> MutexGuard<'_, BTreeMap<Sequence, Vec<Digest>>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many decisions are kept.
    pub fn len(&self) -> u64 {
        self.entries.entry_count()
    }
}
