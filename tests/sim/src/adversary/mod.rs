//! What Byzantine replicas do. A liar runs the honest code and bends it: every vice sees what comes in and what the honest code would send, and
//! may drop, alter, delay or add, with the liar's own key alone.
//!
//! One vice a file. A liar has up to four; what one says passes through those after it.

mod approve;
mod censor;
mod checkpoint_lies;
mod conceal;
mod equivocate;
mod flood;
mod garbage_state;
mod huge_numbers;
mod mutate;
mod new_view_lies;
mod observation_lies;
mod old_epoch;
mod replay;
mod silent;
mod skip_slots;
mod slow_primary;
mod two_times;
mod view_change_lies;
mod withhold;

use certificate::{Digest, MessageType, ReplicaId, Sequence, View};
use pbft::{Keyring, Message, Operation, Parameters, PrePrepare, SignedObservations, Status, Vote};

use crate::application::{Judge, Sight};
use crate::keys::Keys;
use crate::random::Random;

/// A kind of misbehaviour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Vice {
    /// Says nothing, always or at times.
    Silent,
    /// As primary proposes different batches to different peers, and votes for each.
    Equivocate,
    /// Votes for whatever anybody proposes or votes for.
    Approve,
    /// Keeps its votes from some peers.
    Withhold,
    /// Votes to one peer alone, and denies its votes when it gives up a view.
    Conceal,
    /// Says again what it or others said long ago.
    Replay,
    /// Signs checkpoints of states that do not exist.
    CheckpointLies,
    /// Speaks of views and slots far away.
    HugeNumbers,
    /// Signs observations of what it did not see.
    ObservationLies,
    /// Serves garbage to those who catch up.
    GarbageState,
    /// Asks for all that its quota allows.
    Flood,
    /// Small changes to what it sends, signed anew.
    Mutate,
    /// As primary is as slow as it can be.
    SlowPrimary,
    /// As primary leaves out some requests.
    Censor,
    /// As primary leaves out slots, or proposes at the end of the window.
    SkipSlots,
    /// Lies about what it prepared and voted for.
    ViewChangeLies,
    /// As primary of a new view begins it wrongly.
    NewViewLies,
    /// Signs for another epoch.
    OldEpoch,
    /// Two processes with one key.
    Twins,
    /// Loses its log and starts anew.
    Amnesiac,
    /// Signs two times of one observation, one of which does not count, and gives up each view with whoever gives it up.
    TwoTimes,
}

impl Vice {
    /// Every vice that the scenario of a seed draws from. The one that is missing came later, and is drawn beside these, for one seed in ten.
    pub const ALL: [Vice; 20] = [
        Vice::Silent,
        Vice::Equivocate,
        Vice::Approve,
        Vice::Withhold,
        Vice::Conceal,
        Vice::Replay,
        Vice::CheckpointLies,
        Vice::HugeNumbers,
        Vice::ObservationLies,
        Vice::GarbageState,
        Vice::Flood,
        Vice::Mutate,
        Vice::SlowPrimary,
        Vice::Censor,
        Vice::SkipSlots,
        Vice::ViewChangeLies,
        Vice::NewViewLies,
        Vice::OldEpoch,
        Vice::Twins,
        Vice::Amnesiac,
    ];

    /// The vice at work; `None` for those that are a matter of how the replica is run.
    pub fn adversary(self, pick: &mut Random, parameters: &Parameters) -> Option<Box<dyn Adversary>> {
        Some(match self {
            Vice::Silent => Box::new(silent::Silent::draw(pick)),
            Vice::Equivocate => Box::new(equivocate::Equivocate::default()),
            Vice::Approve => Box::new(approve::Approve::default()),
            Vice::Withhold => Box::new(withhold::Withhold::draw(pick, parameters)),
            Vice::Conceal => Box::new(conceal::Conceal::draw(pick, parameters.replicas.count())),
            Vice::Replay => Box::new(replay::Replay::default()),
            Vice::CheckpointLies => Box::new(checkpoint_lies::CheckpointLies),
            Vice::HugeNumbers => Box::new(huge_numbers::HugeNumbers),
            Vice::ObservationLies => Box::new(observation_lies::ObservationLies::draw(pick)),
            Vice::GarbageState => Box::new(garbage_state::GarbageState),
            Vice::Flood => Box::new(flood::Flood::default()),
            Vice::Mutate => Box::new(mutate::Mutate::draw(pick)),
            Vice::SlowPrimary => Box::new(slow_primary::SlowPrimary::draw(pick)),
            Vice::Censor => Box::new(censor::Censor),
            Vice::SkipSlots => Box::new(skip_slots::SkipSlots::draw(pick)),
            Vice::ViewChangeLies => Box::new(view_change_lies::ViewChangeLies::draw(pick)),
            Vice::NewViewLies => Box::new(new_view_lies::NewViewLies::draw(pick)),
            Vice::OldEpoch => Box::new(old_epoch::OldEpoch),
            Vice::TwoTimes => Box::new(two_times::TwoTimes::draw(pick, parameters.replicas.count())),
            Vice::Twins | Vice::Amnesiac => return None,
        })
    }
}

