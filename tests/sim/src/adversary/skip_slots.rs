//! As primary moves its proposals to other slots: leaves gaps, or goes to the end of the window at once.

use pbft::Message;

use super::{Adversary, Liar, Said};
use crate::random::Random;

pub(super) struct SkipSlots {
    by: u64,
    percent: u64,
}

impl SkipSlots {
    pub(super) fn draw(pick: &mut Random) -> SkipSlots {
        SkipSlots { by: pick.choose(&[1, 2, 3, 1000]), percent: pick.choose(&[20, 100]) }
    }
}

impl Adversary for SkipSlots {
    fn speak(&mut self, liar: &mut Liar<'_>, (to, message, delay): Said) -> Vec<Said> {
        let Message::PrePrepare(proposal) = &message else { return vec![(to, message, delay)] };
        // The choice is the slot's, so that all peers get the same.
        let chosen = crate::random::mix(proposal.header.sequence.0) % 100 < self.percent;
        if !chosen || !liar.leads(proposal.view) {
            return vec![(to, message, delay)];
        }
        let mut bent = proposal.clone();
        let high = liar.status.stable.0 + liar.parameters.window;
        let by = if self.by == 1000 { high.saturating_sub(bent.header.sequence.0) } else { self.by };
        bent.header.sequence.0 += by;
        vec![(to, Message::PrePrepare(liar.sign_proposal(bent)), delay)]
    }
}
