//! Giving up a view: when, what is said, and when others are followed. Castro & Liskov 1999 §4.4, §4.5.2.
//!
//! - From the moment a replica sends VIEW-CHANGE it sends no PREPARE and no COMMIT of a lower view; the record that says so is stored before.
//! - f+1 replicas in higher views are followed to the lowest of these: one of them is honest, so the move is right, and liars alone move nobody.
//! - The wait for the NEW-VIEW begins when n-f replicas want the view, and doubles with each view that comes to nothing.
//! - A replica that is alone with its suspicion is taken along into the next view after a while, but not out of a view that follows failed ones
//!   and is young: each view doubles the waits, and a liar who is alone before one replica after the other would make them as long as it likes.
//! - The own message is sent again until the view begins: a lost one must not stop the cluster.

use std::sync::Arc;

use certificate::{MessageType, ReplicaId, Sequence, Signature, View};

use crate::parameters::doubled;
use crate::planted::Bug;
use crate::replica::Replica;
use crate::views::Known;
use crate::{Application, Fault, Keyring, Message, Record, Standing, ViewChange};

/// A view that has lasted so long, and decides, halves the waits again, in milliseconds. Slots do not count: a cluster that is slower than its
/// timers decides some in every view.
const CALM_MS: u64 = 30_000;

