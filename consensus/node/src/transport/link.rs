//! What we have with one peer: the connection that is kept, or why there is none.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use certificate::timestamp::Timestamp;
use certificate::{Member, ReplicaId};
use quinn::{Connection, PathStats};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::allowance::{
    Allowance, FETCH_WINDOW, FETCHES_PER_WINDOW_MAX, NEWS_HEARD_PER_WINDOW_MAX, NEWS_WINDOW,
};
use super::class::Class;
use super::dial::{Origin, replaces};
use super::link_error::{CloseCode, HelloError, LinkError};
use super::send_queue::SendQueue;
use crate::counters::LiveCounters;
use crate::inbox::Inbox;
use crate::status::{Packets, PeerState};

/// One peer.
pub(crate) struct Link {
    peer: ReplicaId,
    state: Mutex<LinkState>,
    up: watch::Sender<bool>,
    /// Whether the peer is not shut out.
    admitted: watch::Sender<bool>,
    /// When the peer's last message came, in milliseconds since 1970; 0 before the first.
    last_seen_ms: AtomicU64,
    /// Connections that ended because of what the peer sent on them, since somebody asked last.
    unreadable: AtomicU32,
}

struct LinkState {
    active: Option<Active>,
    /// Of answers. Outlives connections, like the two that follow: a new one gives nothing more.
    allowance: Allowance,
    /// Of news that is heard.
    news: Allowance,
    /// Of questions for content.
    fetches: Allowance,
    /// How many connections were lost, not counting those that gave way to another.
    losses: u64,
    /// What was sent over connections that have ended.
    packets: Packets,
    /// When the latest log of the peer began that we have met, in milliseconds since 1970.
    log_began: u64,
    /// Why there is no connection, as far as we know.
    problem: Option<String>,
    /// Why the peer is shut out, and until when, while it is.
    notice: Option<String>,
    /// The peer has shut us out; what follows from that, such as silence, is no news.
    shut_us_out: bool,
}

impl LinkState {
    fn new() -> LinkState {
        LinkState {
            active: None,
            allowance: Allowance::of_answers(),
            news: Allowance::new(NEWS_HEARD_PER_WINDOW_MAX, NEWS_WINDOW),
            fetches: Allowance::new(FETCHES_PER_WINDOW_MAX, FETCH_WINDOW),
            losses: 0,
            packets: Packets::default(),
            log_began: 0,
            problem: None,
            notice: None,
            shut_us_out: false,
        }
    }

    /// Whether this is the connection that is kept; there is none to who is shut out.
    fn keeps(&self, connection: &Connection) -> bool {
        self.active.as_ref().is_some_and(|active| active.connection.stable_id() == connection.stable_id())
    }

    /// The connection is not kept any more; what was sent over it still counts.
    fn let_go(&mut self) -> Option<Active> {
        let active = self.active.take()?;
        self.packets += packets(&active.connection.stats().path);
        Some(active)
    }
}

fn packets(path: &PathStats) -> Packets {
    Packets { sent: path.sent_packets, lost: path.lost_packets }
}

struct Active {
    connection: Connection,
    origin: Origin,
    queue: SendQueue,
}

impl Link {
    pub(crate) fn new(peer: ReplicaId) -> Link {
        Link {
            peer,
            state: Mutex::new(LinkState::new()),
            up: watch::Sender::new(false),
            admitted: watch::Sender::new(true),
            last_seen_ms: AtomicU64::new(0),
            unreadable: AtomicU32::new(0),
        }
    }

    /// Whether there is a connection, whenever that changes.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }

    /// Whether the peer may be dialled, whenever that changes.
    pub(crate) fn watch_admission(&self) -> watch::Receiver<bool> {
        self.admitted.subscribe()
    }

    /// Why the peer is shut out, while it is.
    pub(crate) fn notice(&self) -> Option<String> {
        self.lock().notice.clone()
    }

    /// Shuts the peer out until `admit`; its connection ends.
    pub(crate) fn shut_out(&self, notice: &str, inbox: &Inbox) {
        let mut state = self.lock();
        state.notice = Some(notice.to_owned());
        state.problem = Some(notice.to_owned());
        self.admitted.send_replace(false);
        let Some(active) = state.let_go() else { return };
        CloseCode::Quarantined.close(&active.connection, notice);
        state.losses += 1;
        self.up.send_replace(false);
        inbox.disconnected(self.peer);
    }

    /// Lets the peer in again.
    pub(crate) fn admit(&self) {
        let mut state = self.lock();
        if state.notice.take().is_some() {
            state.problem = None;
        }
        self.admitted.send_replace(true);
    }

