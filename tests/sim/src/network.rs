//! The network: how long a message takes, and whether it comes, comes twice, or overtakes others.
//!
//! Latency belongs to a link and a direction. Noise (loss, duplicates, jitter) and walls come and go with the scenario; a wall may be known to both
//! sides (the channel is down) or silent and of one direction.

use std::collections::BTreeMap;

use certificate::{ReplicaId, ReplicaSet};
use pbft::Message;

use crate::random::Random;

/// Noise on all links.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Noise {
    /// So many of a hundred messages are lost.
    pub loss_percent: u64,
    /// So many come twice.
    pub duplicate_percent: u64,
    /// Each is late by up to this, in milliseconds: messages overtake each other.
    pub jitter_ms: u64,
}

/// A kind of message that the network can tell from others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// PRE-PREPARE.
    Proposal,
    /// PREPARE.
    Prepare,
    /// COMMIT.
    Commit,
    /// CHECKPOINT.
    Checkpoint,
    /// VIEW-CHANGE.
    ViewChange,
    /// NEW-VIEW.
    NewView,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] =
        [Kind::Proposal, Kind::Prepare, Kind::Commit, Kind::Checkpoint, Kind::ViewChange, Kind::NewView];

    /// That of a message, if it has one.
    pub fn of(message: &Message) -> Option<Kind> {
        Some(match message {
            Message::PrePrepare(_) => Kind::Proposal,
            Message::Prepare(_) => Kind::Prepare,
            Message::Commit(_) => Kind::Commit,
            Message::Checkpoint(_) => Kind::Checkpoint,
            Message::ViewChange(_) => Kind::ViewChange,
            Message::NewView(_) => Kind::NewView,
            _ => return None,
        })
    }
}

/// Messages of one kind, from some to some, that are lost or late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Filter {
    /// Which.
    pub kind: Kind,
    /// Who speaks.
    pub from: ReplicaSet,
    /// To whom.
    pub to: ReplicaSet,
    /// By how many milliseconds they are late; `None` when they are lost.
    pub late_ms: Option<u64>,
}

impl Filter {
    /// Checkpoints that are a little late: nothing that anybody should notice.
    pub fn is_harmless(&self) -> bool {
        self.kind == Kind::Checkpoint && self.late_ms.is_some_and(|late_ms| late_ms <= 60)
    }
}

/// The links between all replicas.
pub struct Network {
    random: Random,
    latency_ms: Vec<u64>,
    count: usize,
    /// By the number of the scenario's element.
    noises: BTreeMap<usize, Noise>,
    /// Groups whose channels to all others are down, by the element's number.
    walls: BTreeMap<usize, ReplicaSet>,
    /// Directions in which nothing arrives, by the element's number.
    deaf: BTreeMap<usize, (u8, u8)>,
    /// Kinds of messages that are lost or late, by the element's number.
    filters: BTreeMap<usize, Filter>,
}

impl Network {
    /// Links with latencies up to `latency_ms`.
    pub fn new(seed: u64, count: usize, latency_ms: u64) -> Network {
        let mut random = Random::of(seed, "network");
        let latency_ms = (0..count * count).map(|_| random.between(1, latency_ms)).collect();
        let (noises, walls, deaf, filters) = Default::default();
        Network { random, latency_ms, count, noises, walls, deaf, filters }
    }

    /// Noise begins.
    pub fn disturb(&mut self, element: usize, noise: Noise) {
        self.noises.insert(element, noise);
    }

    /// The channels between a group and all others go down.
    pub fn cut(&mut self, element: usize, group: ReplicaSet) {
        self.walls.insert(element, group);
    }

    /// What `from` sends to `to` is lost without either knowing.
    pub fn deafen(&mut self, element: usize, from: u8, to: u8) {
        self.deaf.insert(element, (from, to));
    }

    /// Messages of a kind are lost or late.
    pub fn filter(&mut self, element: usize, filter: Filter) {
        self.filters.insert(element, filter);
    }

