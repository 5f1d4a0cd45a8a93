//! What is remembered of one target: the last slots, the last report, what has been told of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use transparency::digest::Sha256;
use transparency::score::Networks;

use super::outcome::{Decided, Outcome, Said, Seen, outcome};
use crate::served::{Report, Warning};

/// What is remembered of one target.
#[derive(Debug, Default)]
pub(super) struct Memory {
    seen: BTreeMap<u64, Seen>,
    decided: BTreeMap<u64, Decided>,
    report: Option<Report>,
    /// Why the last look saw nothing.
    error: Option<String>,
    /// The slot in which a look was begun last.
    looked: Option<u64>,
    /// Whether that look is not over.
    is_looking: bool,
    /// What the operator has heard of: told again only after it was different.
    told_warnings: Vec<Warning>,
    told_outcome: Option<Said>,
}

impl Memory {
    /// Whether no look has been begun in this slot, and none is under way; begins one.
    pub fn begin(&mut self, slot: u64) -> bool {
        let is_new = !self.is_looking && self.looked.is_none_or(|looked| looked < slot);
        if is_new {
            self.looked = Some(slot);
            self.is_looking = true;
        }
        is_new
    }

    /// The look that was begun is over.
    pub fn end(&mut self) {
        self.is_looking = false;
    }

    /// Keeps what was seen; returns the warnings that the operator has not heard of.
    pub fn keep(&mut self, seen: Option<Seen>, report: Report) -> Vec<Warning> {
        let new = report.warnings.iter().filter(|warning| !self.told_warnings.contains(warning));
        let new = new.copied().collect();
        self.told_warnings.clone_from(&report.warnings);
        if let Some(seen) = seen {
            self.seen.insert(seen.slot, seen);
            keep_newest(&mut self.seen);
        }
        self.report = Some(report);
        self.error = None;
        new
    }

    /// Keeps why nothing was seen; says whether something was seen before.
    pub fn fail(&mut self, error: String) -> bool {
        self.error.replace(error).is_none()
    }

    /// Keeps a decision of a slot that is [`kept`]; says whether it is new.
    pub fn decide(&mut self, slot: u64, decided: Decided) -> bool {
        let is_new = self.decided.insert(slot, decided) != Some(decided);
        keep_newest(&mut self.decided);
        is_new
    }

    /// What the newest decision means, if the operator has not heard of it.
    pub fn news(&mut self) -> Option<Outcome> {
        let outcome = self.outcome();
        let told = self.told_outcome.replace(outcome.said());
        (told.unwrap_or(Outcome::Undecided.said()) != outcome.said()).then_some(outcome)
    }

    pub fn seen(&self, slot: u64) -> Option<&Seen> {
        self.seen.get(&slot)
    }

    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// What the newest decision means.
    pub fn outcome(&self) -> Outcome {
        let mut newest_first = self.decided.iter().rev();
        let Some((slot, decided)) = newest_first.next() else { return Outcome::Undecided };
        outcome(*slot, decided, self.seen.get(slot), newest_first.map(|(_, decided)| *decided))
    }

    /// From how many networks the certificate with this digest was seen, if the newest decision is of a slot that is [`kept`] and says that it was served.
    pub fn networks(&self, leaf: &Sha256, now: u64) -> Option<Networks> {
        let (slot, decided) = self.decided.iter().next_back()?;
        match decided {
            Decided::Agreed { essence, networks, .. } if essence.leaf_sha256 == *leaf && kept(*slot, now) => {
                Some(*networks)
            }
            _ => None,
        }
    }

    pub fn to_json(&self) -> Value {
        json!({
            "outcome": self.outcome(),
            "seen": self.seen.values().next_back(),
            "decided": self.decided.iter().next_back().map(|(slot, decided)| json!({ "slot": slot, "what": decided })),
            "report": self.report,
            "error": self.error,
        })
    }
}

/// Whether what is decided of a slot is kept when it is `now`: of the slot of now, and of those before it that are remembered.
pub(super) fn kept(slot: u64, now: u64) -> bool {
    now.checked_sub(slot).is_some_and(|age| age < SLOTS_KEPT as u64)
}

fn keep_newest<T>(slots: &mut BTreeMap<u64, T>) {
    while slots.len() > SLOTS_KEPT {
        slots.pop_first();
    }
}

/// How many slots of a target are remembered.
pub const SLOTS_KEPT: usize = 6;

#[cfg(test)]
mod tests {
    use transparency::{Conclusion, Moment};

    use super::super::outcome::Essence;
    use super::*;

    fn essence(key: u8) -> Essence {
        Essence {
            leaf_sha256: Sha256([key; 32]),
            key_sha256: Sha256([key; 32]),
            conclusion: Conclusion::Valid,
        }
    }

    /// What is told once we saw one key in a slot and the cluster another.
    fn news(memory: &mut Memory, slot: u64, ours: u8, theirs: u8) -> Option<bool> {
        let (at, addresses, essence_of_ours) = (Moment::from_seconds(0), Vec::new(), essence(ours));
        memory.seen.insert(slot, Seen { slot, at, addresses, essence: essence_of_ours });
        let networks = Networks { agreeing: 4, looked: 4 };
        memory.decide(slot, Decided::Agreed { essence: essence(theirs), strong: true, networks });
        memory.news().map(|outcome| outcome.is_grave())
    }

    #[test]
    fn a_difference_that_becomes_grave_or_is_about_another_key_is_told_again() {
        let mut memory = Memory::default();
        assert_eq!(news(&mut memory, 1, 1, 1), Some(false), "corroborated");
        assert_eq!(news(&mut memory, 2, 2, 2), Some(false), "all changed");
        assert_eq!(news(&mut memory, 3, 1, 2), Some(false), "we differ, by a key that the cluster has seen");
        assert_eq!(news(&mut memory, 4, 7, 2), Some(true), "a key that nobody else has seen");
        assert_eq!(news(&mut memory, 5, 7, 2), None, "the same again");
        assert_eq!(news(&mut memory, 6, 8, 2), Some(true), "another one");
    }
}
