//! Votes for whatever anybody proposes or votes for, in both phases, at once; to each peer once, or two liars would never rest.

use std::collections::BTreeSet;

use certificate::{Digest, MessageType, ReplicaId, Sequence, View};
use pbft::Message;

use super::{Adversary, Liar};

#[derive(Default)]
pub(super) struct Approve {
    said: BTreeSet<(ReplicaId, View, Sequence, Digest)>,
}

impl Adversary for Approve {
    fn hear(&mut self, liar: &mut Liar<'_>, from: ReplicaId, message: &Message) -> bool {
        let vote = match message {
            Message::PrePrepare(proposal) => proposal.vote(from),
            Message::Prepare(vote) | Message::Commit(vote) => *vote,
            _ => return true,
        };
        let everybody = liar.pick.percent(20);
        let to = if everybody { liar.peers() } else { vec![from] };
        for to in to {
            if !self.said.insert((to, vote.view, vote.sequence, vote.digest)) {
                continue;
            }
            if !liar.leads(vote.view) {
                let prepare = liar.vote(MessageType::Prepare, vote.view, vote.sequence, vote.digest);
                liar.say(to, Message::Prepare(prepare));
            }
            let commit = liar.vote(MessageType::Commit, vote.view, vote.sequence, vote.digest);
            liar.say(to, Message::Commit(commit));
        }
        true
    }
}
