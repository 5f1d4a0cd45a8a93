//! What the scenario does to the world: elements begin and end, power goes, channels come and go.

use certificate::{ReplicaId, ReplicaSet};
use pbft::{Event, Record};

use super::{Happening, World};
use crate::invariants::Check;
use crate::scenario::What;

impl World<'_> {
    /// An element of the scenario begins.
    pub(super) fn begin(&mut self, place: usize) {
        let (number, element) = &self.scenario.elements[place];
        let (number, what) = (*number, element.what.clone());
        if !matches!(what, What::Vice { .. } | What::Skew { .. } | What::SlowLookups { .. }) {
            self.trace.note(self.now_ms, 0, number as u64, || format!("-- element {number}: {what:?}"));
        }
        let ms = match what {
            What::Request { replica, number } => return self.request(usize::from(replica), number),
            What::Vice { .. } | What::Skew { .. } | What::SlowLookups { .. } => return,
            What::Sides => {
                self.draw_sides();
                return self.relink();
            }
            What::Crash { replica, ms, writing } => {
                let index = usize::from(replica);
                self.nodes[index].doomed = writing;
                if !writing {
                    self.crash(index);
                }
                ms
            }
            What::Cut { group, ms } => {
                self.network.cut(number, group);
                self.relink();
                ms
            }
            What::Deaf { from, to, ms } => {
                self.network.deafen(number, from, to);
                ms
            }
            What::Noise { noise, ms } => {
                self.network.disturb(number, noise);
                ms
            }
            What::Filter { filter, ms } => {
                self.network.filter(number, filter);
                ms
            }
            What::LoseDisk { replica, ms } => {
                let index = usize::from(replica);
                self.crash(index);
                self.nodes[index].lose_disk();
                self.court.lost_disk(self.nodes[index].id);
                ms
            }
        };
        let end_ms = (self.now_ms + ms).min(self.scenario.heal_ms.max(self.now_ms));
        self.schedule(end_ms, Happening::End(place));
    }

    pub(super) fn end(&mut self, place: usize) {
        let (number, element) = &self.scenario.elements[place];
        self.trace.note(self.now_ms, 0, *number as u64, || format!("-- element {number} is over"));
        self.network.mend(*number);
        if let What::Crash { replica, .. } | What::LoseDisk { replica, .. } = element.what {
            let index = usize::from(replica);
            self.nodes[index].doomed = false;
            self.restart(index);
        }
        self.relink();
    }

    pub(super) fn draw_sides(&mut self) {
        let all = self.scenario.shape.count;
        for (_, _, side) in &mut self.twins {
            *side = ReplicaSet(self.pick.any() as u32 & ((1u64 << all) - 1) as u32);
        }
    }

    /// The place of the process that speaks for `id` to a peer.
    pub(super) fn place_of(&self, id: ReplicaId, peer: ReplicaId) -> usize {
        let twin = self.twins.iter().find(|(whose, _, side)| *whose == id && side.contains(peer));
        twin.map_or(usize::from(id.0), |(_, place, _)| *place)
    }

    pub(super) fn is_linked(&self, one: usize, other: usize) -> bool {
        self.links[one * self.nodes.len() + other]
    }

    pub(super) fn set_link(&mut self, one: usize, other: usize, up: bool) {
        let count = self.nodes.len();
        self.links[one * count + other] = up;
        self.links[other * count + one] = up;
    }

    /// Brings channels up and down where things have changed, and tells both ends.
    pub(super) fn relink(&mut self) {
        for one in 0..self.nodes.len() {
            for other in one + 1..self.nodes.len() {
                let (first, second) = (self.nodes[one].id, self.nodes[other].id);
                let up = first != second
                    && self.nodes[one].replica.is_some()
                    && self.nodes[other].replica.is_some()
                    && !self.network.is_cut(first.0, second.0)
                    && !self.is_shut_out(one, other)
                    && self.place_of(first, second) == one
                    && self.place_of(second, first) == other;
                if up == self.is_linked(one, other) {
                    continue;
                }
                self.set_link(one, other, up);
                let event = if up { Event::Connected } else { Event::Disconnected };
                self.step(one, event(second));
                self.step(other, event(first));
            }
        }
    }

    pub(super) fn crash(&mut self, index: usize) {
        if self.nodes[index].replica.is_none() {
            return;
        }
        self.trace.note(self.now_ms, index, 2, || "-- crashes".to_string());
        self.nodes[index].crash();
        self.relink();
    }

    pub(super) fn restart(&mut self, index: usize) {
        if self.nodes[index].replica.is_some() {
            return;
        }
        match self.nodes[index].restart() {
            Ok(status) => {
                let executed = status.executed;
                self.trace.note(self.now_ms, index, 3, || format!("-- restarts at slot {executed}"));
                self.watch_restart(index, &status);
                if self.is_honest(index) {
                    let records = self.nodes[index].disk.records();
                    self.court.restarted(self.nodes[index].id, &status, &records);
                }
            }
            Err(error) => {
                let records: Vec<String> = self.nodes[index].disk.records().iter().map(name_of).collect();
                let found = format!("replica {index} refuses its own log: {error}: {}", records.join(", "));
                self.fail(Check::Crash, found);
            }
        }
    }
}

/// A record in a few words.
fn name_of(record: &Record) -> String {
    match record {
        Record::Accepted { proposal, .. } => {
            format!("accepted v{} s{}", proposal.view, proposal.header.sequence)
        }
        Record::Committed { vote, .. } => format!("committed v{} s{}", vote.view, vote.sequence),
        Record::Decided { certificate, .. } => {
            format!("decided v{} s{}", certificate.view, certificate.sequence)
        }
        Record::OwnCheckpoint(vote) => format!("checkpoint s{}", vote.sequence),
        Record::Stable { certificate, .. } => format!("stable s{}", certificate.sequence),
        Record::ViewChanging(change) => format!("view-change v{}", change.view),
        Record::Entered { new_view, .. } => format!("entered v{}", new_view.view),
        Record::Genesis { .. } => "genesis".to_string(),
        Record::Learner { .. } => "learner".to_string(),
        Record::Voter => "voter".to_string(),
        Record::Voted { .. } => "voted".to_string(),
    }
}
