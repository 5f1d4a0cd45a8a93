//! Votes in the first view to one peer alone, and denies every vote when it gives up a view; passes on no NEW-VIEW. What one replica saw decided is
//! then left in the memory of few.

use std::sync::Arc;

use certificate::{ReplicaId, View};
use pbft::{Message, ViewChange};

use super::{Adversary, Liar, Said};
use crate::random::Random;

pub(super) struct Conceal {
    friend: ReplicaId,
}

impl Conceal {
    /// The primary of the first view is the friend in every second case.
    pub(super) fn draw(pick: &mut Random, count: usize) -> Conceal {
        let friend = if pick.percent(50) { 0 } else { pick.below(count as u64) as u8 };
        Conceal { friend: ReplicaId(friend) }
    }
}

impl Adversary for Conceal {
    fn speak(&mut self, liar: &mut Liar<'_>, (to, message, delay): Said) -> Vec<Said> {
        let said = match message {
            Message::Prepare(vote) | Message::Commit(vote) if vote.view == View(0) && to != self.friend => {
                return Vec::new();
            }
            Message::NewView(new_view) if !liar.leads(new_view.view) => return Vec::new(),
            Message::ViewChange(change) if change.replica == liar.me() => {
                let denied = ViewChange { slots: Vec::new(), ..(*change).clone() };
                Message::ViewChange(Arc::new(denied.sign(&liar.parameters.domain, liar.keys)))
            }
            other => other,
        };
        vec![(to, said, delay)]
    }
}
