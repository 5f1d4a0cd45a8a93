//! Certified answers that this replica knows, so that it can answer and hand them to replicas that were behind.

use std::sync::Arc;

use certificate::leaf::{Class, Leaf};
use certificate::{Digest, ReplicaId};

use crate::response::Certified;

/// Bytes of answers, certificates and observations that are kept.
pub const STORE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What an entry costs beside its own bytes.
const ENTRY_BYTES: usize = 600;

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

/// A decision about a question.
#[derive(Debug)]
pub struct Held {
    /// The leaf and its certificate.
    pub certified: Arc<Certified>,
    /// The records served beside it, in the form of `agreement::extra`.
    pub extra: Vec<u8>,
    /// The observations behind it; none when the answer came from another replica.
    pub evidence: Vec<Evidence>,
}

impl Held {
    /// What was decided.
    pub fn leaf(&self) -> &Leaf {
        &self.certified.answer.leaf
    }

    /// Whether the answer holds at `now_ms`.
    pub fn holds(&self, now_ms: u64) -> bool {
        now_ms < self.leaf().not_after_ms
    }

    /// Whether the answer holds long enough at `now_ms` to be worth handing to another replica, whose clock may differ.
    pub fn is_worth_handing_out(&self, now_ms: u64) -> bool {
        let margin_ms = (u64::from(self.leaf().ttl) * 1000 / 10).max(HAND_OUT_MARGIN_MS);
        self.holds(now_ms.saturating_add(margin_ms))
    }

    /// Whether something was agreed on: neither a failure nor disagreement.
    pub fn is_answer(&self) -> bool {
        self.leaf().class > Class::Failure
    }

    fn weight(&self) -> u32 {
        let evidence: usize = self.evidence.iter().map(|evidence| evidence.payload.len() + 32).sum();
        // The leaf is held decoded and encoded.
        (ENTRY_BYTES + 2 * self.certified.bytes.len() + self.extra.len() + evidence) as u32
    }
}

/// The decisions by question, bounded in bytes.
pub struct Store {
    entries: moka::sync::Cache<Digest, Arc<Held>>,
}

impl Default for Store {
    fn default() -> Store {
        let entries = moka::sync::Cache::builder()
            .max_capacity(STORE_BYTES_MAX)
            .weigher(|_, held: &Arc<Held>| held.weight())
            .build();
        Store { entries }
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

    /// Keeps a decision, unless the same or a later one about the question is there.
    pub fn insert(&self, key: Digest, held: &Arc<Held>) {
        let slot = |held: &Held| held.certified.answer.certificate.header.sequence;
        self.entries.entry(key).and_upsert_with(|known| match known {
            Some(known) if slot(known.value()) >= slot(held) => known.into_value(),
            Some(_) | None => held.clone(),
        });
    }

    /// How many decisions are kept.
    pub fn len(&self) -> u64 {
        self.entries.entry_count()
    }
}
