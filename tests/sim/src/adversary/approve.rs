//! Votes for whatever anybody proposes or votes for, in both phases, at once.

use certificate::{MessageType, ReplicaId};
use pbft::Message;

use super::{Adversary, Liar};

pub(super) struct Approve;

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
