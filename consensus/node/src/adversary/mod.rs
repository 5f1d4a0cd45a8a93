//! Replicas that misbehave on purpose, for tests and demonstrations: built with the cargo feature `adversary` alone.
//!
//! The state machine underneath is the honest one. What it says passes through a vice on its way to the transport, and the vice may
//! change it, hold it back, add to it. It signs with its own key, so that what it does is what a replica that was taken over could do.
//! `tests/sim` has vices of the same names in virtual time; those here meet real connections, disks and filters.

mod equivocator;
mod flooder;
mod forger;
mod late;
mod replayer;
mod silent;
mod voice;

use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

use certificate::{Domain, MessageType, ReplicaId, Replicas};
use pbft::{Keyring, Message, PrePrepare, Recipients, Vote};

use crate::config::{AnyApplication, NodeConfig, StartError};
use crate::keyring::ClusterKeys;

pub(crate) use voice::Voice;

/// How late the votes of a late replica are, unless told otherwise: later than distance alone makes anybody.
pub const LATE: Duration = Duration::from_millis(900);

/// The latest that a late replica can be.
pub const LATE_MAX: Duration = Duration::from_secs(60);

/// A kind of misbehaviour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vice {
    /// Signs two digests for one slot and phase, and shows both to some.
    Equivocator,
    /// Sends far more than it needs to: questions, messages that ask for work, datagrams.
    Flooder,
    /// Signs its votes badly.
    Forger,
    /// Votes so much later than it could.
    Late(Duration),
    /// Says again and again what it and others said before.
    Replayer,
    /// Is connected and says nothing.
    Silent,
}

/// A word that names no vice.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected `equivocator`, `flooder`, `forger`, `late`, `replayer` or `silent`, got `{0}`")]
pub struct UnknownVice(String);

impl FromStr for Vice {
    type Err = UnknownVice;

    fn from_str(text: &str) -> Result<Vice, UnknownVice> {
        match text {
            "equivocator" => Ok(Vice::Equivocator),
            "flooder" => Ok(Vice::Flooder),
            "forger" => Ok(Vice::Forger),
            "late" => Ok(Vice::Late(LATE)),
            "replayer" => Ok(Vice::Replayer),
            "silent" => Ok(Vice::Silent),
            other => Err(UnknownVice(other.to_owned())),
        }
    }
}

impl fmt::Display for Vice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Vice::Equivocator => "equivocator",
            Vice::Flooder => "flooder",
            Vice::Forger => "forger",
            Vice::Late(_) => "late",
            Vice::Replayer => "replayer",
            Vice::Silent => "silent",
        })
    }
}

impl Vice {
    fn at_work(self) -> Box<dyn Adversary> {
        match self {
            Vice::Equivocator => Box::new(equivocator::Equivocator),
            Vice::Flooder => Box::new(flooder::Flooder::default()),
            Vice::Forger => Box::new(forger::Forger),
            Vice::Late(by) => Box::new(late::Late { by }),
            Vice::Replayer => Box::new(replayer::Replayer::default()),
            Vice::Silent => Box::new(silent::Silent),
        }
    }
}

/// Something that goes out: to whom, what, and how much later.
type Said = (Recipients, Message, Duration);

/// One vice at work. Whatever a method does not want to bend passes as it is.
trait Adversary: Send {
    /// The honest code says something.
    fn speak(&mut self, liar: &Liar, to: Recipients, message: Message) -> Vec<Said> {
        let _ = liar;
        vec![(to, message, Duration::ZERO)]
    }

    /// Something comes in, which the honest code hears as well.
    fn hear(&mut self, liar: &Liar, message: &Message) {
        let _ = (liar, message);
    }

    /// Some time has passed: `voice::STIR_EVERY`.
    fn stir(&mut self, liar: &Liar) -> Vec<Said> {
        let _ = liar;
        Vec::new()
    }
}

/// What an adversary has in hand.
pub(crate) struct Liar {
    pub me: ReplicaId,
    pub replicas: Replicas,
    pub domain: Domain,
    /// It signs with its own key alone.
    pub keys: ClusterKeys,
    pub application: AnyApplication,
    /// A second handle on the socket of its peer port: what leaves it comes from its own address.
    pub socket: UdpSocket,
    /// The peer ports of the others.
    pub others: Vec<SocketAddr>,
}

impl Liar {
    /// What the node of `config` would have in hand; `socket` is that of its peer port.
    ///
    /// Errors: the operating system gives no second handle on the socket.
    pub(crate) fn new(
        config: &NodeConfig,
        application: AnyApplication,
        socket: &UdpSocket,
    ) -> Result<Liar, StartError> {
        let second = socket.try_clone();
        let address = config.bind.unwrap_or(([0; 4], 0).into());
        let others = config.cluster.members.iter().filter(|member| member.id != config.me);
        Ok(Liar {
            me: config.me,
            replicas: config.cluster.replicas,
            domain: config.cluster.domain(),
            keys: ClusterKeys::new(&config.cluster, &config.seed),
            application,
            socket: second.map_err(|source| StartError::Bind { address, source })?,
            others: others.map(|member| member.address).collect(),
        })
    }

    /// All others.
    fn peers(&self) -> impl Iterator<Item = ReplicaId> {
        let me = self.me;
        self.replicas.ids().filter(move |peer| *peer != me)
    }

    /// The same words as one for each peer that is meant.
    fn each(&self, to: Recipients) -> Vec<ReplicaId> {
        match to {
            Recipients::One(peer) => vec![peer],
            Recipients::All => self.peers().collect(),
        }
    }

    /// The vote with its own signature.
    fn sign(&self, phase: MessageType, vote: Vote) -> Vote {
        let preimage = self.domain.vote_preimage(phase, vote.view, vote.sequence, vote.digest);
        Vote { replica: self.me, signature: self.keys.sign(&preimage), ..vote }
    }

    /// The proposal with its own signature.
    fn propose(&self, proposal: PrePrepare) -> PrePrepare {
        let signature = self.sign(MessageType::PrePrepare, proposal.vote(self.me)).signature;
        PrePrepare { signature, ..proposal }
    }
}
