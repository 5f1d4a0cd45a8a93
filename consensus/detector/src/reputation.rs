//! What a replica's word is worth here: a score from 0 to 1, how it came about, and how it fades.
//!
//! The events and weights are those of the project's specification. Deviates from it, as a score must not be an attacker's lever: what lies between a score and the
//! prior fades, not the score itself, or an idle cluster would forget everybody; one kind of event moves a score by at most [`KIND_MAX`] in a minute, proofs
//! excepted, or one bad minute would ruin a replica; agreeing and disagreeing about answers is one kind, so that a minute counts as what it came
//! to; and who is caught breaking the protocol earns nothing for a while, or it would lie with one hand and earn with the other.

use std::collections::VecDeque;

use crate::Settings;
use crate::decaying::remains;

/// One kind of event moves a score by at most so much in a minute of the monotonic clock.
pub const KIND_MAX: f64 = 0.1;

/// So many changes of a score are remembered.
pub const HISTORY_MAX: usize = 64;

/// After an offence against the protocol nothing is earned for so long, in milliseconds.
pub const PROBATION_MS: u64 = 10 * 60_000;

/// After a proof nothing is earned for so long, in milliseconds.
pub const PROVEN_MS: u64 = 24 * 3_600_000;

/// The weight of the present in the historical average, which is taken once a minute.
const AVERAGE_WEIGHT: f64 = 0.05;

/// The weight of the last interaction in the recent performance.
const RECENT_WEIGHT: f64 = 0.1;

const MINUTE_MS: u64 = 60_000;

/// What moves a score.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ReputationEvent {
    /// It voted in a slot that was decided, or saw what was decided.
    Agreed,
    /// It saw what nobody else saw, of a name that does not change, or what a proof contradicts.
    WrongObservation,
    /// It broke a rule of the protocol.
    Violation,
    /// Its signature did not verify.
    InvalidSignature,
    /// It is later than the others, or was voted out as primary, or sends far too much.
    Late,
    /// Its channel went while the others stayed.
    Partition,
    /// It is proven to have contradicted itself.
    Proven,
}

impl ReputationEvent {
    /// Every event.
    pub const ALL: [ReputationEvent; 7] = [
        ReputationEvent::Agreed,
        ReputationEvent::WrongObservation,
        ReputationEvent::Violation,
        ReputationEvent::InvalidSignature,
        ReputationEvent::Late,
        ReputationEvent::Partition,
        ReputationEvent::Proven,
    ];

    /// By how much it moves a score.
    pub fn weight(self) -> f64 {
        match self {
            ReputationEvent::Agreed => 0.01,
            ReputationEvent::InvalidSignature => -0.1,
            ReputationEvent::Late => -0.05,
            ReputationEvent::WrongObservation | ReputationEvent::Violation | ReputationEvent::Proven => -0.15,
            ReputationEvent::Partition => -0.02,
        }
    }

    /// The word for snapshots, logs and JSON.
    pub fn name(self) -> &'static str {
        match self {
            ReputationEvent::Agreed => "agreed",
            ReputationEvent::WrongObservation => "wrong-observation",
            ReputationEvent::Violation => "violation",
            ReputationEvent::InvalidSignature => "invalid-signature",
            ReputationEvent::Late => "late",
            ReputationEvent::Partition => "partition",
            ReputationEvent::Proven => "proven",
        }
    }

    /// The event with this name.
    pub fn named(name: &str) -> Option<ReputationEvent> {
        ReputationEvent::ALL.into_iter().find(|event| event.name() == name)
    }

    fn budget(self) -> usize {
        match self {
            ReputationEvent::Agreed | ReputationEvent::WrongObservation => 0,
            ReputationEvent::Violation => 1,
            ReputationEvent::InvalidSignature => 2,
            ReputationEvent::Late => 3,
            ReputationEvent::Partition | ReputationEvent::Proven => 4,
        }
    }
}

/// A change of a score. Changes of one kind within a minute are one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Change {
    /// When it began, wall clock, milliseconds since 1970.
    pub wall_ms: u64,
    /// Why.
    pub event: ReputationEvent,
    /// By how much.
    pub delta: f64,
    /// The score afterwards.
    pub score: f64,
}

/// What a replica's word is worth here. Never an argument of anything that counts votes.
#[derive(Clone, PartialEq, Debug)]
pub struct Reputation {
    /// 0 to 1.
    pub score: f64,
    /// The score of the long run: 0.95 of itself and 0.05 of the score, once a minute.
    pub historical_average: f64,
    /// How the last interactions went, newest first in weight, 0 to 1.
    pub recent: f64,
    /// How many interactions there were.
    pub interactions: u64,
    /// How many of them went well.
    pub successful: u64,
    /// The last changes, oldest first.
    pub history: Vec<Change>,
}

/// What one kind of event did to the score in this minute.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Budget {
    minute: u64,
    raw: f64,
    applied: f64,
}

