//! Messages on their way, bent by whoever lies, and what liars say on their own account.

use std::rc::Rc;

use certificate::ReplicaId;
use pbft::{Event, Message, Recipients};

use super::{Happening, STIR_MS, World};
use crate::adversary::Said;
use crate::network::Kind;
use crate::trace::{Gist, mark};

impl World<'_> {
    pub(super) fn deliver(&mut self, from: usize, to: usize, life: u64, message: Rc<Message>) {
        if self.nodes[to].life != life || !self.is_linked(from, to) {
            return;
        }
        let sender = self.nodes[from].id;
        self.trace.note(self.now_ms, to, mark(&message), || format!("<- {sender:>2} {}", Gist(&message)));
        let heard = self.nodes[to].with_mask(self.now_ms, |vices, liar| {
            // Each of them hears, whatever the others make of it.
            vices.iter_mut().map(|vice| vice.hear(liar, sender, &message)).filter(|hears| !hears).count() == 0
        });
        if let Some((hears, said)) = heard {
            self.post_all(to, said);
            if !hears {
                return;
            }
        }
        let message = Rc::unwrap_or_clone(message);
        self.step(to, Event::Message { from: sender, message });
    }

    pub(super) fn stir(&mut self, index: usize) {
        self.schedule(self.now_ms + STIR_MS, Happening::Stir(index));
        if self.nodes[index].replica.is_none() {
            return;
        }
        let stirred = self.nodes[index].with_mask(self.now_ms, |vices, liar| {
            vices.iter_mut().for_each(|vice| vice.stir(liar));
        });
        let Some(((), said)) = stirred else { return };
        self.post_all(index, said);
        let mask = self.nodes[index].mask.as_mut().filter(|mask| mask.amnesiac);
        if mask.is_some_and(|mask| mask.pick.percent(1)) {
            self.crash(index);
            self.nodes[index].forget();
            self.restart(index);
            self.relink();
        }
    }

    pub(super) fn send(&mut self, index: usize, messages: Vec<(Recipients, Message)>) {
        for (recipients, message) in messages {
            let ids = match recipients {
                Recipients::One(id) => vec![id],
                Recipients::All => self.nodes[index].parameters.replicas.ids().collect(),
            };
            if self.nodes[index].mask.is_some() {
                let me = self.nodes[index].id;
                let peers = ids.into_iter().filter(|id| *id != me);
                let said = peers.map(|id| (id, message.clone(), 0)).collect();
                self.bend(index, said);
                continue;
            }
            let message = Rc::new(message);
            ids.into_iter().for_each(|id| self.post(index, id, &message, 0));
        }
    }

    /// Sends what is left when the vices of a liar have had their say.
    pub(super) fn bend(&mut self, index: usize, said: Vec<Said>) {
        let bent = self.nodes[index].with_mask(self.now_ms, |vices, liar| {
            let mut said = said;
            for vice in vices {
                said = said.into_iter().flat_map(|one| vice.speak(liar, one)).collect();
                said.append(&mut liar.said);
            }
            said
        });
        if let Some((said, rest)) = bent {
            self.post_all(index, said);
            self.post_all(index, rest);
        }
    }

    pub(super) fn post_all(&mut self, from: usize, said: Vec<Said>) {
        for (to, message, delay_ms) in said {
            self.post(from, to, &Rc::new(message), delay_ms);
        }
    }

    pub(super) fn post(&mut self, from: usize, id: ReplicaId, message: &Rc<Message>, delay_ms: u64) {
        let sender = self.nodes[from].id;
        if id == sender || !self.court.laws.parameters.replicas.contains(id) {
            return;
        }
        if let Err(violation) = self.court.hear(self.now_ms, message) {
            self.violation.get_or_insert(violation);
        }
        let to = self.place_of(id, sender);
        if !self.is_linked(from, to) {
            return;
        }
        let life = self.nodes[to].life;
        let kind = Kind::of(message);
        for delay in self.network.delays(sender.0, id.0, kind).into_iter().flatten() {
            let message = message.clone();
            let due = self.now_ms + delay_ms + delay;
            self.schedule(due, Happening::Deliver { from, to, life, message });
        }
    }
}
