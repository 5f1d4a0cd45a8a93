//! As primary of a new view begins it as it should not: with other proposals, from too few or too many view changes or others' names, to some alone, twice, too
//! early, for a view that is not its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, Sequence, Signature, View};
use pbft::{Message, NewView, ViewChange, select};

use super::{Adversary, Liar, Said};
use crate::random::{Random, mix};

pub(super) struct NewViewLies {
    lie: Lie,
    heard: BTreeMap<View, BTreeMap<ReplicaId, Arc<ViewChange>>>,
    early: bool,
}

#[derive(Clone, Copy)]
enum Lie {
    DropProposal,
    OtherProposal,
    MoreProposals,
    FewerChanges,
    MoreChanges,
    OtherNames,
    SomePeers,
    OtherSelection,
    Silence,
}

impl NewViewLies {
    pub(super) fn draw(pick: &mut Random) -> NewViewLies {
        let lies = [
            Lie::DropProposal,
            Lie::OtherProposal,
            Lie::MoreProposals,
            Lie::FewerChanges,
            Lie::MoreChanges,
            Lie::OtherNames,
            Lie::SomePeers,
            Lie::OtherSelection,
            Lie::OtherSelection,
            Lie::Silence,
        ];
        NewViewLies { lie: pick.choose(&lies), heard: BTreeMap::new(), early: pick.percent(30) }
    }

    fn bend(&self, liar: &mut Liar<'_>, message: &NewView, to: ReplicaId) -> Option<NewView> {
        let mut bent = message.clone();
        match self.lie {
            Lie::DropProposal => drop(bent.proposals.pop()),
            Lie::OtherProposal => {
                let base = self.base_of(liar, message)?;
                for (place, proposal) in bent.proposals.iter_mut().enumerate() {
                    let (sequence, digest) = (Sequence(base.0 + 1 + place as u64), Digest::of(&[to.0 % 2]));
                    let vote = liar.vote(MessageType::PrePrepare, bent.view, sequence, digest);
                    *proposal = (digest, vote.signature);
                }
            }
            Lie::MoreProposals => bent.proposals.push((Digest::of(b"more"), Signature([1; 64]))),
            Lie::FewerChanges => drop(bent.view_changes.pop()),
            Lie::OtherNames => {
                let place = liar.pick.below(bent.view_changes.len().max(1) as u64) as usize;
                bent.view_changes.get_mut(place)?.1 = Digest::of(b"another");
            }
            Lie::SomePeers if mix(u64::from(to.0)).is_multiple_of(2) => return None,
            Lie::SomePeers => return Some(bent),
            Lie::OtherSelection if to.0.is_multiple_of(2) => return self.other_selection(liar, message.view),
            Lie::OtherSelection => return Some(bent),
            // More come, or it stays silent.
            Lie::MoreChanges | Lie::Silence => return None,
        }
        Some(bent.resign(&liar.parameters.domain, liar.keys))
    }

    /// The base that the view changes of a new view have, as far as they were heard.
    fn base_of(&self, liar: &Liar<'_>, message: &NewView) -> Option<Sequence> {
        let heard = self.heard.get(&message.view)?;
        let named = message.view_changes.iter().filter_map(|(replica, _)| heard.get(replica));
        named.map(|change| change.base(liar.parameters.pipeline)).max()
    }

    /// A new view that is sound in itself, from the last n-f view changes that were heard instead of the first.
    fn other_selection(&self, liar: &Liar<'_>, view: View) -> Option<NewView> {
        self.last_of(liar, view, liar.parameters.replicas.view_change_quorum())
    }

    /// A new view from so many view changes, the last ones that were heard.
    fn last_of(&self, liar: &Liar<'_>, view: View, needed: usize) -> Option<NewView> {
        let heard = self.heard.get(&view)?;
        let mut changes: Vec<&ViewChange> = heard.values().rev().take(needed).map(Arc::as_ref).collect();
        changes.reverse();
        if changes.len() < needed {
            return None;
        }
        let plan = select::plan(liar.parameters, &changes).ok()?;
        Some(NewView::sign(view, &changes, &plan, liar.parameters, liar.keys))
    }
}

impl Adversary for NewViewLies {
    fn speak(&mut self, liar: &mut Liar<'_>, (to, message, delay): Said) -> Vec<Said> {
        match &message {
            Message::NewView(new_view) if liar.leads(new_view.view) => {
                let bent = self.bend(liar, new_view, to).map(|bent| Message::NewView(Arc::new(bent)));
                bent.into_iter().map(|bent| (to, bent, delay)).collect()
            }
            Message::ViewChange(change) => {
                self.heard.entry(change.view).or_default().insert(change.replica, change.clone());
                vec![(to, message, delay)]
            }
            _ => vec![(to, message, delay)],
        }
    }

    fn hear(&mut self, liar: &mut Liar<'_>, _: ReplicaId, message: &Message) -> bool {
        let Message::ViewChange(change) = message else { return true };
        let heard = self.heard.entry(change.view).or_default();
        heard.insert(change.replica, change.clone());
        let too_many = liar.parameters.replicas.view_change_quorum() + 1;
        if matches!(self.lie, Lie::MoreChanges) && liar.leads(change.view) && heard.len() >= too_many {
            let more = self.last_of(liar, change.view, too_many);
            more.into_iter().for_each(|more| liar.say_to_all(&Message::NewView(Arc::new(more))));
            return true;
        }
        if self.early && heard.len() < liar.parameters.replicas.view_change_quorum() {
            let named = heard.values().map(|change| (change.replica, change.digest())).collect();
            let (proposals, signature) = (Vec::new(), Signature([0; 64]));
            let early = NewView { view: change.view, view_changes: named, proposals, signature };
            let early = early.resign(&liar.parameters.domain, liar.keys);
            liar.say_to_all(&Message::NewView(Arc::new(early)));
        }
        true
    }
}
