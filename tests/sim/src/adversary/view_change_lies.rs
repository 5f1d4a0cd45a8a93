//! Lies about what it prepared and voted for when a view is given up, each lie signed; and gives up views that nobody else gives up.
//!
//! The lies: to leave out P, to show an old one, to forge Q, to claim a base that is not, to show no checkpoint, to say one thing to some and another to others.

use std::collections::BTreeMap;
use std::sync::Arc;

use certificate::{Digest, MessageType, Sequence, Signature, View};
use pbft::{Message, Prepared, SlotClaim, ViewChange, Voted};

use super::{Adversary, Liar, Said};
use crate::random::{Random, mix};

pub(super) struct ViewChangeLies {
    lie: Lie,
    /// The first prepared certificate that it had for a slot.
    oldest: BTreeMap<Sequence, Prepared>,
    /// Whether it gives up views on its own account.
    restless: bool,
}

#[derive(Clone, Copy)]
enum Lie {
    OmitPrepared,
    OmitAll,
    OldPrepared,
    ForgedVotes,
    InflatedBase,
    NoCheckpoint,
    TwoFaced,
}

impl ViewChangeLies {
    pub(super) fn draw(pick: &mut Random) -> ViewChangeLies {
        let lies = [
            Lie::OmitPrepared,
            Lie::OmitAll,
            Lie::OldPrepared,
            Lie::ForgedVotes,
            Lie::ForgedVotes,
            Lie::InflatedBase,
            Lie::NoCheckpoint,
            Lie::TwoFaced,
        ];
        ViewChangeLies { lie: pick.choose(&lies), oldest: BTreeMap::new(), restless: pick.percent(30) }
    }

    fn bend(&mut self, liar: &mut Liar<'_>, message: &ViewChange, to: u8) -> ViewChange {
        for slot in &message.slots {
            if let Some(prepared) = &slot.prepared {
                self.oldest.entry(slot.sequence).or_insert_with(|| prepared.clone());
            }
        }
        let mut bent = message.clone();
        match self.lie {
            Lie::OmitPrepared => bent.slots.iter_mut().for_each(|slot| slot.prepared = None),
            Lie::OmitAll => bent.slots.clear(),
            Lie::OldPrepared => {
                for slot in &mut bent.slots {
                    slot.prepared = self.oldest.get(&slot.sequence).cloned();
                }
            }
            Lie::ForgedVotes => forge_votes(liar, &mut bent, to),
            Lie::InflatedBase => {
                if let Some(decided) = &mut bent.decided {
                    decided.sequence.0 += liar.pick.choose(&[1, 5, 1000]);
                }
                if let Some(stable) = &mut bent.stable {
                    stable.sequence.0 += liar.parameters.checkpoint_interval;
                }
            }
            Lie::NoCheckpoint => {
                bent.stable = None;
                bent.decided = None;
                bent.slots.retain(|slot| slot.sequence.0 <= 2 * liar.parameters.pipeline);
            }
            Lie::TwoFaced => {
                if mix(u64::from(to)).is_multiple_of(2) {
                    bent.slots.clear();
                }
            }
        }
        bent.slots.retain(|slot| slot.prepared.is_some() || slot.voted.is_some());
        bent.sign(&liar.parameters.domain, liar.keys)
    }
}

/// Votes for what it proposed itself, to whomever it says so, when it was the primary of an earlier view; for others it lacks the signature.
fn forge_votes(liar: &mut Liar<'_>, bent: &mut ViewChange, to: u8) {
    let own = (0..bent.view.0).rev().take(40).map(View).find(|view| liar.leads(*view));
    let base = bent.base(liar.parameters.pipeline);
    let Some(view) = own else { return };
    let slots: Vec<SlotClaim> = (base.0 + 1..=base.0 + liar.parameters.pipeline)
        .map(|sequence| {
            let sequence = Sequence(sequence);
            let before = bent.slots.iter().find(|slot| slot.sequence == sequence);
            let digest = Digest::of(&[to % 2, sequence.0 as u8]);
            let signature = liar.vote(MessageType::PrePrepare, view, sequence, digest).signature;
            let prepared = before.and_then(|slot| slot.prepared.clone()).filter(|_| liar.pick.percent(50));
            SlotClaim { sequence, prepared, voted: Some(Voted { view, digest, signature }) }
        })
        .collect();
    bent.slots = slots;
}

impl Adversary for ViewChangeLies {
    fn speak(&mut self, liar: &mut Liar<'_>, (to, message, delay): Said) -> Vec<Said> {
        match &message {
            Message::ViewChange(change) if change.replica == liar.me() => {
                let bent = Arc::new(self.bend(liar, change, to.0));
                vec![(to, Message::ViewChange(bent), delay)]
            }
            _ => vec![(to, message, delay)],
        }
    }

    fn stir(&mut self, liar: &mut Liar<'_>) {
        if !self.restless || !liar.pick.percent(10) {
            return;
        }
        let view = View(liar.status.view.0.saturating_add(liar.pick.choose(&[1, 1, 2, 5, u64::MAX / 2])));
        let (replica, signature) = (liar.me(), Signature([0; 64]));
        let empty = ViewChange { view, replica, stable: None, decided: None, slots: Vec::new(), signature };
        let signed = empty.sign(&liar.parameters.domain, liar.keys);
        liar.say_to_all(&Message::ViewChange(Arc::new(signed)));
    }
}
