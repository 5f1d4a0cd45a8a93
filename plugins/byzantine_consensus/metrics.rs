//! Counters of the plugin.

use certificate::ReplicaSet;
use certificate::leaf::Class;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::metrics::Metrics;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClassLabel {
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReplicaLabel {
    replica: u8,
}

/// What the plugin counts, over all clusters of the process.
#[derive(Clone)]
pub struct ConsensusMetrics {
    decided: Family<ClassLabel, Counter>,
    out_voted: Family<ReplicaLabel, Counter>,
    /// Queries answered with a decision that still held.
    pub held: Counter,
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
        }
    }

    /// Counts the replicas that saw something else than what was agreed on.
    pub fn out_voted(&self, replicas: ReplicaSet) {
        for replica in replicas.iter() {
            self.out_voted.get_or_create(&ReplicaLabel { replica: replica.0 }).inc();
        }
    }

    /// Counts a decided question.
    pub fn decided(&self, class: Class) {
        self.decided.get_or_create(&ClassLabel { class: class.name() }).inc();
    }
}
