//! Counters of the plugin, each with the name of its cluster: a process may take part in several.

use std::sync::{Arc, Weak};

use certificate::leaf::Class;
use certificate::{OperationKind, ReplicaSet};
use node::NodeStatus;
use pbft::{Standing, Status};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Metric;
use tokio::sync::watch;
use tokio::time::{Duration, sleep};

use super::connectivity::ConnectivityMetrics;
use super::consensus::Consensus;
use super::opinion::OpinionMetrics;
use super::rounds::RoundMetrics;
use super::traffic::TrafficMetrics;
use crate::metrics::Metrics;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClassLabel {
    cluster: String,
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabel {
    cluster: String,
    kind: &'static str,
    class: &'static str,
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
pub(super) struct PeerLabel {
    pub(super) cluster: String,
    pub(super) replica: u8,
}

/// Makes the series of one cluster.
pub(super) struct Series<'a> {
    metrics: &'a Metrics,
    cluster: &'a str,
}

impl Series<'_> {
    fn label(&self) -> ClusterLabel {
        ClusterLabel { cluster: self.cluster.to_owned() }
    }

    /// A counter that begins at 0.
    pub(super) fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.metrics
            .metric(name, help, Family::<ClusterLabel, Counter>::default)
            .get_or_create_owned(&self.label())
    }

    /// A histogram with the buckets that `make` gives it.
    pub(super) fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        make: fn() -> Histogram,
    ) -> Histogram {
        let family = || Family::<ClusterLabel, Histogram, fn() -> Histogram>::new_with_constructor(make);
        self.metrics.metric(name, help, family).get_or_create_owned(&self.label())
    }

    /// Series of the other replicas, which begin when there is something to say.
    pub(super) fn by_peer<M: Metric + TypedMetric + Clone + Default + Send>(
        &self,
        name: &'static str,
        help: &'static str,
    ) -> Family<PeerLabel, M> {
        self.metrics.metric(name, help, Family::default)
    }
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

/// What the plugin counts about one cluster.
#[derive(Clone)]
pub struct ConsensusMetrics {
    cluster: Arc<str>,
    decided: Family<ClassLabel, Counter>,
    decided_beside: Family<KindLabel, Counter>,
    out_voted: Family<PeerLabel, Counter>,
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
    /// Who reaches whom.
    pub connectivity: ConnectivityMetrics,
    /// How long agreeing takes, and how much is agreed on at once.
    pub rounds: RoundMetrics,
    traffic: TrafficMetrics,
    replica: ReplicaMetrics,
}

impl ConsensusMetrics {
    /// The counters of `cluster` in `metrics`.
    pub fn new(metrics: &Metrics, cluster: &str) -> ConsensusMetrics {
        let series = Series { metrics, cluster };
        ConsensusMetrics {
            cluster: cluster.into(),
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
            out_voted: series.by_peer(
                "quorate_consensus_out_voted",
                "Observations that the decision does not agree with, by replica: one that lies, or is lied to",
            ),
            held: series
                .counter("quorate_consensus_held", "Queries answered with a decision that still held"),
            early: series.counter(
                "quorate_consensus_early",
                "Queries answered before the certificate of their answer was complete",
            ),
            withheld: series.counter(
                "quorate_consensus_early_withheld",
                "Slots whose answers waited for their commits because a replica's reputation was below that of `fast-path on`",
            ),
            undecided: series
                .counter("quorate_consensus_undecided", "Queries without a decision at their deadline"),
            differences: series.counter(
                "quorate_consensus_differences",
                "Own answers under the policy `observe` that differ from what the cluster decided",
            ),
            handed_out: series.counter(
                "quorate_consensus_handed_out",
                "Certified answers handed to replicas that were behind",
            ),
            faults: series.counter("quorate_consensus_faults", "Faults of other replicas"),
            decision_seconds: series.histogram(
                "quorate_consensus_decision_seconds",
                "From the request to the decision, as a query waits for it",
                || Histogram::new(exponential_buckets(0.001, 2.0, 12)),
            ),
            opinion: OpinionMetrics::new(metrics),
            connectivity: ConnectivityMetrics::new(metrics),
            rounds: RoundMetrics::new(&series),
            traffic: TrafficMetrics::new(&series),
            replica: ReplicaMetrics::new(&series),
        }
    }

    /// Shows how the replica stands until nobody uses it any more; then there is nothing that stands. One whose log failed is still used.
    pub(super) async fn follow(self, user: Weak<Consensus>, mut status: watch::Receiver<NodeStatus>) {
        let mut before: Option<NodeStatus> = None;
        loop {
            let now = status.borrow_and_update().clone();
            let replica_before = before.as_ref().map(|status| status.replica).unwrap_or_default();
            self.replica.show(&self.cluster, &replica_before, &now.replica);
            self.replica.show_presence(&self.cluster, &now);
            self.traffic.show(&self.cluster, before.as_ref(), &now);
            before = Some(now);
            if status.changed().await.is_err() {
                break;
            }
            sleep(FOLLOW_PAUSE).await;
        }
        while user.strong_count() > 0 {
            sleep(FOLLOW_PAUSE).await;
        }
        self.replica.clear();
        self.traffic.clear();
    }

    /// Counts the replicas that saw something else than what was agreed on.
    pub fn out_voted(&self, replicas: ReplicaSet) {
        for replica in replicas.iter() {
            let of = PeerLabel { cluster: self.cluster.to_string(), replica: replica.0 };
            self.out_voted.get_or_create(&of).inc();
        }
    }

    /// Counts a decided operation that is no question.
    pub fn decided_beside(&self, kind: OperationKind, class: Class) {
        let kind = match kind {
            OperationKind::Validate => "validate",
            OperationKind::UpdateInputs => "update-inputs",
            OperationKind::Null | OperationKind::Resolve | OperationKind::NewEpoch => return,
        };
        let of = KindLabel { cluster: self.cluster.to_string(), kind, class: class.name() };
        self.decided_beside.get_or_create(&of).inc();
    }

    /// Counts a decided question.
    pub fn decided(&self, class: Class) {
        let of = ClassLabel { cluster: self.cluster.to_string(), class: class.name() };
        self.decided.get_or_create(&of).inc();
    }
}

impl ReplicaMetrics {
    fn new(series: &Series<'_>) -> ReplicaMetrics {
        let metrics = series.metrics;
        let counter = |name, help| series.counter(name, help);
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
            connected: series
                .by_peer("quorate_consensus_connected", "1 while there is a connection with a replica"),
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

    /// Takes all gauges away. Those of another cluster, or of a replica that was started in this one's place, are back within a second.
    fn clear(&self) {
        for gauge in
            [&self.view, &self.votes, &self.reaches_quorum, &self.quorum, &self.executed, &self.stable]
        {
            gauge.clear();
        }
        self.standing.clear();
        self.connected.clear();
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
