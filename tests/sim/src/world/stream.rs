//! Requests that no scenario lists: the steady stream of runs without an end, whose judges forget what nobody can contradict any more; and
//! those that a learner needs, since it votes only once the log has gone on.

use certificate::Sequence;
use pbft::Standing;

use super::{Happening, World};
use crate::scenario::START_MS;

/// Requests that never end.
pub(super) struct Stream {
    pace_ms: u64,
    asked: u64,
}

/// Slots so far below every low water mark are forgotten by the judges.
const KEPT_SLOTS: u64 = 500;
/// So many requests are made for the sake of learners.
const TRAFFIC_MAX: u64 = 80;
/// Their numbers begin here.
const TRAFFIC_FROM: u64 = 1_000_000_000;
/// What was seen for so many requests before the last one is kept.
const KEPT_REQUESTS: u64 = 20_000;

/// How much a replica holds.
#[derive(Clone, Copy, Default, Debug)]
pub struct Reading {
    /// On its disk.
    pub disk_bytes: usize,
    /// Slots.
    pub slots: usize,
    /// Open requests.
    pub open_requests: usize,
    /// Observations remembered as used.
    pub used_observations: usize,
    /// Bytes of observations of open requests.
    pub held_bytes: usize,
}

impl Reading {
    /// The higher of two, figure by figure.
    pub fn max(self, other: Reading) -> Reading {
        Reading {
            disk_bytes: self.disk_bytes.max(other.disk_bytes),
            slots: self.slots.max(other.slots),
            open_requests: self.open_requests.max(other.open_requests),
            used_observations: self.used_observations.max(other.used_observations),
            held_bytes: self.held_bytes.max(other.held_bytes),
        }
    }
}

impl World<'_> {
    /// From the start on somebody asks for something new every so many milliseconds.
    pub fn stream(&mut self, pace_ms: u64) {
        self.stream = Some(Stream { pace_ms, asked: 0 });
        self.schedule(START_MS, Happening::Ask);
    }

    pub(super) fn ask(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        stream.asked += 1;
        let (number, due) = (stream.asked, self.now_ms + stream.pace_ms);
        self.schedule(due, Happening::Ask);
        let index = self.pick.below(self.nodes.len() as u64) as usize;
        if self.nodes[index].replica.is_some() {
            self.request(index, number);
        }
    }

    /// While somebody who lost its disk learns, clients ask for something new now and then.
    pub(super) fn keep_busy(&mut self) {
        let honest: Vec<usize> = (0..self.nodes.len()).filter(|index| self.is_honest(*index)).collect();
        let learns = |index: &usize| {
            let replica = self.nodes[*index].replica.as_ref();
            replica.is_some_and(|replica| replica.status().standing == Standing::Learning)
        };
        let due = self.now_ms > self.scenario.heal_ms && self.traffic < TRAFFIC_MAX;
        if due && honest.iter().any(learns) {
            self.traffic += 1;
            let index = self.pick.choose(&honest);
            if self.nodes[index].replica.is_some() {
                self.request(index, TRAFFIC_FROM + self.traffic);
            }
        }
    }

    /// What each replica holds now; nothing of one that is down.
    pub fn readings(&self) -> Vec<Reading> {
        let read = |node: &crate::node::Node| {
            let status = node.replica.as_ref().map(|replica| replica.status()).unwrap_or_default();
            Reading {
                disk_bytes: node.disk.len(),
                slots: status.slots,
                open_requests: status.open_requests,
                used_observations: status.used_observations,
                held_bytes: status.held_bytes,
            }
        };
        self.nodes.iter().map(read).collect()
    }

    /// The highest view that anybody is in.
    pub fn view(&self) -> u64 {
        let replicas = self.nodes.iter().filter_map(|node| node.replica.as_ref());
        replicas.map(|replica| replica.status().view.0).max().unwrap_or(0)
    }

    /// Lets the judges and hosts forget what is long over.
    pub fn forget(&mut self) {
        let replicas = self.nodes.iter().filter_map(|node| node.replica.as_ref());
        let low = replicas.map(|replica| replica.status().stable.0).min().unwrap_or(0);
        let asked = self.stream.as_ref().map_or(0, |stream| stream.asked);
        self.court.forget(low.saturating_sub(KEPT_SLOTS), asked.saturating_sub(KEPT_REQUESTS));
        self.watch.forget(Sequence(low.saturating_sub(KEPT_SLOTS)));
        let now_ms = self.now_ms;
        self.nodes.iter_mut().for_each(|node| node.known.retain(|_, until| *until > now_ms));
    }
}
