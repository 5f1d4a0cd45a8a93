//! Complaints about a primary that makes progress, but not with everything.
//!
//! Watched is the oldest request that the primary was told of. It is complained about when one that got its quorum here later was proposed before
//! it; or when the primary proposes less than a full batch in each wait for progress, which any does that is merely overloaded. Source of the idea:
//! Clement et al. 2009 (Aardvark) §4.2, where a primary is held to the throughput that its backups know to be possible.

use certificate::Digest;

use crate::replica::Replica;
use crate::{Application, Batch, Keyring};

/// A request that was overtaken is complained about after so many times the wait for progress.
const OVERTAKEN_WAITS: u64 = 2;
/// A request that waits while little is proposed is complained about after so many times the wait for progress.
const STARVED_WAITS: u64 = 10;
/// A full batch, by entries or by bytes.
const FULL: u64 = 1000;

/// The oldest request that the primary was told of.
#[derive(Clone, Copy)]
struct Watched {
    digest: Digest,
    told_ms: u64,
    /// When it became the oldest.
    since_ms: u64,
    /// When a later one was first proposed before it.
    overtaken_ms: Option<u64>,
    /// How much the primary had proposed when the watch began.
    proposed: u64,
}

/// What is seen of the primary's fairness.
#[derive(Default)]
pub(crate) struct Fairness {
    watched: Option<Watched>,
    /// How much was proposed in all, in thousandths of a full batch.
    proposed: u64,
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Watches the request that waits longest.
    pub(crate) fn watch_oldest(&mut self) {
        let Some((told_ms, digest)) = self.requests.oldest_relayed() else {
            self.fairness.watched = None;
            return;
        };
        let told_ms = told_ms.max(self.clocks.judged_from_ms());
        let same = |watched: Watched| (watched.digest, watched.told_ms) == (digest, told_ms);
        if !self.fairness.watched.is_some_and(same) {
            let (since_ms, proposed) = (self.now.monotonic_ms, self.fairness.proposed);
            self.fairness.watched = Some(Watched { digest, told_ms, since_ms, overtaken_ms: None, proposed });
        }
    }

    /// Notes what the primary proposed.
    pub(crate) fn note_order(&mut self, batch: &Batch) {
        let part = |part: usize, whole: usize| part as u64 * FULL / whole as u64;
        let entries = part(batch.operations.len(), self.parameters.batch_entries);
        self.fairness.proposed += entries.max(part(batch.encoded_len(), self.parameters.batch_bytes));
        let Some(watched) = self.fairness.watched.filter(|watched| watched.overtaken_ms.is_none()) else {
            return;
        };
        let quorate = |digest: &Digest| self.requests.of(digest).and_then(|request| request.quorate_ms);
        let latest = batch.operations.iter().filter_map(|operation| quorate(&operation.digest())).max();
        if quorate(&watched.digest).is_some_and(|waiting| latest > Some(waiting)) {
            let overtaken_ms = Some(self.now.monotonic_ms);
            self.fairness.watched = Some(Watched { overtaken_ms, ..watched });
        }
    }

    /// When the watched request has waited too long although slots are decided.
    pub(crate) fn complaint_due(&self) -> Option<u64> {
        let watched = self.fairness.watched.filter(|_| self.judges_primary())?;
        let wait = self.patience(self.parameters.timeouts.suspect_ms, self.views.failed);
        let after = |since: u64, waits: u64| since.saturating_add(wait.saturating_mul(waits));
        let overtaken = watched.overtaken_ms.map(|overtaken| after(overtaken, OVERTAKEN_WAITS));
        let few = self.fairness.proposed - watched.proposed < STARVED_WAITS * FULL;
        let starved = few.then(|| after(watched.since_ms, STARVED_WAITS));
        [overtaken, starved].into_iter().flatten().min()
    }
}
