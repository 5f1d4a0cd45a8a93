//! When to come back, when to ask again, and when to suspect the primary.
//!
//! The primary is suspected only over work that it could have proposed: an accepted proposal that does not get decided, or
//! a request for which this replica holds q observations and has relayed them. Slow DNS or a liar who tells only some deposes nobody.
//!
//! Progress alone does not clear it: `fairness.rs` complains about requests that are overtaken or starved.

use crate::parameters::doubled;
use crate::replica::Replica;
use crate::{Application, Keyring, Message, Recipients, Standing, Vote};

/// Who is called so much later than it asked for was asleep, in milliseconds, and blames nobody for that time.
const SLEPT_MS: u64 = 50;

/// What happened last, on the monotonic clock.
#[derive(Clone, Copy, Default)]
pub(crate) struct Clocks {
    started: bool,
    progress_ms: u64,
    asked_ms: u64,
    asked: u32,
    /// When the driver was asked to come again.
    promised_ms: Option<u64>,
    /// Since when the primary is judged: since the view began, or this replica woke up.
    judged_from_ms: u64,
}

impl Clocks {
    /// The first step has no past. Says for how long this replica slept over what it had asked to be woken for.
    pub(crate) fn start(&mut self, now_ms: u64) -> u64 {
        if !self.started {
            *self = Clocks { started: true, progress_ms: now_ms, asked_ms: now_ms, ..Clocks::default() };
        }
        let promised = self.promised_ms.take();
        promised.map_or(0, |promised| now_ms.saturating_sub(promised)).saturating_sub(SLEPT_MS)
    }

    /// When the driver will come again, whatever happens.
    pub(crate) fn promise(&mut self, deadline_ms: Option<u64>) {
        self.promised_ms = deadline_ms;
    }

    /// A view begins.
    fn enter(&mut self, now_ms: u64) {
        self.progress_ms = now_ms;
        self.judged_from_ms = now_ms;
        self.asked = 0;
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

    /// Since when the primary is judged.
    pub(crate) fn judged_from_ms(&self) -> u64 {
        self.judged_from_ms
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
            .any(|(_, slot)| slot.is_open(self.view) || slot.decided.is_some());
        let unstable = !self.checkpoints.snapshots.is_empty();
        let learns = self.standing == Standing::Learning;
        if !open && !unstable && !learns && self.requests.oldest_relayed().is_none() {
            return None;
        }
        let timeouts = self.parameters.timeouts;
        let wait = doubled(timeouts.resend_ms, self.clocks.asked, timeouts.resend_most_ms);
        Some(self.clocks.progress_ms.max(self.clocks.asked_ms).saturating_add(wait))
    }

    /// The primary is judged from now on: a view begins, or this replica begins to vote.
    pub(crate) fn judge_anew(&mut self) {
        self.clocks.enter(self.now.monotonic_ms);
        self.fairness.restart(self.now.monotonic_ms);
    }

    /// Starts all waits for others anew after this replica itself was stopped or slow.
    pub(crate) fn forgive_sleep(&mut self, slept_ms: u64) {
        if slept_ms > 0 {
            self.clocks.judged_from_ms = self.now.monotonic_ms;
            self.fairness.restart(self.now.monotonic_ms);
            if let Some(due) = &mut self.views.new_view_due_ms {
                *due = due.saturating_add(slept_ms);
            }
        }
    }

    pub(crate) fn judges_primary(&self) -> bool {
        self.primary() != self.me() && self.standing == Standing::Active
    }

    /// Since when the primary leaves work undone.
    fn undone_since(&self) -> Option<u64> {
        if !self.judges_primary() || self.is_behind() {
            return None;
        }
        let mut open = self.slots.range(self.executed().next()..);
        // Decided ones too: behind a gap that the primary left they are never executed.
        let accepted =
            open.find_map(|(_, slot)| slot.accepted_in(self.view).map(|accepted| accepted.since_ms));
        let relayed = self.requests.oldest_relayed().map(|(since, _)| since);
        let is_open = |vote: Vote| {
            vote.sequence > self.executed()
                && self.slots.get(&vote.sequence).is_none_or(|slot| slot.decided.is_none())
        };
        let fixed = self.views.all_fixed().any(is_open).then_some(self.clocks.judged_from_ms);
        let oldest = [accepted, relayed, fixed].into_iter().flatten().min()?;
        Some(oldest.max(self.clocks.progress_ms).max(self.clocks.judged_from_ms))
    }

    /// How long progress is waited for, after the views that came to nothing.
    pub(crate) fn progress_wait(&self) -> u64 {
        self.patience(self.parameters.timeouts.suspect_ms, self.views.failed)
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
        let stuck = self.undone_since().map(|since| since.saturating_add(self.progress_wait()));
        [stuck, self.complaint_due()].into_iter().flatten().min()
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
            self.next_view_ms(),
            suspect,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
