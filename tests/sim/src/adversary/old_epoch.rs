//! Votes with signatures that its key gave in another epoch: sound there, worth nothing here.

use certificate::{Domain, Epoch, MessageType};
use pbft::{Keyring, Message, Vote};

use super::{Adversary, Liar, Said};

pub(super) struct OldEpoch;

impl OldEpoch {
    fn sign(liar: &Liar<'_>, phase: MessageType, vote: Vote) -> Vote {
        let domain = Domain { epoch: Epoch(0), ..liar.parameters.domain };
        let preimage = domain.vote_preimage(phase, vote.view, vote.sequence, vote.digest);
        Vote { signature: liar.keys.sign(&preimage), ..vote }
    }
}

impl Adversary for OldEpoch {
    fn speak(&mut self, liar: &mut Liar<'_>, (to, message, delay): Said) -> Vec<Said> {
        let bent = match message {
            Message::Prepare(vote) => Message::Prepare(Self::sign(liar, MessageType::Prepare, vote)),
            Message::Commit(vote) => Message::Commit(Self::sign(liar, MessageType::Commit, vote)),
            other => other,
        };
        vec![(to, bent, delay)]
    }
}
