//! Keeps votes, proposals or checkpoints from some of its peers, the same for a while.

use certificate::ReplicaSet;
use pbft::{Message, Parameters};

use super::{Adversary, Liar, Said};
use crate::random::Random;

pub(super) struct Withhold {
    from: ReplicaSet,
    proposals: bool,
    prepares: bool,
    commits: bool,
}

impl Withhold {
    pub(super) fn draw(pick: &mut Random, parameters: &Parameters) -> Withhold {
        Withhold {
            from: parameters.replicas.ids().filter(|_| pick.percent(50)).collect(),
            proposals: pick.percent(30),
            prepares: pick.percent(60),
            commits: pick.percent(60),
        }
    }
}

impl Adversary for Withhold {
    fn speak(&mut self, _: &mut Liar<'_>, said: Said) -> Vec<Said> {
        let withheld = match &said.1 {
            Message::PrePrepare(_) => self.proposals,
            Message::Prepare(_) => self.prepares,
            Message::Commit(_) | Message::Checkpoint(_) => self.commits,
            _ => false,
        };
        if withheld && self.from.contains(said.0) { Vec::new() } else { vec![said] }
    }

    fn stir(&mut self, liar: &mut Liar<'_>) {
        if liar.pick.percent(3) {
            let parameters = liar.parameters;
            *self = Withhold::draw(liar.pick, parameters);
        }
    }
}