    /// An element of the scenario is over.
    pub fn mend(&mut self, element: usize) {
        self.noises.remove(&element);
        self.walls.remove(&element);
        self.deaf.remove(&element);
        self.filters.remove(&element);
    }

    /// Whether the channel between two replicas is down.
    pub fn is_cut(&self, one: u8, other: u8) -> bool {
        let inside = |group: &ReplicaSet, id: u8| group.contains(ReplicaId(id));
        self.walls.values().any(|group| inside(group, one) != inside(group, other))
    }

    /// How long each copy of a message is on its way, in milliseconds: none when it is lost, two when it is doubled.
    pub fn delays(&mut self, from: u8, to: u8, kind: Option<Kind>) -> [Option<u64>; 2] {
        let link = usize::from(from) * self.count + usize::from(to);
        let mut latency = self.latency_ms[link];
        for filter in self.filters.values().filter(|filter| Some(filter.kind) == kind) {
            if filter.from.contains(ReplicaId(from)) && filter.to.contains(ReplicaId(to)) {
                let Some(late_ms) = filter.late_ms else { return [None, None] };
                latency += late_ms;
            }
        }
        if self.noises.is_empty() && self.deaf.is_empty() {
            return [Some(latency), None];
        }
        if self.deaf.values().any(|direction| *direction == (from, to)) {
            return [None, None];
        }
        let (mut lost, mut doubled, mut jitter_ms) = (false, false, 0);
        for noise in self.noises.values() {
            lost |= self.random.percent(noise.loss_percent);
            doubled |= self.random.percent(noise.duplicate_percent);
            jitter_ms += noise.jitter_ms;
        }
        let first = latency + self.random.between(0, jitter_ms);
        let second = latency + self.random.between(0, jitter_ms);
        [(!lost).then_some(first), doubled.then_some(second)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_stand_between_a_group_and_the_others_until_mended() {
        let mut network = Network::new(1, 4, 5);
        network.cut(9, [ReplicaId(1), ReplicaId(2)].into_iter().collect());
        assert!(
            network.is_cut(0, 1) && network.is_cut(2, 3) && !network.is_cut(1, 2) && !network.is_cut(0, 3)
        );
        network.mend(9);
        assert!(!network.is_cut(0, 1));
    }

    #[test]
    fn deafness_has_one_direction() {
        let mut network = Network::new(1, 4, 5);
        network.deafen(3, 0, 1);
        assert_eq!(network.delays(0, 1, None), [None, None]);
        assert!(network.delays(1, 0, None)[0].is_some());
    }

    #[test]
    fn noise_loses_doubles_and_delays() {
        let mut network = Network::new(1, 4, 5);
        network.disturb(0, Noise { loss_percent: 30, duplicate_percent: 30, jitter_ms: 50 });
        let all: Vec<_> = (0..300).map(|_| network.delays(0, 1, None)).collect();
        assert!(all.iter().any(|delays| delays[0].is_none()));
        assert!(all.iter().any(|delays| delays[1].is_some()));
        assert!(all.iter().any(|delays| delays[0].is_some_and(|ms| ms > 30)));
    }

    #[test]
    fn filter_touches_its_kind_and_its_direction_alone() {
        let mut network = Network::new(1, 4, 1);
        let (from, to) = ([ReplicaId(0)].into_iter().collect(), [ReplicaId(1)].into_iter().collect());
        network.filter(4, Filter { kind: Kind::Commit, from, to, late_ms: None });
        network.filter(5, Filter { kind: Kind::Prepare, from, to, late_ms: Some(70) });
        assert_eq!(network.delays(0, 1, Some(Kind::Commit)), [None, None]);
        assert_eq!(network.delays(0, 1, Some(Kind::Prepare)), [Some(71), None]);
        assert_eq!(network.delays(0, 1, Some(Kind::Checkpoint)), [Some(1), None]);
        assert_eq!(network.delays(1, 0, Some(Kind::Commit)), [Some(1), None]);
        network.mend(4);
        assert_eq!(network.delays(0, 1, Some(Kind::Commit)), [Some(1), None]);
    }
}
