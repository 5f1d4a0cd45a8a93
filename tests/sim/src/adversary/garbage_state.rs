//! Pretends to be ahead, and serves garbage to those who catch up: other bodies, other certificates, states that no checkpoint has.

use std::sync::Arc;

use certificate::{Digest, ReplicaId, Sequence};
use pbft::{Batch, Message, PeerStatus};

use super::{Adversary, Liar, Said};

pub(super) struct GarbageState;

impl Adversary for GarbageState {
    fn speak(&mut self, liar: &mut Liar<'_>, (to, message, delay): Said) -> Vec<Said> {
        let bent = match message {
            Message::Status(status) => {
                let executed = Sequence(status.executed.0 + liar.pick.choose(&[0, 1, 5, 1000]));
                Message::Status(PeerStatus { executed, ..status })
            }
            Message::Slot(mut slot) => {
                match liar.pick.below(5) {
                    0 => slot.batch = Arc::new(Batch::default()),
                    1 => slot.header.leaves_root = Digest::ZERO,
                    2 => slot.certificate.digest = Digest::of(b"other"),
                    3 => slot.certificate.signatures.reverse(),
                    _ => slot.header.sequence = slot.header.sequence.next(),
                }
                Message::Slot(slot)
            }
            Message::StableCheckpoint(mut chunk) => {
                match liar.pick.below(4) {
                    0 => chunk.bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1),
                    1 => chunk.certificate.digest = Digest::of(b"other"),
                    2 => {
                        chunk.total =
                            chunk.total.saturating_sub(1).max(chunk.offset + chunk.bytes.len() as u32);
                    }
                    _ => chunk.certificate.sequence = Sequence(chunk.certificate.sequence.0 + 1000),
                }
                Message::StableCheckpoint(chunk)
            }
            other => other,
        };
        vec![(to, bent, delay)]
    }

    fn hear(&mut self, liar: &mut Liar<'_>, from: ReplicaId, message: &Message) -> bool {
        // Sometimes it only pretends to help.
        if let Message::Fetch { .. } | Message::FetchState { .. } = message
            && liar.pick.percent(30)
        {
            let executed = Sequence(liar.status.executed.0 + 50);
            liar.say(from, Message::Status(PeerStatus { executed, ..Default::default() }));
            return false;
        }
        true
    }
}
