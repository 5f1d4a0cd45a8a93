//! The world of one run: replicas, links and clients in virtual time. Events happen in the order of their time, then of their making.

mod host;
mod post;
mod stream;
mod watching;
mod weather;

pub use stream::Reading;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use certificate::{ReplicaId, ReplicaSet};
use pbft::planted::{Bug, Switch};
use pbft::{Event, Message, Operation, Replica};

use crate::adversary::Vice;
use crate::application::{Judge, Paths, certified};
use crate::invariants::{Check, Court, Laws, Step, Violation};
use crate::keys::Keys;
use crate::liveness::Liveness;
use crate::network::Network;
use crate::node::{Mask, Node};
use crate::random::Random;
use crate::scenario::{START_MS, Scenario, toy_domain};
use crate::trace::Trace;
use crate::watch::{Watch, Watching};

/// Liars get to do something of their own so often, in milliseconds.
const STIR_MS: u64 = 20;
/// Clients and the judge of liveness look so often, in milliseconds.
const BEAT_MS: u64 = 250;
/// A run that has so many events for each pair of replicas never rests.
const EVENTS_PER_PAIR_MAX: u64 = 20_000;

/// What happens next.
enum Happening {
    Begin(usize),
    End(usize),
    Deliver { from: usize, to: usize, life: u64, message: Rc<Message> },
    Tick(usize),
    Observed { node: usize, life: u64, operation: Operation },
    Answer { node: usize, life: u64, to: ReplicaId, operation: certificate::Digest },
    Stir(usize),
    Beat,
    Ask,
}

/// A happening with its time, and its number among all.
struct Entry(u64, u64, Happening);

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// What a run is asked for besides its scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Keep a line for every event.
    pub verbose: bool,
    /// Look at S1 to S12 alone, and end soon after the healing.
    pub safety_only: bool,
    /// The planted bug.
    pub switch: Switch,
    /// A check that is not made.
    pub blind: Option<Check>,
    /// Whether replicas have detectors, and what these may do. Hunts of planted bugs have none.
    pub watching: Watching,
}

/// One run in progress.
pub struct World<'a> {
    scenario: &'a Scenario,
    options: Options,
    now_ms: u64,
    made: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    /// Replica `i` at place `i`; second twins behind them.
    nodes: Vec<Node>,
    /// The place of the second twin of a replica, and the peers that it speaks to.
    twins: Vec<(ReplicaId, usize, ReplicaSet)>,
    /// Whether the channel between two places is up.
    links: Vec<bool>,
    network: Network,
    paths: Paths,
    court: Court,
    liveness: Liveness,
    pick: Random,
    /// What happened.
    pub trace: Trace,
    stream: Option<stream::Stream>,
    watch: Watch,
    /// Somebody was shut out, or let in again.
    doors_changed: bool,
    /// How many requests were made for the sake of learners.
    traffic: u64,
    violation: Option<Violation>,
    done: bool,
}

