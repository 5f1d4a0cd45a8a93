//! A cluster in virtual time: seeded delays, loss, duplication, partitions, crashes; every step is checked against the invariants.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use certificate::codec::{Decode, Encode};
use certificate::{Digest, MessageType, ReplicaId, Replicas, Sequence, View};

use super::toy::*;
use crate::*;

/// How messages travel.
#[derive(Clone, Copy)]
pub struct Network {
    pub delay_ms: (u64, u64),
    pub loss_percent: u64,
    pub duplicate_percent: u64,
    pub lookup_ms: (u64, u64),
}

pub const CALM: Network =
    Network { delay_ms: (1, 1), loss_percent: 0, duplicate_percent: 0, lookup_ms: (5, 5) };
pub const ROUGH: Network =
    Network { delay_ms: (1, 40), loss_percent: 10, duplicate_percent: 10, lookup_ms: (1, 60) };

/// What a message in flight does at its end.
#[derive(Clone)]
pub enum Delivery {
    Message { from: usize, bytes: Vec<u8> },
    Observed { operation: Digest, payload: Vec<u8>, life: u32 },
    Answer { to: ReplicaId, operation: Digest },
}

pub struct Node {
    pub parameters: Parameters,
    pub replica: Option<Replica<Toy, ToyKeys>>,
    /// Encoded records; the last `unsynced` of them may be lost in a crash.
    pub disk: Vec<Vec<u8>>,
    pub unsynced: usize,
    pub deadline: Option<u64>,
    pub decided: Vec<Decided>,
    pub faults: Vec<Fault>,
    pub early: Vec<Early>,
    pub suspected: bool,
    pub life: u32,
    executed: Sequence,
    stored: BTreeSet<(u8, u64, u64, Digest)>,
    stable: u64,
    /// The highest view whose VIEW-CHANGE or NEW-VIEW it stored: below it nothing new is signed.
    promised: View,
}

/// What happened to a vote: who, phase, view, slot.
type VoteKey = (u8, u8, u64, u64);

pub struct Cluster {
    pub nodes: Vec<Node>,
    pub now: u64,
    pub random: Random,
    pub network: Network,
    /// Pairs (lower, higher) without a channel.
    pub cut: BTreeSet<(usize, usize)>,
    /// Nodes whose invariants are not checked: the test speaks for them.
    pub liars: BTreeSet<usize>,
    /// Payloads that a node sees instead of the usual.
    pub views_of: BTreeMap<(usize, Digest), Vec<u8>>,
    /// Nodes whose lookups take so long, in milliseconds, whatever the network says.
    pub slow_lookups: BTreeMap<usize, u64>,
    /// Nodes that hand out a certified answer to whoever asks.
    pub certified: BTreeSet<usize>,
    in_flight: BTreeMap<(u64, u64), (usize, Delivery)>,
    sent: u64,
    agreed: BTreeMap<Sequence, Digest>,
    signed: BTreeMap<VoteKey, Vec<u8>>,
    /// Messages that came to liars.
    pub to_liars: VecDeque<(usize, usize, Message)>,
    /// Every message that was sent, by kind.
    pub counts: BTreeMap<&'static str, usize>,
    /// Every message that was sent, in order: from whom, to whom, what.
    pub said: Vec<(usize, Recipients, Message)>,
}

impl Cluster {
    pub fn new(seed: u64, network: Network, parameters: impl Fn(u8) -> Parameters) -> Cluster {
        let count = parameters(0).replicas.count();
        let nodes = (0..count).map(|id| Node::new(parameters(id as u8))).collect();
        let mut cluster = Cluster {
            nodes,
            now: 1000,
            random: Random::new(seed),
            network,
            cut: BTreeSet::new(),
            liars: BTreeSet::new(),
            views_of: BTreeMap::new(),
            slow_lookups: BTreeMap::new(),
            certified: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            sent: 0,
            agreed: BTreeMap::new(),
            signed: BTreeMap::new(),
            to_liars: VecDeque::new(),
            counts: BTreeMap::new(),
            said: Vec::new(),
        };
        for id in 0..count {
            cluster.connect_all(id);
        }
        cluster
    }

