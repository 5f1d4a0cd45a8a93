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

/// A counter with its name and what it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Its name, as JSON has it: `bytes_in`.
    pub name: &'static str,
    /// The name of its metric: `quorate_node_bytes_in`.
    pub metric: &'static str,
    /// What it counts, a sentence.
    pub meaning: &'static str,
    /// Its value.
    pub value: u64,
}

/// The counters in one list, so that none is counted and shown to nobody.
macro_rules! counters {
    ($(#[doc = $meaning:literal] $name:ident,)*) => {
        /// The live counters, shared by the driver and the connections.
        #[derive(Debug, Default)]
        pub(crate) struct LiveCounters {
            $(pub $name: Counter,)*
        }

        /// The counters of a node at one moment, since its start.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Counters {
            $(#[doc = $meaning] pub $name: u64,)*
        }

        impl LiveCounters {
            pub(crate) fn values(&self) -> Counters {
                Counters { $($name: self.$name.value(),)* }
            }
        }

        impl Counters {
            /// All of them.
            pub fn all(&self) -> Vec<Counted> {
                vec![$(Counted {
                    name: stringify!($name),
                    metric: concat!("quorate_node_", stringify!($name)),
                    meaning: $meaning.trim_ascii(),
                    value: self.$name,
                },)*]
            }
        }
    };
}

counters! {
    /// Slots decided and executed.
    slots_decided,
    /// Operations in them.
    operations_decided,
    /// Faults reported, proven or not.
    faults,
    /// Bytes of messages from peers, uncompressed.
    bytes_in,
    /// Bytes of frames to peers, compressed where that pays.
    bytes_out,
    /// Messages from peers.
    messages_in,
    /// Messages to peers.
    messages_out,
    /// Times that a peer was asked for decided slots, a part of a state, a batch or a view change.
    fetches,
    /// Connections whose key is not in the cluster file.
    strangers,
    /// Messages not sent: the queue to a peer was full (its connection is then reset), or the message was too long.
    queue_drops,
    /// Slots, batches, parts of states and certified answers not sent: their peer takes them too slowly, or has caused too many.
    answers_dropped,
    /// Messages of peers dropped because too many of that peer were waiting.
    inbox_drops,
    /// Frames or messages of peers that could not be read; each costs its sender the connection.
    refused_frames,
    /// Pieces of news from peers, handed to the host.
    news_in,
    /// Pieces of news to peers: one that goes to three of them counts as three.
    news_out,
    /// Own news not sent: too long, too often, or a peer takes it too slowly.
    news_dropped,
    /// Pieces of news of peers not handed to the host: too often, or after the peer was shut out.
    news_refused,
    /// Contents that peers gave, as they were asked for.
    content_in,
    /// Contents that were given to peers.
    content_out,
    /// Contents of peers that were not what they were asked for: too long, or of another digest.
    content_refused,
    /// Questions of peers for content not answered: too often, or after the peer was shut out.
    fetches_refused,
    /// Syncs of the log.
    log_syncs,
    /// Faults whose evidence was not written because too much was waiting, or the disk refused.
    evidence_lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_name_its_meaning_and_its_value() {
        let live = LiveCounters::default();
        live.bytes_out.add(7);
        let all = live.values().all();
        let bytes_out = Counted {
            name: "bytes_out",
            metric: "quorate_node_bytes_out",
            meaning: "Bytes of frames to peers, compressed where that pays.",
            value: 7,
        };
        assert!(all.contains(&bytes_out), "{all:?}");
        assert_eq!(all.iter().map(|counted| counted.value).sum::<u64>(), 7);
    }
}
