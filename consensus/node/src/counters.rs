//! What a node counts, for graphs. All counters only grow.

use std::sync::atomic::{AtomicU64, Ordering};

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The live counters, shared by the driver and the connections.
#[derive(Debug, Default)]
pub(crate) struct LiveCounters {
    pub slots_decided: Counter,
    pub operations_decided: Counter,
    pub faults: Counter,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    pub messages_in: Counter,
    pub messages_out: Counter,
    pub fetches: Counter,
    pub strangers: Counter,
    pub queue_drops: Counter,
    pub answers_dropped: Counter,
    pub inbox_drops: Counter,
    pub refused_frames: Counter,
    pub news_in: Counter,
    pub news_out: Counter,
    pub news_dropped: Counter,
    pub news_refused: Counter,
    pub content_in: Counter,
    pub content_out: Counter,
    pub content_refused: Counter,
    pub fetches_refused: Counter,
    pub log_syncs: Counter,
    pub evidence_lost: Counter,
}

/// The counters of a node at one moment, since its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Slots decided and executed.
    pub slots_decided: u64,
    /// Operations in them.
    pub operations_decided: u64,
    /// Faults reported, proven or not.
    pub faults: u64,
    /// Bytes of frames from peers.
    pub bytes_in: u64,
    /// Bytes of frames to peers.
    pub bytes_out: u64,
    /// Messages from peers.
    pub messages_in: u64,
    /// Messages to peers.
    pub messages_out: u64,
    /// Times that a peer was asked for decided slots, a part of a state, a batch or a view change.
    pub fetches: u64,
    /// Connections whose key is not in the cluster file.
    pub strangers: u64,
    /// Messages not sent: the queue to a peer was full (its connection is then reset), or the message was too long.
    pub queue_drops: u64,
    /// Slots, batches, parts of states and certified answers not sent: their peer takes them too slowly, or has caused too many.
    pub answers_dropped: u64,
    /// Messages of peers dropped because too many of that peer were waiting.
    pub inbox_drops: u64,
    /// Frames or messages of peers that could not be read; each costs its sender the connection.
    pub refused_frames: u64,
    /// Pieces of news from peers, handed to the host.
    pub news_in: u64,
    /// Pieces of news to peers: one that goes to three of them counts as three.
    pub news_out: u64,
    /// Own news not sent: too long, too often, or a peer takes it too slowly.
    pub news_dropped: u64,
    /// Pieces of news of peers not handed to the host: too often, or after the peer was shut out.
    pub news_refused: u64,
    /// Contents that peers gave, as they were asked for.
    pub content_in: u64,
    /// Contents that were given to peers.
    pub content_out: u64,
    /// Contents of peers that were not what they were asked for: too long, or of another digest.
    pub content_refused: u64,
    /// Questions of peers for content not answered: too often, or after the peer was shut out.
    pub fetches_refused: u64,
    /// Syncs of the log.
    pub log_syncs: u64,
    /// Faults whose evidence was not written because too much was waiting, or the disk refused.
    pub evidence_lost: u64,
}

impl LiveCounters {
    pub(crate) fn values(&self) -> Counters {
        Counters {
            slots_decided: self.slots_decided.value(),
            operations_decided: self.operations_decided.value(),
            faults: self.faults.value(),
            bytes_in: self.bytes_in.value(),
            bytes_out: self.bytes_out.value(),
            messages_in: self.messages_in.value(),
            messages_out: self.messages_out.value(),
            fetches: self.fetches.value(),
            strangers: self.strangers.value(),
            queue_drops: self.queue_drops.value(),
            answers_dropped: self.answers_dropped.value(),
            inbox_drops: self.inbox_drops.value(),
            refused_frames: self.refused_frames.value(),
            news_in: self.news_in.value(),
            news_out: self.news_out.value(),
            news_dropped: self.news_dropped.value(),
            news_refused: self.news_refused.value(),
            content_in: self.content_in.value(),
            content_out: self.content_out.value(),
            content_refused: self.content_refused.value(),
            fetches_refused: self.fetches_refused.value(),
            log_syncs: self.log_syncs.value(),
            evidence_lost: self.evidence_lost.value(),
        }
    }
}
