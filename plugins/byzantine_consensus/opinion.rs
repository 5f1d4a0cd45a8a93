//! What this replica makes of the others, for graphs and the log: once a second, for as long as the replica runs.
//!
//! The detector decides; here it is only shown. A series begins when there is something to say: a share of nothing has none, nor has an indicator or an
//! offence that was never seen, so that what is there means something.

use std::sync::Weak;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use certificate::ReplicaSet;
use detector::{Action, Assessment, Indicator, Pattern};
use peer_filter::{FilterStatistics, Kind, Verdict};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::consensus::Consensus;
use crate::metrics::Metrics;

/// How often graphs follow the detector, which looks about as often.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Cluster {
    cluster: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Replica {
    cluster: String,
    replica: u8,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Quantile {
    cluster: String,
    replica: u8,
    quantile: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Indicated {
    cluster: String,
    replica: u8,
    indicator: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Offended {
    cluster: String,
    replica: u8,
    offence: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Patterned {
    cluster: String,
    replica: u8,
    pattern: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Advised {
    cluster: String,
    replica: u8,
    action: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kinds {
    cluster: String,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Verdicts {
    cluster: String,
    verdict: &'static str,
}

type Share = Gauge<f64, AtomicU64>;

/// Series about the other replicas, and about the filter.
#[derive(Clone)]
pub struct OpinionMetrics {
    reputation: Family<Replica, Share>,
    byzantine: Family<Replica, Gauge>,
    confidence: Family<Replica, Share>,
    words: Words,
    quarantined: Family<Replica, Gauge>,
    indicator: Family<Indicated, Gauge>,
    offences: Family<Offended, Counter>,
    labels: Family<Replica, Counter>,
    labels_confirmed: Family<Replica, Counter>,
    latency: Family<Quantile, Share>,
    participation: Family<Replica, Share>,
    accuracy: Family<Replica, Share>,
    uptime: Family<Replica, Share>,
    signatures: Family<Replica, Share>,
    trusted: Family<Cluster, Gauge>,
    filter_kind: Family<Kinds, Gauge>,
    filter_datagrams: Family<Verdicts, Counter>,
    filter_bytes: Family<Verdicts, Counter>,
    filter_peer: Family<Replica, Counter>,
    filter_peer_dropped: Family<Replica, Counter>,
}

impl OpinionMetrics {
    /// The series in `metrics`.
    pub fn new(metrics: &Metrics) -> OpinionMetrics {
        let share = |name, help| metrics.metric(name, help, Family::<Replica, Share>::default);
        let flag = |name, help| metrics.metric(name, help, Family::<Replica, Gauge>::default);
        let by_peer = |name, help| metrics.metric(name, help, Family::<Replica, Counter>::default);
        let by_verdict = |name, help| metrics.metric(name, help, Family::<Verdicts, Counter>::default);
        OpinionMetrics {
            reputation: share(
                "quorate_consensus_reputation",
                "What the word of a replica is worth here, 0 to 1",
            ),
            byzantine: flag("quorate_consensus_byzantine", "1 for a replica that is called Byzantine here"),
            confidence: share(
                "quorate_consensus_confidence",
                "How sure it is that a replica is Byzantine, or that it is not, 0 to 1",
            ),
            words: Words::new(metrics),
            quarantined: flag("quorate_consensus_quarantined", "1 for a replica that is shut out here"),
            indicator: metrics.metric(
                "quorate_consensus_indicator",
                "1 while this stands out about a replica",
                Family::default,
            ),
            offences: metrics.metric(
                "quorate_consensus_offences",
                "What a replica did wrong, as seen here, by kind and class of fault",
                Family::default,
            ),
            labels: by_peer("quorate_consensus_labels", "How often a replica was called Byzantine here"),
            labels_confirmed: by_peer(
                "quorate_consensus_labels_confirmed",
                "Those of these labels that a proof of a broken rule bears out, from before or after",
            ),
            latency: metrics.metric(
                "quorate_consensus_vote_latency_seconds",
                "How long after f+1 replicas had voted in a slot the commit of this one came",
                Family::default,
            ),
            participation: share(
                "quorate_consensus_participation_ratio",
                "Slots in which a replica voted, of those in which it was connected",
            ),
            accuracy: share(
                "quorate_consensus_accuracy_ratio",
                "Observations of a replica that were right, of those that could be judged",
            ),
            uptime: share(
                "quorate_consensus_uptime_ratio",
                "The part of the time in which a replica was connected",
            ),
            signatures: share(
                "quorate_consensus_signature_success_ratio",
                "Messages of a replica without an invalid signature, of all its messages",
            ),
            trusted: metrics.metric(
                "quorate_consensus_trusted_replicas",
                "Replicas whose reputation is at least `reputation-threshold`, this one among them",
                Family::default,
            ),
            filter_kind: metrics.metric(
                "quorate_filter_kind",
                "1 for where the filter before the peer port sits",
                Family::default,
            ),
            filter_datagrams: by_verdict(
                "quorate_filter_datagrams",
                "Datagrams at the peer port, by verdict",
            ),
            filter_bytes: by_verdict("quorate_filter_bytes", "Their bytes, by verdict"),
            filter_peer: by_peer("quorate_filter_peer_datagrams", "Datagrams from the address of a replica"),
            filter_peer_dropped: by_peer("quorate_filter_peer_dropped", "Those of them that were dropped"),
        }
    }

    /// Shows the assessments of the other replicas of `cluster`, and who is trusted.
    pub fn show(&self, cluster: &str, assessments: &[Assessment], trusted: ReplicaSet) {
        let of = Cluster { cluster: cluster.to_owned() };
        self.trusted.get_or_create(&of).set(trusted.len() as i64);
        assessments.iter().for_each(|one| self.show_one(cluster, one));
    }

    /// Takes all gauges away: nobody here has an opinion any more. Those of another cluster are back within a second.
    fn clear(&self) {
        for share in [
            &self.reputation,
            &self.confidence,
            &self.participation,
            &self.accuracy,
            &self.uptime,
            &self.signatures,
        ] {
            share.clear();
        }
        self.byzantine.clear();
        self.quarantined.clear();
        self.words.pattern.clear();
        self.words.action.clear();
        self.indicator.clear();
        self.latency.clear();
        self.trusted.clear();
        self.filter_kind.clear();
    }

    fn show_one(&self, cluster: &str, one: &Assessment) {
        let (cluster, replica) = (cluster.to_owned(), one.replica.0);
        let of = Replica { cluster: cluster.clone(), replica };
        let figures = &one.statistics;
        self.reputation.get_or_create(&of).set(one.reputation.score);
        self.byzantine.get_or_create(&of).set(i64::from(one.is_byzantine));
        self.confidence.get_or_create(&of).set(one.confidence);
        self.quarantined.get_or_create(&of).set(i64::from(one.quarantined.is_some()));
        self.uptime.get_or_create(&of).set(figures.uptime);
        for (family, is_known, share) in [
            (&self.participation, figures.slots > 0, figures.participation),
            (&self.accuracy, figures.judged > 0, figures.accuracy),
            (&self.signatures, figures.total_messages > 0, figures.signature_success),
        ] {
            if is_known {
                family.get_or_create(&of).set(share);
            }
        }
        if figures.latency.count > 0 {
            let latency = &figures.latency;
            for (quantile, ms) in [("0.5", latency.p50), ("0.9", latency.p90), ("0.99", latency.p99)] {
                let of = Quantile { cluster: cluster.clone(), replica, quantile };
                self.latency.get_or_create(&of).set(ms / 1000.0);
            }
        }
        for indicator in Indicator::ALL {
            let of = Indicated { cluster: cluster.clone(), replica, indicator: indicator.name() };
            hold(&self.indicator, &of, one.indicators.contains(&indicator));
        }
        self.words.show(&cluster, one);
        raise(&self.labels.get_or_create(&of), figures.labels);
        raise(&self.labels_confirmed.get_or_create(&of), figures.labels_confirmed);
        for (offence, count) in &figures.offences {
            let class = offence.class().name();
            let of = Offended { cluster: cluster.clone(), replica, offence: offence.name(), class };
            raise(&self.offences.get_or_create(&of), *count);
        }
    }

    /// Shows what the filter of `cluster` has counted. A verdict that cannot come where the filter sits has no series.
    pub fn show_filter(&self, cluster: &str, filter: &FilterStatistics) {
        let cluster = cluster.to_owned();
        self.filter_kind.get_or_create(&Kinds { cluster: cluster.clone(), kind: filter.kind.name() }).set(1);
        if filter.kind == Kind::Off {
            return;
        }
        let at_interface = matches!(filter.kind, Kind::Tc | Kind::Xdp);
        for count in filter.verdicts.iter().filter(|count| count.verdict != Verdict::Fragment || at_interface)
        {
            let of = Verdicts { cluster: cluster.clone(), verdict: count.verdict.name() };
            raise(&self.filter_datagrams.get_or_create(&of), count.datagrams);
            raise(&self.filter_bytes.get_or_create(&of), count.bytes);
        }
        for peer in &filter.peers {
            let of = Replica { cluster: cluster.clone(), replica: peer.id };
            raise(&self.filter_peer.get_or_create(&of), peer.total_messages);
            raise(&self.filter_peer_dropped.get_or_create(&of), peer.dropped_messages);
        }
    }
}

/// How a replica behaves and what is advised, each in a word.
#[derive(Clone)]
struct Words {
    pattern: Family<Patterned, Gauge>,
    action: Family<Advised, Gauge>,
}

impl Words {
    fn new(metrics: &Metrics) -> Words {
        Words {
            pattern: metrics.metric(
                "quorate_consensus_pattern",
                "1 for how a replica behaves, in a word",
                Family::default,
            ),
            action: metrics.metric(
                "quorate_consensus_action",
                "1 for what is advised about a replica",
                Family::default,
            ),
        }
    }

    fn show(&self, cluster: &str, one: &Assessment) {
        let (cluster, replica) = (cluster.to_owned(), one.replica.0);
        for pattern in Pattern::ALL {
            let of = Patterned { cluster: cluster.clone(), replica, pattern: pattern.name() };
            hold(&self.pattern, &of, one.pattern == pattern);
        }
        for action in Action::ALL {
            let of = Advised { cluster: cluster.clone(), replica, action: action.name() };
            hold(&self.action, &of, one.action == action);
        }
    }
}

/// Shows 1 for what holds, and 0 for what held before. What never held has no series.
fn hold<L: Clone + std::hash::Hash + Eq>(family: &Family<L, Gauge>, of: &L, holds: bool) {
    if holds {
        family.get_or_create(of).set(1);
    } else if let Some(gone) = family.get(of) {
        gone.set(0);
    }
}

/// Lets a counter catch up with one that only grows.
fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

/// Shows what the replica makes of the others, until nobody uses it any more.
pub async fn follow(consensus: Weak<Consensus>) {
    let mut ticks = interval(FOLLOW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<ReplicaSet> = None;
    let mut shown: Option<OpinionMetrics> = None;
    loop {
        ticks.tick().await;
        let Some(consensus) = consensus.upgrade() else { break };
        let (node, cluster) = (consensus.node(), consensus.cluster.name.as_str());
        let (assessments, trusted) = (node.assessments(), consensus.trusted());
        let metrics = &consensus.metrics.opinion;
        metrics.show(cluster, &assessments, trusted);
        if let Ok(filter) = node.filter() {
            metrics.show_filter(cluster, &filter);
        }
        tell_of_trust(&consensus, &assessments, before.unwrap_or(trusted), trusted);
        before = Some(trusted);
        shown.get_or_insert_with(|| metrics.clone());
    }
    shown.iter().for_each(OpinionMetrics::clear);
}

/// Logs whose reputation has crossed the threshold.
fn tell_of_trust(consensus: &Consensus, assessments: &[Assessment], before: ReplicaSet, now: ReplicaSet) {
    let threshold = consensus.settings.reputation_threshold;
    for one in assessments {
        let (replica, reputation) = (one.replica, format!("{:.2}", one.reputation.score));
        match (before.contains(replica), now.contains(replica)) {
            (true, false) => warn!(%replica, reputation, threshold, "replica is not trusted any more"),
            (false, true) => info!(%replica, reputation, threshold, "replica is trusted again"),
            (true, true) | (false, false) => {}
        }
    }
}
