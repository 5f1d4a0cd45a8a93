//! The one thread that owns the state machine.
//!
//! A turn: take what waits, step for each event, write all records, sync once if any of them vouches for a message, and only then
//! send, ask and report. If the disk fails, nothing of that turn leaves and there is no next turn.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use certificate::codec::Encode;
use certificate::{Cluster, ReplicaId};
use pbft::{Event, Fault, Message, Ready, Recipients, Record};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::chronicle::Chronicle;
use crate::clock::{Clock, wall_ms};
use crate::counters::LiveCounters;
use crate::evidence::Evidence;
use crate::handle::{Inner, NodeHandle};
use crate::host::HostCell;
use crate::inbox::{Inbox, Next};
use crate::inquiry::Inquiries;
use crate::log::{LogError, RECORD_BYTES_MAX, Wal};
use crate::recall::AnyReplica;
use crate::reputation::Keeper;
use crate::rounds::Rounds;
use crate::status::NodeStatus;
use crate::transport::{CloseCode, Peers};
use crate::warden::Warden;

/// Events in one turn: a bound on what waits for one sync.
const TURN_EVENTS_MAX: usize = 256;

/// A turn takes no more events after so long: votes that are ready should not wait for ever more work.
const TURN_TIME_MAX: Duration = Duration::from_millis(2);

/// How often the detector looks at the clock.
pub(crate) const TEND_EVERY: Duration = Duration::from_secs(1);

const _: () = assert!(pbft::RECORD_BYTES_MAX <= RECORD_BYTES_MAX, "the log takes every record of a replica");

/// What the driver works with.
pub(crate) struct Driver {
    pub me: ReplicaId,
    pub cluster: Arc<Cluster>,
    pub replica: AnyReplica,
    pub wal: Wal,
    pub inbox: Arc<Inbox>,
    pub peers: Arc<Peers>,
    pub host: HostCell,
    pub handle: Weak<Inner>,
    pub status: watch::Sender<NodeStatus>,
    pub counters: Arc<LiveCounters>,
    pub evidence: Evidence,
    pub chronicle: Chronicle,
    pub inquiries: Arc<Inquiries>,
    pub clock: Clock,
    pub warden: Arc<Warden>,
    pub rounds: Rounds,
    /// What the detector knows is kept by it; gone when the driver ends.
    pub keeper: Option<Keeper>,
    /// When the detector is to look at the clock.
    pub tend_at: Instant,
    /// When the state machine wants to be woken, on the monotonic clock.
    pub deadline: Option<u64>,
    /// Through which a replica that misbehaves on purpose speaks.
    #[cfg(feature = "adversary")]
    pub voice: Option<crate::adversary::Voice>,
}

/// Ends the node when the driver ends, however that happens.
struct LastWord {
    inbox: Arc<Inbox>,
    peers: Arc<Peers>,
    status: watch::Sender<NodeStatus>,
    /// Why the replica stops; stays so when the driver panics.
    reason: String,
    code: CloseCode,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.inbox.close();
        self.peers.close(self.code, &self.reason);
        let reason = std::mem::take(&mut self.reason);
        let peers = self.peers.states();
        self.status.send_modify(|status| {
            status.refusing = Some(reason);
            status.present = 0;
            status.peers = peers;
        });
    }
}

impl Driver {
    /// Runs until the node is shut down or its log fails.
    pub(crate) fn run(mut self) {
        let mut last_word = LastWord {
            inbox: self.inbox.clone(),
            peers: self.peers.clone(),
            status: self.status.clone(),
            reason: "the driver panicked".to_owned(),
            code: CloseCode::Failed,
        };
        let ended = self.turns();
        if let Some(keeper) = self.keeper.take() {
            keeper.finish(self.warden.snapshot(self.clock.now()));
        }
        // The log and its lock are gone before the node says that it has stopped.
        drop(self);
        match ended {
            Ok(()) => {
                last_word.reason = "shut down".to_owned();
                last_word.code = CloseCode::ShuttingDown;
                info!("replica stopped");
            }
            Err(reason) => {
                error!(%reason, "the log failed: this replica does not vote any more");
                last_word.reason = reason.to_string();
            }
        }
    }

    fn turns(&mut self) -> Result<(), LogError> {
        // The first step arms the timers of what was restored.
        self.turn(Event::Tick)?;
        loop {
            self.tend();
            let deadline = self.deadline.map(|deadline| self.clock.instant(deadline));
            let wake = deadline.map_or(self.tend_at, |deadline| deadline.min(self.tend_at));
            match self.inbox.next(Some(wake)) {
                Next::Event(event) => self.turn(event)?,
                Next::Deadline if deadline == Some(wake) => self.turn(Event::Tick)?,
                Next::Deadline => {}
                Next::Nudge => self.publish(),
                Next::Closed => return Ok(()),
            }
        }
    }

    /// Lets the detector look at the clock, and keeps what it knows.
    fn tend(&mut self) {
        let now = Instant::now();
        if now < self.tend_at {
            return;
        }
        self.tend_at = now + TEND_EVERY;
        self.warden.tick(self.clock.now());
        let changed = self.warden.changed();
        if let Some(keeper) = &mut self.keeper
            && keeper.is_due(now, changed)
            && !keeper.save(now, self.warden.snapshot(self.clock.now()))
        {
            self.warden.not_saved(changed);
        }
        self.publish();
    }

