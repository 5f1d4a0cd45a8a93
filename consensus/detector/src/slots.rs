//! Who voted when, for the slots in flight and those just decided: arrival times side by side, so that a replica is compared with the others in the
//! same slot and with nothing else.
//!
//! A ring: a slot whose place is taken is not measured. So a peer that votes for slots far away takes nobody's place, and a burst of slots is sampled.

use std::collections::VecDeque;

use certificate::{ReplicaId, ReplicaSet, Replicas, Sequence};

use crate::Phase;

/// So many slots are watched at once.
pub const WATCHED_MAX: usize = 128;

/// Votes for slots so far beyond the last decided one open no watch.
pub const AHEAD_MAX: u64 = 64;

/// A decided slot waits so long for votes that are still under way, in milliseconds.
pub const GRACE_MS: u64 = 2000;

/// Arrival times in one slot, in milliseconds after it was opened; `NEVER` for those that did not come.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    sequence: u64,
    pub(crate) opened_ms: u64,
    decided_ms: Option<u64>,
    signers: ReplicaSet,
    first: Vec<u32>,
    commit: Vec<u32>,
}

const NEVER: u32 = u32::MAX;

/// The slots that are watched.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    replicas: Replicas,
    ring: Vec<Option<Watch>>,
    /// Decided slots that wait for their grace to end, oldest first: at most one for each place in the ring.
    pending: VecDeque<(u64, u64)>,
    decided: u64,
}

impl Slots {
    pub(crate) fn new(replicas: Replicas) -> Slots {
        Slots { replicas, ring: vec![None; WATCHED_MAX], pending: VecDeque::new(), decided: 0 }
    }

    fn place(sequence: u64) -> usize {
        (sequence % WATCHED_MAX as u64) as usize
    }

    fn watch(&mut self, sequence: u64) -> Option<&mut Watch> {
        self.ring[Slots::place(sequence)].as_mut().filter(|watch| watch.sequence == sequence)
    }

    /// A vote came.
    pub(crate) fn vote(&mut self, from: ReplicaId, Sequence(sequence): Sequence, phase: Phase, now_ms: u64) {
        if phase == Phase::Checkpoint || !self.replicas.contains(from) {
            return;
        }
        if self.watch(sequence).is_none() && !self.open(sequence, now_ms) {
            return;
        }
        let Some(watch) = self.watch(sequence) else { return };
        let after = now_ms.saturating_sub(watch.opened_ms).min(u64::from(NEVER) - 1) as u32;
        let place = usize::from(from.0);
        watch.first[place] = watch.first[place].min(after);
        if phase == Phase::Commit {
            watch.commit[place] = watch.commit[place].min(after);
        }
    }

    /// Opens a slot, if it is within reach and its place is free or holds one that was passed over.
    fn open(&mut self, sequence: u64, now_ms: u64) -> bool {
        if sequence <= self.decided || sequence - self.decided > AHEAD_MAX {
            return false;
        }
        let place = Slots::place(sequence);
        let waits = self.ring[place].as_ref().is_some_and(|watch| watch.decided_ms.is_some());
        if waits {
            return false;
        }
        let none = vec![NEVER; self.replicas.count()];
        self.ring[place] = Some(Watch {
            sequence,
            opened_ms: now_ms,
            decided_ms: None,
            signers: ReplicaSet::EMPTY,
            first: none.clone(),
            commit: none,
        });
        true
    }

    /// A vote turned out to be none.
    pub(crate) fn cancel(&mut self, from: ReplicaId, Sequence(sequence): Sequence) {
        let place = usize::from(from.0);
        if let Some(watch) = self.watch(sequence).filter(|watch| place < watch.first.len()) {
            watch.first[place] = NEVER;
            watch.commit[place] = NEVER;
        }
    }

    /// The slot was decided here.
    pub(crate) fn decide(&mut self, Sequence(sequence): Sequence, signers: ReplicaSet, now_ms: u64) {
        self.decided = self.decided.max(sequence);
        let Some(watch) = self.watch(sequence).filter(|watch| watch.decided_ms.is_none()) else { return };
        watch.decided_ms = Some(now_ms);
        watch.signers = signers;
        self.pending.push_back((now_ms, sequence));
    }

    /// The next decided slot whose grace is over.
    pub(crate) fn due(&mut self, now_ms: u64) -> Option<Watch> {
        let (decided_ms, sequence) = *self.pending.front()?;
        if now_ms < decided_ms.saturating_add(GRACE_MS) {
            return None;
        }
        self.pending.pop_front();
        self.ring[Slots::place(sequence)].take_if(|watch| watch.sequence == sequence)
    }
}

