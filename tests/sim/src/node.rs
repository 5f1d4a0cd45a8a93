//! One simulated replica: the product's state machine, its disk, its clock, and what its host and its clients want.

use std::collections::BTreeMap;

use certificate::{Digest, ReplicaId};
use pbft::{Now, Parameters, Record, Replica, RestoreError, Status};

use crate::adversary::{Adversary, Liar, Said};
use crate::application::Judge;
use crate::disk::Disk;
use crate::keys::Keys;
use crate::random::Random;

/// The wall clock at virtual time 0, in milliseconds since 1970.
pub const WALL_MS: u64 = 1_800_000_000_000;

/// The state machine as the simulator runs it.
pub type Core = Replica<Judge, Keys>;

/// The vices of a Byzantine replica, and its choices.
pub struct Mask {
    /// At most four.
    pub vices: Vec<Box<dyn Adversary>>,
    /// Its choices.
    pub pick: Random,
    /// Whether it loses its log now and then.
    pub amnesiac: bool,
}

/// One simulated replica.
pub struct Node {
    /// Who it is; twins are the same.
    pub id: ReplicaId,
    /// What it was told at its start.
    pub parameters: Parameters,
    /// Its key.
    pub keys: Keys,
    /// What is agreed on.
    pub judge: Judge,
    /// The state machine, when it runs.
    pub replica: Option<Core>,
    /// Its records.
    pub disk: Disk,
    /// When it wants to be called.
    pub deadline: Option<u64>,
    /// How often it has started.
    pub life: u64,
    /// The power goes during its next write.
    pub doomed: bool,
    /// By how much its clock is wrong.
    pub skew_ms: i64,
    /// What it does beside or instead of its duty.
    pub mask: Option<Mask>,
    /// What clients still wait for: number, since when, and when it was asked for last.
    pub wants: BTreeMap<Digest, Want>,
    /// What it saw decided, and until when it hands that out.
    pub known: BTreeMap<Digest, u64>,
    /// What a crash does to its disk.
    pub misfortune: Random,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// The number of the operation.
    pub number: u64,
    /// Since when.
    pub since_ms: u64,
    /// When it was asked for last.
    pub asked_ms: u64,
}

impl Node {
    /// A replica at genesis, with the record of that on its disk.
    pub fn new(parameters: Parameters, judge: Judge, keys: Keys, seed: u64, index: usize) -> Node {
        let genesis = genesis(&parameters);
        Node {
            id: parameters.me,
            replica: Some(Replica::new(parameters.clone(), judge.clone(), keys.clone())),
            parameters,
            keys,
            judge,
            disk: Disk::with(&genesis),
            deadline: None,
            life: 0,
            doomed: false,
            skew_ms: 0,
            mask: None,
            wants: BTreeMap::new(),
            known: BTreeMap::new(),
            misfortune: Random::numbered(seed, "disk", index as u64),
        }
    }

    /// The time by its own clocks.
    pub fn now(&self, now_ms: u64) -> Now {
        Now { wall_ms: (WALL_MS + now_ms).saturating_add_signed(self.skew_ms), monotonic_ms: now_ms }
    }

    /// The power goes.
    pub fn crash(&mut self) {
        self.replica = None;
        self.deadline = None;
        self.doomed = false;
        self.life += 1;
        self.known.clear();
        self.disk.crash(&mut self.misfortune);
    }

    /// The log is lost: only a liar starts anew.
    pub fn forget(&mut self) {
        self.disk = Disk::with(&genesis(&self.parameters));
    }

    /// The disk is lost: an honest replica starts as a learner.
    pub fn lose_disk(&mut self) {
        let (cluster_digest, me) = (self.parameters.cluster_digest, self.parameters.me);
        self.disk = Disk::with(&Record::Learner { cluster_digest, me });
    }

    /// Comes back with what its disk holds.
    pub fn restart(&mut self) -> Result<Status, RestoreError> {
        let records = self.disk.records().into_iter();
        let replica =
            Replica::restore(self.parameters.clone(), self.judge.clone(), self.keys.clone(), records)?;
        let status = replica.status();
        self.replica = Some(replica);
        Ok(status)
    }

    /// Lets the vices have their say; gives what they say on their own account, and what `act` gives.
    pub fn with_mask<T>(
        &mut self,
        now_ms: u64,
        act: impl FnOnce(&mut [Box<dyn Adversary>], &mut Liar<'_>) -> T,
    ) -> Option<(T, Vec<Said>)> {
        let wall_ms = self.now(now_ms).wall_ms;
        let mask = self.mask.as_mut()?;
        let status = self.replica.as_ref().map(Replica::status).unwrap_or_default();
        let mut liar = Liar {
            pick: &mut mask.pick,
            keys: &self.keys,
            parameters: &self.parameters,
            judge: &self.judge,
            status,
            wall_ms,
            said: Vec::new(),
        };
        let given = act(&mut mask.vices, &mut liar);
        Some((given, liar.said))
    }
}

fn genesis(parameters: &Parameters) -> Record {
    Record::Genesis { cluster_digest: parameters.cluster_digest, me: parameters.me }
}
