//! As primary proposes just before it would be deposed, or a little after.

use pbft::Message;

use super::{Adversary, Liar, Said};
use crate::random::Random;

pub(super) struct SlowPrimary {
    by_ms: u64,
}

impl SlowPrimary {
    pub(super) fn draw(pick: &mut Random) -> SlowPrimary {
        SlowPrimary { by_ms: pick.choose(&[40, 80, 95, 120]) }
    }
}

impl Adversary for SlowPrimary {
    fn speak(&mut self, _: &mut Liar<'_>, (to, message, delay): Said) -> Vec<Said> {
        let late = if matches!(message, Message::PrePrepare(_)) { self.by_ms } else { 0 };
        vec![(to, message, delay + late)]
    }
}