impl Budget {
    /// Adds to what the minute comes to; gives by how much the score moves.
    fn add(&mut self, weight: f64, minute: u64) -> f64 {
        if minute != self.minute {
            *self = Budget { minute, raw: 0.0, applied: 0.0 };
        }
        self.raw += weight;
        let applied = self.raw.clamp(-KIND_MAX, KIND_MAX);
        let delta = applied - self.applied;
        self.applied = applied;
        delta
    }

    /// Takes back what was earned in this minute; gives by how much the score moves.
    fn revoke(&mut self, minute: u64) -> f64 {
        let earned = if minute == self.minute { self.applied.max(0.0) } else { 0.0 };
        *self = Budget { minute, raw: self.raw.min(0.0), applied: self.applied.min(0.0) };
        -earned
    }
}

/// The score of one replica and what moves it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ledger {
    pub(crate) score: f64,
    pub(crate) historical_average: f64,
    pub(crate) recent: f64,
    pub(crate) interactions: u64,
    pub(crate) successful: u64,
    pub(crate) history: VecDeque<Change>,
    /// Nothing is earned before, monotonic.
    pub(crate) earns_from_ms: u64,
    settled_ms: u64,
    averaged_minute: u64,
    budgets: [Budget; 5],
}

impl Ledger {
    pub(crate) fn new(settings: &Settings, now_ms: u64) -> Ledger {
        Ledger {
            score: settings.prior,
            historical_average: settings.prior,
            recent: settings.prior,
            interactions: 0,
            successful: 0,
            history: VecDeque::new(),
            earns_from_ms: 0,
            settled_ms: now_ms,
            averaged_minute: now_ms / MINUTE_MS,
            budgets: [Budget::default(); 5],
        }
    }

    /// The score as it is now.
    pub(crate) fn score(&self, settings: &Settings, now_ms: u64) -> f64 {
        self.faded(settings, now_ms.saturating_sub(self.settled_ms))
    }

    fn faded(&self, settings: &Settings, elapsed_ms: u64) -> f64 {
        if elapsed_ms == 0 {
            return self.score;
        }
        let left = remains(elapsed_ms, settings.half_life_ms);
        (settings.prior + (self.score - settings.prior) * left).clamp(0.0, 1.0)
    }

    /// Time went by in which nobody watched.
    pub(crate) fn fade(&mut self, settings: &Settings, elapsed_ms: u64) {
        self.score = self.faded(settings, elapsed_ms);
    }

    /// Lets time do its work: what lies between score and prior fades, and each minute counts in the average.
    pub(crate) fn settle(&mut self, settings: &Settings, now_ms: u64) {
        self.score = self.score(settings, now_ms);
        self.settled_ms = now_ms.max(self.settled_ms);
        let minutes = (now_ms / MINUTE_MS).saturating_sub(self.averaged_minute);
        if minutes > 0 {
            let left = (1.0 - AVERAGE_WEIGHT).powi(minutes.min(10_000) as i32);
            self.historical_average = self.historical_average * left + self.score * (1.0 - left);
            self.averaged_minute += minutes;
        }
    }

    /// Something happened.
    pub(crate) fn apply(&mut self, event: ReputationEvent, settings: &Settings, now_ms: u64, wall_ms: u64) {
        self.settle(settings, now_ms);
        let delta = self.delta(event, settings, now_ms);
        let before = self.score;
        self.score = (self.score + delta).clamp(0.0, 1.0);
        let went_well = event == ReputationEvent::Agreed;
        self.interactions += 1;
        self.successful += u64::from(went_well);
        self.recent = self.recent * (1.0 - RECENT_WEIGHT) + f64::from(u8::from(went_well)) * RECENT_WEIGHT;
        self.remember(event, self.score - before, wall_ms);
    }

    fn delta(&mut self, event: ReputationEvent, settings: &Settings, now_ms: u64) -> f64 {
        let minute = now_ms / MINUTE_MS;
        let weight = event.weight();
        match event {
            ReputationEvent::Agreed if now_ms < self.earns_from_ms => 0.0,
            ReputationEvent::Agreed
            | ReputationEvent::WrongObservation
            | ReputationEvent::Late
            | ReputationEvent::Partition => self.budgets[event.budget()].add(weight, minute),
            ReputationEvent::Violation | ReputationEvent::InvalidSignature => {
                self.earns_from_ms = self.earns_from_ms.max(now_ms.saturating_add(PROBATION_MS));
                let revoked = self.budgets[ReputationEvent::Agreed.budget()].revoke(minute);
                revoked + self.budgets[event.budget()].add(weight, minute)
            }
            ReputationEvent::Proven => {
                // What was earned by behaving is not to be spent on a contradiction.
                self.earns_from_ms = self.earns_from_ms.max(now_ms.saturating_add(PROVEN_MS));
                self.budgets[ReputationEvent::Agreed.budget()].revoke(minute);
                (settings.prior - self.score).min(0.0) + weight
            }
        }
    }

