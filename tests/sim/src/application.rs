//! What the replicas agree on: DNS answers judged by `agreement`, or a toy with the same rule that costs nothing.
//!
//! Both know what a replica can see as a [`Sight`]: an address by its last byte, and its TTL. The checks work on sights alone.

use std::collections::BTreeMap;
use std::rc::Rc;

use agreement::{Dnssec, NoProofs, Observation, Observed, ObservedOutcome};
use certificate::codec::{Decode, Encode};
use certificate::{
    Class, Cluster, Digest, Leaf, Member, OperationKind, Outcome, Policy, Question, ReplicaId, ReplicaSet,
    RrSet,
};
use detector::Testimony;
use pbft::{Application, Counted, Operation};

use crate::keys::seed_key;
use crate::random::mix;
use crate::scenario::Shape;

/// What is agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Matter {
    /// A byte by majority.
    Toy,
    /// DNS answers under the policy `corroborated`.
    Corroborated,
    /// DNS answers under the policy `strong`.
    Strong,
}

/// What one replica saw: the last byte of an address, 0 for a lookup that failed, and for how many seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Sight {
    /// The value.
    pub value: u8,
    /// Its TTL.
    pub ttl: u32,
}

/// What a leaf says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The value that won, 0 for an agreed failure; `None` when nothing did.
    pub value: Option<u8>,
    /// For how many seconds.
    pub ttl: u32,
    /// Who supports it.
    pub support: ReplicaSet,
}

/// TTLs of agreed failures and of no agreement, as `agreement` has them.
pub const FAILURE_TTL: u32 = 5;
/// See [`FAILURE_TTL`].
pub const NOTHING_TTL: u32 = 1;

/// Judges observations. Cheap to clone.
#[derive(Clone)]
pub enum Judge {
    /// A byte by majority.
    Toy {
        /// n and f.
        shape: Shape,
        /// A planted bug: the longest TTL of the supporters instead of the least.
        longest_ttl: bool,
    },
    /// DNS answers.
    Dns {
        /// The rules.
        cluster: Rc<Cluster>,
        /// A planted bug, as above.
        longest_ttl: bool,
    },
}

impl Judge {
    /// The judge of a matter.
    pub fn of(matter: Matter, shape: Shape, longest_ttl: bool) -> Judge {
        let policy = match matter {
            Matter::Toy => return Judge::Toy { shape, longest_ttl },
            Matter::Corroborated => Policy::Corroborated,
            Matter::Strong => Policy::Strong,
        };
        Judge::Dns { cluster: Rc::new(cluster(shape, policy)), longest_ttl }
    }

    /// The cluster file, if there is one.
    pub fn cluster(&self) -> Option<&Cluster> {
        match self {
            Judge::Toy { .. } => None,
            Judge::Dns { cluster, .. } => Some(cluster),
        }
    }

    /// How many equal sights a value needs, of so many observations.
    pub fn threshold(&self, shape: Shape, observations: usize) -> usize {
        let strong = self.cluster().is_some_and(|cluster| cluster.policy_for(&[0]).1 == Policy::Strong);
        let (count, faults) = (shape.count as usize, shape.faults as usize);
        if strong { (count + faults + 1).div_ceil(2) } else { (observations / 2 + 1).max(faults + 1) }
    }

    /// The operation that asks for the question of this number.
    pub fn operation(&self, number: u64) -> Operation {
        let subject = match self {
            Judge::Toy { .. } => number.to_be_bytes().to_vec(),
            Judge::Dns { .. } => question(number).to_bytes(),
        };
        Operation { kind: OperationKind::Resolve, subject }
    }

    /// The number of an operation; `None` of one that no scenario has.
    pub fn number(&self, operation: &Operation) -> Option<u64> {
        match self {
            Judge::Toy { .. } => Some(u64::from_be_bytes(operation.subject.as_slice().try_into().ok()?)),
            Judge::Dns { .. } => {
                let question = Question::from_bytes(&operation.subject).ok()?;
                let label = question.name.get(2..1 + usize::from(*question.name.first()?))?;
                std::str::from_utf8(label).ok()?.parse().ok()
            }
        }
    }

