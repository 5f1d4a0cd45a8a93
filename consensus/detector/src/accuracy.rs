//! Which observations were wrong, and how often a replica's are.
//!
//! Replicas see different things for honest reasons: content networks, pools, changes on their way. So an observation is wrong only if it contradicts a proof,
//! or if it is alone against a quorum of identical ones for a name whose history is stable, and its replica once agreed there or disagrees about
//! nearly everything. All else is neutral: it counts neither way.

use std::collections::{BTreeMap, BTreeSet};

use certificate::{Digest, ReplicaId, ReplicaSet, Replicas};

/// So many names are remembered; the one not decided for the longest time goes first.
pub const NAMES_MAX: usize = 4096;

/// A name is stable after so many decisions by a quorum of identical observations in a row, ...
pub const STABLE_DECISIONS: u32 = 3;

/// ... over so long, in milliseconds of log time.
pub const STABLE_MS: u64 = 30_000;

/// Of so many stable names in a row the last outcomes of each replica are remembered.
pub const DISSENT_MAX: u32 = 64;

/// Of at least so many.
const DISSENT_MIN: u32 = 16;

/// Who is alone in so large a part of all stable names disagrees about nearly everything. Regional answers do not come near: 4.3 % of names in ConfiDNS
/// (Poole & Pai 2006) were regional.
const DISSENT_PART: f64 = 0.9;

/// What one replica saw, as far as it can be compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Testimony {
    /// A value, by a digest of its canonical form without TTLs.
    Value(Digest),
    /// What a DNSSEC proof in the same slot contradicts.
    Disproved,
    /// Nothing that says anything about names: a time-out, a failure.
    Nothing,
}

/// What is known of one name.
#[derive(Clone, Debug)]
struct Name {
    value: Digest,
    decisions: u32,
    first_ms: u64,
    last_ms: u64,
    agreed: ReplicaSet,
}

/// The outcomes of one replica for the last stable names, newest in the lowest bit: 1 for alone.
#[derive(Clone, Copy, Debug, Default)]
struct Dissent {
    alone: u64,
    counted: u32,
}

impl Dissent {
    fn add(&mut self, alone: bool) {
        self.alone = self.alone << 1 | u64::from(alone);
        self.counted = (self.counted + 1).min(DISSENT_MAX);
    }

    fn is_about_everything(self) -> bool {
        self.counted >= DISSENT_MIN
            && f64::from(self.alone.count_ones()) >= DISSENT_PART * f64::from(self.counted)
    }
}

/// Judges the observations in decided slots, by what the log says of each name.
#[derive(Clone, Debug)]
pub struct Witnesses {
    replicas: Replicas,
    names: BTreeMap<Digest, Name>,
    by_age: BTreeSet<(u64, Digest)>,
    dissent: Vec<Dissent>,
}

impl Witnesses {
    /// Nothing is known of any name.
    pub fn new(replicas: Replicas) -> Witnesses {
        let dissent = vec![Dissent::default(); replicas.count()];
        Witnesses { replicas, names: BTreeMap::new(), by_age: BTreeSet::new(), dissent }
    }

    /// Who was right and who was wrong about a name (`name` is the digest of its operation) in a slot that was decided at log time `time_ms`.
    ///
    /// Who is not named was neither: the input of [`Event::Accuracy`](crate::Event::Accuracy).
    pub fn judge(
        &mut self,
        name: Digest,
        time_ms: u64,
        seen: &[(ReplicaId, Testimony)],
    ) -> Vec<(ReplicaId, bool)> {
        let known = |(replica, _): &&(ReplicaId, Testimony)| self.replicas.contains(*replica);
        let seen: BTreeMap<ReplicaId, Testimony> = seen.iter().filter(known).copied().collect();
        let disproved = seen.iter().filter(|(_, testimony)| **testimony == Testimony::Disproved);
        let mut verdicts: Vec<(ReplicaId, bool)> = disproved.map(|(replica, _)| (*replica, false)).collect();
        let Some((value, supporters)) = self.unanimous(&seen) else {
            self.forget(name);
            return verdicts;
        };
        let before = self.stable(name, value, time_ms);
        self.remember(name, value, supporters, time_ms);
        let Some(agreed) = before else { return verdicts };
        verdicts.extend(supporters.iter().map(|replica| (replica, true)));
        supporters.iter().for_each(|replica| self.dissent[usize::from(replica.0)].add(false));
        let others = seen.iter().filter(|(_, seen)| matches!(seen, Testimony::Value(it) if *it != value));
        let others: Vec<ReplicaId> = others.map(|(replica, _)| *replica).collect();
        if let [alone] = others[..] {
            let dissent = &mut self.dissent[usize::from(alone.0)];
            dissent.add(true);
            if agreed.contains(alone) || dissent.is_about_everything() {
                verdicts.push((alone, false));
            }
        }
        verdicts
    }

