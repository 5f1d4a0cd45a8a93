//! Speaks of views and slots far away, up to the greatest numbers there are.

use certificate::{Digest, MessageType, Sequence, View};
use pbft::{Message, PeerStatus};

use super::{Adversary, Liar};

pub(super) struct HugeNumbers;

impl Adversary for HugeNumbers {
    fn stir(&mut self, liar: &mut Liar<'_>) {
        if !liar.pick.percent(30) {
            return;
        }
        let near = liar.status.executed.0;
        let window = liar.parameters.window;
        let mut far = |near: u64| match liar.pick.below(6) {
            0 => u64::MAX,
            1 => u64::MAX - 1,
            2 => u64::MAX / 2,
            3 => near + window,
            4 => near + 2 * window + 1,
            _ => near + 1000,
        };
        let (sequence, view) = (Sequence(far(near)), View(far(liar.status.view.0)));
        let view = if liar.pick.percent(50) { liar.status.view } else { view };
        let digest = Digest::of(b"far");
        let message = match liar.pick.below(6) {
            0 => Message::Prepare(liar.vote(MessageType::Prepare, view, sequence, digest)),
            1 => Message::Commit(liar.vote(MessageType::Commit, view, sequence, digest)),
            2 => Message::Fetch { from: sequence },
            3 => Message::FetchState { sequence, offset: liar.pick.choose(&[0, 1, 49_152, u32::MAX]) },
            4 => Message::Resolve { operation: liar.judge.operation(sequence.0), after: sequence },
            _ => Message::Status(PeerStatus { view, executed: sequence, ..Default::default() }),
        };
        liar.say_to_all(&message);
    }
}