    pub fn calm(count: u32, faults: u32) -> Cluster {
        Cluster::new(1, CALM, |id| parameters(id, count, faults))
    }

    pub fn now(&self) -> Now {
        Now { wall_ms: WALL_MS + self.now, monotonic_ms: self.now }
    }

    fn linked(&self, a: usize, b: usize) -> bool {
        a != b
            && self.nodes[a].replica.is_some()
            && self.nodes[b].replica.is_some()
            && !self.cut.contains(&(a.min(b), a.max(b)))
    }

    fn connect_all(&mut self, id: usize) {
        for other in 0..self.nodes.len() {
            if self.linked(id, other) {
                self.step(id, Event::Connected(ReplicaId(other as u8)));
            }
        }
    }

    pub fn cut_off(&mut self, id: usize) {
        for other in 0..self.nodes.len() {
            if other != id && self.cut.insert((id.min(other), id.max(other))) {
                self.step(id, Event::Disconnected(ReplicaId(other as u8)));
                self.step(other, Event::Disconnected(ReplicaId(id as u8)));
            }
        }
    }

    pub fn heal(&mut self) {
        for (a, b) in std::mem::take(&mut self.cut) {
            if self.linked(a, b) {
                self.step(a, Event::Connected(ReplicaId(b as u8)));
                self.step(b, Event::Connected(ReplicaId(a as u8)));
            }
        }
    }

    /// Stops a node; up to `lost` of its unsynced records are gone.
    pub fn crash(&mut self, id: usize, lost: usize) {
        let node = &mut self.nodes[id];
        if node.replica.take().is_none() {
            return;
        }
        node.disk.truncate(node.disk.len() - lost.min(node.unsynced));
        node.deadline = None;
        node.life += 1;
        for other in 0..self.nodes.len() {
            self.step(other, Event::Disconnected(ReplicaId(id as u8)));
        }
    }

    pub fn restart(&mut self, id: usize) {
        let node = &mut self.nodes[id];
        if node.replica.is_some() {
            return;
        }
        let records = node.disk.iter().map(|bytes| Record::from_bytes(bytes).unwrap());
        let toy = Toy { quorum: node.parameters.replicas.quorum() };
        let replica = Replica::restore(node.parameters.clone(), toy, ToyKeys::of(id as u8), records).unwrap();
        node.executed = replica.status().executed;
        node.replica = Some(replica);
        node.unsynced = 0;
        self.connect_all(id);
        for other in 0..self.nodes.len() {
            if self.linked(id, other) {
                self.step(other, Event::Connected(ReplicaId(id as u8)));
            }
        }
    }

    /// A node comes back without its log: it learns.
    pub fn lose_log(&mut self, id: usize) {
        self.crash(id, 0);
        let node = &mut self.nodes[id];
        let parameters = node.parameters.clone();
        let (cluster_digest, me) = (parameters.cluster_digest, parameters.me);
        node.disk = vec![Record::Learner { cluster_digest, me }.to_bytes()];
        node.stored.clear();
        node.decided.clear();
        node.promised = View(0);
        let toy = Toy { quorum: parameters.replicas.quorum() };
        node.replica = Some(Replica::learner(parameters, toy, ToyKeys::of(id as u8)));
        (node.executed, node.stable, node.unsynced) = (Sequence(0), 0, 0);
        (0..self.nodes.len()).for_each(|other| self.connect(id, other));
    }

    /// Tells both ends that their channel is up, if it is.
    pub fn connect(&mut self, a: usize, b: usize) {
        if self.linked(a, b) {
            self.step(a, Event::Connected(ReplicaId(b as u8)));
            self.step(b, Event::Connected(ReplicaId(a as u8)));
        }
    }

