//! The world of one run: replicas, links and clients in virtual time. Events happen in the order of their time, then of their making.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use certificate::{ReplicaId, ReplicaSet};
use pbft::planted::{Bug, Switch};
use pbft::{Event, Lookup, Message, Operation, Ready, Recipients, Record};

use crate::adversary::{Said, Vice};
use crate::application::{Judge, Paths, certified};
use crate::invariants::{Check, Court, Laws, Step, Violation};
use crate::keys::Keys;
use crate::liveness::{Liveness, Standing, check_calm, check_fast_path};
use crate::network::Network;
use crate::node::{Mask, Node, Want};
use crate::random::{Random, fingerprint};
use crate::scenario::{START_MS, Scenario, What, toy_domain};
use crate::trace::{Gist, Trace, mark};

/// Liars get to do something of their own so often, in milliseconds.
const STIR_MS: u64 = 20;
/// Clients and the judge of liveness look so often, in milliseconds.
const BEAT_MS: u64 = 250;
/// A client that waits asks again after so long, in milliseconds.
const ASK_AGAIN_MS: u64 = 1000;
/// A host hands out what it knows decided for so long, in milliseconds.
const KNOWN_MS: u64 = 400;
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
    /// Look at S1 to S10 alone, and end soon after the healing.
    pub safety_only: bool,
    /// The planted bug.
    pub switch: Switch,
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
        };
        World {
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
            violation: None,
            done: false,
        }
    }

    /// Runs to the end: everything has come to pass, or a check failed.
    pub fn run(&mut self) -> Option<Violation> {
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
        let pairs = u64::from(self.scenario.shape.count).pow(2);
        let events_most = EVENTS_PER_PAIR_MAX * pairs;
        while self.violation.is_none() && !self.done {
            let Some(Reverse(Entry(at_ms, _, happening))) = self.queue.pop() else { break };
            self.now_ms = at_ms;
            self.happen(happening);
            if self.trace.events() > events_most {
                self.fail(Check::L1, format!("{events_most} events and no rest"));
            }
        }
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
        }
    }

    /// An element of the scenario begins.
    fn begin(&mut self, place: usize) {
        let (number, element) = &self.scenario.elements[place];
        let (number, what) = (*number, element.what.clone());
        if !matches!(what, What::Vice { .. } | What::Skew { .. }) {
            self.trace.note(self.now_ms, 0, number as u64, || format!("-- element {number}: {what:?}"));
        }
        let ms = match what {
            What::Request { replica, number } => return self.request(usize::from(replica), number),
            What::Vice { .. } | What::Skew { .. } => return,
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
        };
        let end_ms = (self.now_ms + ms).min(self.scenario.heal_ms.max(self.now_ms));
        self.schedule(end_ms, Happening::End(place));
    }

    fn end(&mut self, place: usize) {
        let (number, element) = &self.scenario.elements[place];
        self.trace.note(self.now_ms, 0, *number as u64, || format!("-- element {number} is over"));
        self.network.mend(*number);
        if let What::Crash { replica, .. } = element.what {
            let index = usize::from(replica);
            self.nodes[index].doomed = false;
            self.restart(index);
        }
        self.relink();
    }

    fn draw_sides(&mut self) {
        let all = self.scenario.shape.count;
        for (_, _, side) in &mut self.twins {
            *side = ReplicaSet(self.pick.any() as u32 & ((1u64 << all) - 1) as u32);
        }
    }

    /// The place of the process that speaks for `id` to a peer.
    fn place_of(&self, id: ReplicaId, peer: ReplicaId) -> usize {
        let twin = self.twins.iter().find(|(whose, _, side)| *whose == id && side.contains(peer));
        twin.map_or(usize::from(id.0), |(_, place, _)| *place)
    }

    fn is_linked(&self, one: usize, other: usize) -> bool {
        self.links[one * self.nodes.len() + other]
    }

    fn set_link(&mut self, one: usize, other: usize, up: bool) {
        let count = self.nodes.len();
        self.links[one * count + other] = up;
        self.links[other * count + one] = up;
    }

    /// Brings channels up and down where things have changed, and tells both ends.
    fn relink(&mut self) {
        for one in 0..self.nodes.len() {
            for other in one + 1..self.nodes.len() {
                let (first, second) = (self.nodes[one].id, self.nodes[other].id);
                let up = first != second
                    && self.nodes[one].replica.is_some()
                    && self.nodes[other].replica.is_some()
                    && !self.network.is_cut(first.0, second.0)
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

    fn crash(&mut self, index: usize) {
        if self.nodes[index].replica.is_none() {
            return;
        }
        self.trace.note(self.now_ms, index, 2, || "-- crashes".to_string());
        self.nodes[index].crash();
        self.relink();
    }

    fn restart(&mut self, index: usize) {
        if self.nodes[index].replica.is_some() {
            return;
        }
        match self.nodes[index].restart() {
            Ok(status) => {
                let executed = status.executed;
                self.trace.note(self.now_ms, index, 3, || format!("-- restarts at slot {executed}"));
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

    fn is_honest(&self, index: usize) -> bool {
        self.court.laws.honest.contains(self.nodes[index].id)
    }

    fn request(&mut self, index: usize, number: u64) {
        let operation = self.nodes[index].judge.operation(number);
        let (since_ms, asked_ms) = (self.now_ms, self.now_ms);
        let want = Want { number, since_ms, asked_ms };
        self.nodes[index].wants.entry(operation.digest()).or_insert(want);
        self.step(index, Event::Request(operation));
    }

    fn deliver(&mut self, from: usize, to: usize, life: u64, message: Rc<Message>) {
        if self.nodes[to].life != life || !self.is_linked(from, to) {
            return;
        }
        let sender = self.nodes[from].id;
        self.trace.note(self.now_ms, to, mark(&message), || format!("<- {sender:>2} {}", Gist(&message)));
        let heard = self.nodes[to].with_mask(self.now_ms, |vices, liar| {
            vices.iter_mut().fold(true, |hears, vice| vice.hear(liar, sender, &message) && hears)
        });
        if let Some((hears, said)) = heard {
            self.post_all(to, said);
            if !hears {
                return;
            }
        }
        let message = Rc::unwrap_or_clone(message);
        self.step(to, Event::Message { from: sender, message });
    }

    fn observed(&mut self, index: usize, life: u64, operation: &Operation) {
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

    fn stir(&mut self, index: usize) {
        self.schedule(self.now_ms + STIR_MS, Happening::Stir(index));
        if self.nodes[index].replica.is_none() {
            return;
        }
        let stirred = self.nodes[index].with_mask(self.now_ms, |vices, liar| {
            vices.iter_mut().for_each(|vice| vice.stir(liar));
        });
        let Some(((), said)) = stirred else { return };
        self.post_all(index, said);
        let mask = self.nodes[index].mask.as_mut().filter(|mask| mask.amnesiac);
        if mask.is_some_and(|mask| mask.pick.percent(1)) {
            self.crash(index);
            self.nodes[index].forget();
            self.restart(index);
            self.relink();
        }
    }

    /// Clients that wait ask again, and liveness is looked at.
    fn beat(&mut self) {
        self.schedule(self.now_ms + BEAT_MS, Happening::Beat);
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

    /// Gives an event to a replica, judges what comes of it, and does what it asks for.
    fn step(&mut self, index: usize, event: Event) {
        if self.violation.is_some() {
            return;
        }
        let now = self.nodes[index].now(self.now_ms);
        let node = &mut self.nodes[index];
        let Some(replica) = node.replica.as_mut() else { return };
        let ready = replica.step(now, event);
        let status = replica.status();
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
            let replica = self.nodes[index].id;
            let step = Step { replica, now_ms: self.now_ms, ready: &ready, status: &status };
            if let Err(violation) = self.court.step(&step) {
                self.violation = Some(violation);
                return;
            }
        }
        if let Some(due) = ready.deadline {
            self.schedule(due.max(self.now_ms), Happening::Tick(index));
        }
        self.report(index, &ready);
        self.look_up(index, ready.lookups);
        self.send(index, ready.send);
    }

    /// What the host and its clients learn.
    fn report(&mut self, index: usize, ready: &Ready) {
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

    fn look_up(&mut self, index: usize, lookups: Vec<Lookup>) {
        let (now_ms, life) = (self.now_ms, self.nodes[index].life);
        for Lookup { operation, digest, origin } in lookups {
            let known = self.nodes[index].known.get(&digest).is_some_and(|until| *until > now_ms);
            match origin.filter(|_| known && self.scenario.tuning.hand_out) {
                Some(to) => {
                    let answer = Happening::Answer { node: index, life, to, operation: digest };
                    self.schedule(now_ms + 1, answer);
                }
                None => {
                    let due = now_ms + self.pick.between(1, self.scenario.tuning.lookup_ms);
                    self.schedule(due, Happening::Observed { node: index, life, operation });
                }
            }
        }
    }

    fn send(&mut self, index: usize, messages: Vec<(Recipients, Message)>) {
        for (recipients, message) in messages {
            let ids = match recipients {
                Recipients::One(id) => vec![id],
                Recipients::All => self.nodes[index].parameters.replicas.ids().collect(),
            };
            if self.nodes[index].mask.is_some() {
                let me = self.nodes[index].id;
                let peers = ids.into_iter().filter(|id| *id != me);
                let said = peers.map(|id| (id, message.clone(), 0)).collect();
                self.bend(index, said);
                continue;
            }
            let message = Rc::new(message);
            ids.into_iter().for_each(|id| self.post(index, id, &message, 0));
        }
    }

    /// Sends what is left when the vices of a liar have had their say.
    fn bend(&mut self, index: usize, said: Vec<Said>) {
        let bent = self.nodes[index].with_mask(self.now_ms, |vices, liar| {
            let mut said = said;
            for vice in vices {
                said = said.into_iter().flat_map(|one| vice.speak(liar, one)).collect();
                said.append(&mut liar.said);
            }
            said
        });
        if let Some((said, rest)) = bent {
            self.post_all(index, said);
            self.post_all(index, rest);
        }
    }

    fn post_all(&mut self, from: usize, said: Vec<Said>) {
        for (to, message, delay_ms) in said {
            self.post(from, to, &Rc::new(message), delay_ms);
        }
    }

    fn post(&mut self, from: usize, id: ReplicaId, message: &Rc<Message>, delay_ms: u64) {
        let sender = self.nodes[from].id;
        if id == sender || !self.court.laws.parameters.replicas.contains(id) {
            return;
        }
        if let Err(violation) = self.court.hear(self.now_ms, message) {
            self.violation.get_or_insert(violation);
        }
        let to = self.place_of(id, sender);
        if !self.is_linked(from, to) {
            return;
        }
        let life = self.nodes[to].life;
        for delay in self.network.delays(sender.0, id.0).into_iter().flatten() {
            let message = message.clone();
            let due = self.now_ms + delay_ms + delay;
            self.schedule(due, Happening::Deliver { from, to, life, message });
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
