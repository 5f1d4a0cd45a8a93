//! When to come back, when to ask again, and when to suspect the primary.
//!
//! The primary is suspected only over work that it could have proposed: an accepted proposal that does not get decided, or
//! a request for which this replica holds q observations and has relayed them. Slow DNS or a liar who tells only some deposes nobody.
//! Says when; what a suspicion starts is a matter of view changes.

use crate::replica::Replica;
use crate::{Application, Keyring, Message, Recipients};

/// What happened last, on the monotonic clock.
#[derive(Clone, Copy, Default)]
pub(crate) struct Clocks {
    started: bool,
    progress_ms: u64,
    asked_ms: u64,
    asked: u32,
}

impl Clocks {
    /// The first step has no past.
    pub(crate) fn start(&mut self, now_ms: u64) {
        if !self.started {
            *self = Clocks { started: true, progress_ms: now_ms, asked_ms: now_ms, asked: 0 };
        }
    }

    /// A slot was executed.
    pub(crate) fn progress(&mut self, now_ms: u64) {
        self.progress_ms = now_ms;
        self.asked = 0;
    }

    /// Something changed that may help: ask again soon.
    pub(crate) fn reset_patience(&mut self) {
        self.asked = 0;
    }

    pub(crate) fn progress_ms(&self) -> u64 {
        self.progress_ms
    }
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Without progress on something open: sends the own votes again and says how far this replica is. Peers answer with theirs, or that
    /// they are ahead.
    pub(crate) fn ask_when_stuck(&mut self) {
        let now = self.now.monotonic_ms;
        if self.stuck_due().is_some_and(|due| now >= due) {
            self.clocks.asked = self.clocks.asked.saturating_add(1);
            self.clocks.asked_ms = now;
            self.send_all(Message::Status(self.peer_status()));
            self.resend_votes(Recipients::All, self.marks.low);
        }
    }

    fn stuck_due(&self) -> Option<u64> {
        let open = self
            .slots
            .range(self.executed().next()..)
            .any(|(_, slot)| slot.is_open() || slot.decided.is_some());
        let unstable = !self.checkpoints.snapshots.is_empty();
        if !open && !unstable && self.requests.oldest_relayed().is_none() {
            return None;
        }
        let timeouts = self.parameters.timeouts;
        let wait =
            timeouts.resend_ms.saturating_mul(1 << self.clocks.asked.min(16)).min(timeouts.resend_most_ms);
        Some(self.clocks.progress_ms.max(self.clocks.asked_ms).saturating_add(wait))
    }

    /// Since when the primary leaves work undone.
    fn undone_since(&self) -> Option<u64> {
        if self.primary() == self.me() || !self.active {
            return None;
        }
        let mut open = self.slots.range(self.executed().next()..);
        let accepted = open.find_map(|(_, slot)| {
            slot.accepted.as_ref().filter(|_| slot.decided.is_none()).map(|accepted| accepted.since_ms)
        });
        let relayed = self.requests.oldest_relayed().map(|(since, _)| since);
        let oldest = [accepted, relayed].into_iter().flatten().min()?;
        Some(oldest.max(self.clocks.progress_ms))
    }

    /// Before the primary is suspected: whether what it was told of still counts. The log may have gone on since.
    pub(crate) fn reassess_relayed(&mut self) {
        while self.suspects()
            && let Some(oldest) = self.requests.oldest_relayed()
        {
            self.reassess(&oldest.1);
            if self.requests.oldest_relayed() == Some(oldest) {
                return;
            }
        }
    }

    pub(crate) fn suspects(&self) -> bool {
        self.suspect_due().is_some_and(|due| self.now.monotonic_ms >= due)
    }

    fn suspect_due(&self) -> Option<u64> {
        Some(self.undone_since()?.saturating_add(self.parameters.timeouts.suspect_ms))
    }

    /// When something is due next.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let timeouts = self.parameters.timeouts;
        let suspect = self.suspect_due().filter(|due| *due > self.now.monotonic_ms);
        let batch = self.batch_due().filter(|_| self.has_room());
        [
            self.requests.next_alarm(),
            self.outbox.due(timeouts.observe_wait_ms),
            batch,
            self.stuck_due(),
            self.next_fetch_ms(),
            self.next_answer_ms(),
            suspect,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