    pub fn request(&mut self, id: usize, number: u64) {
        self.step(id, Event::Request(operation(number)));
    }

    /// Lets a liar say something to one node.
    pub fn whisper(&mut self, from: usize, to: usize, message: &Message) {
        self.post(from, to, message);
    }

    fn post(&mut self, from: usize, to: usize, message: &Message) {
        if !self.linked(from, to) || self.random.percent(self.network.loss_percent) {
            return;
        }
        let copies = if self.random.percent(self.network.duplicate_percent) { 2 } else { 1 };
        let bytes = message.to_bytes();
        assert!(bytes.len() <= MESSAGE_BYTES_MAX, "a message of {} bytes", bytes.len());
        for _ in 0..copies {
            let (least, most) = self.network.delay_ms;
            let due = self.now + least + self.random.below(most - least + 1);
            self.schedule(due, to, Delivery::Message { from, bytes: bytes.clone() });
        }
    }

    fn schedule(&mut self, due: u64, to: usize, delivery: Delivery) {
        self.sent += 1;
        self.in_flight.insert((due, self.sent), (to, delivery));
    }

    /// Gives an event to a node and does what it asks for.
    pub fn step(&mut self, id: usize, event: Event) {
        let now = self.now();
        if self.liars.contains(&id) {
            return;
        }
        let Some(replica) = self.nodes[id].replica.as_mut() else { return };
        let ready = replica.step(now, event);
        let status = replica.status();
        self.nodes[id].store(&ready);
        self.check(id, &ready, &status);
        self.nodes[id].deadline = ready.deadline;
        self.nodes[id].suspected |= ready.suspect;
        for (recipients, message) in &ready.send {
            *self.counts.entry(kind_of(message)).or_default() += 1;
            self.said.push((id, *recipients, message.clone()));
            match recipients {
                Recipients::One(to) => self.post(id, usize::from(to.0), message),
                Recipients::All => (0..self.nodes.len()).for_each(|to| self.post(id, to, message)),
            }
        }
        let life = self.nodes[id].life;
        for lookup in ready.lookups {
            if let Some(to) = lookup.origin.filter(|_| self.certified.contains(&id)) {
                self.schedule(self.now, id, Delivery::Answer { to, operation: lookup.digest });
                continue;
            }
            let (least, most) = self.network.lookup_ms;
            let drawn = least + self.random.below(most - least + 1);
            let due = self.now + self.slow_lookups.get(&id).copied().unwrap_or(drawn);
            let usual = lookup.operation.subject.clone();
            let payload = self.views_of.get(&(id, lookup.digest)).cloned().unwrap_or(usual);
            self.schedule(due, id, Delivery::Observed { operation: lookup.digest, payload, life });
        }
        self.nodes[id].decided.extend(ready.decided);
        self.nodes[id].faults.extend(ready.faults);
    }