    fn remember(&mut self, event: ReputationEvent, delta: f64, wall_ms: u64) {
        if delta == 0.0 {
            return;
        }
        let score = self.score;
        let same =
            |change: &&mut Change| change.event == event && wall_ms.abs_diff(change.wall_ms) < MINUTE_MS;
        if let Some(last) = self.history.back_mut().filter(same) {
            last.delta += delta;
            last.score = score;
            return;
        }
        self.history.push_back(Change { wall_ms, event, delta, score });
        if self.history.len() > HISTORY_MAX {
            self.history.pop_front();
        }
    }

    /// For people and graphs.
    pub(crate) fn reputation(&self, settings: &Settings, now_ms: u64) -> Reputation {
        Reputation {
            score: self.score(settings, now_ms),
            historical_average: self.historical_average,
            recent: self.recent,
            interactions: self.interactions,
            successful: self.successful,
            history: self.history.iter().copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings =
        Settings { enabled: true, prior: 0.5, threshold: 0.5, half_life_ms: 3_600_000 };

    fn ledger() -> Ledger {
        Ledger::new(&SETTINGS, 0)
    }

    fn apply(ledger: &mut Ledger, event: ReputationEvent, times: usize, now_ms: u64) -> f64 {
        (0..times).for_each(|_| ledger.apply(event, &SETTINGS, now_ms, now_ms));
        ledger.score
    }

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-6
    }

    #[test]
    fn one_kind_moves_a_score_by_a_tenth_in_a_minute() {
        for event in ReputationEvent::ALL.into_iter().filter(|event| *event != ReputationEvent::Proven) {
            let moved = apply(&mut ledger(), event, 1000, 0) - 0.5;
            assert!(close(moved.abs(), KIND_MAX), "{event:?} moved it by {moved}");
        }
    }

    #[test]
    fn score_fades_towards_the_prior_from_both_sides() {
        for event in [ReputationEvent::Agreed, ReputationEvent::Late] {
            let mut ledger = ledger();
            let moved = apply(&mut ledger, event, 100, 0) - 0.5;
            assert!(close(ledger.score(&SETTINGS, 3_600_000) - 0.5, moved / 2.0));
            ledger.settle(&SETTINGS, 360_000_000);
            assert!((ledger.score - 0.5).abs() < 1e-6);
        }
    }

    #[test]
    fn minute_of_answers_counts_as_what_it_came_to() {
        let mut ledger = ledger();
        apply(&mut ledger, ReputationEvent::Agreed, 100, 0);
        assert!(close(apply(&mut ledger, ReputationEvent::WrongObservation, 1, 1), 0.6));
        assert!(close(apply(&mut ledger, ReputationEvent::WrongObservation, 100, 2), 0.4));
    }

    #[test]
    fn caught_replica_loses_what_the_minute_earned_and_earns_nothing_for_a_while() {
        let mut ledger = ledger();
        apply(&mut ledger, ReputationEvent::Agreed, 100, 0);
        assert!(close(apply(&mut ledger, ReputationEvent::InvalidSignature, 1, 1), 0.4));
        assert!(close(apply(&mut ledger, ReputationEvent::Agreed, 100, 2), 0.4));
        let later = PROBATION_MS + 2 * MINUTE_MS;
        let faded = ledger.score(&SETTINGS, later);
        assert!(close(apply(&mut ledger, ReputationEvent::Agreed, 100, later), faded + 0.1));
    }

    #[test]
    fn proof_takes_all_credit() {
        let mut ledger = ledger();
        for minute in 0..10 {
            apply(&mut ledger, ReputationEvent::Agreed, 100, minute * MINUTE_MS);
        }
        assert!(ledger.score > 0.9);
        assert!(close(apply(&mut ledger, ReputationEvent::Proven, 1, 10 * MINUTE_MS), 0.35));
        assert!(close(apply(&mut ledger, ReputationEvent::Proven, 1, 10 * MINUTE_MS), 0.2));
    }

    #[test]
    fn history_is_bounded_and_one_line_a_minute_and_kind() {
        let mut ledger = ledger();
        apply(&mut ledger, ReputationEvent::Agreed, 5, 0);
        assert_eq!(ledger.history.len(), 1);
        assert!(close(ledger.history[0].delta, 0.05));
        for minute in 1..200 {
            apply(&mut ledger, ReputationEvent::Late, 1, minute * MINUTE_MS);
            apply(&mut ledger, ReputationEvent::Agreed, 1, minute * MINUTE_MS);
        }
        assert_eq!(ledger.history.len(), HISTORY_MAX);
    }

    #[test]
    fn historical_average_moves_a_twentieth_a_minute() {
        let mut ledger = ledger();
        ledger.score = 1.0;
        ledger.settle(&Settings { half_life_ms: u64::MAX, ..SETTINGS }, MINUTE_MS);
        assert!(close(ledger.historical_average, 0.5 * 0.95 + 0.05));
    }

    #[test]
    fn recent_performance_follows_the_last_interactions() {
        let mut ledger = ledger();
        apply(&mut ledger, ReputationEvent::Agreed, 50, 0);
        assert!(ledger.recent > 0.95);
        apply(&mut ledger, ReputationEvent::WrongObservation, 20, 0);
        assert!(ledger.recent < 0.2);
        assert_eq!((ledger.interactions, ledger.successful), (70, 50));
    }
}
