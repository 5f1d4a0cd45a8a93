//! Asks for much: requests nobody else has, fetches of everything, answers nobody asked for. Within its quota and beyond.

use certificate::{Digest, Sequence};
use pbft::Message;

use super::{Adversary, Liar};
use crate::application::Sight;

/// So many messages in all, so that a run ends.
const MESSAGES_MAX: u64 = 300;
/// Numbers of requests that no client of a scenario asks for begin here.
const NUMBERS_FROM: u64 = 1_000_000;

#[derive(Default)]
pub(super) struct Flood {
    said: u64,
}

impl Adversary for Flood {
    fn stir(&mut self, liar: &mut Liar<'_>) {
        for _ in 0..liar.pick.below(8) {
            if self.said >= MESSAGES_MAX {
                return;
            }
            self.said += 1;
            let number = NUMBERS_FROM + u64::from(liar.me().0) * 10_000 + self.said;
            let after = liar.status.executed;
            let operation = liar.judge.operation(number);
            let to = liar.some_peer();
            let message = match liar.pick.below(5) {
                0 => Message::Resolve { operation, after },
                1 => {
                    let sight = Sight { value: 200, ttl: 60 };
                    Message::Observe(liar.observe(&operation, sight, liar.wall_ms))
                }
                2 => Message::Fetch { from: Sequence(liar.pick.below(after.0 + 2)) },
                3 => Message::Answer { operation: operation.digest(), bytes: vec![7; 300] },
                _ => Message::Answer { operation: Digest::of(b"nothing"), bytes: Vec::new() },
            };
            liar.say(to, message);
        }
    }
}