    /// Runs until nothing happens or the time is over.
    pub fn run_for(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.run_one();
        }
        self.now = end;
    }

    fn next_due(&self) -> Option<u64> {
        let delivery = self.in_flight.keys().next().map(|(due, _)| *due);
        let deadline = self.nodes.iter().filter_map(|node| node.deadline).min();
        [delivery, deadline].into_iter().flatten().min()
    }

    fn run_one(&mut self) {
        let now = self.now;
        if let Some(id) = self.nodes.iter().position(|node| node.deadline.is_some_and(|due| due <= now)) {
            self.nodes[id].deadline = None;
            self.step(id, Event::Tick);
            let next = self.nodes[id].deadline;
            assert!(
                next.is_none_or(|due| due > now),
                "node {id} asks to be called at {next:?}, now is {now}"
            );
            return;
        }
        let Some((_, (to, delivery))) = self.in_flight.pop_first() else { return };
        match delivery {
            Delivery::Message { from, bytes } => {
                let message = Message::from_bytes(&bytes).expect("replicas send what decodes");
                if self.liars.contains(&to) {
                    self.to_liars.push_back((from, to, message));
                } else if self.linked(from, to) {
                    self.step(to, Event::Message { from: ReplicaId(from as u8), message });
                }
            }
            Delivery::Answer { to: asker, operation } => {
                self.step(to, Event::Answer { to: asker, operation, bytes: b"certified".to_vec() });
            }
            Delivery::Observed { operation, payload, life } => {
                if self.nodes[to].life == life {
                    let time_ms = WALL_MS + now;
                    self.step(to, Event::Observed { operation, time_ms, payload });
                }
            }
        }
    }

    fn check(&mut self, id: usize, ready: &Ready, status: &Status) {
        self.check_decided(id, ready);
        self.check_early(id, ready);
        for (_, message) in &ready.send {
            assert_eq!(&Message::from_bytes(&message.to_bytes()).unwrap(), message, "one encoding");
            self.check_promise(id, message);
            let Some((phase, vote)) = signed_part(message, self.nodes[id].parameters.replicas) else {
                continue;
            };
            self.check_signed(id, phase, &vote, message);
        }
        let parameters = &self.nodes[id].parameters;
        let count = parameters.replicas.count();
        assert!(status.slots as u64 <= 2 * parameters.window, "node {id} holds {} slots", status.slots);
        assert!(status.open_requests <= count * OPEN_REQUESTS_PER_ORIGIN_MAX);
        assert!(status.held_bytes <= count * HELD_BYTES_PER_REPLICA_MAX);
        assert!(status.stable <= status.executed);
        assert!(ready.deadline.is_none_or(|due| due > self.now), "a deadline in the past");
        for fault in ready.faults.iter().filter(|fault| fault.is_proof()) {
            let replica = usize::from(fault.replica().unwrap().0);
            assert!(self.liars.contains(&replica), "honest replica {replica} is accused: {fault}");
        }
        assert!(!ready.faults.iter().any(|fault| matches!(fault, Fault::Diverged { .. })), "states diverged");
    }

    /// Agreement, and execution in order without gaps.
    fn check_decided(&mut self, id: usize, ready: &Ready) {
        let node = &mut self.nodes[id];
        if let Some(Record::Stable { certificate, .. }) = ready.persist.first() {
            // A state that was fetched stands for the slots before it; slots above it may be executed in the same step.
            let first =
                ready.decided.first().map_or(certificate.sequence.next(), |first| first.header.sequence);
            let skipped = first > node.executed.next();
            let at_checkpoint = (first.0 - 1).is_multiple_of(node.parameters.checkpoint_interval);
            if skipped && at_checkpoint && first.0 - 1 <= certificate.sequence.0 {
                node.executed = Sequence(first.0 - 1);
            }
        }
        for decided in &ready.decided {
            let sequence = decided.header.sequence;
            assert_eq!(sequence, node.executed.next(), "node {id} executes in order");
            node.executed = sequence;
            let digest = decided.header.digest();
            assert_eq!(
                *self.agreed.entry(sequence).or_insert(digest),
                digest,
                "agreement on slot {sequence}"
            );
            let certificate = CommitCertificate {
                view: decided.view,
                sequence,
                digest,
                signers: decided.signers,
                signatures: decided.signatures.clone(),
            };
            let keys = ToyKeys::of(id as u8);
            assert!(certificate.verify(node.parameters.replicas, &domain(), &keys), "a certificate holds");
            let toy = Toy { quorum: 0 };
            let leaves = decided.evidence.decide(&toy).unwrap_or_default();
            assert_eq!(leaves, decided.leaves, "leaves follow from the evidence; none of a null slot");
        }
    }

    /// No second digest for one view, slot and phase, the same bytes every time; and the record was stored before.
    fn check_signed(&mut self, id: usize, phase: MessageType, vote: &Vote, message: &Message) {
        if vote.replica.0 as usize != id {
            return;
        }
        let key = (id as u8, phase as u8, vote.view.0, vote.sequence.0);
        let bytes = message.to_bytes();
        let node = &self.nodes[id];
        let fresh = phase != MessageType::Checkpoint && !self.signed.contains_key(&key);
        assert!(!fresh || vote.view >= node.promised, "node {id} gave that view up: {vote:?}");
        assert_eq!(*self.signed.entry(key).or_insert(bytes.clone()), bytes, "node {id} signs once: {vote:?}");
        let stored = node.stored.contains(&(phase as u8, vote.view.0, vote.sequence.0, vote.digest));
        assert!(
            stored || vote.sequence.0 <= node.stable,
            "node {id} stores before it sends: {phase:?} {vote:?}"
        );
    }

    /// One VIEW-CHANGE and one NEW-VIEW a view, the same bytes every time, stored before they are sent.
    fn check_promise(&mut self, id: usize, message: &Message) {
        let (phase, view, digest, own) = match message {
            Message::ViewChange(it) => {
                (MessageType::ViewChange, it.view, it.digest(), usize::from(it.replica.0) == id)
            }
            Message::NewView(it) => {
                let primary = self.nodes[id].parameters.replicas.primary(it.view);
                let digest = Digest::of(&it.to_bytes());
                (MessageType::NewView, it.view, digest, usize::from(primary.0) == id)
            }
            _ => return,
        };
        if own {
            let bytes = message.to_bytes();
            let key = (id as u8, phase as u8, view.0, 0);
            assert_eq!(*self.signed.entry(key).or_insert(bytes.clone()), bytes, "node {id}: one for {view}");
            let stored = self.nodes[id].stored.contains(&(phase as u8, view.0, 0, digest));
            let node = &self.nodes[id];
            assert!(stored || view < node.promised, "node {id} stores before it sends: {phase:?} {view}");
        }
    }

    /// What was released early is what is decided, whoever decides it and when.
    fn check_early(&mut self, id: usize, ready: &Ready) {
        for early in &ready.early {
            let (sequence, digest) = (early.header.sequence, early.header.digest());
            let agreed = *self.agreed.entry(sequence).or_insert(digest);
            assert_eq!(agreed, digest, "node {id} releases what slot {sequence} decides");
            let leaves = early.evidence.decide(&Toy { quorum: 0 }).unwrap_or_default();
            assert_eq!(leaves, early.leaves, "leaves follow from the evidence");
        }
        self.nodes[id].early.extend(ready.early.iter().cloned());
    }

    pub fn executed(&self, id: usize) -> u64 {
        self.nodes[id].replica.as_ref().map_or(0, |replica| replica.status().executed.0)
    }

    pub fn status(&self, id: usize) -> Status {
        self.nodes[id].replica.as_ref().unwrap().status()
    }

    /// The operations that a node saw decided, in order.
    pub fn operations(&self, id: usize) -> Vec<u64> {
        let decided = self.nodes[id].decided.iter().flat_map(|decided| &decided.operations);
        decided.map(|operation| u64::from_be_bytes(operation.subject[..8].try_into().unwrap())).collect()
    }

    pub fn faults(&self, id: usize) -> &[Fault] {
        &self.nodes[id].faults
    }
}