impl Watch {
    /// Who was heard to vote.
    pub(crate) fn heard(&self) -> ReplicaSet {
        let heard = self.first.iter().enumerate().filter(|(_, after)| **after != NEVER);
        heard.map(|(place, _)| ReplicaId(place as u8)).collect()
    }

    /// Who was heard, or signed the decision.
    pub(crate) fn voters(&self) -> ReplicaSet {
        ReplicaSet(self.heard().0 | self.signers.0)
    }

    /// When the slot had certainly begun, in milliseconds after it was opened: `weak` replicas had voted, so an honest one.
    pub(crate) fn begun_ms(&self, weak: usize) -> Option<u32> {
        let mut arrived: Vec<u32> = self.first.iter().copied().filter(|after| *after != NEVER).collect();
        arrived.sort_unstable();
        arrived.get(weak - 1).copied()
    }

    /// When the commit of a replica came, in milliseconds after the slot was opened.
    pub(crate) fn committed_ms(&self, replica: ReplicaId) -> Option<u32> {
        self.commit.get(usize::from(replica.0)).copied().filter(|after| *after != NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> Slots {
        Slots::new(Replicas::new(4, 1).unwrap())
    }

    fn voted(slots: &mut Slots, replica: u8, sequence: u64, now_ms: u64) {
        slots.vote(ReplicaId(replica), Sequence(sequence), Phase::Commit, now_ms);
    }

    #[test]
    fn vote_within_the_grace_counts_and_a_later_one_does_not() {
        let mut slots = slots();
        voted(&mut slots, 1, 1, 100);
        slots.decide(Sequence(1), ReplicaSet::EMPTY, 200);
        voted(&mut slots, 2, 1, 200 + GRACE_MS - 1);
        assert!(slots.due(200 + GRACE_MS - 1).is_none());
        let watch = slots.due(200 + GRACE_MS).unwrap();
        voted(&mut slots, 3, 1, 200 + GRACE_MS + 1);
        assert_eq!(watch.voters(), [ReplicaId(1), ReplicaId(2)].into_iter().collect());
        assert_eq!(watch.committed_ms(ReplicaId(2)), Some(100 + GRACE_MS as u32 - 1));
        assert!(slots.due(u64::MAX).is_none());
    }

    #[test]
    fn votes_for_slots_far_away_open_nothing() {
        let mut slots = slots();
        for sequence in [0, AHEAD_MAX + 1, u64::MAX] {
            voted(&mut slots, 1, sequence, 0);
        }
        assert!(slots.ring.iter().all(Option::is_none));
        voted(&mut slots, 1, AHEAD_MAX, 0);
        assert!(slots.watch(AHEAD_MAX).is_some());
    }

    #[test]
    fn slot_whose_place_is_taken_is_not_measured() {
        let mut slots = slots();
        voted(&mut slots, 1, 1, 0);
        slots.decide(Sequence(1), ReplicaSet::EMPTY, 1);
        slots.decide(Sequence(WATCHED_MAX as u64), ReplicaSet::EMPTY, 2);
        voted(&mut slots, 1, WATCHED_MAX as u64 + 1, 3);
        assert!(slots.watch(1).is_some() && slots.watch(WATCHED_MAX as u64 + 1).is_none());
    }

    #[test]
    fn slot_that_was_passed_over_makes_room() {
        let mut slots = slots();
        voted(&mut slots, 1, 1, 0);
        slots.decide(Sequence(WATCHED_MAX as u64), ReplicaSet::EMPTY, 2);
        voted(&mut slots, 1, WATCHED_MAX as u64 + 1, 3);
        assert!(slots.watch(WATCHED_MAX as u64 + 1).is_some());
    }

    #[test]
    fn slot_has_begun_when_an_honest_replica_has_voted() {
        let mut slots = slots();
        voted(&mut slots, 1, 1, 0);
        voted(&mut slots, 2, 1, 700);
        voted(&mut slots, 3, 1, 800);
        assert_eq!(slots.watch(1).unwrap().begun_ms(2), Some(700));
    }

    #[test]
    fn vote_that_is_none_is_taken_back() {
        let mut slots = slots();
        voted(&mut slots, 1, 1, 0);
        slots.cancel(ReplicaId(1), Sequence(1));
        slots.cancel(ReplicaId(200), Sequence(1));
        assert!(slots.watch(1).unwrap().voters().is_empty());
    }
}
