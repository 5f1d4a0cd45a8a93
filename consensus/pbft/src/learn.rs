//! Without its log: a replica follows, and votes only when nothing that it forgot can do harm.
//!
//! Its key may have signed a vote for a slot that is still open, and a VIEW-CHANGE: a promise about all views below. What it may have signed is
//! bounded by what others know. It asks until it heard from so many that one of them is an honest replica that was part of what it did last:
//!
//! - It voted for slot s only with all slots up to s - pipeline executed, and those were committed by honest replicas that had executed a
//!   pipeline less. So s is at most two pipelines above the highest executed slot among those it heard.
//! - It moved to view v only when honest replicas wanted v - 1. So v is at most one above the highest view among those it heard.
//!
//! It votes once it is beyond both bounds of that many: has executed so far, in a view that began above. Castro & Liskov 1999 has no such
//! case, its replicas do not forget; the conditions are ours.

use std::collections::BTreeMap;

use certificate::{ReplicaId, Sequence, View};

use crate::replica::Replica;
use crate::{Application, Keyring, Parameters, PeerStatus, Record, Standing};

/// What a replica that lost its log has heard: what each peer said first, so where it stood after we forgot.
#[derive(Default)]
pub(crate) struct Learning {
    heard: BTreeMap<ReplicaId, (View, Sequence)>,
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// A replica that has its key and no log. The driver has stored `Record::Learner` before: restoring that record alone gives the same.
    pub fn learner(parameters: Parameters, application: A, keyring: K) -> Replica<A, K> {
        let mut replica = Replica::new(parameters, application, keyring);
        replica.standing = Standing::Learning;
        replica
    }

    /// How many others must be heard: enough to meet an honest one in every quorum, and in every n-f view changes, that this replica was
    /// part of.
    fn enough_heard(&self) -> usize {
        let replicas = self.parameters.replicas;
        let quorums = replicas.count() - replicas.quorum() + replicas.weak_quorum();
        quorums.max(replicas.view_change_quorum())
    }

    /// A peer says where it stands.
    pub(crate) fn learn_from(&mut self, peer: ReplicaId, status: PeerStatus) {
        if self.standing == Standing::Learning && !status.learner {
            self.learning.heard.entry(peer).or_insert((status.view, status.executed));
        }
    }

    /// Votes from here on, if what was forgotten can do no harm any more. Whoever exaggerates is not among those who count.
    pub(crate) fn vote_when_safe(&mut self) {
        let Some(installed) = self.views.installed.as_ref().filter(|_| self.standing == Standing::Learning)
        else {
            return;
        };
        let (begun, executed, reach) =
            (installed.message.view, self.executed().0, 2 * self.parameters.pipeline);
        let is_behind =
            |(view, at): &&(View, Sequence)| *view < begun && at.0.saturating_add(reach) <= executed;
        if self.learning.heard.values().filter(is_behind).count() >= self.enough_heard() {
            self.standing = Standing::Active;
            self.ready.persist.push(Record::Voter);
            self.judge_anew();
            self.renew_requests();
        }
    }

    /// A peer that lost its log and follows us waits for a view to begin in: begins one, seldom. One such voice alone deposes nobody, but every
    /// honest replica hears it.
    pub(crate) fn welcome(&mut self, peer: ReplicaId, status: PeerStatus) {
        let follows = status.learner
            && self.standing == Standing::Active
            && status.view == self.view
            && status.executed.0.saturating_add(self.parameters.pipeline) >= self.executed().0;
        if follows && self.may_help(peer, true) {
            self.start_view_change(self.view.next());
        }
    }
}
