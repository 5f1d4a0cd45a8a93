//! Says nothing, for ever or at times; hears everything.

use super::{Adversary, Liar, Said};
use crate::random::Random;

pub(super) struct Silent {
    /// Silent for one stretch out of so many; 1 is always.
    one_in: u64,
    silent: bool,
}

impl Silent {
    pub(super) fn draw(pick: &mut Random) -> Silent {
        Silent { one_in: pick.choose(&[1, 2, 4]), silent: true }
    }
}

impl Adversary for Silent {
    fn speak(&mut self, _: &mut Liar<'_>, said: Said) -> Vec<Said> {
        if self.silent { Vec::new() } else { vec![said] }
    }

    fn stir(&mut self, liar: &mut Liar<'_>) {
        if liar.pick.percent(10) {
            self.silent = liar.pick.below(self.one_in) == 0;
        }
    }
}
