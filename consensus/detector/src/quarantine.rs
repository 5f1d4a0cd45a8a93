//! Who is shut out, why, and until when. Never more than f replicas at once, and never for ever.
//!
//! Only two things shut a replica out: a proof, and signatures that do not verify over a channel that proves who sends. Neither lateness nor absence nor an opinion
//! about answers does, since others could bring an honest replica into that.

use std::collections::BTreeMap;
use std::fmt;

use certificate::ReplicaId;
use pbft::Now;

use crate::{Offence, Release, Step};

/// A proven contradiction shuts out for so long, in milliseconds.
pub const PROVEN_SPAN_MS: u64 = 24 * 3_600_000;

/// Invalid signatures shut out for so long the first time, in milliseconds; each time after that for twice as long.
pub const SIGNATURES_SPAN_MS: u64 = 60_000;

/// But never for longer than this, in milliseconds.
pub const SPAN_MAX_MS: u64 = 24 * 3_600_000;

/// A strike is forgotten after so long without another, in milliseconds.
pub const STRIKE_FORGOTTEN_MS: u64 = 24 * 3_600_000;

/// Why a replica is shut out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A proof that anybody can check.
    Proven(Offence),
    /// So many signatures that do not verify, over its authenticated channel.
    InvalidSignatures(u32),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Proven(offence) => write!(f, "proven {offence}"),
            Reason::InvalidSignatures(count) => write!(f, "{count} invalid signatures"),
        }
    }
}

/// One replica that is shut out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// Until then, wall clock at the time it began, milliseconds since 1970.
    pub until_ms: u64,
    /// Why.
    pub reason: Reason,
    /// How often for this kind of reason.
    pub strike: u32,
}

/// One that is held, by the clock that it is released by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    pub(crate) until_monotonic_ms: u64,
    pub(crate) shown: Quarantined,
}

/// How often a replica was shut out for a kind of reason, and when one of these is forgotten, monotonic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Strikes {
    pub(crate) count: u32,
    pub(crate) forgotten_ms: u64,
}

impl Strikes {
    /// Forgets a strike for each day without one.
    pub(crate) fn forget(&mut self, now_ms: u64) {
        while self.count > 0 && now_ms >= self.forgotten_ms {
            self.count -= 1;
            self.forgotten_ms = self.forgotten_ms.saturating_add(STRIKE_FORGOTTEN_MS);
        }
    }

    fn next(&mut self, now_ms: u64) -> u32 {
        self.forget(now_ms);
        self.count = self.count.saturating_add(1);
        self.forgotten_ms = now_ms.saturating_add(STRIKE_FORGOTTEN_MS);
        self.count
    }
}

/// Everybody who is shut out.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Quarantine {
    pub(crate) most: usize,
    pub(crate) held: BTreeMap<ReplicaId, Held>,
    pub(crate) proven: BTreeMap<ReplicaId, Strikes>,
    pub(crate) signatures: BTreeMap<ReplicaId, Strikes>,
}

impl Quarantine {
    /// At most so many at once: f.
    pub(crate) fn new(most: usize) -> Quarantine {
        Quarantine { most, ..Quarantine::default() }
    }

    pub(crate) fn get(&self, replica: ReplicaId) -> Option<Quarantined> {
        self.held.get(&replica).map(|held| held.shown)
    }

    /// Shuts a replica out, or out for longer. Where f already are, a proof takes the place of one that is only badly signed.
    pub(crate) fn begin(&mut self, replica: ReplicaId, reason: Reason, now: Now) -> Vec<Step> {
        let mut steps = Vec::new();
        if !self.held.contains_key(&replica) && self.held.len() >= self.most {
            let Some(other) = self.displaced_by(reason) else {
                return vec![Step::Spared { replica, reason }];
            };
            self.held.remove(&other);
            steps.push(Step::Release { replica: other, why: Release::Displaced });
        }
        let (strike, span_ms) = self.strike(replica, reason, now.monotonic_ms);
        let until_monotonic_ms = now.monotonic_ms.saturating_add(span_ms);
        let before = self.held.get(&replica).map_or(0, |held| held.until_monotonic_ms);
        if before > until_monotonic_ms {
            return steps;
        }
        let until_ms = now.wall_ms.saturating_add(span_ms);
        self.held
            .insert(replica, Held { until_monotonic_ms, shown: Quarantined { until_ms, reason, strike } });
        steps.push(Step::Quarantine { replica, until_ms, span_ms, reason, strike });
        steps
    }

    /// Of those without a proof, the one that is let in next.
    fn displaced_by(&self, reason: Reason) -> Option<ReplicaId> {
        let Reason::Proven(_) = reason else { return None };
        let unproven = self.held.iter().filter(|(_, held)| !matches!(held.shown.reason, Reason::Proven(_)));
        unproven.min_by_key(|(_, held)| held.until_monotonic_ms).map(|(replica, _)| *replica)
    }