impl Node {
    fn new(parameters: Parameters) -> Node {
        let toy = Toy { quorum: parameters.replicas.quorum() };
        let replica = Replica::new(parameters.clone(), toy, ToyKeys::of(parameters.me.0));
        Node {
            disk: vec![genesis(&parameters).to_bytes()],
            parameters,
            replica: Some(replica),
            unsynced: 0,
            deadline: None,
            decided: Vec::new(),
            faults: Vec::new(),
            early: Vec::new(),
            suspected: false,
            life: 0,
            executed: Sequence(0),
            stored: BTreeSet::new(),
            stable: 0,
            promised: View(0),
        }
    }

    fn store(&mut self, ready: &Ready) {
        if ready.discard_below.is_some() {
            assert!(
                matches!(ready.persist.first(), Some(Record::Stable { .. })),
                "the checkpoint comes first"
            );
            self.disk.clear();
            self.stored.clear();
        }
        for record in &ready.persist {
            let bytes = record.to_bytes();
            assert_eq!(&Record::from_bytes(&bytes).unwrap(), record, "one encoding");
            self.disk.push(bytes);
            self.index(record);
        }
        self.unsynced = if ready.sync() { 0 } else { self.unsynced + ready.persist.len() };
    }

    fn index(&mut self, record: &Record) {
        match record {
            Record::Accepted { proposal, prepare } => {
                let (phase, vote) = match prepare {
                    Some(vote) => (MessageType::Prepare, *vote),
                    None => (MessageType::PrePrepare, proposal.vote(self.parameters.me)),
                };
                self.stored.insert((phase as u8, vote.view.0, vote.sequence.0, vote.digest));
            }
            Record::Committed { vote, .. } => {
                self.stored.insert((MessageType::Commit as u8, vote.view.0, vote.sequence.0, vote.digest));
            }
            Record::OwnCheckpoint(vote) => {
                self.stored.insert((MessageType::Checkpoint as u8, 0, vote.sequence.0, vote.digest));
            }
            Record::Stable { certificate, .. } => self.stable = certificate.sequence.0,
            Record::ViewChanging(message) => {
                self.stored.insert((MessageType::ViewChange as u8, message.view.0, 0, message.digest()));
                self.promised = self.promised.max(message.view);
            }
            Record::Entered { new_view, view_changes } => {
                for one in view_changes {
                    self.stored.insert((MessageType::ViewChange as u8, one.view.0, 0, one.digest()));
                }
                let digest = Digest::of(&new_view.to_bytes());
                self.stored.insert((MessageType::NewView as u8, new_view.view.0, 0, digest));
                self.promised = self.promised.max(new_view.view);
            }
            Record::Genesis { .. }
            | Record::Decided { .. }
            | Record::Learner { .. }
            | Record::Voter
            | Record::Voted { .. } => {}
        }
    }
}

