//! What this replica saw, what the cluster decided, and what both together mean.

use std::net::IpAddr;

use serde::Serialize;
use transparency::digest::Sha256;
use transparency::score::Networks;
use transparency::{Conclusion, Moment};

/// What is compared between replicas. Addresses are not: they differ by where one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Essence {
    /// SHA-256 of the leaf.
    pub leaf_sha256: Sha256,
    /// SHA-256 of its public key with algorithm.
    pub key_sha256: Sha256,
    /// The verdict on the chain.
    pub conclusion: Conclusion,
}

/// What this replica saw at a target in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Which slot.
    pub slot: u64,
    /// When it looked.
    pub at: Moment,
    /// All addresses that the target's name had here.
    pub addresses: Vec<IpAddr>,
    /// What it saw.
    #[serde(flatten)]
    pub essence: Essence,
}

/// What the cluster decided of a target in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "decided")]
pub enum Decided {
    /// So many replicas saw the same that at least one honest one did.
    Agreed {
        /// What they saw.
        #[serde(flatten)]
        essence: Essence,
        /// Whether a whole quorum saw it.
        strong: bool,
        /// From how many networks it was seen, and from how many was looked: upstream groups, in which replicas that share one count once.
        networks: Networks,
    },
    /// They saw different things.
    NoAgreement,
}

/// What was told of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    code: &'static str,
    grave: bool,
    /// Whose being another one is news.
    key: Option<Sha256>,
}

/// What both together mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// The cluster has decided nothing yet.
    Undecided,
    /// The cluster decided, and this replica saw nothing in that slot.
    NotSeenHere {
        /// Which slot.
        slot: u64,
    },
    /// The replicas saw different things: a service with many certificates, or interceptions.
    NoAgreement {
        /// Which slot.
        slot: u64,
    },
    /// This replica saw what the cluster saw.
    Corroborated {
        /// Which slot.
        slot: u64,
    },
    /// This replica saw something else than the cluster: somebody between us and the target, or one of its many certificates.
    WeDiffer {
        /// Which slot.
        slot: u64,
        /// What this replica saw.
        ours: Essence,
        /// What the cluster saw.
        theirs: Essence,
        /// Whether it cannot be one of the target's many certificates: our chain does not hold, or the cluster has never seen its key.
        grave: bool,
    },
    /// All replicas see another key than in the slot that was agreed on before.
    AllChanged {
        /// Which slot.
        slot: u64,
        /// What was agreed on before.
        before: Essence,
        /// What is agreed on now.
        now: Essence,
        /// Whether the new chain does not hold, the timestamps of logs included: nobody may have announced the certificate.
        grave: bool,
    },
}

impl Outcome {
    /// The word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Outcome::Undecided => "undecided",
            Outcome::NotSeenHere { .. } => "not_seen_here",
            Outcome::NoAgreement { .. } => "no_agreement",
            Outcome::Corroborated { .. } => "corroborated",
            Outcome::WeDiffer { .. } => "we_differ",
            Outcome::AllChanged { .. } => "all_changed",
        }
    }

    /// All words of [`Outcome::code`].
    pub const CODES: [&str; 6] =
        ["undecided", "not_seen_here", "no_agreement", "corroborated", "we_differ", "all_changed"];

    /// What of it is worth telling again once it is different.
    pub(super) fn said(&self) -> Said {
        let key = match self {
            // Of a target with many certificates each look may see another: no news.
            Outcome::WeDiffer { ours, grave: true, .. } => Some(ours.key_sha256),
            Outcome::AllChanged { now, .. } => Some(now.key_sha256),
            _ => None,
        };
        Said { code: self.code(), grave: self.is_grave(), key }
    }

    /// Whether an operator should look at it now.
    pub fn is_grave(&self) -> bool {
        matches!(self, Outcome::WeDiffer { grave: true, .. } | Outcome::AllChanged { grave: true, .. })
    }
}