    fn strike(&mut self, replica: ReplicaId, reason: Reason, now_ms: u64) -> (u32, u64) {
        match reason {
            Reason::Proven(_) => (self.proven.entry(replica).or_default().next(now_ms), PROVEN_SPAN_MS),
            Reason::InvalidSignatures(_) => {
                let strike = self.signatures.entry(replica).or_default().next(now_ms);
                (strike, back_off_ms(strike))
            }
        }
    }

    /// Lets in whose time is over, and forgets old strikes.
    pub(crate) fn expire(&mut self, now_ms: u64) -> Vec<Step> {
        let strikes = self.proven.values_mut().chain(self.signatures.values_mut());
        strikes.for_each(|strikes| strikes.forget(now_ms));
        let over = self.held.iter().filter(|(_, held)| held.until_monotonic_ms <= now_ms);
        let over: Vec<ReplicaId> = over.map(|(replica, _)| *replica).collect();
        over.into_iter()
            .map(|replica| {
                self.held.remove(&replica);
                Step::Release { replica, why: Release::Expired }
            })
            .collect()
    }

    /// Lets one in, if it is shut out.
    pub(crate) fn lift(&mut self, replica: ReplicaId) -> Vec<Step> {
        let held = self.held.remove(&replica);
        held.map(|_| Step::Release { replica, why: Release::Lifted }).into_iter().collect()
    }
}

fn back_off_ms(strike: u32) -> u64 {
    let doublings = strike.saturating_sub(1).min(32);
    (SIGNATURES_SPAN_MS << doublings).min(SPAN_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: Reason = Reason::InvalidSignatures(3);
    const PROOF: Reason = Reason::Proven(Offence::Equivocation);

    fn at(monotonic_ms: u64) -> Now {
        Now { wall_ms: 1_000_000 + monotonic_ms, monotonic_ms }
    }

    fn span(steps: &[Step]) -> u64 {
        match steps.last() {
            Some(Step::Quarantine { span_ms, .. }) => *span_ms,
            other => panic!("expected a quarantine, found {other:?}"),
        }
    }

    #[test]
    fn bad_signatures_are_shut_out_twice_as_long_each_time() {
        let mut quarantine = Quarantine::new(1);
        let mut now_ms = 0;
        for strike in 0..20u32 {
            let span_ms = span(&quarantine.begin(ReplicaId(1), BAD, at(now_ms)));
            assert_eq!(span_ms, (60_000u64 << strike).min(SPAN_MAX_MS));
            now_ms += span_ms;
            assert_eq!(quarantine.expire(now_ms).len(), 1);
            now_ms = now_ms.min(u64::MAX / 2);
            if span_ms == SPAN_MAX_MS {
                return;
            }
        }
    }

    #[test]
    fn strikes_are_forgotten_day_by_day() {
        let mut quarantine = Quarantine::new(1);
        for now_ms in [0, 200_000, 500_000] {
            quarantine.begin(ReplicaId(1), BAD, at(now_ms));
            quarantine.lift(ReplicaId(1));
        }
        let later = 500_000 + 2 * STRIKE_FORGOTTEN_MS;
        assert_eq!(span(&quarantine.begin(ReplicaId(1), BAD, at(later))), 120_000);
    }

    #[test]
    fn never_more_than_f_and_a_proof_comes_first() {
        let mut quarantine = Quarantine::new(1);
        quarantine.begin(ReplicaId(1), BAD, at(0));
        assert_eq!(
            quarantine.begin(ReplicaId(2), BAD, at(1)),
            [Step::Spared { replica: ReplicaId(2), reason: BAD }]
        );
        let steps = quarantine.begin(ReplicaId(2), PROOF, at(2));
        assert_eq!(steps[0], Step::Release { replica: ReplicaId(1), why: Release::Displaced });
        assert_eq!(span(&steps), PROVEN_SPAN_MS);
        assert_eq!(
            quarantine.begin(ReplicaId(3), PROOF, at(3)),
            [Step::Spared { replica: ReplicaId(3), reason: PROOF }]
        );
        assert_eq!(quarantine.held.len(), 1);
    }

    #[test]
    fn bad_signatures_do_not_shorten_what_a_proof_began() {
        let mut quarantine = Quarantine::new(1);
        quarantine.begin(ReplicaId(1), PROOF, at(0));
        assert!(quarantine.begin(ReplicaId(1), BAD, at(1)).is_empty());
        assert_eq!(quarantine.get(ReplicaId(1)).unwrap().reason, PROOF);
    }

    #[test]
    fn every_quarantine_ends_by_the_monotonic_clock() {
        let mut quarantine = Quarantine::new(1);
        quarantine.begin(ReplicaId(1), PROOF, at(5));
        assert!(quarantine.expire(5 + PROVEN_SPAN_MS - 1).is_empty());
        assert_eq!(
            quarantine.expire(5 + PROVEN_SPAN_MS),
            [Step::Release { replica: ReplicaId(1), why: Release::Expired }]
        );
    }

    #[test]
    fn lifting_whom_nobody_shut_out_does_nothing() {
        assert!(Quarantine::new(1).lift(ReplicaId(1)).is_empty());
    }
}
