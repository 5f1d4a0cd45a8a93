//! The hosts and their clients: who asks for what, what is looked up and handed out, and what they learn.

use pbft::{Event, Lookup, Operation, Ready};

use super::{BEAT_MS, Happening, World};
use crate::application::certified;
use crate::liveness::{Standing, check_calm, check_fast_path};
use crate::node::{Node, Want};
use crate::random::fingerprint;

/// A client that waits asks again after so long, in milliseconds.
const ASK_AGAIN_MS: u64 = 1000;
/// A host hands out what it knows decided for so long, in milliseconds.
const KNOWN_MS: u64 = 400;
/// So long after the healing every host hands out what it knows, in milliseconds.
const HAND_OUT_MS: u64 = 5000;

impl World<'_> {
    pub(super) fn request(&mut self, index: usize, number: u64) {
        let operation = self.nodes[index].judge.operation(number);
        let (since_ms, asked_ms) = (self.now_ms, self.now_ms);
        let want = Want { number, since_ms, asked_ms };
        self.nodes[index].wants.entry(operation.digest()).or_insert(want);
        self.step(index, Event::Request(operation));
    }

    pub(super) fn observed(&mut self, index: usize, life: u64, operation: &Operation) {
        let node = &self.nodes[index];
        if node.life != life {
            return;
        }
        let Some(number) = node.judge.number(operation) else { return };
        let sight = self.paths.sight(node.id, number, self.now_ms);
        let seen = self.nodes[index].with_mask(self.now_ms, |vices, liar| {
            vices.iter_mut().try_fold(sight, |sight, vice| vice.see(liar, sight))
        });
        let sight = match seen {
            Some((None, _)) => return,
            Some((Some(claimed), _)) => claimed,
            None => sight,
        };
        if self.is_honest(index) {
            self.court.sighted(number, sight);
        }
        let node = &self.nodes[index];
        let payload = node.judge.payload(node.id, operation, sight);
        let (digest, time_ms) = (operation.digest(), node.now(self.now_ms).wall_ms);
        self.step(index, Event::Observed { operation: digest, time_ms, payload });
    }

    /// Clients that wait ask again, and liveness is looked at.
    pub(super) fn beat(&mut self) {
        self.schedule(self.now_ms + BEAT_MS, Happening::Beat);
        self.watch_beat();
        for index in 0..self.nodes.len() {
            let now_ms = self.now_ms;
            let judge = self.nodes[index].judge.clone();
            let due =
                self.nodes[index].wants.values_mut().filter(|want| want.asked_ms + ASK_AGAIN_MS <= now_ms);
            let again: Vec<u64> = due
                .map(|want| {
                    want.asked_ms = now_ms;
                    want.number
                })
                .collect();
            for number in again {
                self.step(index, Event::Request(judge.operation(number)));
            }
        }
        self.keep_busy();
        if self.options.safety_only {
            self.done = self.now_ms > self.scenario.heal_ms + 3000;
            return;
        }
        let standing = |node: &Node| Standing {
            replica: node.id.0,
            status: node.replica.as_ref().map(|replica| replica.status()),
            oldest: node
                .wants
                .values()
                .map(|want| (want.number, want.since_ms))
                .min_by_key(|(_, since)| *since),
        };
        let honest = (0..self.nodes.len()).filter(|index| self.is_honest(*index));
        let all: Vec<Standing> = honest.map(|index| standing(&self.nodes[index])).collect();
        match self.liveness.look(self.now_ms, &all) {
            Ok(done) => {
                self.done = done;
                let tuning = &self.scenario.tuning;
                let calm = done && self.scenario.is_calm();
                if calm && tuning.fast_path && tuning.latency_ms == 1 {
                    self.violation = check_fast_path(self.now_ms, &all);
                }
                if done && self.scenario.is_steady() && tuning.latency_ms <= 10 {
                    self.violation = self.violation.take().or_else(|| check_calm(self.now_ms, &all));
                }
            }
            Err(violation) => self.violation = self.violation.take().or(Some(violation)),
        }
    }

    /// What the host and its clients learn.
    pub(super) fn report(&mut self, index: usize, ready: &Ready) {
        let now_ms = self.now_ms;
        for decided in &ready.decided {
            let (sequence, view) = (decided.header.sequence, decided.view);
            let digest = decided.header.digest();
            let number = u64::from_le_bytes(digest.0[..8].try_into().expect("a digest has eight bytes"));
            self.trace.note(now_ms, index, number, || {
                format!("== decides s{sequence} {} in v{view}", digest.short())
            });
            for operation in decided.operations.iter().map(Operation::digest) {
                let node = &mut self.nodes[index];
                node.wants.remove(&operation);
                node.known.insert(operation, now_ms + KNOWN_MS);
            }
        }
        for (_, operation, bytes) in &ready.answers {
            if *bytes == certified(operation) {
                self.nodes[index].wants.remove(operation);
            }
        }
        for fault in &ready.faults {
            self.trace
                .note(now_ms, index, fingerprint(4, fault.to_string().as_bytes()), || format!("!! {fault}"));
        }
    }

    pub(super) fn look_up(&mut self, index: usize, lookups: Vec<Lookup>) {
        let (now_ms, life) = (self.now_ms, self.nodes[index].life);
        // In the end all do: with windows as small as these a replica that a liar keeps out can only take states, which answer nothing.
        let hands_out = self.scenario.tuning.hand_out || now_ms > self.scenario.heal_ms + HAND_OUT_MS;
        for Lookup { operation, digest, origin } in lookups {
            let known = self.nodes[index].known.get(&digest).is_some_and(|until| *until > now_ms);
            match origin.filter(|_| known && hands_out) {
                Some(to) => {
                    let answer = Happening::Answer { node: index, life, to, operation: digest };
                    self.schedule(now_ms + 1, answer);
                }
                None => {
                    let due = now_ms + self.pick.between(1, self.scenario.lookup_ms(self.nodes[index].id));
                    self.schedule(due, Happening::Observed { node: index, life, operation });
                }
            }
        }
    }
}
