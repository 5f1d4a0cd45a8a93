//! Bugs that can be switched on, so that the tests can show that they would find them.
//!
//! Only with the cargo feature `planted`, which no program turns on: without it a [`Switch`] has no size and nothing in it, and every
//! branch that asks it is compiled away. The list is that of what went wrong in other systems, and of near misses of the protocol.

/// A mistake that somebody could make in this crate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bug {
    /// A quorum is 2f+1 whatever n is; wrong for n = 5.
    QuorumIsTwoFPlusOne,
    /// A vote that comes twice counts twice.
    DuplicateVotesCount,
    /// COMMITs of different views are added up.
    CommitsOfViewsSummed,
    /// A new view looks at votes alone, not at prepared certificates.
    PreparedIgnored,
    /// Votes of the same view as a prepared certificate win over it.
    FastWinsTies,
    /// Votes count for a new view only when all of them are of one view.
    FastInOneView,
    /// A new view is computed from n-f+1 view changes.
    OneViewChangeTooMany,
    /// The base of a new view is the highest of some view changes, not of all.
    BaseOverSubset,
    /// Votes are sent before their records are on disk; planted in the driver.
    SendBeforeStore,
    /// A proposal above the high water mark is dropped, not kept.
    ProposalAtHighMarkDropped,
    /// What the primary of a new view says is not recomputed.
    NewViewUnchecked,
    /// The wait for a new view stays the same, however many failed.
    TimerNeverDoubles,
    /// The longest TTL wins; planted in the application.
    LongestTtl,
    /// The voter's clock decides on a vote.
    ClockDependentVote,
    /// The vote for a null slot is not stored.
    NullSlotNotStored,
    /// Of two observations of one replica the later one is held, whether it counts or not.
    LatestObservationHeld,
}

/// Which bug is switched on; by default none.
#[cfg(feature = "planted")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Switch(pub Option<Bug>);

#[cfg(feature = "planted")]
impl Switch {
    /// No bug.
    pub const NONE: Switch = Switch(None);

    /// Whether this bug is on.
    pub fn has(self, bug: Bug) -> bool {
        self.0 == Some(bug)
    }
}

/// Which bug is switched on: none, the feature `planted` is off.
#[cfg(not(feature = "planted"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Switch;

#[cfg(not(feature = "planted"))]
impl Switch {
    /// No bug.
    pub const NONE: Switch = Switch;

    /// Never.
    pub fn has(self, _: Bug) -> bool {
        false
    }
}