    /// What our next Hello says.
    pub(crate) fn losses(&self) -> u64 {
        self.lock().losses
    }

    /// The peer says when its log began.
    ///
    /// Errors: we have met a later one.
    pub(crate) fn meet_log(&self, began: u64) -> Result<(), HelloError> {
        let mut state = self.lock();
        if began < state.log_began {
            let (began, later) = (Timestamp(began), Timestamp(state.log_began));
            return Err(HelloError::EarlierLog { replica: self.peer, began, later });
        }
        state.log_began = began;
        Ok(())
    }

    /// A message came.
    pub(crate) fn seen(&self, wall_ms: u64) {
        self.last_seen_ms.store(wall_ms, Ordering::Relaxed);
    }

    /// Whether the peer is there for an answer. One that takes them too slowly, or has caused too many, loses this one.
    pub(crate) fn takes_answer(&self, now: Instant, counters: &LiveCounters) -> bool {
        let mut state = self.lock();
        let Some(active) = &state.active else { return false };
        let takes = active.queue.takes_answers() && state.allowance.is_left(now);
        counters.answers_dropped.add(u64::from(!takes));
        takes
    }

    /// An answer of `bytes` bytes was encoded for the peer.
    pub(crate) fn answered(&self, bytes: usize) {
        self.lock().allowance.spend(bytes);
    }

    /// Queues a frame if there is a connection. A peer whose queue is full loses it.
    pub(crate) fn push(&self, class: Class, frame: Bytes, counters: &LiveCounters) {
        let state = self.lock();
        let Some(active) = &state.active else { return };
        let bytes = frame.len() as u64;
        if active.queue.push(class, frame) {
            counters.bytes_out.add(bytes);
            counters.messages_out.add(1);
            return;
        }
        counters.queue_drops.add(1);
        if active.connection.close_reason().is_none() {
            warn!(peer = %self.peer, "peer takes messages too slowly, resetting its connection");
            CloseCode::QueueFull.close(&active.connection, "the send queue is full");
        }
    }

    /// Queues a piece of news if there is a connection. A peer that takes it too slowly does without.
    pub(crate) fn push_news(&self, frame: Bytes, counters: &LiveCounters) {
        let state = self.lock();
        let Some(active) = &state.active else { return };
        let bytes = frame.len() as u64;
        if active.queue.push(Class::News, frame) {
            counters.bytes_out.add(bytes);
            counters.news_out.add(1);
        } else {
            counters.news_dropped.add(1);
        }
    }

    /// The connection that is kept.
    pub(crate) fn connection(&self) -> Option<Connection> {
        self.lock().active.as_ref().map(|active| active.connection.clone())
    }

    /// Whether one more piece of news that came over this connection is heard.
    pub(crate) fn hears_news(&self, connection: &Connection, now: Instant) -> bool {
        let mut state = self.lock();
        state.keeps(connection) && state.news.take_one(now)
    }

    /// Whether one more question for content that came over this connection is answered.
    pub(crate) fn takes_fetch(&self, connection: &Connection, now: Instant) -> bool {
        let mut state = self.lock();
        state.keeps(connection) && state.fetches.take_one(now)
    }

    /// Whether the peer may have `bytes` bytes of content now; they count like other answers.
    pub(crate) fn takes_content(&self, now: Instant, bytes: usize) -> bool {
        let mut state = self.lock();
        let takes = state.allowance.is_half_left(now);
        state.allowance.spend(if takes { bytes } else { 0 });
        takes
    }

    /// Takes a connection into use unless a better one is there; says whether.
    pub(crate) fn take(
        &self,
        connection: &Connection,
        origin: Origin,
        queue: SendQueue,
        inbox: &Inbox,
    ) -> bool {
        let mut state = self.lock();
        if let Some(notice) = &state.notice {
            CloseCode::Quarantined.close(connection, notice);
            return false;
        }
        if let Some(kept) = &state.active {
            if !replaces(origin, kept.origin) {
                CloseCode::Duplicate.close(connection, "another connection is kept");
                return false;
            }
            CloseCode::Duplicate.close(&kept.connection, "a newer connection is kept");
            inbox.disconnected(self.peer);
        }
        state.let_go();
        state.active = Some(Active { connection: connection.clone(), origin, queue });
        state.problem = None;
        state.shut_us_out = false;
        self.up.send_replace(true);
        inbox.connected(self.peer);
        let address = connection.remote_address();
        info!(peer = %self.peer, dialled_by = %origin.dialled_by, %address, "connected to peer");
        true
    }

