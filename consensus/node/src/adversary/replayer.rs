//! Says again and again what was said before: its own votes and observations, and those of others as if they were its own.

use std::collections::VecDeque;
use std::time::Duration;

use pbft::{Message, Recipients};

use super::{Adversary, Liar, Said};

/// Messages that it remembers; the oldest is forgotten first.
const REMEMBERED_MAX: usize = 512;
/// Messages that it repeats at a time.
const REPEATED: usize = 8;

#[derive(Default)]
pub(super) struct Replayer {
    remembered: VecDeque<Message>,
    next: usize,
}

impl Replayer {
    fn remember(&mut self, message: &Message) {
        if !matches!(
            message,
            Message::Observe(_) | Message::Prepare(_) | Message::Commit(_) | Message::Checkpoint(_)
        ) {
            return;
        }
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(message.clone());
    }
}

impl Adversary for Replayer {
    fn speak(&mut self, _: &Liar, to: Recipients, message: Message) -> Vec<Said> {
        self.remember(&message);
        vec![(to, message, Duration::ZERO)]
    }

    fn hear(&mut self, _: &Liar, message: &Message) {
        self.remember(message);
    }

    fn stir(&mut self, _: &Liar) -> Vec<Said> {
        let count = self.remembered.len();
        let repeated: Vec<Said> = (self.next..self.next + REPEATED.min(count))
            .map(|place| (Recipients::All, self.remembered[place % count].clone(), Duration::ZERO))
            .collect();
        self.next = self.next.wrapping_add(REPEATED) % REMEMBERED_MAX;
        repeated
    }
}
