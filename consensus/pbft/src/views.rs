//! What a replica holds for changing views: the view changes of all, new views that wait for some of them, and how its view began.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use certificate::{Digest, ReplicaId, Sequence, View};

use crate::select::Plan;
use crate::{NewView, ViewChange, Vote};

/// The last view change of a replica.
pub(crate) struct Known {
    pub(crate) message: Arc<ViewChange>,
    pub(crate) digest: Digest,
    /// When it came.
    pub(crate) since_ms: u64,
    /// Whether what it claims was found proven.
    pub(crate) checked: bool,
    /// Whether a second one for the same view was reported.
    pub(crate) reported: bool,
}

/// A new view whose view changes are not all here.
pub(crate) struct Pending {
    pub(crate) message: Arc<NewView>,
    pub(crate) found: BTreeMap<ReplicaId, Arc<ViewChange>>,
    /// When the missing ones are asked for again.
    pub(crate) ask_ms: u64,
    pub(crate) asked: u32,
}

impl Pending {
    /// The digests of the view changes that are not here.
    pub(crate) fn missing(&self) -> impl Iterator<Item = Digest> + '_ {
        let named = self.message.view_changes.iter();
        named.filter(|(replica, _)| !self.found.contains_key(replica)).map(|(_, digest)| *digest)
    }

    fn wants(&self, replica: ReplicaId, digest: Digest) -> bool {
        self.message.view_changes.contains(&(replica, digest)) && !self.found.contains_key(&replica)
    }
}

/// How the current view began.
pub(crate) struct Installed {
    pub(crate) message: Arc<NewView>,
    /// By replica.
    pub(crate) view_changes: Vec<Arc<ViewChange>>,
    pub(crate) plan: Plan,
    /// What the primary signed, by slot.
    fixed: BTreeMap<Sequence, Vote>,
}

impl Installed {
    pub(crate) fn new(
        message: Arc<NewView>,
        view_changes: Vec<Arc<ViewChange>>,
        plan: Plan,
        primary: ReplicaId,
    ) -> Installed {
        let fixed = message.votes(plan.base, primary).map(|vote| (vote.sequence, vote)).collect();
        Installed { message, view_changes, plan, fixed }
    }
}

/// Everything about views but which one is the current.
#[derive(Default)]
pub(crate) struct Views {
    /// The own one included.
    pub(crate) held: BTreeMap<ReplicaId, Known>,
    /// By primary: at most one each.
    pub(crate) pending: BTreeMap<ReplicaId, Pending>,
    /// None in view 0.
    pub(crate) installed: Option<Installed>,
    /// By primary: the highest view of which two new views were reported.
    pub(crate) told_twice: BTreeMap<ReplicaId, View>,
    /// Slots that the view fixed and whose bodies are not here.
    pub(crate) lacking: BTreeSet<Sequence>,
    /// When the bodies are asked for again, and how often they were.
    pub(crate) ask_body_ms: u64,
    pub(crate) asked_bodies: usize,
    /// How many views in a row came to nothing; waits double with each.
    pub(crate) failed: u32,
    /// When the current view was entered.
    pub(crate) entered_ms: u64,
    /// Since when the current view lasts, or the waits were last halved.
    pub(crate) calm_from_ms: u64,
    /// When the NEW-VIEW is waited for no longer. Set once n-f replicas want the view.
    pub(crate) new_view_due_ms: Option<u64>,
    /// When the own view change is sent again, and how often it was.
    pub(crate) resend_ms: u64,
    pub(crate) resent: u32,
}

impl Views {
    /// The slots up to here were decided when the view began: nothing is proposed for them.
    pub(crate) fn base(&self) -> Sequence {
        self.installed.as_ref().map_or(Sequence(0), |installed| installed.plan.base)
    }

    /// Whether this is the view that was entered last, so that it is known what it fixed; the first one fixes nothing.
    pub(crate) fn has_entered(&self, view: View) -> bool {
        self.installed.as_ref().map_or(View(0), |installed| installed.message.view) == view
    }

    /// What the view fixed for a slot, as its primary signed it.
    pub(crate) fn fixed(&self, sequence: Sequence) -> Option<Vote> {
        self.installed.as_ref()?.fixed.get(&sequence).copied()
    }

    /// Everything that the view fixed.
    pub(crate) fn all_fixed(&self) -> impl Iterator<Item = Vote> + '_ {
        self.installed.iter().flat_map(|installed| installed.fixed.values().copied())
    }

    /// Whether a new view waits for this view change.
    pub(crate) fn wants(&self, replica: ReplicaId, digest: Digest) -> bool {
        self.pending.values().any(|pending| pending.wants(replica, digest))
    }

    /// The new view of this view that is held, whether it was entered or waits; its signature was looked at.
    pub(crate) fn new_view(&self, primary: ReplicaId, view: View) -> Option<Arc<NewView>> {
        let entered = self.installed.iter().map(|installed| &installed.message);
        let waiting = self.pending.get(&primary).map(|pending| &pending.message);
        entered.chain(waiting).find(|message| message.view == view).cloned()
    }

    /// A view change by its digest, from wherever it is held.
    pub(crate) fn find(&self, digest: Digest) -> Option<Arc<ViewChange>> {
        let held = self.held.values().find(|known| known.digest == digest).map(|known| &known.message);
        let named = |(message, view_changes): (&NewView, Vec<&Arc<ViewChange>>)| {
            let wanted = message.view_changes.iter().find(|(_, named)| *named == digest)?.0;
            view_changes.into_iter().find(|one| one.replica == wanted).cloned()
        };
        let installed = self.installed.iter().map(|it| (&*it.message, it.view_changes.iter().collect()));
        let pending = self.pending.values().map(|it| (&*it.message, it.found.values().collect()));
        held.cloned().or_else(|| installed.chain(pending).find_map(named))
    }

    /// The highest view that so many other replicas at least have moved to.
    pub(crate) fn wanted_by(&self, count: usize, me: ReplicaId) -> Option<View> {
        let others = self.held.iter().filter(|(replica, _)| **replica != me);
        let mut views: Vec<View> = others.map(|(_, known)| known.message.view).collect();
        views.sort_unstable_by(|one, other| other.cmp(one));
        views.get(count.checked_sub(1)?).copied()
    }
}
