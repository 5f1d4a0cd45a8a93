//! What the node itself counts, and how its packets fare on the way to each peer: metrics.

use std::sync::atomic::AtomicU64;

use node::{Counters, NodeStatus, Packets};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::metrics::{PeerLabel, Series};

/// The counters of one node, and of its connections.
#[derive(Clone)]
pub struct TrafficMetrics {
    /// In the order of `Counters::all`.
    counters: Vec<Counter>,
    sent: Family<PeerLabel, Counter>,
    lost: Family<PeerLabel, Counter>,
    round_trip: Family<PeerLabel, Gauge<f64, AtomicU64>>,
}

impl TrafficMetrics {
    /// The series of one cluster.
    pub(super) fn new(series: &Series<'_>) -> TrafficMetrics {
        let all = Counters::default().all();
        TrafficMetrics {
            // The format ends each help with a full stop itself.
            counters: all
                .iter()
                .map(|counted| series.counter(counted.metric, counted.meaning.trim_end_matches('.')))
                .collect(),
            sent: series.by_peer("quorate_peer_packets_sent", "Packets sent to a replica"),
            lost: series.by_peer(
                "quorate_peer_packets_lost",
                "Those of them that were taken for lost, and their content sent again",
            ),
            round_trip: series
                .by_peer("quorate_peer_round_trip_seconds", "Round-trip time to a replica that is connected"),
        }
    }

    /// Takes the gauges away, as `ReplicaMetrics` does.
    pub(super) fn clear(&self) {
        self.round_trip.clear();
    }

    /// Shows what has happened since `before`; nothing before the start of the node.
    pub(super) fn show(&self, cluster: &str, before: Option<&NodeStatus>, now: &NodeStatus) {
        let counted_before = before.map(|status| status.counters).unwrap_or_default().all();
        for ((counter, before), now) in self.counters.iter().zip(counted_before).zip(now.counters.all()) {
            counter.inc_by(now.value.saturating_sub(before.value));
        }
        for peer in &now.peers {
            let of = PeerLabel { cluster: cluster.to_owned(), replica: peer.id.0 };
            let known = before.and_then(|status| status.peers.iter().find(|other| other.id == peer.id));
            let Packets { sent, lost } = known.map(|peer| peer.packets).unwrap_or_default();
            self.sent.get_or_create(&of).inc_by(peer.packets.sent.saturating_sub(sent));
            self.lost.get_or_create(&of).inc_by(peer.packets.lost.saturating_sub(lost));
            match peer.round_trip {
                Some(time) => {
                    self.round_trip.get_or_create(&of).set(time.as_secs_f64());
                }
                None => {
                    self.round_trip.remove(&of);
                }
            }
        }
    }
}
