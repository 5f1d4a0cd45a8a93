//! Complaints about a primary that makes progress, but not with everything.
//!
//! Watched is the oldest request that the primary was told of. It is complained about when one that got its quorum here much later was proposed
//! before it; or when the primary leaves the pipeline empty for most of the time in which the request waits, which none does that is merely
//! overloaded. Source of the idea: Clement et al. 2009 (Aardvark) §4.2, where a primary is held to what its backups know to be possible.

use certificate::Digest;

use crate::replica::Replica;
use crate::{Application, Batch, Keyring};

/// A request is overtaken by one that got its quorum so many waits for progress later: messages of one moment come in any order. It is
/// complained about after as many.
const OVERTAKEN_WAITS: u64 = 2;
/// A request that waits while nothing is in flight is complained about after so many waits for progress.
const STARVED_WAITS: u64 = 10;

/// The oldest request that the primary was told of.
#[derive(Clone, Copy)]
struct Watched {
    digest: Digest,
    told_ms: u64,
    /// When a much later one was first proposed before it.
    overtaken_ms: Option<u64>,
}

/// For how long nothing had been in flight at a time.
#[derive(Clone, Copy, Default)]
struct Idle {
    at_ms: u64,
    idle_ms: u64,
}

/// What is seen of the primary's fairness.
#[derive(Default)]
pub(crate) struct Fairness {
    watched: Option<Watched>,
    /// For how long nothing was in flight, in all.
    idle_ms: u64,
    /// Since when nothing is in flight.
    idle_from_ms: Option<u64>,
    /// Two moments, `STARVED_WAITS` apart; the share of idle time is that since the first.
    window: [Idle; 2],
}

impl Fairness {
    /// A view begins, or this replica slept: what was before is forgotten.
    pub(crate) fn restart(&mut self, now_ms: u64) {
        self.watched = None;
        self.idle_from_ms = None;
        self.window = [Idle { at_ms: now_ms, idle_ms: self.idle_ms }; 2];
    }

    fn note_idle(&mut self, now_ms: u64, busy: bool, span_ms: u64) {
        if let Some(from) = self.idle_from_ms.replace(now_ms) {
            self.idle_ms += now_ms.saturating_sub(from);
        }
        self.idle_from_ms.take_if(|_| busy);
        if now_ms >= self.window[1].at_ms.saturating_add(span_ms) {
            self.window = [self.window[1], Idle { at_ms: now_ms, idle_ms: self.idle_ms }];
        }
    }

    /// Whether nothing was in flight for most of the time.
    fn is_idle(&self, now_ms: u64) -> bool {
        let from = self.window[0];
        (self.idle_ms - from.idle_ms) * 2 > now_ms.saturating_sub(from.at_ms)
    }
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Watches the request that waits longest.
    pub(crate) fn watch_oldest(&mut self) {
        let now = self.now.monotonic_ms;
        let mut ahead = self.slots.range(self.executed().next()..);
        let busy = ahead.any(|(_, slot)| slot.decided.is_none() && slot.accepted_in(self.view).is_some());
        let span = self.progress_wait().saturating_mul(STARVED_WAITS);
        self.fairness.note_idle(now, busy, span);
        let Some((told_ms, digest)) = self.requests.oldest_relayed() else {
            self.fairness.watched = None;
            return;
        };
        let told_ms = told_ms.max(self.clocks.judged_from_ms());
        let same = |watched: Watched| (watched.digest, watched.told_ms) == (digest, told_ms);
        if !self.fairness.watched.is_some_and(same) {
            self.fairness.watched = Some(Watched { digest, told_ms, overtaken_ms: None });
        }
    }

    /// Notes what the primary proposed.
    pub(crate) fn note_order(&mut self, batch: &Batch) {
        let Some(watched) = self.fairness.watched.filter(|watched| watched.overtaken_ms.is_none()) else {
            return;
        };
        let quorate = |digest: &Digest| self.requests.of(digest).and_then(|request| request.quorate_ms);
        let Some(waiting) = quorate(&watched.digest) else { return };
        let latest = batch.operations.iter().filter_map(|operation| quorate(&operation.digest())).max();
        if latest > Some(waiting.saturating_add(self.progress_wait().saturating_mul(OVERTAKEN_WAITS))) {
            let overtaken_ms = Some(self.now.monotonic_ms);
            self.fairness.watched = Some(Watched { overtaken_ms, ..watched });
        }
    }

    /// When the watched request has waited too long although slots are decided.
    pub(crate) fn complaint_due(&self) -> Option<u64> {
        let watched = self.fairness.watched.filter(|_| self.judges_primary())?;
        let after = |since: u64, waits: u64| since.saturating_add(self.progress_wait().saturating_mul(waits));
        let overtaken = watched.overtaken_ms.map(|overtaken| after(overtaken, OVERTAKEN_WAITS));
        let now = self.now.monotonic_ms;
        let due = after(watched.told_ms.max(self.fairness.window[0].at_ms), STARVED_WAITS);
        let starved = (now < due || self.fairness.is_idle(now)).then_some(due);
        [overtaken, starved].into_iter().flatten().min()
    }
}
