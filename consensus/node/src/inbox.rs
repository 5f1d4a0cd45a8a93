//! What waits for the driver: two bounded queues for each peer, one for the host, and the state of the links.
//!
//! What a peer wants decided waits behind what it says about slots and views: a flood of questions must not hold up, or drop, the
//! votes that clear it. Nothing relies on the order between the two.
//! A peer that floods fills its own queue and loses its own messages; the others and the host are served in turn. What a peer
//! loses comes again: replicas tell each other how far they are and send what is missing. What the host hands over is never lost
//! silently: a full queue is its error to handle.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use certificate::ReplicaId;
use pbft::{Event, Message};
use thiserror::Error;

/// Messages of one peer that may wait, of each of the two kinds.
pub const PEER_MESSAGES_MAX: usize = 4096;

/// Bytes of messages of one peer that may wait, of each of the two kinds, as they were on the wire after decompression.
pub const PEER_BYTES_MAX: usize = 4 << 20;

/// Events of the host that may wait.
pub const HOST_EVENTS_MAX: usize = 16_384;

/// Why the node does not take an event of its host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Busy {
    /// Too many events wait; the event may be handed over again later.
    #[error("{HOST_EVENTS_MAX} events wait for the replica")]
    Full,
    /// The replica does not run any more; `NodeStatus::refusing` says why.
    #[error("the replica is stopped")]
    Stopped,
}

/// The queues.
pub(crate) struct Inbox {
    queues: Mutex<Queues>,
    filled: Condvar,
}

struct Queues {
    host: VecDeque<Event>,
    peers: Vec<PeerQueue>,
    /// Whose turn it is: an index of `peers`, or their count for the host.
    turn: usize,
    /// Somebody wants the driver to look at the counters.
    nudged: bool,
    closed: bool,
}

#[derive(Default)]
struct Lane {
    messages: VecDeque<(usize, Message)>,
    bytes: usize,
}

#[derive(Default)]
struct PeerQueue {
    /// Requests, observations, answers handed out.
    demand: Lane,
    /// Everything else.
    protocol: Lane,
    /// The link was lost since the driver last looked.
    lost: bool,
    /// And it is up, or up again.
    found: bool,
}

/// What `Inbox::next` found.
#[expect(clippy::large_enum_variant, reason = "handed over once, never stored")]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Event(Event),
    /// Nothing came until the deadline.
    Deadline,
    /// Nothing came, but somebody wants the status to be published.
    Nudge,
    Closed,
}

impl Inbox {
    /// An inbox for a cluster of `replicas`.
    pub(crate) fn new(replicas: usize) -> Inbox {
        let peers = (0..replicas).map(|_| PeerQueue::default()).collect();
        let queues = Queues { host: VecDeque::new(), peers, turn: 0, nudged: false, closed: false };
        Inbox { queues: Mutex::new(queues), filled: Condvar::new() }
    }

