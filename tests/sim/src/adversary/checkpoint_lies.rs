//! Signs checkpoints of states that do not exist: another digest, two digests, slots to come, slots without a checkpoint.

use certificate::codec::{Encode, Writer};
use certificate::{Digest, MessageType, Sequence};
use pbft::{CheckpointVote, Keyring, Message};

use super::{Adversary, Liar, Said};

pub(super) struct CheckpointLies;

impl CheckpointLies {
    fn vote(liar: &Liar<'_>, sequence: Sequence, digest: Digest) -> CheckpointVote {
        let mut body = Writer::new();
        body.u64(sequence.0);
        digest.encode(&mut body);
        let preimage = liar.parameters.domain.preimage(MessageType::Checkpoint, &body.finish());
        CheckpointVote { sequence, digest, replica: liar.me(), signature: liar.keys.sign(&preimage) }
    }
}

impl Adversary for CheckpointLies {
    fn speak(&mut self, liar: &mut Liar<'_>, said: Said) -> Vec<Said> {
        let (to, message, delay) = said;
        let Message::Checkpoint(vote) = message else { return vec![(to, message, delay)] };
        let digest = Digest::of(&[liar.pick.below(3) as u8]);
        let lie = Message::Checkpoint(Self::vote(liar, vote.sequence, digest));
        match liar.pick.below(3) {
            0 => vec![(to, lie, delay)],
            1 => vec![(to, lie, delay), (to, message, delay)],
            _ => vec![(to, message, delay), (to, lie, delay)],
        }
    }

    fn stir(&mut self, liar: &mut Liar<'_>) {
        if liar.pick.percent(20) {
            let interval = liar.parameters.checkpoint_interval;
            let ahead = liar.pick.below(5) * interval + liar.pick.choose(&[0, 0, 0, 1]);
            let base = liar.status.executed.0 / interval * interval;
            let digest = Digest::of(&[liar.pick.below(3) as u8]);
            let lie = Message::Checkpoint(Self::vote(liar, Sequence(base + ahead), digest));
            liar.say_to_all(&lie);
        }
    }
}
