//! Beginning a view: what its primary says, what every backup recomputes, and what is fixed in it. Castro & Liskov 1999 §4.4.
//!
//! - Exactly n-f view changes make a view: with more of them the votes that are left of a fast quorum could be too few.
//! - What follows from them is one function, `select::plan`; a primary that says otherwise is a fault, and the next view is tried.
//! - A slot that the view fixes gets no vote for another digest in it. It is voted for through the normal phases, by those too
//!   that decided it before: others may not have.
//! - Slots up to the view's base are decided. Who lacks them fetches them.

use std::collections::BTreeMap;
use std::sync::Arc;

use certificate::{MessageType, ReplicaId, Sequence, SlotHeader, View};

use crate::new_view::{NewViewError, NewViewFault};
use crate::planted::Bug;
use crate::replica::Replica;
use crate::requests::Alarm;
use crate::select::{self, Conflict, Plan};
use crate::views::{Installed, Pending};
use crate::{
    Application, Batch, Fault, Keyring, Message, NewView, PrePrepare, Recipients, Record, Standing,
    ViewChange, Vote, Voted,
};

/// A new view whose view changes nobody has is forgotten after so many questions.
const ASKS_MAX: u32 = 10;

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Begins the view that this replica is the primary of, once n-f view changes to it hold.
    pub(crate) fn begin_view(&mut self) {
        let (view, replicas) = (self.view, self.parameters.replicas);
        if self.standing != Standing::Changing || self.primary() != self.me() {
            return;
        }
        let needed = replicas.view_change_quorum();
        let of_view = self.views.held.iter().filter(|(_, known)| known.message.view == view);
        let mut candidates: Vec<ReplicaId> = of_view.map(|(replica, _)| *replica).collect();
        if candidates.len() < needed {
            return;
        }
        candidates.sort_unstable_by_key(|replica| (*replica != self.me(), *replica));
        let most = if self.parameters.switch.has(Bug::OneViewChangeTooMany) { needed + 1 } else { needed };
        let mut chosen: BTreeMap<ReplicaId, Arc<ViewChange>> = BTreeMap::new();
        for replica in candidates {
            if chosen.len() < most
                && let Some(message) = self.checked_view_change(replica)
            {
                chosen.insert(replica, message);
            }
        }
        if chosen.len() < needed {
            return;
        }
        let view_changes: Vec<Arc<ViewChange>> = chosen.into_values().collect();
        let refs: Vec<&ViewChange> = view_changes.iter().map(Arc::as_ref).collect();
        let plan = match select::plan(&self.parameters, &refs) {
            Ok(plan) => plan,
            Err(conflict) => return self.stop_over(conflict),
        };
        let new_view = Arc::new(NewView::sign(view, &refs, &plan, &self.parameters, &self.keyring));
        self.send_all(Message::NewView(new_view.clone()));
        self.enter(new_view, view_changes, plan);
    }

    /// The view change that is held of a replica, if all that it claims is proven. Otherwise it is gone.
    fn checked_view_change(&mut self, replica: ReplicaId) -> Option<Arc<ViewChange>> {
        let known = self.views.held.get_mut(&replica)?;
        if !known.checked
            && let Err(error) = known.message.check(&self.parameters, &self.keyring)
        {
            let message = known.message.clone();
            self.views.held.remove(&replica);
            self.fault(Fault::InvalidViewChange { message, error });
            return None;
        }
        known.checked = true;
        Some(known.message.clone())
    }

    /// A primary begins its view.
    pub(crate) fn on_new_view(&mut self, from: ReplicaId, message: Arc<NewView>) {
        let view = message.view;
        let primary = self.parameters.replicas.primary(view);
        let own = primary == self.me() && self.standing != Standing::Learning;
        if let Some(first) = self.views.new_view(primary, view).filter(|first| **first != *message) {
            return self.on_second_new_view((from, primary), first, message);
        }
        if own
            || !self.awaits(view)
            || self.views.pending.get(&primary).is_some_and(|pending| pending.message.view >= view)
        {
            return;
        }
        if let Err(error) = message.check_shape(&self.parameters, &self.keyring) {
            if error == NewViewError::Signature {
                return self.refuse_new_view_signature(from);
            }
            return self.refuse_new_view(message, Vec::new(), error);
        }
        let mut pending = Pending { message: message.clone(), found: BTreeMap::new(), ask_ms: 0, asked: 0 };
        for (replica, digest) in &message.view_changes {
            if let Some(found) = self.views.find(*digest).filter(|found| found.replica == *replica) {
                pending.found.insert(*replica, found);
            }
        }
        pending.ask_ms = self.now.monotonic_ms.saturating_add(self.parameters.timeouts.resend_ms);
        for digest in pending.missing() {
            let wanted = Message::FetchViewChange { digest };
            self.ready.send.push((Recipients::One(from), wanted));
        }
        self.views.pending.insert(primary, pending);
        self.settle(primary);
    }

    /// Whether this replica may enter the view: it promised no later one, and is not in it.
    fn awaits(&self, view: View) -> bool {
        let begun = self.views.installed.as_ref().map_or(View(0), |installed| installed.message.view);
        match self.standing {
            Standing::Active => view > self.view,
            Standing::Changing => view >= self.view,
            Standing::Learning => view >= self.view && view > begun,
            Standing::Diverged => false,
        }
    }

    /// Takes a view change that a new view waits for.
    pub(crate) fn take_missing(
        &mut self,
        replica: ReplicaId,
        digest: certificate::Digest,
        message: &Arc<ViewChange>,
    ) {
        let mut complete = Vec::new();
        for (primary, pending) in &mut self.views.pending {
            if pending.message.view_changes.contains(&(replica, digest)) {
                pending.found.insert(replica, message.clone());
                complete.push(*primary);
            }
        }
        for primary in complete {
            self.settle(primary);
        }
    }

    /// Asks everybody for the view changes that new views still wait for.
    pub(crate) fn ask_for_missing(&mut self) {
        let now = self.now.monotonic_ms;
        let again = now.saturating_add(self.parameters.timeouts.resend_ms);
        let mut wanted = Vec::new();
        self.views.pending.retain(|_, pending| pending.asked < ASKS_MAX);
        for pending in self.views.pending.values_mut().filter(|pending| pending.ask_ms <= now) {
            pending.ask_ms = again;
            pending.asked += 1;
            wanted.extend(pending.missing());
        }
        for digest in wanted {
            self.send_all(Message::FetchViewChange { digest });
        }
    }

    /// Recomputes a new view whose view changes are all here, and enters it.
    fn settle(&mut self, primary: ReplicaId) {
        let complete = |pending: &mut Pending| pending.missing().next().is_none();
        let Some(entry) = self.views.pending.get_mut(&primary) else { return };
        if !complete(entry) {
            return;
        }
        let pending = self.views.pending.remove(&primary).expect("the new view was just seen");
        let message = pending.message;
        if !self.awaits(message.view) {
            // A later view was promised while this one waited for its view changes.
            return;
        }
        let view_changes: Vec<Arc<ViewChange>> = pending.found.into_values().collect();
        if let Some(other) = view_changes.iter().find(|one| one.view != message.view) {
            let error = NewViewError::View(other.replica);
            return self.refuse_new_view(message, vec![other.clone()], error);
        }
        for one in &view_changes {
            let digest = one.digest();
            let checked = self.views.held.values().any(|known| known.checked && known.digest == digest);
            if checked {
                continue;
            }
            if let Err(error) = one.check(&self.parameters, &self.keyring) {
                self.fault(Fault::InvalidViewChange { message: one.clone(), error });
                return self.skip_view(message, vec![one.clone()], NewViewError::ViewChange(one.replica));
            }
        }
        let refs: Vec<&ViewChange> = view_changes.iter().map(Arc::as_ref).collect();
        match message.check(&refs, &self.parameters, &self.keyring) {
            Ok(plan) => self.enter(message, view_changes, plan),
            Err(NewViewFault::Error(error)) => self.skip_view(message, view_changes, error),
            Err(NewViewFault::Conflict(conflict)) => self.stop_over(conflict),
        }
    }

    /// A primary says something else about a view that it has begun already, or the name of the primary is used for that.
    fn on_second_new_view(
        &mut self,
        (from, primary): (ReplicaId, ReplicaId),
        first: Arc<NewView>,
        second: Arc<NewView>,
    ) {
        let reported = self.views.told_twice.get(&primary).is_some_and(|view| *view >= second.view);
        if reported || primary == self.me() {
            return;
        }
        if !second.verify_signature(primary, &self.parameters.domain, &self.keyring) {
            return self.refuse_new_view_signature(from);
        }
        self.views.told_twice.insert(primary, second.view);
        self.fault(Fault::NewViewEquivocation { primary, first, second });
    }

    /// The primary of the awaited view lies about it, and n-f replicas want that view: on to the next.
    fn skip_view(&mut self, message: Arc<NewView>, view_changes: Vec<Arc<ViewChange>>, error: NewViewError) {
        let view = message.view;
        self.refuse_new_view(message, view_changes, error);
        if view == self.view && self.standing == Standing::Changing {
            self.start_view_change(self.view.next());
        }
    }

    /// Says what is wrong with a new view that its primary signed, with the view changes that show it. Without n-f view changes to it in hand it is
    /// no reason to give it up: a replica never moves more than one view ahead of what honest ones want.
    fn refuse_new_view(
        &mut self,
        message: Arc<NewView>,
        view_changes: Vec<Arc<ViewChange>>,
        error: NewViewError,
    ) {
        let primary = self.parameters.replicas.primary(message.view);
        self.fault(Fault::InvalidNewView { primary, message, view_changes, error });
    }

    /// Whoever passes a new view on has entered it, so it has looked at the signature.
    fn refuse_new_view_signature(&mut self, from: ReplicaId) {
        let (message, sequence) = (MessageType::NewView, Sequence(0));
        self.fault(Fault::InvalidSignature { from, message, sequence });
    }

    /// What only more than f faulty replicas can bring about.
    pub(crate) fn stop_over(&mut self, Conflict { view, first, second }: Conflict) {
        self.fault(Fault::Contradiction { view, first, second });
        self.standing = Standing::Diverged;
    }

    fn enter(&mut self, message: Arc<NewView>, view_changes: Vec<Arc<ViewChange>>, plan: Plan) {
        let record = Record::Entered { new_view: message.clone(), view_changes: view_changes.clone() };
        self.ready.persist.push(record);
        self.counts.new_views += 1;
        self.install(message, view_changes, plan);
        self.views.new_view_due_ms = None;
        self.views.entered_ms = self.now.monotonic_ms;
        self.views.calm_from_ms = self.now.monotonic_ms;
        self.judge_anew();
        self.renew_requests();
        self.send_all(Message::Status(self.peer_status()));
    }

    /// The replica is in the view from here on, also when it reads that back from its log.
    pub(crate) fn install(&mut self, message: Arc<NewView>, view_changes: Vec<Arc<ViewChange>>, plan: Plan) {
        let view = message.view;
        self.view = view;
        if self.standing == Standing::Changing {
            self.standing = Standing::Active;
        }
        self.views.pending.retain(|_, pending| pending.message.view > view);
        self.views.held.retain(|_, known| known.message.view > view);
        let top = plan.top();
        // A log can have the view twice: what was accepted there since stays so.
        let accepted = self.slots.iter().rev().find(|(_, slot)| slot.accepted_in(view).is_some());
        let accepted = accepted.map_or(Sequence(0), |(sequence, _)| *sequence);
        self.proposed = top.max(self.executed()).max(accepted);
        let primary = self.primary();
        let own = primary == self.me();
        let low = self.marks.low;
        self.views.installed = Some(Installed::new(message, view_changes, plan, primary));
        let horizon = self.marks.horizon();
        // A replica far behind does not gather what views fixed beyond its reach, but for what it voted for.
        self.slots.retain(|sequence, slot| *sequence <= horizon || slot.voted.is_some());
        for (sequence, slot) in &mut self.slots {
            slot.seen = slot.accepted_in(view).map(|accepted| accepted.proposal.vote(primary));
            if *sequence > top {
                slot.forget_below(view);
            }
        }
        for vote in self.views.all_fixed().filter(|vote| vote.sequence > low) {
            let slot = self.slots.entry(vote.sequence).or_default();
            slot.seen = Some(vote);
            if own {
                // A primary has voted for what it signed, whether it has the bodies or not.
                slot.vote(Voted { view, digest: vote.digest, signature: vote.signature });
            }
        }
    }

    /// Puts what the view fixed where the normal case finds it, as far as the bodies are here.
    pub(crate) fn place_fixed(&mut self) {
        self.views.lacking.clear();
        self.views.ask_body_ms = self.now.monotonic_ms;
        self.views.asked_bodies = 0;
        if !matches!(self.standing, Standing::Active) {
            return;
        }
        let (view, cluster_digest) = (self.view, self.parameters.cluster_digest);
        let all_fixed: Vec<Vote> = self.views.all_fixed().collect();
        for vote in all_fixed {
            let sequence = vote.sequence;
            let Some(slot) = self.slots.get(&sequence).filter(|_| sequence > self.marks.low) else {
                continue;
            };
            if slot.accepted_in(view).is_some() || slot.decided_in().is_some_and(|decided| decided >= view) {
                continue;
            }
            let decided = slot.decided.as_ref().map(|decision| decision.slot.certificate.digest);
            if let Some(first) = decided.filter(|decided| *decided != vote.digest) {
                return self.stop_over(Conflict { view, first, second: vote.digest });
            }
            let null = SlotHeader::null(sequence, cluster_digest);
            if null.digest() == vote.digest {
                self.place(vote, null, Arc::default());
            } else if let Some((header, batch)) = self.body_at_hand(slot, vote.digest) {
                self.place(vote, header, batch);
            } else {
                self.views.lacking.insert(sequence);
            }
        }
        self.ask_for_bodies();
    }

    /// The proposal of a slot that the view fixed, as if its primary had sent it whole.
    pub(crate) fn place(&mut self, vote: Vote, header: SlotHeader, batch: Arc<Batch>) {
        let sequence = vote.sequence;
        assert_eq!(header.digest(), vote.digest, "what stands for the primary's proposal is what it signed");
        let Some(slot) = self.slots.get_mut(&sequence) else { return };
        let open = slot.decided.is_none();
        slot.waiting =
            Some(PrePrepare { view: vote.view, header, signature: vote.signature, batch: batch.clone() });
        self.touched.insert(sequence);
        self.views.lacking.remove(&sequence);
        if open {
            self.note_proposed(sequence, &batch);
        }
    }

    /// What was in flight in the view before and is not fixed in this one waits to be proposed again, and is complained about anew.
    pub(crate) fn renew_requests(&mut self) {
        let (now, relay_ms) = (self.now.monotonic_ms, self.parameters.timeouts.relay_ms);
        let open: Vec<_> =
            self.requests.iter().map(|(digest, request)| (*digest, request.quorate_ms)).collect();
        for (digest, quorate) in &open {
            self.requests.set_in_flight(digest, None);
            self.requests.set_proposable(digest, None);
            self.requests.set_relayed(digest, None);
            if quorate.is_some() {
                self.requests.set_alarm(digest, Alarm::Relay, Some(now.saturating_add(relay_ms)));
            }
        }
        self.place_fixed();
        for (digest, quorate) in &open {
            self.reassess(digest);
            if self.requests.of(digest).is_some_and(|request| request.proposable_ms.is_some()) {
                // What waited longest comes first, as in the view before.
                self.requests.set_proposable(digest, *quorate);
            }
        }
    }
}
