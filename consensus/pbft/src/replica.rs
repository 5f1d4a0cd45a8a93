//! One replica: its parts, and the step that runs them in their order.

use std::collections::{BTreeMap, BTreeSet};

use certificate::{MessageType, ReplicaId, ReplicaSet, Sequence, View};

use crate::catch_up::Peer;
use crate::checkpoint::Checkpoints;
use crate::fairness::Fairness;
use crate::fetch::Fetch;
use crate::intake::Outbox;
use crate::judge::VerifiedSets;
use crate::learn::Learning;
use crate::log::{Slot, WaterMarks};
use crate::planted::Bug;
use crate::requests::Requests;
use crate::serve::Wanted;
use crate::state::LogState;
use crate::timer::Clocks;
use crate::views::Views;
use crate::{
    Application, Event, Fault, Keyring, Message, Now, Parameters, Ready, Recipients, Standing, Status, Vote,
};

/// What happened how often since the start.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) view_changes: u64,
    pub(crate) new_views: u64,
    pub(crate) fast: u64,
    pub(crate) slow: u64,
}

/// One replica. Driven by [`Replica::step`] alone.
pub struct Replica<A, K> {
    pub(crate) parameters: Parameters,
    pub(crate) application: A,
    pub(crate) keyring: K,
    pub(crate) view: View,
    pub(crate) standing: Standing,
    pub(crate) views: Views,
    pub(crate) learning: Learning,
    pub(crate) fairness: Fairness,
    pub(crate) counts: Counts,
    pub(crate) log: LogState,
    pub(crate) marks: WaterMarks,
    /// Slots above the low water mark and up to the horizon.
    pub(crate) slots: BTreeMap<Sequence, Slot>,
    /// Slots to look at in this step.
    pub(crate) touched: BTreeSet<Sequence>,
    /// The last slot that this replica proposed, or that any record of it speaks of.
    pub(crate) proposed: Sequence,
    pub(crate) requests: Requests,
    pub(crate) outbox: Outbox,
    pub(crate) verified: VerifiedSets,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) peers: BTreeMap<ReplicaId, Peer>,
    pub(crate) fetch: Fetch,
    pub(crate) clocks: Clocks,
    pub(crate) now: Now,
    pub(crate) ready: Ready,
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// A replica at genesis. The driver has stored `Record::Genesis` before: [`Replica::restore`] of that record alone gives the same.
    pub fn new(parameters: Parameters, application: A, keyring: K) -> Replica<A, K> {
        parameters.assert_possible();
        let marks = WaterMarks { low: Sequence(0), window: parameters.window };
        let others = parameters.replicas.ids().filter(|replica| *replica != parameters.me);
        let peers = others.map(|replica| (replica, Peer::default())).collect();
        Replica {
            parameters,
            application,
            keyring,
            view: View(0),
            standing: Standing::Active,
            views: Views::default(),
            learning: Learning::default(),
            fairness: Fairness::default(),
            counts: Counts::default(),
            log: LogState::genesis(),
            marks,
            slots: BTreeMap::new(),
            touched: BTreeSet::new(),
            proposed: Sequence(0),
            requests: Requests::default(),
            outbox: Outbox::default(),
            verified: VerifiedSets::default(),
            checkpoints: Checkpoints::default(),
            peers,
            fetch: Fetch::default(),
            clocks: Clocks::default(),
            now: Now { wall_ms: 0, monotonic_ms: 0 },
            ready: Ready::default(),
        }
    }

    /// Takes one event and says what to do about it.
    pub fn step(&mut self, now: Now, event: Event) -> Ready {
        self.now = Now { monotonic_ms: now.monotonic_ms.max(self.now.monotonic_ms), ..now };
        let slept = self.clocks.start(self.now.monotonic_ms);
        self.forgive_sleep(slept);
        match event {
            Event::Request(operation) => self.on_request(operation),
            Event::Observed { operation, time_ms, payload } => self.on_observed(operation, time_ms, payload),
            Event::Answer { to, operation, bytes } => self.on_answer(to, operation, bytes),
            Event::Message { from, message } => self.on_message(from, message),
            Event::Connected(peer) => self.on_connected(peer),
            Event::Disconnected(peer) => self.on_disconnected(peer),
            Event::Tick => {}
        }
        self.advance();
        self.run_view_timers();
        self.run_alarms();
        self.flush();
        self.propose_and_advance();
        self.ask_when_stuck();
        self.ask_for_missing();
        self.ask_for_bodies();
        self.drive_fetch();
        self.serve();
        self.answer_statuses();
        self.watch_oldest();
        self.reassess_relayed();
        self.ready.suspect = self.suspects();
        if self.ready.suspect {
            self.start_view_change(self.view.next());
        }
        self.vote_when_safe();
        self.advance();
        // What was decided or given up since may have made room.
        self.propose_and_advance();
        self.ready.deadline = self.deadline();
        self.clocks.promise(self.ready.deadline);
        std::mem::take(&mut self.ready)
    }

    /// How the replica stands.
    pub fn status(&self) -> Status {
        let connected = self.peers.iter().filter(|(_, peer)| peer.connected).map(|(id, _)| *id);
        let proposed = self.slots.iter().rev().find(|(_, slot)| slot.seen.is_some());
        Status {
            view: self.view,
            primary: Some(self.primary()),
            standing: self.standing,
            view_changes: self.counts.view_changes,
            new_views: self.counts.new_views,
            fast: self.counts.fast,
            slow: self.counts.slow,
            executed: self.executed(),
            stable: self.marks.low,
            proposed: proposed.map_or(self.executed(), |(sequence, _)| (*sequence).max(self.executed())),
            log_time_ms: self.log.last().time_ms,
            open_requests: self.requests.len(),
            held_bytes: self.requests.held_bytes(),
            slots: self.slots.len(),
            used_observations: self.log.used_len(),
            connected: connected.collect::<ReplicaSet>(),
            catching_up: self.fetch.is_running(),
            suspect: self.suspects(),
        }
    }

    /// The replicas whose observations of an open operation are held here; nobody when it is not open.
    pub fn observers(&self, operation: &certificate::Digest) -> ReplicaSet {
        let request = self.requests.of(operation);
        request.map(|request| request.observations.keys().copied().collect()).unwrap_or_default()
    }

    fn on_message(&mut self, from: ReplicaId, message: Message) {
        if !self.peers.contains_key(&from) {
            self.fault(Fault::UnknownReplica { from, claimed: from });
            return;
        }
        match message {
            Message::Resolve { operation, after } => self.on_resolve(from, operation, after),
            Message::Observe(set) => self.on_observe(from, set),
            Message::PrePrepare(proposal) => self.on_pre_prepare(from, proposal),
            Message::Prepare(vote) => self.on_vote(from, MessageType::Prepare, vote),
            Message::Commit(vote) => self.on_vote(from, MessageType::Commit, vote),
            Message::Checkpoint(vote) => self.on_checkpoint(from, vote),
            Message::Status(status) => self.on_status(from, status),
            Message::Fetch { from: first } => self.on_wanted(from, Wanted::Slots(first)),
            Message::Slot(slot) => self.on_slot(from, slot),
            Message::FetchState { sequence, offset } => {
                self.on_wanted(from, Wanted::State(sequence, offset));
            }
            Message::StableCheckpoint(chunk) => self.on_state_chunk(from, chunk),
            Message::Answer { operation, bytes } => self.on_answered(from, operation, bytes),
            Message::ViewChange(message) => self.on_view_change(from, message),
            Message::NewView(message) => self.on_new_view(from, message),
            Message::FetchBatch { sequence, digest } => {
                self.on_wanted(from, Wanted::Batch(sequence, digest));
            }
            Message::FetchViewChange { digest } => self.on_wanted(from, Wanted::ViewChange(digest)),
            Message::Batch { header, batch } => self.on_batch(from, header, batch),
        }
    }

    /// Proposes what there is room for, until what follows from it makes no more room.
    fn propose_and_advance(&mut self) {
        loop {
            let before = self.proposed;
            self.propose();
            self.advance();
            if self.proposed == before {
                return;
            }
        }
    }

    /// Runs the phases of the slots that something happened to, then executes what is decided, until nothing moves.
    fn advance(&mut self) {
        loop {
            while let Some(sequence) = self.touched.pop_first() {
                self.progress(sequence);
            }
            if !self.execute_next() {
                break;
            }
        }
        self.sign_checkpoints();
    }

    pub(crate) fn executed(&self) -> Sequence {
        self.log.executed()
    }

    pub(crate) fn me(&self) -> ReplicaId {
        self.parameters.me
    }

    pub(crate) fn quorum(&self) -> usize {
        let replicas = self.parameters.replicas;
        if self.parameters.switch.has(Bug::QuorumIsTwoFPlusOne) {
            2 * replicas.faults() + 1
        } else {
            replicas.quorum()
        }
    }

    pub(crate) fn primary(&self) -> ReplicaId {
        self.parameters.replicas.primary(self.view)
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.standing == Standing::Active && self.primary() == self.me()
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.ready.faults.push(fault);
    }

    pub(crate) fn send_all(&mut self, message: Message) {
        self.ready.send.push((Recipients::All, message));
    }

    pub(crate) fn send_one(&mut self, to: ReplicaId, message: Message) {
        self.ready.send.push((Recipients::One(to), message));
    }

    /// Signs a vote of the current view. The caller stores the record.
    pub(crate) fn sign(&self, phase: MessageType, sequence: Sequence, digest: certificate::Digest) -> Vote {
        let preimage = self.parameters.domain.vote_preimage(phase, self.view, sequence, digest);
        let signature = self.keyring.sign(&preimage);
        Vote { view: self.view, sequence, digest, replica: self.me(), signature }
    }
}
