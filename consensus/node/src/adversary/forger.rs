//! Sends its votes with signatures that do not verify, over connections that prove who it is.

use std::time::Duration;

use certificate::Signature;
use pbft::{CheckpointVote, Message, PrePrepare, Recipients, Vote};

use super::{Adversary, Liar, Said};

pub(super) struct Forger;

impl Adversary for Forger {
    fn speak(&mut self, _: &Liar, to: Recipients, message: Message) -> Vec<Said> {
        vec![(to, forge(message), Duration::ZERO)]
    }
}

/// The message with a bad signature, when it is a vote.
fn forge(message: Message) -> Message {
    let vote = |vote: Vote| Vote { signature: spoil(vote.signature), ..vote };
    match message {
        Message::PrePrepare(proposal) => {
            Message::PrePrepare(PrePrepare { signature: spoil(proposal.signature), ..proposal })
        }
        Message::Prepare(prepare) => Message::Prepare(vote(prepare)),
        Message::Commit(commit) => Message::Commit(vote(commit)),
        Message::Checkpoint(checkpoint) => {
            Message::Checkpoint(CheckpointVote { signature: spoil(checkpoint.signature), ..checkpoint })
        }
        other => other,
    }
}

/// One bit of its scalar is another.
fn spoil(mut signature: Signature) -> Signature {
    signature.0[40] ^= 1;
    signature
}
