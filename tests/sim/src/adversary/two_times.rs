//! Says when it saw something to one peer so that it counts for nobody there, and to the others so that it counts; and gives up the view with whoever
//! gives it up. Who holds what cannot count in place of what a backup passes on could be deposed over it.

use std::sync::Arc;

use certificate::{ReplicaId, Signature, View};
use pbft::{Item, Message, SignedObservations, ViewChange};

use super::{Adversary, Liar, Said};
use crate::random::Random;

pub(super) struct TwoTimes {
    /// Whom it lies to; the primary when nobody.
    victim: Option<ReplicaId>,
    /// How far ahead its lies are.
    by_ms: i64,
    /// So much later than the truth the lie comes; when nothing, it comes in place of it.
    after_ms: Option<u64>,
    /// The last view that it asked for.
    wanted: View,
}

impl TwoTimes {
    pub(super) fn draw(pick: &mut Random, count: usize) -> TwoTimes {
        TwoTimes {
            victim: pick.percent(30).then(|| ReplicaId(pick.below(count as u64) as u8)),
            by_ms: pick.choose(&[10_010, 10_100, 11_000, 3_600_000, 9990, -9900]),
            after_ms: pick.percent(50).then(|| pick.choose(&[1, 20, 60, 200])),
            wanted: View(0),
        }
    }
}

impl Adversary for TwoTimes {
    fn speak(&mut self, liar: &mut Liar<'_>, (to, message, delay): Said) -> Vec<Said> {
        let victim = self.victim.unwrap_or_else(|| liar.parameters.replicas.primary(liar.status.view));
        let Message::Observe(set) = &message else { return vec![(to, message, delay)] };
        if set.replica != liar.me() || to != victim {
            return vec![(to, message, delay)];
        }
        let observations = set.items.iter().filter_map(|item| match item {
            Item::Full(observation) => Some(observation.clone()),
            Item::Pruned(_) => None,
        });
        let bent = observations.map(|mut observation| {
            observation.time_ms = observation.time_ms.saturating_add_signed(self.by_ms);
            observation
        });
        let bent = bent.collect();
        let lie = SignedObservations::sign(liar.me(), bent, &liar.parameters.domain, liar.keys);
        let lie = (to, Message::Observe(lie), delay + self.after_ms.unwrap_or(0));
        let truth = self.after_ms.map(|_| (to, message, delay));
        truth.into_iter().chain([lie]).collect()
    }

    fn hear(&mut self, liar: &mut Liar<'_>, _: ReplicaId, message: &Message) -> bool {
        if let Message::ViewChange(change) = message
            && change.view > self.wanted
        {
            self.wanted = change.view;
            let (view, replica) = (change.view, liar.me());
            let own = ViewChange {
                view,
                replica,
                stable: None,
                decided: None,
                slots: Vec::new(),
                signature: Signature([0; 64]),
            };
            let own = own.sign(&liar.parameters.domain, liar.keys);
            liar.say_to_all(&Message::ViewChange(Arc::new(own)));
        }
        true
    }
}
