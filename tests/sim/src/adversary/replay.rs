//! Says again what it sent or heard long ago, to whoever: old votes, old observations, old proposals, also those of others.

use std::collections::VecDeque;

use certificate::ReplicaId;
use pbft::Message;

use super::{Adversary, Liar, Said};

const REMEMBERED_MAX: usize = 400;

#[derive(Default)]
pub(super) struct Replay {
    remembered: VecDeque<Message>,
}

impl Replay {
    fn remember(&mut self, message: &Message) {
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(message.clone());
    }
}

impl Adversary for Replay {
    fn speak(&mut self, liar: &mut Liar<'_>, said: Said) -> Vec<Said> {
        if liar.pick.percent(20) {
            self.remember(&said.1);
        }
        vec![said]
    }

    fn hear(&mut self, liar: &mut Liar<'_>, _: ReplicaId, message: &Message) -> bool {
        if liar.pick.percent(20) {
            self.remember(message);
        }
        true
    }

    fn stir(&mut self, liar: &mut Liar<'_>) {
        for _ in 0..liar.pick.below(4) {
            if self.remembered.is_empty() {
                return;
            }
            let which = liar.pick.below(self.remembered.len() as u64) as usize;
            let message = self.remembered[which].clone();
            let to = liar.some_peer();
            liar.say(to, message);
        }
    }
}