/// Says what a decision means for this replica. `before` has earlier decisions, the newest first.
pub(super) fn outcome(
    slot: u64,
    decided: &Decided,
    seen: Option<&Seen>,
    before: impl Iterator<Item = Decided> + Clone,
) -> Outcome {
    let theirs = match decided {
        Decided::NoAgreement => return Outcome::NoAgreement { slot },
        Decided::Agreed { essence, .. } => *essence,
    };
    let Some(ours) = seen.map(|seen| seen.essence) else { return Outcome::NotSeenHere { slot } };
    let mut agreed = before.filter_map(|decided| match decided {
        Decided::Agreed { essence, .. } => Some(essence),
        Decided::NoAgreement => None,
    });
    if ours != theirs {
        let known =
            ours.key_sha256 == theirs.key_sha256 || agreed.any(|before| before.key_sha256 == ours.key_sha256);
        let grave = !known || ours.conclusion == Conclusion::Invalid;
        return Outcome::WeDiffer { slot, ours, theirs, grave };
    }
    match agreed.next() {
        Some(before) if before.key_sha256 != theirs.key_sha256 => {
            let grave = theirs.conclusion == Conclusion::Invalid;
            Outcome::AllChanged { slot, before, now: theirs, grave }
        }
        _ => Outcome::Corroborated { slot },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn essence(key: u8, conclusion: Conclusion) -> Essence {
        Essence { leaf_sha256: Sha256([key; 32]), key_sha256: Sha256([key; 32]), conclusion }
    }

    fn seen(essence: Essence) -> Seen {
        Seen { slot: 9, at: Moment::from_seconds(5400), addresses: Vec::new(), essence }
    }

    fn agreed(essence: Essence) -> Decided {
        Decided::Agreed { essence, strong: true, networks: Networks { agreeing: 4, looked: 4 } }
    }

    const VALID: Conclusion = Conclusion::Valid;

    #[test]
    fn what_all_see_is_corroborated() {
        let same = essence(1, VALID);
        let found = outcome(9, &agreed(same), Some(&seen(same)), [agreed(same)].into_iter());
        assert_eq!(found, Outcome::Corroborated { slot: 9 });
    }

    #[test]
    fn a_key_that_the_cluster_never_saw_is_grave() {
        let found =
            outcome(9, &agreed(essence(1, VALID)), Some(&seen(essence(2, VALID))), std::iter::empty());
        assert!(matches!(found, Outcome::WeDiffer { grave: true, .. }), "{found:?}");
    }

    #[test]
    fn a_key_that_the_cluster_saw_before_is_one_of_many() {
        let before = [agreed(essence(2, VALID))];
        let found =
            outcome(9, &agreed(essence(1, VALID)), Some(&seen(essence(2, VALID))), before.into_iter());
        assert!(matches!(found, Outcome::WeDiffer { grave: false, .. }), "{found:?}");
        let before = [agreed(essence(2, VALID))];
        let ours = seen(essence(2, Conclusion::Invalid));
        let found = outcome(9, &agreed(essence(1, VALID)), Some(&ours), before.into_iter());
        assert!(found.is_grave(), "{found:?}");
    }

    #[test]
    fn a_change_that_all_see_is_grave_when_its_chain_does_not_hold() {
        let before = [Decided::NoAgreement, agreed(essence(1, VALID))];
        let now = essence(2, VALID);
        let found = outcome(9, &agreed(now), Some(&seen(now)), before.into_iter());
        assert!(matches!(found, Outcome::AllChanged { grave: false, .. }), "{found:?}");
        let now = essence(2, Conclusion::Invalid);
        assert!(outcome(9, &agreed(now), Some(&seen(now)), before.into_iter()).is_grave());
    }

    #[test]
    fn without_a_look_of_ours_nothing_is_compared() {
        let found = outcome(9, &agreed(essence(1, VALID)), None, std::iter::empty());
        assert_eq!(found, Outcome::NotSeenHere { slot: 9 });
    }
}