    /// The value that a quorum saw, and who did, if no more than one saw another.
    fn unanimous(&self, seen: &BTreeMap<ReplicaId, Testimony>) -> Option<(Digest, ReplicaSet)> {
        let mut values: BTreeMap<Digest, ReplicaSet> = BTreeMap::new();
        for (replica, testimony) in seen {
            if let Testimony::Value(value) = testimony {
                values.entry(*value).or_default().insert(*replica);
            }
        }
        let total: usize = values.values().map(|supporters| supporters.len()).sum();
        let (value, supporters) = values.into_iter().max_by_key(|(_, supporters)| supporters.len())?;
        (supporters.len() >= self.replicas.quorum() && total <= supporters.len() + 1)
            .then_some((value, supporters))
    }

    /// Who ever agreed about a name that is stable.
    fn stable(&self, name: Digest, value: Digest, time_ms: u64) -> Option<ReplicaSet> {
        let known = self.names.get(&name).filter(|known| known.value == value)?;
        let lasted = time_ms.saturating_sub(known.first_ms) >= STABLE_MS;
        (known.decisions >= STABLE_DECISIONS && lasted).then_some(known.agreed)
    }

    fn forget(&mut self, name: Digest) {
        if let Some(known) = self.names.remove(&name) {
            self.by_age.remove(&(known.last_ms, name));
        }
    }

    fn remember(&mut self, name: Digest, value: Digest, supporters: ReplicaSet, time_ms: u64) {
        let before = self.names.get(&name).filter(|known| known.value == value).cloned();
        self.forget(name);
        let mut known = before.unwrap_or(Name {
            value,
            decisions: 0,
            first_ms: time_ms,
            last_ms: time_ms,
            agreed: ReplicaSet::EMPTY,
        });
        known.decisions = known.decisions.saturating_add(1);
        known.last_ms = time_ms;
        known.agreed = ReplicaSet(known.agreed.0 | supporters.0);
        self.by_age.insert((time_ms, name));
        self.names.insert(name, known);
        if self.names.len() > NAMES_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.names.remove(&oldest);
        }
    }

    /// How many names are remembered.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// How often a replica was right, of what could be judged; old judgements fade.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Accuracy {
    pub(crate) right: u32,
    pub(crate) wrong: u32,
}

/// Both counts are halved when there are so many judgements.
const JUDGED_MAX: u32 = 512;

impl Accuracy {
    pub(crate) fn add(&mut self, agreed: bool) {
        let count = if agreed { &mut self.right } else { &mut self.wrong };
        *count += 1;
        if self.judged() >= JUDGED_MAX {
            *self = Accuracy { right: self.right / 2, wrong: self.wrong / 2 };
        }
    }

    pub(crate) fn judged(self) -> u32 {
        self.right.saturating_add(self.wrong)
    }

