//! Counters of the plugin.

use std::sync::Arc;

use certificate::leaf::Class;
use certificate::{OperationKind, ReplicaSet};
use node::NodeStatus;
use pbft::{Standing, Status};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::sync::watch;
use tokio::time::{Duration, sleep};

use super::opinion::OpinionMetrics;
use crate::metrics::Metrics;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClassLabel {
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReplicaLabel {
    replica: u8,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClusterLabel {
    cluster: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StandingLabel {
    cluster: String,
    standing: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PeerLabel {
    cluster: String,
    replica: u8,
}

/// Gauges follow the replica at most so late: a busy one changes with every message.
const FOLLOW_PAUSE: Duration = Duration::from_millis(100);

/// How a replica stands, as people and graphs read it.
pub fn standing_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Changing => "changing",
        Standing::Learning => "learning",
        Standing::Diverged => "diverged",
    }
}

/// What the replicas of the process say of themselves.
#[derive(Clone)]
struct ReplicaMetrics {
    view: Family<ClusterLabel, Gauge>,
    standing: Family<StandingLabel, Gauge>,
    votes: Family<ClusterLabel, Gauge>,
    reaches_quorum: Family<ClusterLabel, Gauge>,
    quorum: Family<ClusterLabel, Gauge>,
    connected: Family<PeerLabel, Gauge>,
    executed: Family<ClusterLabel, Gauge>,
    stable: Family<ClusterLabel, Gauge>,
    view_changes: Counter,
    new_views: Counter,
    fast_path: Counter,
    slow_path: Counter,
}

/// What the plugin counts, over all clusters of the process.
#[derive(Clone)]
pub struct ConsensusMetrics {
    decided: Family<ClassLabel, Counter>,
    decided_beside: Family<KindLabel, Counter>,
    out_voted: Family<ReplicaLabel, Counter>,
    /// Queries answered with a decision that still held.
    pub held: Counter,
    /// Queries answered before the certificate of their answer was complete.
    pub early: Counter,
    /// Slots whose early answers were not used because a replica's reputation was too low.
    pub withheld: Counter,
    /// Queries without a decision at their deadline.
    pub undecided: Counter,
    /// Own answers under the policy `observe` that differ from what the cluster decided.
    pub differences: Counter,
    /// Certified answers handed to replicas that were behind.
    pub handed_out: Counter,
    /// Faults of other replicas.
    pub faults: Counter,
    /// From the request to the decision, as a query waits for it.
    pub decision_seconds: Histogram,
    /// What is made of the other replicas.
    pub opinion: OpinionMetrics,
    replica: ReplicaMetrics,
}

impl ConsensusMetrics {
    /// The counters in `metrics`.
    pub fn new(metrics: &Metrics) -> ConsensusMetrics {
        ConsensusMetrics {
            decided: metrics.metric(
                "quorate_consensus_decisions",
                "Questions decided, by class",
                Family::default,
            ),
            decided_beside: metrics.metric(
                "quorate_consensus_operations",
                "Operations decided beside questions, by kind and class",
                Family::default,
            ),
            out_voted: metrics.metric(
                "quorate_consensus_out_voted",
                "Observations that the decision does not agree with, by replica: one that lies, or is lied to",
                Family::default,
            ),
            held: metrics.metric(
                "quorate_consensus_held",
                "Queries answered with a decision that still held",
                Counter::default,
            ),
            early: metrics.metric(
                "quorate_consensus_early",
                "Queries answered before the certificate of their answer was complete",
                Counter::default,
            ),
            withheld: metrics.metric(
                "quorate_consensus_early_withheld",
                "Slots whose answers waited for their commits because a replica's reputation was below that of `fast-path on`",
                Counter::default,
            ),
            undecided: metrics.metric(
                "quorate_consensus_undecided",
                "Queries without a decision at their deadline",
                Counter::default,
            ),
            differences: metrics.metric(
                "quorate_consensus_differences",
                "Own answers under the policy `observe` that differ from what the cluster decided",
                Counter::default,
            ),
            handed_out: metrics.metric(
                "quorate_consensus_handed_out",
                "Certified answers handed to replicas that were behind",
                Counter::default,
            ),
            faults: metrics.metric("quorate_consensus_faults", "Faults of other replicas", Counter::default),
            decision_seconds: metrics.metric(
                "quorate_consensus_decision_seconds",
                "From the request to the decision, as a query waits for it",
                || Histogram::new(exponential_buckets(0.001, 2.0, 12)),
            ),
            opinion: OpinionMetrics::new(metrics),
            replica: ReplicaMetrics::new(metrics),
        }
    }

    /// Shows how the replica of `cluster` stands, until it stops.
    pub async fn follow(self, cluster: Arc<str>, mut status: watch::Receiver<NodeStatus>) {
        let mut before = Status::default();
        loop {
            let now = status.borrow_and_update().clone();
            self.replica.show(&cluster, &before, &now.replica);
            self.replica.show_presence(&cluster, &now);
            before = now.replica;
            if status.changed().await.is_err() {
                return;
            }
            sleep(FOLLOW_PAUSE).await;
        }
    }

    /// Counts the replicas that saw something else than what was agreed on.
    pub fn out_voted(&self, replicas: ReplicaSet) {
        for replica in replicas.iter() {
            self.out_voted.get_or_create(&ReplicaLabel { replica: replica.0 }).inc();
        }
    }

    /// Counts a decided operation that is no question.
    pub fn decided_beside(&self, kind: OperationKind, class: Class) {
        let kind = match kind {
            OperationKind::Validate => "validate",
            OperationKind::UpdateInputs => "update-inputs",
            OperationKind::Null | OperationKind::Resolve | OperationKind::NewEpoch => return,
        };
        self.decided_beside.get_or_create(&KindLabel { kind, class: class.name() }).inc();
    }

    /// Counts a decided question.
    pub fn decided(&self, class: Class) {
        self.decided.get_or_create(&ClassLabel { class: class.name() }).inc();
    }
}

impl ReplicaMetrics {
    fn new(metrics: &Metrics) -> ReplicaMetrics {
        let counter = |name, help| metrics.metric(name, help, Counter::default);
        let gauge = |name, help| metrics.metric(name, help, Family::<ClusterLabel, Gauge>::default);
        ReplicaMetrics {
            view: gauge("quorate_consensus_view", "The view that the replica is in or moves to"),
            standing: metrics.metric(
                "quorate_consensus_standing",
                "1 for the part of the protocol that the replica is in: active, changing, learning, diverged",
                Family::default,
            ),
            votes: gauge(
                "quorate_consensus_votes",
                "1 while the replica votes, 0 while it learns, after it diverged, and when its log failed",
            ),
            reaches_quorum: gauge(
                "quorate_consensus_reaches_quorum",
                "1 while enough replicas are connected here to decide anything",
            ),
            quorum: gauge("quorate_consensus_quorum", "How many replicas it takes to decide anything"),
            connected: metrics.metric(
                "quorate_consensus_connected",
                "1 while there is a connection with a replica",
                Family::default,
            ),
            executed: gauge("quorate_consensus_executed_slot", "The last slot that the replica executed"),
            stable: gauge("quorate_consensus_stable_slot", "The slot of the last stable checkpoint"),
            view_changes: counter("quorate_consensus_view_changes", "Views that the replica gave up"),
            new_views: counter("quorate_consensus_new_views", "New views that the replica entered"),
            fast_path: counter(
                "quorate_consensus_fast_path",
                "Slots whose answers a fast quorum released before the commits were in",
            ),
            slow_path: counter("quorate_consensus_slow_path", "Slots that the commits decided first"),
        }
    }

    /// Shows whether the replica votes, and whom it reaches.
    fn show_presence(&self, cluster: &str, now: &NodeStatus) {
        let of = ClusterLabel { cluster: cluster.to_owned() };
        self.votes.get_or_create(&of).set(i64::from(now.votes()));
        self.reaches_quorum.get_or_create(&of).set(i64::from(now.can_reach_quorum()));
        self.quorum.get_or_create(&of).set(now.quorum as i64);
        for peer in &now.peers {
            let of = PeerLabel { cluster: cluster.to_owned(), replica: peer.id.0 };
            self.connected.get_or_create(&of).set(i64::from(peer.connected));
        }
    }

    fn show(&self, cluster: &str, before: &Status, now: &Status) {
        let label = || ClusterLabel { cluster: cluster.to_owned() };
        for (gauge, value) in
            [(&self.view, now.view.0), (&self.executed, now.executed.0), (&self.stable, now.stable.0)]
        {
            gauge.get_or_create(&label()).set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        for standing in [Standing::Active, Standing::Changing, Standing::Learning, Standing::Diverged] {
            let label = StandingLabel { cluster: cluster.to_owned(), standing: standing_name(standing) };
            self.standing.get_or_create(&label).set(i64::from(standing == now.standing));
        }
        for (counter, before, now) in [
            (&self.view_changes, before.view_changes, now.view_changes),
            (&self.new_views, before.new_views, now.new_views),
            (&self.fast_path, before.fast, now.fast),
            (&self.slow_path, before.slow, now.slow),
        ] {
            counter.inc_by(now.saturating_sub(before));
        }
    }
}