    /// The payload that says so.
    pub fn payload(&self, replica: ReplicaId, operation: &Operation, sight: Sight) -> Vec<u8> {
        match self {
            Judge::Toy { .. } => [&[sight.value][..], &sight.ttl.to_be_bytes()].concat(),
            Judge::Dns { cluster, .. } => {
                let group = cluster.member(replica).map_or(0, |member| member.group);
                let outcome = match Question::from_bytes(&operation.subject) {
                    Ok(question) if sight.value != 0 => {
                        ObservedOutcome::Answer(vec![address(&question, sight)])
                    }
                    _ => ObservedOutcome::Failure(2),
                };
                let (dnssec, extra, history) = (Dnssec::Indeterminate, Vec::new(), Vec::new());
                Observed { outcome, dnssec, group, extra, remark: None, history }.to_bytes()
            }
        }
    }

    /// What a payload says.
    pub fn sight(&self, payload: &[u8]) -> Option<Sight> {
        match self {
            Judge::Toy { .. } => {
                let (value, ttl) = payload.split_first()?;
                Some(Sight { value: *value, ttl: u32::from_be_bytes(ttl.try_into().ok()?) })
            }
            Judge::Dns { .. } => match Observed::from_bytes(payload).ok()?.outcome {
                ObservedOutcome::Answer(sets) => {
                    let set = sets.first()?;
                    Some(Sight { value: *set.rdatas.first()?.last()?, ttl: set.ttl })
                }
                _ => Some(Sight { value: 0, ttl: 0 }),
            },
        }
    }

    /// What a leaf of an operation says; `None` when it is none.
    pub fn finding(&self, operation: &Operation, leaf: &[u8]) -> Option<Finding> {
        match self {
            Judge::Toy { .. } => {
                let rest = leaf.strip_prefix(operation.to_bytes().as_slice())?;
                let [found, value, rest @ ..] = rest else { return None };
                let ttl = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
                let support = ReplicaSet(u32::from_be_bytes(rest.get(4..)?.try_into().ok()?));
                Some(Finding { value: (*found == 1).then_some(*value), ttl, support })
            }
            Judge::Dns { .. } => {
                let leaf = Leaf::from_bytes(leaf).ok()?;
                if leaf.question()?.to_bytes() != operation.subject {
                    return None;
                }
                let value = match (&leaf.outcome, leaf.class) {
                    (Outcome::Answer(sets), _) => Some(*sets.first()?.rdatas.first()?.last()?),
                    (Outcome::Failure(_), Class::Failure) => Some(0),
                    (Outcome::None, Class::NoAgreement) => None,
                    _ => return None,
                };
                Some(Finding { value, ttl: leaf.ttl, support: leaf.support })
            }
        }
    }

    /// What the observers behind a leaf said of its question, as far as it can be compared.
    pub fn testimonies(&self, leaf: &[u8], observations: &[Counted<'_>]) -> Vec<(ReplicaId, Testimony)> {
        let Judge::Dns { cluster, .. } = self else {
            let said = |one: &Counted<'_>| match self.sight(one.payload) {
                Some(sight) if sight.value != 0 => Testimony::Value(Digest::of(&[sight.value])),
                _ => Testimony::Nothing,
            };
            return observations.iter().map(|one| (one.replica, said(one))).collect();
        };
        let Ok(leaf) = Leaf::from_bytes(leaf) else { return Vec::new() };
        let decoded = decode(observations);
        let observed: Vec<Observation<'_>> = decoded.iter().map(observation).collect();
        let testimony = |said| match said {
            agreement::Testimony::Value(value) => Testimony::Value(value),
            agreement::Testimony::Disproved => Testimony::Disproved,
            agreement::Testimony::Nothing => Testimony::Nothing,
        };
        let said = agreement::testimonies(cluster, &leaf, &observed, &NoProofs);
        said.into_iter().map(|(replica, said)| (replica, testimony(said))).collect()
    }

    fn longest_ttl(&self) -> bool {
        match self {
            Judge::Toy { longest_ttl, .. } | Judge::Dns { longest_ttl, .. } => *longest_ttl,
        }
    }