    /// 0 to 1; 1 while nothing was judged.
    pub(crate) fn rate(self) -> f64 {
        match self.judged() {
            0 => 1.0,
            judged => f64::from(self.right) / f64::from(judged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witnesses() -> Witnesses {
        Witnesses::new(Replicas::new(4, 1).unwrap())
    }

    fn saw(values: &[u8]) -> Vec<(ReplicaId, Testimony)> {
        let testimony = |value: u8| match value {
            0 => Testimony::Nothing,
            255 => Testimony::Disproved,
            value => Testimony::Value(Digest::of(&[value])),
        };
        values.iter().enumerate().map(|(id, value)| (ReplicaId(id as u8), testimony(*value))).collect()
    }

    fn name(number: u64) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    fn wrong(verdicts: &[(ReplicaId, bool)]) -> Vec<u8> {
        verdicts.iter().filter(|(_, right)| !right).map(|(replica, _)| replica.0).collect()
    }

    /// Decides a name until it is stable; gives the log time.
    fn settle(witnesses: &mut Witnesses, name: Digest, values: &[u8]) -> u64 {
        for step in 0..=u64::from(STABLE_DECISIONS) {
            assert_eq!(wrong(&witnesses.judge(name, step * 15_000, &saw(values))), [] as [u8; 0]);
        }
        u64::from(STABLE_DECISIONS) * 15_000 + 1
    }

    #[test]
    fn replica_that_agreed_once_and_is_alone_now_is_wrong() {
        let mut witnesses = witnesses();
        let now = settle(&mut witnesses, name(1), &[7, 7, 7, 7]);
        let verdicts = witnesses.judge(name(1), now, &saw(&[7, 7, 9, 7]));
        assert_eq!(wrong(&verdicts), [2]);
        assert_eq!(verdicts.iter().filter(|(_, right)| *right).count(), 3);
    }

    #[test]
    fn regional_answers_are_neutral_as_long_as_other_names_agree() {
        let mut witnesses = witnesses();
        for step in 0..200u64 {
            for number in 0..10 {
                let regional = if number < 8 { [7, 7, 7, 8] } else { [7, 7, 7, 7] };
                let verdicts = witnesses.judge(name(number), step * 5000, &saw(&regional));
                assert_eq!(wrong(&verdicts), [] as [u8; 0], "step {step}");
            }
        }
    }

    #[test]
    fn replica_alone_about_nearly_everything_is_wrong() {
        let mut witnesses = witnesses();
        let mut found = 0;
        for step in 0..20u64 {
            for number in 0..10 {
                found += wrong(&witnesses.judge(name(number), step * 5000, &saw(&[7, 7, 8, 7]))).len();
            }
        }
        assert!(found > 50, "found {found}");
    }

    #[test]
    fn name_that_changes_condemns_nobody() {
        let mut witnesses = witnesses();
        let now = settle(&mut witnesses, name(1), &[7, 7, 7, 7]);
        assert_eq!(wrong(&witnesses.judge(name(1), now, &saw(&[7, 9, 9, 9]))), [] as [u8; 0]);
        assert_eq!(wrong(&witnesses.judge(name(1), now + 1, &saw(&[9, 9, 9, 7]))), [] as [u8; 0]);
    }

    #[test]
    fn two_that_differ_are_not_alone() {
        let mut witnesses = Witnesses::new(Replicas::new(7, 2).unwrap());
        for step in 0..10u64 {
            witnesses.judge(name(1), step * 15_000, &saw(&[7; 7]));
        }
        for step in 0..10u64 {
            let verdicts = witnesses.judge(name(1), 200_000 + step * 15_000, &saw(&[7, 7, 7, 7, 7, 8, 9]));
            assert_eq!(verdicts, [], "a name of which two differ says nothing of anybody");
        }
    }

    #[test]
    fn silence_is_neutral_and_a_disproved_value_is_wrong() {
        let mut witnesses = witnesses();
        let now = settle(&mut witnesses, name(1), &[7, 7, 7, 7]);
        assert_eq!(wrong(&witnesses.judge(name(1), now, &saw(&[7, 7, 0, 7]))), [] as [u8; 0]);
        assert_eq!(wrong(&witnesses.judge(name(2), now, &saw(&[7, 255, 7, 7]))), [1]);
    }

    #[test]
    fn memory_is_bounded_and_strangers_are_not_heard() {
        let mut witnesses = witnesses();
        for number in 0..NAMES_MAX as u64 + 50 {
            witnesses.judge(name(number), number, &saw(&[7, 7, 7, 7, 9, 9, 9, 9]));
        }
        assert_eq!((witnesses.len(), witnesses.by_age.len()), (NAMES_MAX, NAMES_MAX));
        assert!(!witnesses.names.contains_key(&name(0)));
    }

    #[test]
    fn accuracy_follows_the_last_judgements() {
        let mut accuracy = Accuracy::default();
        (0..5000).for_each(|_| accuracy.add(true));
        (0..5000).for_each(|_| accuracy.add(false));
        assert!(accuracy.rate() < 0.1 && accuracy.judged() < JUDGED_MAX);
    }
}