    fn turn(&mut self, first: Event) -> Result<(), LogError> {
        let began = Instant::now();
        let mut turn = Vec::new();
        let mut sync = false;
        let mut next = Some(first);
        let mut events = 0;
        while let Some(event) = next {
            sync |= self.step(event, &mut turn)?;
            events += 1;
            if self.deadline.is_some_and(|deadline| deadline <= self.clock.now().monotonic_ms) {
                // A stream of events must not keep the timers from firing.
                self.deadline = None;
                sync |= self.step(Event::Tick, &mut turn)?;
            }
            let full = events >= TURN_EVENTS_MAX || began.elapsed() >= TURN_TIME_MAX;
            next = if full { None } else { self.inbox.poll() };
        }
        self.wal.commit(sync)?;
        self.counters.log_syncs.add(u64::from(sync));
        for ready in turn {
            self.deliver(ready);
        }
        self.publish();
        Ok(())
    }

    /// Steps once and writes the records; says whether they must be synced.
    fn step(&mut self, event: Event, turn: &mut Vec<Ready>) -> Result<bool, LogError> {
        #[cfg(feature = "adversary")]
        if let (Some(voice), Event::Message { message, .. }) = (&self.voice, &event) {
            voice.hear(message);
        }
        let now = self.clock.now();
        self.warden.hear(now, &event);
        let heard = Instant::now();
        self.rounds.hear(heard, || self.replica.status().view, &event);
        let mut ready = self.replica.step(now, event);
        self.rounds.told(heard, &ready);
        self.deadline = ready.deadline;
        self.warden.told(now, &ready);
        let sync = ready.sync() || ready.discard_below.is_some();
        let mut head = ready.discard_below.is_some();
        for record in ready.persist.drain(..) {
            if let Some(primary) = self.chronicle.tell(&record, ready.suspect) {
                self.warden.gave_up(now, primary, ready.suspect);
            }
            if std::mem::take(&mut head) {
                debug_assert!(
                    matches!(record, Record::Stable { .. }),
                    "a discard begins with the checkpoint"
                );
                self.wal.append_head(&record.to_bytes())?;
            } else {
                self.wal.append(&record.to_bytes())?;
            }
        }
        turn.push(ready);
        Ok(sync)
    }

    /// Sends and reports what one step asked for. Its records are on disk.
    fn deliver(&mut self, ready: Ready) {
        let now = Instant::now();
        for (recipients, message) in &ready.send {
            self.counters.fetches.add(u64::from(asks(message)));
            self.say(now, *recipients, message);
        }
        let host = self.host.read().expect("nothing panics while it replaces the host").clone();
        if let Some(inner) = self.handle.upgrade() {
            let node = NodeHandle::from_inner(inner);
            for lookup in ready.lookups {
                host.lookup(&node, lookup);
            }
        }
        for early in &ready.early {
            host.early(early);
        }
        for decided in &ready.decided {
            self.counters.slots_decided.add(1);
            self.counters.operations_decided.add(decided.operations.len() as u64);
            host.decided(decided);
            host.measured(&self.rounds.decided(now, decided));
        }
        for (from, operation, bytes) in &ready.answers {
            host.answered(*from, *operation, bytes);
        }
        for operation in ready.refused {
            host.refused(operation);
        }
        for fault in &ready.faults {
            self.report(fault);
            host.fault(fault);
        }
    }

    /// Sends one message.
    fn say(&self, now: Instant, recipients: Recipients, message: &Message) {
        #[cfg(feature = "adversary")]
        if let Some(voice) = &self.voice {
            return voice.speak(recipients, message);
        }
        self.peers.send(now, recipients, message);
    }

    fn report(&self, fault: &Fault) {
        self.counters.faults.add(1);
        // Who repeats what is proven already, after its quarantine, is not to fill the log.
        let is_news = self.evidence.keep(fault, wall_ms());
        match fault {
            Fault::Diverged { .. } => {
                error!(%fault, "a quorum's state is not ours: this replica does not vote any more");
            }
            Fault::Contradiction { .. } => {
                error!(%fault, "more replicas are faulty than the cluster tolerates: this replica does not vote any more");
            }
            Fault::ClockSkew { .. } => warn!(%fault, "refused a proposal because of its time"),
            fault if fault.is_proof() && is_news => warn!(%fault, "a peer is proven faulty"),
            fault => debug!(%fault, "refused a peer's message"),
        }
    }

    fn publish(&self) {
        self.inquiries.answer(|operation| self.replica.observers(operation));
        let peers = self.peers.states();
        let present = 1 + peers.iter().filter(|peer| peer.connected).count();
        let quorum = self.cluster.replicas.quorum();
        let status = NodeStatus {
            me: self.me,
            replica: self.replica.status(),
            refusing: None,
            peers,
            present,
            quorum,
            counters: self.counters.values(),
            least_reputation: self.warden.least_reputation(),
        };
        let before = self.status.borrow().can_reach_quorum();
        match (before, status.can_reach_quorum()) {
            (true, false) => warn!(present, quorum, "lost the quorum: nothing can be decided"),
            (false, true) => info!(present, quorum, "reached a quorum"),
            (true, true) | (false, false) => {}
        }
        self.status.send_replace(status);
    }
}

/// Whether a message asks a peer for what this replica lacks.
fn asks(message: &Message) -> bool {
    matches!(
        message,
        Message::Fetch { .. }
            | Message::FetchState { .. }
            | Message::FetchBatch { .. }
            | Message::FetchViewChange { .. }
    )
}