    fn decide_toy(&self, shape: Shape, operation: &Operation, observations: &[Counted<'_>]) -> Vec<u8> {
        let mut values: BTreeMap<u8, (ReplicaSet, Vec<u32>)> = BTreeMap::new();
        for (counted, sight) in observations.iter().filter_map(|one| Some((one, self.sight(one.payload)?))) {
            let (support, ttls) = values.entry(sight.value).or_default();
            support.insert(counted.replica);
            ttls.push(sight.ttl);
        }
        let threshold = self.threshold(shape, observations.len());
        let winner = values.into_iter().find(|(_, (support, _))| support.len() >= threshold);
        let (found, value, ttl, support) = match winner {
            Some((0, (support, _))) => (1, 0, FAILURE_TTL, support),
            Some((value, (support, ttls))) => {
                let longest = ttls.iter().max().filter(|_| self.longest_ttl());
                (1, value, *longest.or(ttls.iter().min()).unwrap_or(&NOTHING_TTL), support)
            }
            None => (0, 0, NOTHING_TTL, ReplicaSet::EMPTY),
        };
        let mut leaf = operation.to_bytes();
        leaf.extend([found, value]);
        leaf.extend(ttl.to_be_bytes());
        leaf.extend(support.0.to_be_bytes());
        leaf
    }
}

/// The observations that are ones.
fn decode<'a, 'b>(observations: &'a [Counted<'b>]) -> Vec<(&'a Counted<'b>, Observed)> {
    observations.iter().filter_map(|one| Some((one, Observed::from_bytes(one.payload).ok()?))).collect()
}

