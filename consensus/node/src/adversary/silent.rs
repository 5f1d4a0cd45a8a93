//! Is connected and says nothing: its connections live, its peers wait in vain.

use pbft::{Message, Recipients};

use super::{Adversary, Liar, Said};

pub(super) struct Silent;

impl Adversary for Silent {
    fn speak(&mut self, _: &Liar, _: Recipients, _: Message) -> Vec<Said> {
        Vec::new()
    }
}
