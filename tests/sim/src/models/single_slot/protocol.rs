//! The numbers and the rule of a protocol with one slot, and what one can do wrong.

use certificate::Replicas;
use pbft::planted::Switch;

use super::super::rule::Rule;
use super::super::world::Size;

/// What of the protocol a variant has, and what it does wrong.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// n and f.
    pub replicas: Replicas,
    /// Views, the first included.
    pub views: usize,
    /// Different digests that a primary may propose: 2, or 3 with the null digest.
    pub digests: u8,
    /// q.
    pub quorum: usize,
    /// The most view changes from which a new view is computed; the fewest are `view_changes`.
    pub view_changes_most: usize,
    /// n-f.
    pub view_changes: usize,
    /// Qf; without a fast path none.
    pub fast_quorum: Option<usize>,
    /// T.
    pub threshold: usize,
    /// What a new view chooses.
    pub rule: Rule,
    /// Whether a view change may leave out a slot that is decided.
    pub bases: Bases,
    /// A mistake apart from numbers and the rule.
    pub slip: Option<Slip>,
}

/// Whether view changes leave out what is decided, and what a new view makes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bases {
    /// They do not.
    None,
    /// They do, and a new view leaves out what any of its view changes leaves out.
    HighestOfAll,
    /// They do, and a new view leaves out what the first f of its view changes leave out.
    HighestOfSome,
}

/// A mistake apart from numbers and the rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slip {
    /// A replica forgets its vote of the view in which it is.
    Forgets,
    /// COMMITs of different views are added up.
    CommitsSummed,
    /// Nobody recomputes a new view.
    NewViewUnchecked,
    /// A replica still votes in a view after its view change to the next.
    VotesAfterViewChange,
}

impl Protocol {
    /// The protocol of the product.
    pub fn product(replicas: Replicas, views: usize) -> Protocol {
        Protocol {
            replicas,
            views,
            digests: 2,
            quorum: replicas.quorum(),
            view_changes: replicas.view_change_quorum(),
            view_changes_most: replicas.view_change_quorum(),
            fast_quorum: Some(replicas.fast_quorum()),
            threshold: replicas.fast_threshold(),
            rule: Rule::Product(Switch::NONE),
            bases: Bases::None,
            slip: None,
        }
    }

    /// What a state of the model holds.
    pub(super) fn size(&self) -> Size {
        Size {
            honest: self.replicas.count() - self.replicas.faults(),
            views: self.views,
            slots: 1,
            bases: self.bases != Bases::None,
            forgetting: matches!(self.slip, Some(Slip::Forgets | Slip::VotesAfterViewChange)),
            named: 0,
        }
    }
}