/// A message that a liar sends: to whom, what, and how many milliseconds later.
pub type Said = (ReplicaId, Message, u64);

/// One vice at work. Whatever a method does not want to bend passes as it is.
pub trait Adversary {
    /// The honest code, or a vice before this one, says something to one peer.
    fn speak(&mut self, liar: &mut Liar<'_>, said: Said) -> Vec<Said> {
        let _ = liar;
        vec![said]
    }

    /// Something comes in. Says whether the honest code hears it.
    fn hear(&mut self, liar: &mut Liar<'_>, from: ReplicaId, message: &Message) -> bool {
        let _ = (liar, from, message);
        true
    }

    /// Some time has passed.
    fn stir(&mut self, liar: &mut Liar<'_>) {
        let _ = liar;
    }

    /// A lookup is done; says what the liar claims to have seen, or nothing.
    fn see(&mut self, liar: &mut Liar<'_>, sight: Sight) -> Option<Sight> {
        let _ = liar;
        Some(sight)
    }
}

/// What a liar has in hand.
pub struct Liar<'a> {
    /// Its choices.
    pub pick: &'a mut Random,
    /// Its own key.
    pub keys: &'a Keys,
    /// Who it is, and the rules.
    pub parameters: &'a Parameters,
    /// What the cluster agrees on.
    pub judge: &'a Judge,
    /// How its honest code stands.
    pub status: Status,
    /// Its clock, milliseconds since 1970.
    pub wall_ms: u64,
    /// What it says on its own account.
    pub said: Vec<Said>,
}

impl Liar<'_> {
    /// Says something of its own to one peer.
    pub fn say(&mut self, to: ReplicaId, message: Message) {
        self.said.push((to, message, 0));
    }

    /// Says something of its own to all.
    pub fn say_to_all(&mut self, message: &Message) {
        for to in self.peers() {
            self.say(to, message.clone());
        }
    }

    /// Who it is.
    pub fn me(&self) -> ReplicaId {
        self.parameters.me
    }

    /// All others.
    pub fn peers(&self) -> Vec<ReplicaId> {
        self.parameters.replicas.ids().filter(|id| *id != self.me()).collect()
    }

    /// One of the others.
    pub fn some_peer(&mut self) -> ReplicaId {
        let peers = self.peers();
        self.pick.choose(&peers)
    }

    /// Whether it is the primary of a view.
    pub fn leads(&self, view: View) -> bool {
        self.parameters.replicas.primary(view) == self.me()
    }

    /// Its vote, for whatever it likes.
    pub fn vote(&self, phase: MessageType, view: View, sequence: Sequence, digest: Digest) -> Vote {
        let preimage = self.parameters.domain.vote_preimage(phase, view, sequence, digest);
        Vote { view, sequence, digest, replica: self.me(), signature: self.keys.sign(&preimage) }
    }

    /// A proposal of its own with another header.
    pub fn sign_proposal(&self, mut proposal: PrePrepare) -> PrePrepare {
        let (view, sequence, digest) = (proposal.view, proposal.header.sequence, proposal.header.digest());
        proposal.signature = self.vote(MessageType::PrePrepare, view, sequence, digest).signature;
        proposal
    }

    /// A set with one observation of its own.
    pub fn observe(&self, operation: &Operation, sight: Sight, time_ms: u64) -> SignedObservations {
        let payload = self.judge.payload(self.me(), operation, sight);
        let after = self.status.executed;
        let observation = pbft::Observation { operation: operation.clone(), after, time_ms, payload };
        SignedObservations::sign(self.me(), vec![observation], &self.parameters.domain, self.keys)
    }
}