    /// The connection has ended. When another has taken its place this changes nothing.
    pub(crate) fn lost(&self, connection: &Connection, reason: &LinkError, inbox: &Inbox) {
        if reason.is_unreadable() {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
        }
        let mut state = self.lock();
        if !state.keeps(connection) {
            return;
        }
        state.let_go();
        state.losses += u64::from(!reason.is_duplicate());
        state.problem = Some(reason.to_string());
        state.shut_us_out = reason.is_quarantine();
        if reason.is_quarantine() {
            warn!(peer = %self.peer, %reason, "a peer has shut this replica out");
        } else if reason.is_misconfiguration() {
            error!(peer = %self.peer, %reason, "peer refused the connection: the replicas are configured differently");
        } else if reason.is_unreadable() {
            warn!(peer = %self.peer, %reason, "peer sent what cannot be read, closed its connection");
        } else {
            info!(peer = %self.peer, %reason, "lost the connection to a peer");
        }
        self.up.send_replace(false);
        inbox.disconnected(self.peer);
    }

    /// Keeps, and says once, why there is no connection.
    pub(crate) fn note_problem(&self, reason: &LinkError, inbox: &Inbox) {
        let mut state = self.lock();
        let text = reason.to_string();
        let known = state.problem.as_ref() == Some(&text) || state.notice.is_some();
        let follows = state.shut_us_out && matches!(reason, LinkError::NoHandshake);
        if state.active.is_some() || reason.is_duplicate() || known || follows {
            return;
        }
        state.shut_us_out = reason.is_quarantine();
        if reason.is_quarantine() {
            warn!(peer = %self.peer, %reason, "a peer has shut this replica out");
        } else if reason.is_misconfiguration() {
            error!(peer = %self.peer, %reason, "refused connection: the replicas are configured differently");
        } else {
            info!(peer = %self.peer, %reason, "no connection to peer");
        }
        state.problem = Some(text);
        drop(state);
        inbox.nudge();
    }

    /// How many connections ended because the peer sent what cannot be read, since this was asked last.
    pub(crate) fn take_unreadable(&self) -> u32 {
        self.unreadable.swap(0, Ordering::Relaxed)
    }

    /// How we stand with the peer, which the cluster file describes by `member`.
    pub(crate) fn state_of(&self, member: &Member) -> PeerState {
        let state = self.lock();
        let last_seen_ms = self.last_seen_ms.load(Ordering::Relaxed);
        let path = state.active.as_ref().map(|active| active.connection.stats().path);
        let mut sent = state.packets;
        sent += path.as_ref().map(packets).unwrap_or_default();
        PeerState {
            id: member.id,
            name: member.name.clone(),
            address: member.address,
            connected: state.active.is_some(),
            quarantined: state.notice.is_some(),
            last_seen_ms: (last_seen_ms > 0).then_some(last_seen_ms),
            queued_bytes: state.active.as_ref().map_or(0, |active| active.queue.queued_bytes()),
            round_trip: path.map(|path| path.rtt),
            packets: sent,
            problem: state.problem.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().expect("nothing panics while it holds the link")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn::{ApplicationClose, ConnectionError};

    #[test]
    fn silence_of_a_peer_that_has_shut_us_out_does_not_hide_why() {
        let link = Link::new(ReplicaId(1));
        let inbox = Inbox::new(4);
        let close = ApplicationClose {
            error_code: quinn::VarInt::from(CloseCode::Quarantined as u8),
            reason: Bytes::from_static(b"shut out until tomorrow: proven equivocation"),
        };
        let problem = || link.lock().problem.clone().unwrap_or_default();
        link.note_problem(&LinkError::Connection(ConnectionError::ApplicationClosed(close)), &inbox);
        link.note_problem(&LinkError::NoHandshake, &inbox);
        assert!(problem().contains("proven equivocation"), "{}", problem());
        link.note_problem(&LinkError::NoHello, &inbox);
        assert!(problem().contains("no Hello"), "{}", problem());
        link.note_problem(&LinkError::NoHandshake, &inbox);
        assert!(problem().contains("no answer"), "{}", problem());
    }

    #[test]
    fn what_happens_to_a_peer_that_is_shut_out_does_not_hide_why() {
        let link = Link::new(ReplicaId(1));
        let inbox = Inbox::new(4);
        link.shut_out("shut out", &inbox);
        link.note_problem(&LinkError::NoHandshake, &inbox);
        assert_eq!(link.lock().problem.as_deref(), Some("shut out"));
        link.admit();
        assert_eq!(link.lock().problem, None);
    }
}
