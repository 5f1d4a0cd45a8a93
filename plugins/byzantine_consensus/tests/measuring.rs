//! What is measured of the slots, and that clusters are not counted together.

use std::time::Duration;

use certificate::leaf::Class;
use certificate::{ReplicaSet, Sequence};
use node::Round;

use crate::byzantine_consensus::metrics::ConsensusMetrics;
use crate::byzantine_consensus::rounds::{ROUNDS_MAX, Spread};
use crate::metrics::Metrics;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn round(agreement_ms: Option<u64>, entries: usize) -> Round {
    Round {
        sequence: Sequence(1),
        agreement: agreement_ms.map(ms),
        since_quorum: vec![ms(7); entries],
        entries,
        bytes: 1000 * entries,
    }
}

#[test]
fn clusters_of_one_process_are_counted_apart() {
    let metrics = Metrics::new();
    let (one, other) = (ConsensusMetrics::new(&metrics, "one"), ConsensusMetrics::new(&metrics, "other"));
    for _ in 0..2 {
        one.held.inc();
        one.decided(Class::Strong);
        one.out_voted(ReplicaSet(0b10));
        one.decision_seconds.observe(0.5);
    }
    other.held.inc();
    let text = metrics.encode();
    for line in [
        "quorate_consensus_held_total{cluster=\"one\"} 2",
        "quorate_consensus_held_total{cluster=\"other\"} 1",
        "quorate_consensus_decisions_total{cluster=\"one\",class=\"strong\"} 2",
        "quorate_consensus_out_voted_total{cluster=\"one\",replica=\"1\"} 2",
        "quorate_consensus_decision_seconds_count{cluster=\"one\"} 2",
        "quorate_consensus_decision_seconds_count{cluster=\"other\"} 0",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
}

#[test]
fn every_series_of_the_consensus_names_its_cluster() {
    let metrics = Metrics::new();
    let consensus = ConsensusMetrics::new(&metrics, "one");
    consensus.decided(Class::Strong);
    consensus.decided_beside(certificate::OperationKind::Validate, Class::Strong);
    consensus.out_voted(ReplicaSet(1));
    let text = metrics.encode();
    let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(series.len() > 40, "{text}");
    for line in series {
        assert!(line.contains("cluster=\"one\""), "{line}");
    }
}

#[test]
fn figures_are_of_the_last_slots_that_decided_something() {
    let rounds = ConsensusMetrics::new(&Metrics::new(), "example").rounds;
    let nothing = rounds.figures();
    assert_eq!((nothing.slots, nothing.agreement, nothing.entries), (0, None, None));
    rounds.take(&round(Some(60_000), 50));
    for number in 1..=ROUNDS_MAX as u64 {
        rounds.take(&round(Some(number), 2));
        rounds.take(&round(Some(60_000), 0));
    }
    let figures = rounds.figures();
    let spread = Spread { p50: ms(128), p90: ms(231), p99: ms(254) };
    assert_eq!((figures.slots, figures.agreement), (ROUNDS_MAX, Some(spread)));
    assert_eq!((figures.entries, figures.bytes), (Some(2.0), Some(2000.0)));
    assert_eq!(figures.ordering, Some(Spread { p50: ms(7), p90: ms(7), p99: ms(7) }));
}

#[test]
fn slot_that_came_without_a_proposal_counts_but_has_no_time() {
    let rounds = ConsensusMetrics::new(&Metrics::new(), "example").rounds;
    rounds.take(&round(None, 3));
    let figures = rounds.figures();
    assert_eq!((figures.slots, figures.agreement, figures.entries), (1, None, Some(3.0)));
}
