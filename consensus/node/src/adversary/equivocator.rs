//! Signs a second digest for every slot and phase. As primary the second proposal is as sound as the first, with another
//! observation of its own.
//!
//! Both votes go to every peer. Of a proposal one of every three peers is shown both, one the first, one the second; who is which changes with the
//! slot. So for some time the peers vote for different things, and each gets to compare.

use std::sync::Arc;
use std::time::Duration;

use certificate::{Digest, MessageType, ReplicaId, Sequence, merkle};
use pbft::{Batch, Item, Message, PrePrepare, Recipients, SignedObservations, Vote};

use super::{Adversary, Liar, Said};

pub(super) struct Equivocator;

/// What a peer is shown of a slot's proposals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shown {
    Both,
    First,
    Second,
}

impl Adversary for Equivocator {
    fn speak(&mut self, liar: &Liar, to: Recipients, message: Message) -> Vec<Said> {
        let Some((sequence, second)) = second(liar, &message) else {
            return vec![(to, message, Duration::ZERO)];
        };
        let mut said = Vec::new();
        for peer in liar.each(to) {
            let words = match (&message, shown(liar, peer, sequence)) {
                (Message::PrePrepare(_), Shown::First) => vec![&message],
                (Message::PrePrepare(_), Shown::Second) => vec![&second],
                // The first proposal is what it votes for, with the liar: so the slot is decided, and the liar is primary of the next.
                (Message::PrePrepare(_), Shown::Both) => vec![&message, &second],
                // Of votes the second goes first: it does not help to decide the slot, after which nobody compares.
                _ => vec![&second, &message],
            };
            said.extend(words.into_iter().map(|word| (Recipients::One(peer), word.clone(), Duration::ZERO)));
        }
        said
    }
}

/// What contradicts the message, and for which slot; `None` for what is no vote.
fn second(liar: &Liar, message: &Message) -> Option<(Sequence, Message)> {
    Some(match message {
        Message::Prepare(vote) => {
            (vote.sequence, Message::Prepare(second_vote(liar, MessageType::Prepare, vote)))
        }
        Message::Commit(vote) => {
            (vote.sequence, Message::Commit(second_vote(liar, MessageType::Commit, vote)))
        }
        Message::PrePrepare(proposal) => {
            (proposal.header.sequence, Message::PrePrepare(second_proposal(liar, proposal)?))
        }
        _ => return None,
    })
}

fn shown(liar: &Liar, peer: ReplicaId, sequence: Sequence) -> Shown {
    let place = liar.peers().position(|other| other == peer).unwrap_or(0) as u64;
    match (place + sequence.0) % 3 {
        0 => Shown::Both,
        1 => Shown::First,
        _ => Shown::Second,
    }
}

/// A vote for a digest of nothing.
fn second_vote(liar: &Liar, phase: MessageType, vote: &Vote) -> Vote {
    let digest = Digest::of_parts(&[b"a second digest", &vote.digest.0]);
    liar.sign(phase, Vote { digest, ..*vote })
}

/// Another proposal for the slot, for which an honest backup votes: what the liar observed itself is a millisecond later in it. `None` for
/// a batch without an observation of its own.
fn second_proposal(liar: &Liar, proposal: &PrePrepare) -> Option<PrePrepare> {
    let mut batch = (*proposal.batch).clone();
    let own = batch.sets.iter().position(|set| set.replica == liar.me)?;
    let set = batch.sets.remove(own);
    let full = set.items.into_iter().filter_map(|item| match item {
        Item::Full(mut observation) => {
            observation.time_ms += 1;
            Some(observation)
        }
        Item::Pruned(_) => None,
    });
    batch.sets.push(SignedObservations::sign(liar.me, full.collect(), &liar.domain, &liar.keys));
    batch.sets.sort_by_key(|set| (set.replica, set.signature));
    let mut header = proposal.header.clone();
    // The log's time, below which no slot's may be, is the header's own unless the median is later.
    let floor_ms = if median_ms(&proposal.batch) < header.time_ms { header.time_ms } else { 0 };
    header.time_ms = median_ms(&batch).max(floor_ms);
    header.leaves_root = merkle::root(&batch.decide(&liar.application).ok()?);
    header.observations_root = merkle::root(&batch.evidence_leaves().ok()?);
    Some(liar.propose(PrePrepare { header, batch: Arc::new(batch), ..proposal.clone() }))
}

/// The lower median of the observations' times: the slot's time, unless the log's is later.
fn median_ms(batch: &Batch) -> u64 {
    let observations = batch.observations();
    let mut times: Vec<u64> = observations.iter().flatten().map(|counted| counted.time_ms).collect();
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}