/// The signed part of a message of one of four replicas, if it is one of the phases or a checkpoint.
pub fn own_vote(message: &Message) -> Option<(MessageType, Vote)> {
    signed_part(message, Replicas::new(4, 1).unwrap())
}

fn signed_part(message: &Message, replicas: Replicas) -> Option<(MessageType, Vote)> {
    match message {
        Message::PrePrepare(proposal) => {
            Some((MessageType::PrePrepare, proposal.vote(replicas.primary(proposal.view))))
        }
        Message::Prepare(vote) => Some((MessageType::Prepare, *vote)),
        Message::Commit(vote) => Some((MessageType::Commit, *vote)),
        Message::Checkpoint(vote) => Some((
            MessageType::Checkpoint,
            Vote {
                view: View(0),
                sequence: vote.sequence,
                digest: vote.digest,
                replica: vote.replica,
                signature: vote.signature,
            },
        )),
        _ => None,
    }
}

pub fn kind_of(message: &Message) -> &'static str {
    match message {
        Message::Resolve { .. } => "resolve",
        Message::Observe(_) => "observe",
        Message::PrePrepare(_) => "pre-prepare",
        Message::Prepare(_) => "prepare",
        Message::Commit(_) => "commit",
        Message::Checkpoint(_) => "checkpoint",
        Message::Status(_) => "status",
        Message::Fetch { .. } => "fetch",
        Message::Slot(_) => "slot",
        Message::FetchState { .. } => "fetch-state",
        Message::StableCheckpoint(_) => "stable-checkpoint",
        Message::Answer { .. } => "answer",
        Message::ViewChange(_) => "view-change",
        Message::NewView(_) => "new-view",
        Message::FetchBatch { .. } => "fetch-batch",
        Message::FetchViewChange { .. } => "fetch-view-change",
        Message::Batch { .. } => "batch",
    }
}