/// A replica that gave up a view alone is taken along after so long, in milliseconds.
const ALONE_MS: u64 = 2000;
/// One that is further ahead than this is not: by itself a replica moves no further than one view beyond what n-f want.
const AHEAD_MAX: u64 = 2;
/// A replica begins a view for the sake of another one at most so often, in milliseconds. Each for itself: it is not seen why others move.
const HELP_MS: u64 = 600_000;

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Moves to `view` and says so.
    pub(crate) fn start_view_change(&mut self, view: View) {
        let follows = matches!(self.standing, Standing::Active | Standing::Changing);
        if !follows || view <= self.view {
            return;
        }
        self.view = view;
        self.standing = Standing::Changing;
        self.counts.view_changes += 1;
        if !self.parameters.switch.has(Bug::TimerNeverDoubles) {
            self.views.failed = self.views.failed.saturating_add(1);
        }
        self.views.new_view_due_ms = None;
        self.views.resent = 0;
        self.views.resend_ms = self.now.monotonic_ms.saturating_add(self.parameters.timeouts.resend_ms);
        let message = Arc::new(self.own_view_change(view));
        self.ready.persist.push(Record::ViewChanging(message.clone()));
        self.send_all(Message::ViewChange(message.clone()));
        self.hold_own_view_change(message);
        self.drive_views();
    }

    pub(crate) fn hold_own_view_change(&mut self, message: Arc<ViewChange>) {
        let (digest, since_ms) = (message.digest(), self.now.monotonic_ms);
        let known = Known { digest, message, since_ms, checked: true, reported: false };
        self.views.held.insert(self.me(), known);
    }

    /// The base is never below that of the view that was entered last, even when this replica is: as its primary it voted for all that it fixed,
    /// and two pipelines behind a lower base would not reach the last of these votes.
    fn own_view_change(&self, view: View) -> ViewChange {
        let decided = self.slots.values().rev().find_map(|slot| slot.decided.as_ref());
        let mut message = ViewChange {
            view,
            replica: self.me(),
            stable: self.checkpoints.stable.as_ref().map(|stable| stable.certificate.clone()),
            decided: decided.map(|decision| decision.slot.certificate.clone()),
            slots: Vec::new(),
            signature: Signature([0; 64]),
        };
        let entered = self.views.installed.iter().flat_map(|installed| &installed.view_changes);
        let before = self.views.held.get(&self.me()).map(|known| &known.message);
        for known in entered.chain(before) {
            message.prove_more(known);
        }
        let base = message.base(self.parameters.pipeline);
        let behind = self.slots.range(base.next()..);
        // A slot that is decided out of reach of the pipeline is in the view changes of those who decided it.
        let within = Sequence(base.0 + 2 * self.parameters.pipeline);
        let claims = behind.take_while(|(sequence, _)| **sequence <= within);
        let claims = claims.filter_map(|(sequence, slot)| slot.claim(*sequence, view));
        message.slots = claims.collect();
        message.sign(&self.parameters.domain, &self.keyring)
    }

    /// A replica gives up a view.
    pub(crate) fn on_view_change(&mut self, from: ReplicaId, message: Arc<ViewChange>) {
        let (replica, view) = (message.replica, message.view);
        if !self.parameters.replicas.contains(replica) {
            self.fault(Fault::UnknownReplica { from, claimed: replica });
            return;
        }
        let digest = message.digest();
        let wanted = self.views.wants(replica, digest);
        if replica == self.me() && !wanted {
            return;
        }
        let before = self.views.held.get(&replica).map(|known| (known.message.view, known.digest));
        // An own one that a new view names is one that this replica forgot with its log.
        let others = replica != self.me();
        let newer = others && before.is_none_or(|(held, _)| held < view);
        let second = others && before.is_some_and(|(held, known)| held == view && known != digest);
        if (wanted || newer || second) && !message.verify_signature(&self.parameters.domain, &self.keyring) {
            let (message, sequence) = (MessageType::ViewChange, Sequence(0));
            self.fault(Fault::InvalidSignature { from, message, sequence });
            return;
        }
        if second {
            self.report_second_view_change(&message);
        }
        if newer {
            let since_ms = self.now.monotonic_ms;
            let known = Known { message: message.clone(), digest, since_ms, checked: false, reported: false };
            self.views.held.insert(replica, known);
        } else if from == replica {
            self.take_along(replica);
        }
        if wanted {
            self.take_missing(replica, digest, &message);
        }
        let begun = view == self.view && self.standing == Standing::Active;
        if from == replica && (view < self.view || begun) {
            self.owe_view(from, view);
        }
        self.drive_views();
    }

    /// A replica that gave up a view alone keeps its promise and votes no more, until there is a next view. One that has waited long is taken along:
    /// everybody honest hears it and begins the next view. One voice can so depose a primary, seldom; and by one view, not to where it likes.
    fn take_along(&mut self, replica: ReplicaId) {
        let now = self.now.monotonic_ms;
        let Some(known) = self.views.held.get_mut(&replica) else { return };
        let ahead = known.message.view.0.saturating_sub(self.view.0);
        let waited = now >= known.since_ms.saturating_add(ALONE_MS);
        if self.standing != Standing::Active || !(1..=AHEAD_MAX).contains(&ahead) || !waited {
            return;
        }
        known.since_ms = now;
        let arrives = ahead == 1;
        if self.may_help(replica, arrives) {
            self.start_view_change(self.view.next());
        }
    }

    /// Whether a view may be begun for the sake of one replica. Notes that it is, when the replica is back in with it.
    pub(crate) fn may_help(&mut self, replica: ReplicaId, arrives: bool) -> bool {
        let now = self.now.monotonic_ms;
        // By then a view that decides has halved the waits that the last one doubled.
        let calm = self.views.failed == 0 || now >= self.views.entered_ms.saturating_add(CALM_MS);
        let Some(peer) = self.peers.get_mut(&replica).filter(|_| calm) else { return false };
        let rested = peer.helped_ms.is_none_or(|before| now >= before.saturating_add(HELP_MS));
        if rested && arrives {
            peer.helped_ms = Some(now);
        }
        rested
    }

    fn report_second_view_change(&mut self, second: &Arc<ViewChange>) {
        let known = self.views.held.get_mut(&second.replica).expect("the caller found the first");
        if !std::mem::replace(&mut known.reported, true) {
            let first = known.message.clone();
            self.fault(Fault::ViewChangeEquivocation { first, second: second.clone() });
        }
    }

    /// What may follow from what is held: joining others, beginning a view, waiting for its primary.
    pub(crate) fn drive_views(&mut self) {
        let weak = self.parameters.replicas.weak_quorum();
        if let Some(view) = self.views.wanted_by(weak, self.me()).filter(|view| *view > self.view) {
            self.start_view_change(view);
        }
        if self.standing != Standing::Changing {
            return;
        }
        self.begin_view();
        let others = self.parameters.replicas.view_change_quorum() - 1;
        let enough = self.views.wanted_by(others, self.me()).is_some_and(|view| view >= self.view);
        if self.standing == Standing::Changing && enough && self.views.new_view_due_ms.is_none() {
            let timeouts = self.parameters.timeouts;
            let wait = self.patience(timeouts.view_change_ms, self.views.failed.saturating_sub(1));
            self.views.new_view_due_ms = Some(self.now.monotonic_ms.saturating_add(wait));
        }
    }

    /// A wait after so many failures.
    pub(crate) fn patience(&self, first_ms: u64, failed: u32) -> u64 {
        let most = self.parameters.timeouts.view_change_most_ms;
        doubled(first_ms, failed, most.max(first_ms))
    }

    /// Gives up a view whose NEW-VIEW does not come, and sends the own view change again.
    pub(crate) fn run_view_timers(&mut self) {
        if self.standing != Standing::Changing {
            return;
        }
        let now = self.now.monotonic_ms;
        if self.views.new_view_due_ms.is_some_and(|due| now >= due) {
            self.start_view_change(self.view.next());
        } else if now >= self.views.resend_ms {
            let timeouts = self.parameters.timeouts;
            self.views.resent = self.views.resent.saturating_add(1);
            let wait = doubled(timeouts.resend_ms, self.views.resent, timeouts.resend_most_ms);
            self.views.resend_ms = now.saturating_add(wait);
            if let Some(own) = self.views.held.get(&self.me()) {
                let message = own.message.clone();
                self.send_all(Message::ViewChange(message));
            }
        }
    }

    /// When one of these timers is due.
    pub(crate) fn next_view_ms(&self) -> Option<u64> {
        let changing = self.standing == Standing::Changing;
        let timers = [Some(self.views.resend_ms), self.views.new_view_due_ms].into_iter().flatten();
        let missing = self.views.pending.values().map(|pending| pending.ask_ms);
        let bodies = Some(self.views.ask_body_ms).filter(|_| !self.views.lacking.is_empty());
        timers.filter(|_| changing).chain(missing).chain(bodies).min()
    }

    /// A slot was executed whose commits are of this view.
    pub(crate) fn note_progress(&mut self, view: View) {
        if view != self.view || self.standing != Standing::Active || self.views.failed == 0 {
            return;
        }
        let now = self.now.monotonic_ms;
        if now >= self.views.calm_from_ms.saturating_add(CALM_MS) {
            self.views.calm_from_ms = now;
            self.views.failed -= 1;
        }
    }

    /// What must survive of the standing, as a record.
    pub(crate) fn standing_record(&self) -> Option<Record> {
        if self.standing == Standing::Changing {
            let own = self.views.held.get(&self.me())?;
            return Some(Record::ViewChanging(own.message.clone()));
        }
        let installed = self.views.installed.as_ref()?;
        let (new_view, view_changes) = (installed.message.clone(), installed.view_changes.clone());
        Some(Record::Entered { new_view, view_changes })
    }
}