fn observation<'a>((one, observed): &'a (&Counted<'_>, Observed)) -> Observation<'a> {
    Observation { replica: one.replica, time_ms: one.time_ms, observed }
}

fn decide_dns(
    cluster: &Cluster,
    operation: &Operation,
    observations: &[Counted<'_>],
    longest: bool,
) -> Vec<u8> {
    let Ok(question) = Question::from_bytes(&operation.subject) else { return Vec::new() };
    let decoded = decode(observations);
    let observed: Vec<Observation<'_>> = decoded.iter().map(observation).collect();
    let mut leaf = agreement::decide(cluster, &question, &observed, &NoProofs).leaf;
    if longest && let Outcome::Answer(sets) = &mut leaf.outcome {
        let ttls = decoded.iter().flat_map(|(_, observed)| observed.outcome.rrsets()).map(|set| set.ttl);
        leaf.ttl = ttls.max().unwrap_or(leaf.ttl).min(cluster.ttl_max_s);
        leaf.not_after_ms = leaf.time_ms + u64::from(leaf.ttl) * 1000;
        sets.iter_mut().for_each(|set| set.ttl = leaf.ttl);
    }
    leaf.to_bytes()
}

impl Application for Judge {
    fn check(&self, operation: &Operation, replica: ReplicaId, payload: &[u8]) -> bool {
        match self {
            Judge::Toy { .. } => operation.subject.len() == 8 && payload.len() == 5,
            Judge::Dns { cluster, .. } => Question::from_bytes(&operation.subject)
                .is_ok_and(|question| agreement::check(cluster, &question, replica, payload).is_ok()),
        }
    }

    fn settled(&self, operation: &Operation, observations: &[Counted<'_>]) -> bool {
        let _ = operation;
        let mut values: BTreeMap<u8, usize> = BTreeMap::new();
        for sight in observations.iter().filter_map(|one| self.sight(one.payload)) {
            *values.entry(sight.value).or_default() += 1;
        }
        let quorum = match self {
            Judge::Toy { shape, .. } => (shape.count + shape.faults + 1).div_ceil(2) as usize,
            Judge::Dns { cluster, .. } => cluster.replicas.quorum(),
        };
        values.values().any(|count| *count >= quorum)
    }

    fn decide(&self, operation: &Operation, observations: &[Counted<'_>]) -> Vec<u8> {
        match self {
            Judge::Toy { shape, .. } => self.decide_toy(*shape, operation, observations),
            Judge::Dns { cluster, longest_ttl } => decide_dns(cluster, operation, observations, *longest_ttl),
        }
    }
}

fn question(number: u64) -> Question {
    Question::parse(&format!("w{number}.example.org"), 1).expect("a short name is one")
}

fn address(question: &Question, sight: Sight) -> RrSet {
    let (owner, ttl, rdatas) = (question.name.clone(), sight.ttl, vec![vec![192, 0, 2, sight.value]]);
    RrSet { owner, rtype: 1, rclass: 1, ttl, rdatas }
}

fn cluster(shape: Shape, policy: Policy) -> Cluster {
    let member = |id: u8| {
        let seed = seed_key(id);
        Member {
            id: ReplicaId(id),
            name: format!("replica-{id}"),
            address: std::net::SocketAddr::from(([192, 0, 2, id + 1], 5380)),
            public_key: seed.signing_key().public_key(),
            transport_key: seed.transport_key().public_key(),
            upstream_group: format!("group-{id}"),
            group: 0,
        }
    };
    let members = (0..shape.count as u8).map(member).collect();
    let mut cluster = Cluster::new("sim", shape.faults, members).expect("a shape is one of a cluster");
    cluster.policies.insert(vec![0], policy);
    cluster
}

/// What honest replicas see on their own paths.
#[derive(Clone, Copy)]
pub struct Paths {
    /// Of what it is a function.
    pub seed: u64,
}

impl Paths {
    /// What `replica` sees for a number at a time: mostly the same as all others.
    pub fn sight(&self, replica: ReplicaId, number: u64, now_ms: u64) -> Sight {
        let of = |what: u64| mix(self.seed ^ mix(number.wrapping_mul(31).wrapping_add(what)));
        let base = (of(1) % 50) as u8 + 1;
        let value = match of(2) % 100 {
            0..70 => base,
            70..80 => base + replica.0 % 2,
            80..87 => base + replica.0,
            87..93 => 0,
            93..96 => base * (replica.0 % 2),
            _ => base + (now_ms / 40 % 3) as u8,
        };
        let ttl = 30 + (of(3 + u64::from(replica.0)) % 300) as u32;
        Sight { value, ttl }
    }
}

/// What a host hands out for an operation that it knows decided: nobody but a host that knows it makes this.
pub fn certified(operation: &Digest) -> Vec<u8> {
    [b"certified ".as_slice(), &operation.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { count: 4, faults: 1 };

    fn leaf(judge: &Judge, sights: &[(u8, u32)]) -> Finding {
        let operation = judge.operation(7);
        let payloads: Vec<Vec<u8>> = sights
            .iter()
            .enumerate()
            .map(|(id, (value, ttl))| {
                judge.payload(ReplicaId(id as u8), &operation, Sight { value: *value, ttl: *ttl })
            })
            .collect();
        let counted: Vec<Counted<'_>> = payloads
            .iter()
            .enumerate()
            .map(|(id, payload)| Counted { replica: ReplicaId(id as u8), time_ms: 1000, payload })
            .collect();
        assert!(counted.iter().all(|one| judge.check(&operation, one.replica, one.payload)));
        let leaf = judge.decide(&operation, &counted);
        judge.finding(&operation, &leaf).unwrap()
    }

    #[test]
    fn toy_and_agreement_come_to_the_same_findings() {
        let toy = Judge::of(Matter::Toy, SHAPE, false);
        let dns = Judge::of(Matter::Corroborated, SHAPE, false);
        for sights in [
            [(5, 60), (5, 50), (5, 70), (9, 1)],
            [(5, 60), (5, 50), (9, 70), (9, 10)],
            [(0, 0), (0, 0), (0, 0), (9, 10)],
            [(1, 60), (2, 60), (3, 60), (4, 60)],
        ] {
            assert_eq!(leaf(&toy, &sights), leaf(&dns, &sights), "{sights:?}");
        }
    }

    #[test]
    fn numbers_survive_as_operations() {
        for matter in [Matter::Toy, Matter::Corroborated] {
            let judge = Judge::of(matter, SHAPE, false);
            assert_eq!(judge.number(&judge.operation(123)), Some(123));
        }
    }

    #[test]
    fn planted_bug_takes_the_longest_ttl() {
        for matter in [Matter::Toy, Matter::Corroborated] {
            let sights = [(5, 60), (5, 50), (5, 70), (9, 100)];
            let longest = leaf(&Judge::of(matter, SHAPE, true), &sights).ttl;
            assert!(longest > leaf(&Judge::of(matter, SHAPE, false), &sights).ttl);
        }
    }
}
