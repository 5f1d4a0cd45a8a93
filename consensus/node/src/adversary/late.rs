//! Holds every vote back for a given time, and is on time with everything else.

use std::time::Duration;

use pbft::{Message, Recipients};

use super::{Adversary, Liar, Said};

pub(super) struct Late {
    /// So much later than it could.
    pub by: Duration,
}

impl Adversary for Late {
    fn speak(&mut self, _: &Liar, to: Recipients, message: Message) -> Vec<Said> {
        let votes = matches!(
            message,
            Message::PrePrepare(_) | Message::Prepare(_) | Message::Commit(_) | Message::Checkpoint(_)
        );
        vec![(to, message, if votes { self.by } else { Duration::ZERO })]
    }
}