    /// Takes an event of the host.
    ///
    /// Errors: `Full`, `Stopped`.
    pub(crate) fn push_host(&self, event: Event) -> Result<(), Busy> {
        let mut queues = self.lock();
        if queues.closed {
            return Err(Busy::Stopped);
        }
        if queues.host.len() >= HOST_EVENTS_MAX {
            return Err(Busy::Full);
        }
        queues.host.push_back(event);
        drop(queues);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes a message of `from` that had `bytes` bytes; says whether there was room.
    pub(crate) fn push_message(&self, from: ReplicaId, bytes: usize, message: Message) -> bool {
        let mut queues = self.lock();
        let closed = queues.closed;
        if closed || !queues.peers[usize::from(from.0)].push(bytes, message) {
            return false;
        }
        drop(queues);
        self.filled.notify_one();
        true
    }

    /// The link to `peer` is up, perhaps another one than before.
    pub(crate) fn connected(&self, peer: ReplicaId) {
        self.lock().peers[usize::from(peer.0)].found = true;
        self.filled.notify_one();
    }

    /// The link to `peer` is gone.
    pub(crate) fn disconnected(&self, peer: ReplicaId) {
        let mut queues = self.lock();
        let queue = &mut queues.peers[usize::from(peer.0)];
        queue.lost = true;
        queue.found = false;
        drop(queues);
        self.filled.notify_one();
    }

    /// Makes the driver publish the status although no event came.
    pub(crate) fn nudge(&self) {
        self.lock().nudged = true;
        self.filled.notify_one();
    }

    /// Ends the driver; what waits is dropped.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Waits for the next event, at most until `deadline`.
    pub(crate) fn next(&self, deadline: Option<Instant>) -> Next {
        let mut queues = self.lock();
        loop {
            if let Some(next) = queues.take() {
                return next;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            queues = match left {
                Some(Duration::ZERO) => return Next::Deadline,
                Some(left) => {
                    let waited = self.filled.wait_timeout(queues, left);
                    waited.expect(NO_PANIC).0
                }
                None => self.filled.wait(queues).expect(NO_PANIC),
            };
        }
    }

    /// The next event, if one waits.
    pub(crate) fn poll(&self) -> Option<Event> {
        match self.lock().take() {
            Some(Next::Event(event)) => Some(event),
            Some(Next::Nudge | Next::Closed | Next::Deadline) | None => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().expect(NO_PANIC)
    }
}

const NO_PANIC: &str = "nothing panics while it holds the inbox";

impl Lane {
    fn push(&mut self, bytes: usize, message: Message) -> bool {
        let room = self.messages.len() < PEER_MESSAGES_MAX && self.bytes + bytes <= PEER_BYTES_MAX;
        if room {
            self.bytes += bytes;
            self.messages.push_back((bytes, message));
        }
        room
    }

    fn pop(&mut self) -> Option<Message> {
        let (bytes, message) = self.messages.pop_front()?;
        self.bytes -= bytes;
        Some(message)
    }
}

impl PeerQueue {
    fn push(&mut self, bytes: usize, message: Message) -> bool {
        match message {
            Message::Resolve { .. } | Message::Observe(_) | Message::Answer { .. } => {
                self.demand.push(bytes, message)
            }
            _ => self.protocol.push(bytes, message),
        }
    }

    fn pop(&mut self) -> Option<Message> {
        self.protocol.pop().or_else(|| self.demand.pop())
    }
}

impl Queues {
    fn take(&mut self) -> Option<Next> {
        if self.closed {
            return Some(Next::Closed);
        }
        if let Some(event) = self.take_link() {
            return Some(Next::Event(event));
        }
        let sources = self.peers.len() + 1;
        for _ in 0..sources {
            let turn = self.turn;
            self.turn = (turn + 1) % sources;
            if turn == self.peers.len() {
                if let Some(event) = self.host.pop_front() {
                    return Some(Next::Event(event));
                }
                continue;
            }
            if let Some(message) = self.peers[turn].pop() {
                return Some(Next::Event(Event::Message { from: ReplicaId(turn as u8), message }));
            }
        }
        std::mem::take(&mut self.nudged).then_some(Next::Nudge)
    }

    fn take_link(&mut self) -> Option<Event> {
        for (index, peer) in self.peers.iter_mut().enumerate() {
            let replica = ReplicaId(index as u8);
            if std::mem::take(&mut peer.lost) {
                return Some(Event::Disconnected(replica));
            }
            if std::mem::take(&mut peer.found) {
                return Some(Event::Connected(replica));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use certificate::Sequence;

    fn fetch(from: u64) -> Message {
        Message::Fetch { from: Sequence(from) }
    }

    fn drain(inbox: &Inbox) -> Vec<Event> {
        std::iter::from_fn(|| inbox.poll()).collect()
    }

    #[test]
    fn peer_that_floods_loses_its_own_messages_only() {
        let inbox = Inbox::new(4);
        let taken =
            (0..PEER_MESSAGES_MAX + 10).filter(|_| inbox.push_message(ReplicaId(3), 1, fetch(1))).count();
        assert_eq!(taken, PEER_MESSAGES_MAX);
        assert!(inbox.push_message(ReplicaId(1), 1, fetch(2)));
        inbox.push_host(Event::Tick).unwrap();
        let served = drain(&inbox);
        assert!(served[..4].contains(&Event::Tick));
        assert!(served[..4].contains(&Event::Message { from: ReplicaId(1), message: fetch(2) }));
    }

    #[test]
    fn what_a_peer_wants_decided_waits_behind_what_it_says_of_slots() {
        let inbox = Inbox::new(4);
        let resolve = || Message::Answer { operation: certificate::Digest::ZERO, bytes: Vec::new() };
        let taken =
            (0..PEER_MESSAGES_MAX + 10).filter(|_| inbox.push_message(ReplicaId(3), 1, resolve())).count();
        assert_eq!(taken, PEER_MESSAGES_MAX);
        assert!(inbox.push_message(ReplicaId(3), 1, fetch(1)), "there is room for what clears the flood");
        assert_eq!(inbox.poll(), Some(Event::Message { from: ReplicaId(3), message: fetch(1) }));
    }

    #[test]
    fn long_messages_are_bounded_by_their_bytes() {
        let inbox = Inbox::new(4);
        assert!(inbox.push_message(ReplicaId(1), PEER_BYTES_MAX, fetch(1)));
        assert!(!inbox.push_message(ReplicaId(1), 1, fetch(1)));
        assert_eq!(drain(&inbox).len(), 1);
        assert!(inbox.push_message(ReplicaId(1), 1, fetch(1)));
    }

    #[test]
    fn host_hears_that_its_queue_is_full_or_closed() {
        let inbox = Inbox::new(4);
        for _ in 0..HOST_EVENTS_MAX {
            inbox.push_host(Event::Tick).unwrap();
        }
        assert_eq!(inbox.push_host(Event::Tick), Err(Busy::Full));
        inbox.close();
        assert_eq!(inbox.push_host(Event::Tick), Err(Busy::Stopped));
        assert_eq!(inbox.next(None), Next::Closed);
    }

    #[test]
    fn link_that_changes_often_is_reported_by_its_last_state() {
        let inbox = Inbox::new(4);
        let peer = ReplicaId(2);
        for _ in 0..100 {
            inbox.connected(peer);
            inbox.disconnected(peer);
        }
        assert_eq!(drain(&inbox), [Event::Disconnected(peer)]);
        inbox.disconnected(peer);
        inbox.connected(peer);
        inbox.push_message(peer, 1, fetch(1));
        let message = Event::Message { from: peer, message: fetch(1) };
        assert_eq!(drain(&inbox), [Event::Disconnected(peer), Event::Connected(peer), message]);
    }

    #[test]
    fn passed_deadline_ends_the_wait() {
        let inbox = Inbox::new(4);
        assert_eq!(inbox.next(Some(Instant::now())), Next::Deadline);
        inbox.nudge();
        assert_eq!(inbox.next(None), Next::Nudge);
    }
}