impl<'a> World<'a> {
    /// Before the first event.
    pub fn new(scenario: &'a Scenario, options: Options) -> World<'a> {
        let (seed, count) = (scenario.seed, scenario.shape.count as usize);
        let judge = Judge::of(scenario.matter, scenario.shape, options.switch.has(Bug::LongestTtl));
        let ids = || (0..count as u8).map(ReplicaId);
        let keys: Vec<Keys> =
            if scenario.ed25519 { Keys::ed25519(count) } else { ids().map(Keys::mock).collect() };
        let domain = judge.cluster().map_or_else(toy_domain, |cluster| cluster.domain());
        let cluster_digest = judge.cluster().map_or(domain.cluster_id, |cluster| cluster.digest());
        let parameters = |me: ReplicaId| {
            let mut parameters = scenario.parameters(me, domain, cluster_digest);
            parameters.switch = options.switch;
            parameters
        };
        let mut members: Vec<ReplicaId> = ids().collect();
        let mut twins = Vec::new();
        for id in ids() {
            if scenario.vices(id.0).iter().any(|(_, vice)| *vice == Vice::Twins) {
                twins.push((id, members.len(), ReplicaSet::EMPTY));
                members.push(id);
            }
        }
        let node = |(index, id): (usize, &ReplicaId)| {
            let keys = keys[usize::from(id.0)].clone();
            let mut node = Node::new(parameters(*id), judge.clone(), keys, seed, index);
            node.skew_ms = scenario.skew_ms(id.0) + scenario.drift_ms(index);
            node.mask = mask_of(scenario, &node, index);
            node
        };
        let nodes: Vec<Node> = members.iter().enumerate().map(node).collect();
        let byzantine = scenario.byzantine();
        let honest = ids().filter(|id| !byzantine.contains(*id)).collect();
        let laws = Laws {
            shape: scenario.shape,
            parameters: parameters(ReplicaId(0)),
            keys: keys[0].clone(),
            judge,
            honest,
            wire: scenario.wire,
            blind: options.blind,
        };
        let mut world = World {
            scenario,
            options,
            now_ms: START_MS,
            made: 0,
            queue: BinaryHeap::new(),
            links: vec![false; nodes.len() * nodes.len()],
            nodes,
            twins,
            network: Network::new(seed, count, scenario.tuning.latency_ms),
            paths: Paths { seed },
            court: Court::new(laws),
            liveness: Liveness::new(scenario),
            pick: Random::of(seed, "world"),
            trace: Trace::new(options.verbose),
            stream: None,
            watch: Watch::new(Watching::Off, scenario.replicas(), &[]),
            doors_changed: false,
            traffic: 0,
            violation: None,
            done: false,
        };
        let hunts = options.switch != Switch::NONE;
        world.watch(if hunts { Watching::Off } else { options.watching });
        world
    }

    /// Runs to the end: everything has come to pass, or a check failed.
    pub fn run(&mut self) -> Option<Violation> {
        self.start();
        while self.turn() {}
        self.violation()
    }

    /// Before the first event.
    pub fn start(&mut self) {
        self.draw_sides();
        for (place, (_, element)) in self.scenario.elements.iter().enumerate() {
            self.schedule(element.at_ms, Happening::Begin(place));
        }
        for index in 0..self.nodes.len() {
            if self.nodes[index].mask.is_some() {
                self.schedule(START_MS + STIR_MS, Happening::Stir(index));
            }
        }
        self.schedule(START_MS + BEAT_MS, Happening::Beat);
        self.relink();
    }

    /// The next event. Says whether there is one after it.
    pub fn turn(&mut self) -> bool {
        let Some(Reverse(Entry(at_ms, _, happening))) = self.queue.pop() else { return false };
        self.now_ms = at_ms;
        self.happen(happening);
        let events_most = EVENTS_PER_PAIR_MAX * u64::from(self.scenario.shape.count).pow(2);
        if self.trace.events() > events_most && self.stream.is_none() {
            self.fail(Check::L1, format!("{events_most} events and no rest"));
        }
        self.violation.is_none() && !self.done
    }

    /// The check that failed, if one did.
    pub fn violation(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    /// How many slots were decided, and when the run ended.
    pub fn summary(&self) -> (usize, u64) {
        (self.court.decided(), self.now_ms)
    }

    fn fail(&mut self, check: Check, found: String) {
        let at_ms = self.now_ms;
        self.violation.get_or_insert(Violation { check, at_ms, found });
    }

    fn schedule(&mut self, at_ms: u64, happening: Happening) {
        self.made += 1;
        self.queue.push(Reverse(Entry(at_ms, self.made, happening)));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Begin(place) => self.begin(place),
            Happening::End(place) => self.end(place),
            Happening::Deliver { from, to, life, message } => self.deliver(from, to, life, message),
            Happening::Tick(index) => {
                if self.nodes[index].deadline == Some(self.now_ms) {
                    self.nodes[index].deadline = None;
                    self.trace.note(self.now_ms, index, 1, || "tick".to_string());
                    self.step(index, Event::Tick);
                }
            }
            Happening::Observed { node, life, operation } => self.observed(node, life, &operation),
            Happening::Answer { node, life, to, operation } => {
                if self.nodes[node].life == life {
                    let bytes = certified(&operation);
                    self.step(node, Event::Answer { to, operation, bytes });
                }
            }
            Happening::Stir(index) => self.stir(index),
            Happening::Beat => self.beat(),
            Happening::Ask => self.ask(),
        }
    }

    fn is_honest(&self, index: usize) -> bool {
        self.court.laws.honest.contains(self.nodes[index].id)
    }

    /// Gives an event to a replica, judges what comes of it, and does what it asks for.
    fn step(&mut self, index: usize, event: Event) {
        if self.violation.is_some() {
            return;
        }
        self.watch_event(index, &event);
        let now = self.nodes[index].now(self.now_ms);
        let node = &mut self.nodes[index];
        let Some(replica) = node.replica.as_mut() else { return };
        let ready = replica.step(now, event);
        if node.doomed && !ready.persist.is_empty() {
            node.disk.write(&ready);
            if self.options.switch.has(Bug::SendBeforeStore) {
                self.court.sent(self.nodes[index].id, &ready);
                self.send(index, ready.send);
            }
            return self.crash(index);
        }
        node.disk.store(&ready);
        node.deadline = ready.deadline;
        if self.is_honest(index) {
            let node = &self.nodes[index];
            let status = node.replica.as_ref().map(Replica::status).unwrap_or_default();
            let step = Step { replica: node.id, now_ms: self.now_ms, ready: &ready, status: &status };
            if let Err(violation) = self.court.step(&step) {
                self.violation = Some(violation);
                return;
            }
            self.watch_step(index, &ready, &status);
        }
        if let Some(due) = ready.deadline {
            self.schedule(due.max(self.now_ms), Happening::Tick(index));
        }
        self.report(index, &ready);
        self.look_up(index, ready.lookups);
        self.send(index, ready.send);
        self.move_doors();
    }
}

/// The vices of a replica; twins are honest code, twice.
fn mask_of(scenario: &Scenario, node: &Node, index: usize) -> Option<Mask> {
    let vices = scenario.vices(node.id.0);
    if vices.is_empty() {
        return None;
    }
    let mut adversaries = Vec::new();
    for (number, vice) in &vices {
        let mut draw = Random::numbered(scenario.seed, "vice", *number as u64);
        adversaries.extend(vice.adversary(&mut draw, &node.parameters));
    }
    Some(Mask {
        vices: adversaries,
        pick: Random::numbered(scenario.seed, "liar", index as u64),
        amnesiac: vices.iter().any(|(_, vice)| *vice == Vice::Amnesiac),
    })
}
