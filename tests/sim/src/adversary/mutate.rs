//! Small changes to what the honest code sends, signed anew: the view before or after, the slot beside, a digest of before, another batch under a header, late.
//! Source: the mutations of ByzzFuzz (Winter et al. 2023).

use std::sync::Arc;

use certificate::{Digest, MessageType, Sequence, View};
use pbft::{Batch, Message, Vote};

use super::{Adversary, Liar, Said};
use crate::random::Random;

/// A garbled proposal comes so much later at most, in milliseconds.
const LATE_MS_MAX: u64 = 2000;

pub(super) struct Mutate {
    percent: u64,
    digests: Vec<Digest>,
    batch: Arc<Batch>,
}

impl Mutate {
    pub(super) fn draw(pick: &mut Random) -> Mutate {
        Mutate { percent: pick.choose(&[5, 20, 60]), digests: Vec::new(), batch: Arc::default() }
    }

    fn vote(&mut self, liar: &mut Liar<'_>, phase: MessageType, vote: Vote) -> Vote {
        self.digests.push(vote.digest);
        let (mut view, mut sequence, mut digest) = (vote.view, vote.sequence, vote.digest);
        match liar.pick.below(6) {
            0 => view = View(view.0 + 1),
            1 => view = View(view.0.saturating_sub(1)),
            2 => sequence = Sequence(sequence.0 + 1),
            3 => sequence = Sequence(sequence.0.saturating_sub(1)),
            4 => digest = self.digests[liar.pick.below(self.digests.len() as u64) as usize],
            _ => digest = Digest::of(&digest.0),
        }
        liar.vote(phase, view, sequence, digest)
    }
}

impl Adversary for Mutate {
    fn speak(&mut self, liar: &mut Liar<'_>, (to, message, mut delay): Said) -> Vec<Said> {
        if !liar.pick.percent(self.percent) {
            return vec![(to, message, delay)];
        }
        let bent = match &message {
            Message::Prepare(vote) if vote.replica == liar.me() => {
                Message::Prepare(self.vote(liar, MessageType::Prepare, *vote))
            }
            Message::Commit(vote) if vote.replica == liar.me() => {
                Message::Commit(self.vote(liar, MessageType::Commit, *vote))
            }
            Message::PrePrepare(proposal) => {
                let mut bent = proposal.clone();
                match liar.pick.below(7) {
                    0 => bent.view = bent.view.next(),
                    1 => bent.header.sequence = bent.header.sequence.next(),
                    2 => bent.header.time_ms += liar.pick.choose(&[1, 10_000, 3_600_000]),
                    3 => bent.header.prefix_digest = Digest::of(b"other"),
                    4 => {
                        bent.header.prefix_sequence =
                            Sequence(bent.header.prefix_sequence.0.saturating_sub(1));
                    }
                    5 => bent.header.leaves_root = Digest::of(b"other"),
                    // The header that others vote for: whoever does not judge it now may take it for a body later.
                    _ => {
                        bent.batch = std::mem::replace(&mut self.batch, proposal.batch.clone());
                        delay += liar.pick.below(LATE_MS_MAX);
                    }
                }
                Message::PrePrepare(liar.sign_proposal(bent))
            }
            other => other.clone(),
        };
        let both = liar.pick.percent(20);
        let mut said = vec![(to, bent, delay)];
        if both {
            said.push((to, message, delay));
        }
        said
    }
}
