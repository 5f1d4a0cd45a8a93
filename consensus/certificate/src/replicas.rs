//! Replicas, views and sequence numbers as types, and the arithmetic of quorums.

use std::fmt;

use thiserror::Error;

/// The most replicas that a cluster can have: signers are a bitmap of 32 bits, and f = 10 needs 31.
pub const REPLICAS_MAX: u32 = 31;

/// A member of the cluster, numbered from 0 without gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReplicaId(pub u8);

/// The reign of one primary. Castro & Liskov 1999 §4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct View(pub u64);

/// A place in the total order; the first slot is 1, 0 is the genesis. Castro & Liskov 1999 §4.2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Sequence(pub u64);

/// One version of the cluster file. Votes of one epoch never count in another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Epoch(pub u64);

impl Sequence {
    /// The number after this one; the greatest stays, so that no peer's number can overflow.
    pub fn next(self) -> Sequence {
        Sequence(self.0.saturating_add(1))
    }
}

impl View {
    /// The view after this one; the greatest stays, so that no peer's number can overflow.
    pub fn next(self) -> View {
        View(self.0.saturating_add(1))
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a cluster cannot have these numbers.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplicasError {
    /// Too few replicas for the faults to be tolerated.
    #[error("expected at least {} replicas to tolerate {faults} faulty, found {replicas} (n >= 3f+1)", 3 * u64::from(*faults) + 1)]
    TooFew {
        /// n
        replicas: u32,
        /// f
        faults: u32,
    },
    /// The smallest cluster that tolerates a fault has four.
    #[error("expected at least 4 replicas, found {replicas}")]
    BelowFour {
        /// n
        replicas: u32,
    },
    /// More replicas than a bitmap of signers can name.
    #[error("expected at most {REPLICAS_MAX} replicas, found {replicas}")]
    TooMany {
        /// n
        replicas: u32,
    },
    /// A cluster that tolerates nothing needs no agreement.
    #[error("expected `faults` of at least 1, found 0")]
    NoFaults,
}

/// The numbers of a cluster, which can only be right: n >= 3f+1, n >= 4, f >= 1.
///
/// Castro & Liskov 1999 §4 has n = 3f+1 and quorums of 2f+1. Deviates: n may be larger, and then a quorum is ceil((n+f+1)/2),
/// the least size whose every two quorums share an honest replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replicas {
    count: u32,
    faults: u32,
}

impl Replicas {
    /// Checks the numbers.
    pub fn new(count: u32, faults: u32) -> Result<Replicas, ReplicasError> {
        if faults == 0 {
            return Err(ReplicasError::NoFaults);
        }
        if count > REPLICAS_MAX {
            return Err(ReplicasError::TooMany { replicas: count });
        }
        if count < 4 {
            return Err(ReplicasError::BelowFour { replicas: count });
        }
        if u64::from(count) < 3 * u64::from(faults) + 1 {
            return Err(ReplicasError::TooFew { replicas: count, faults });
        }
        Ok(Replicas { count, faults })
    }

    /// n, the number of replicas.
    pub fn count(self) -> usize {
        self.count as usize
    }

    /// f, how many may be faulty.
    pub fn faults(self) -> usize {
        self.faults as usize
    }

    /// q = ceil((n+f+1)/2): two quorums share at least f+1 replicas, so an honest one.
    pub fn quorum(self) -> usize {
        (self.count + self.faults + 1).div_ceil(2) as usize
    }

    /// f+1: among so many, one is honest.
    pub fn weak_quorum(self) -> usize {
        self.faults() + 1
    }

    /// n-f: how many view changes a new view is computed from.
    pub fn view_change_quorum(self) -> usize {
        self.count() - self.faults()
    }

    /// Qf = floor((n+3f)/2)+1 prepares decide at once; all n when n = 3f+1.
    pub fn fast_quorum(self) -> usize {
        (self.count() + 3 * self.faults()) / 2 + 1
    }

    /// T = Qf + (n-f) - n - f: among n-f replicas so many votes are left of a fast quorum, whoever is missing or lies.
    pub fn fast_threshold(self) -> usize {
        self.fast_quorum() - 2 * self.faults()
    }

    /// The primary of `view`: v mod n. Castro & Liskov 1999 §4.
    pub fn primary(self, view: View) -> ReplicaId {
        ReplicaId((view.0 % u64::from(self.count)) as u8)
    }

    /// Whether `replica` is a member.
    pub fn contains(self, replica: ReplicaId) -> bool {
        u32::from(replica.0) < self.count
    }

    /// Every member, lowest first.
    pub fn ids(self) -> impl Iterator<Item = ReplicaId> {
        (0..self.count as u8).map(ReplicaId)
    }
}

/// A set of replicas as a bitmap: bit `i` stands for replica `i`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ReplicaSet(pub u32);

impl ReplicaSet {
    /// No replica.
    pub const EMPTY: ReplicaSet = ReplicaSet(0);

    /// Adds `replica`; says whether it is new. No set can hold an id of 32 or more.
    pub fn insert(&mut self, replica: ReplicaId) -> bool {
        let before = self.0;
        self.0 |= ReplicaSet::bit(replica);
        self.0 != before
    }

    /// Whether `replica` is in the set.
    pub fn contains(self, replica: ReplicaId) -> bool {
        self.0 & ReplicaSet::bit(replica) != 0
    }

    fn bit(replica: ReplicaId) -> u32 {
        1u32.checked_shl(u32::from(replica.0)).unwrap_or(0)
    }

    /// How many replicas are in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, lowest first.
    pub fn iter(self) -> impl Iterator<Item = ReplicaId> {
        (0..32).filter(move |bit| self.0 & (1 << bit) != 0).map(ReplicaId)
    }
}

impl FromIterator<ReplicaId> for ReplicaSet {
    fn from_iter<I: IntoIterator<Item = ReplicaId>>(replicas: I) -> ReplicaSet {
        let mut set = ReplicaSet::EMPTY;
        for replica in replicas {
            set.insert(replica);
        }
        set
    }
}
