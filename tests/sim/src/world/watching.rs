//! The detectors of a world: where they are fed, and S12, that they accuse nobody honest, and are given no reason to.

use certificate::ReplicaId;
use detector::{Assessment, Step};
use pbft::{Event, Ready, Status};

use super::World;
use crate::invariants::Check;
use crate::node::Node;
use crate::watch::{self, Finding, Watch, Watching};

impl World<'_> {
    /// One detector for each honest replica.
    pub(super) fn watch(&mut self, watching: Watching) {
        let watched = |index: usize| {
            let node = &self.nodes[index];
            self.is_honest(index).then(|| (node.id, node.now(self.now_ms)))
        };
        let honest: Vec<_> = (0..self.nodes.len()).map(watched).collect();
        self.watch = Watch::new(watching, self.court.laws.parameters.replicas, &honest);
    }

    pub(super) fn watch_event(&mut self, index: usize, event: &Event) {
        if self.nodes[index].replica.is_none() {
            return;
        }
        let now = self.nodes[index].now(self.now_ms);
        let steps = self.watch.before(index, now, event);
        self.take_steps(index, &steps);
    }

    pub(super) fn watch_step(&mut self, index: usize, ready: &Ready, status: &Status) {
        if let Some(found) =
            ready.faults.iter().find_map(|fault| watch::charged(fault, self.court.laws.honest))
        {
            self.fail(Check::S12, format!("replica {index}: {found}"));
        }
        let node = &self.nodes[index];
        let steps = self.watch.after(index, node.now(self.now_ms), (ready, status, &node.judge));
        self.take_steps(index, &steps);
    }

    pub(super) fn watch_beat(&mut self) {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            if node.replica.is_some() {
                let steps = self.watch.tick(index, node.now(self.now_ms));
                self.take_steps(index, &steps);
            }
        }
        self.move_doors();
    }

    /// Who was found out by whom.
    pub fn findings(&self) -> &[Finding] {
        &self.watch.findings
    }

    /// How each honest replica judges one.
    pub fn assessments(&self, about: ReplicaId) -> Vec<Assessment> {
        self.watch.assessments(about, self.now_ms)
    }

    /// Brings channels up and down where somebody was shut out or let in again.
    pub(super) fn move_doors(&mut self) {
        if std::mem::take(&mut self.doors_changed) {
            self.relink();
        }
    }

    pub(super) fn watch_restart(&mut self, index: usize, status: &Status) {
        let now = self.nodes[index].now(self.now_ms);
        if let Err(found) = self.watch.restart(index, now, status) {
            self.fail(Check::Crash, format!("replica {index} {found}"));
        }
    }

    /// Whether one of the two shut the other out.
    pub(super) fn is_shut_out(&self, one: usize, other: usize) -> bool {
        let shuts = |one: &Node, index: usize, other: &Node| {
            self.watch.shuts_out(index, other.id, one.now(self.now_ms))
        };
        self.watch.is_enforced()
            && (shuts(&self.nodes[one], one, &self.nodes[other])
                || shuts(&self.nodes[other], other, &self.nodes[one]))
    }

    fn take_steps(&mut self, index: usize, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        if let Some(found) = watch::accused(steps, self.court.laws.honest) {
            self.fail(Check::S12, format!("replica {index}: {found}"));
        }
        let moves = |step: &Step| matches!(step, Step::Quarantine { .. } | Step::Release { .. });
        self.doors_changed |= self.watch.is_enforced() && steps.iter().any(moves);
    }
}
