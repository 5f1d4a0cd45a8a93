//! `/v1/status` and `/v1/cluster`: how this replica stands, and what all replicas have in common.

use std::time::Duration;

use node::{Counters, PeerState};
use serde_json::{Value, json};

use super::ids;
use super::opinion::rounded;
use crate::byzantine_consensus::consensus::Consensus;
use crate::byzantine_consensus::metrics::standing_name;
use crate::byzantine_consensus::rounds::{RoundFigures, Spread};

/// How this replica stands.
pub fn status(consensus: &Consensus) -> Value {
    let status = consensus.node().status();
    let quarantined = status.peers.iter().filter(|peer| peer.quarantined);
    json!({
        "cluster": consensus.cluster.name,
        "replica": consensus.me.0,
        "view": status.replica.view.0,
        "primary": status.replica.primary.map(|primary| primary.0),
        "standing": standing_name(status.replica.standing),
        "view_changes": status.replica.view_changes,
        "new_views": status.replica.new_views,
        "fast": status.replica.fast,
        "slow": status.replica.slow,
        "suspect": status.replica.suspect,
        "catching_up": status.replica.catching_up,
        "executed": status.replica.executed.0,
        "stable": status.replica.stable.0,
        "connected": ids(status.replica.connected),
        "can_reach_quorum": status.can_reach_quorum(),
        "refusing": status.refusing,
        "slots_decided": status.counters.slots_decided,
        "operations_decided": status.counters.operations_decided,
        "faults": status.counters.faults,
        "evidence_lost": status.counters.evidence_lost,
        "strangers": status.counters.strangers,
        "counters": counters(&status.counters),
        "agreement": agreement(&consensus.metrics.rounds.figures()),
        "labels": labels(consensus),
        "peers": status.peers.iter().map(peer).collect::<Vec<_>>(),
        "fast_path": consensus.settings.fast_path.to_string(),
        "detector": consensus.settings.detector,
        "trusted": ids(consensus.trusted()),
        "least_reputation": rounded(status.least_reputation),
        "quarantined": quarantined.map(|peer| peer.id.0).collect::<Vec<_>>(),
        "filter": consensus.node().filter_kind().name(),
        "filter_fallback": consensus.node().filter_fallback(),
        "waiting_questions": consensus.waiting.len(),
        "held_answers": consensus.store.len(),
    })
}

/// All that the node counts, by name.
fn counters(counters: &Counters) -> Value {
    counters.all().iter().map(|counted| (counted.name.to_owned(), json!(counted.value))).collect()
}

/// How long agreeing took in the last slots, and how much was in each. What is of nothing is null.
fn agreement(figures: &RoundFigures) -> Value {
    json!({
        "of_slots": figures.slots,
        "from_proposal_ms": figures.agreement.map(spread),
        "from_observations_ms": figures.ordering.map(spread),
        "entries_per_slot": figures.entries.map(rounded),
        "bytes_per_slot": figures.bytes.map(rounded),
    })
}

fn spread(spread: Spread) -> Value {
    let ms = |time: Duration| rounded(time.as_secs_f64() * 1000.0);
    json!({ "p50": ms(spread.p50), "p90": ms(spread.p90), "p99": ms(spread.p99) })
}

/// How often a replica was called Byzantine here, over all of them, and how many of these labels a proof bears out.
fn labels(consensus: &Consensus) -> Value {
    let assessments = consensus.node().assessments();
    let given: u64 = assessments.iter().map(|one| one.statistics.labels).sum();
    let confirmed: u64 = assessments.iter().map(|one| one.statistics.labels_confirmed).sum();
    json!({ "given": given, "confirmed": confirmed, "unproven": given - confirmed })
}

fn peer(peer: &PeerState) -> Value {
    json!({
        "id": peer.id.0,
        "name": peer.name,
        "address": peer.address,
        "connected": peer.connected,
        "quarantined": peer.quarantined,
        "last_seen_ms": peer.last_seen_ms,
        "queued_bytes": peer.queued_bytes,
        "round_trip_ms": peer.round_trip.map(|time| rounded(time.as_secs_f64() * 1000.0)),
        "packets_sent": peer.packets.sent,
        "packets_lost": peer.packets.lost,
        "problem": peer.problem,
    })
}

/// What all replicas have in common.
pub fn cluster(consensus: &Consensus) -> Value {
    let cluster = &consensus.cluster;
    let members: Vec<Value> = cluster
        .members
        .iter()
        .map(|member| {
            json!({
                "id": member.id.0,
                "name": member.name,
                "address": member.address,
                "public_key": member.public_key.to_string(),
                "upstream_group": member.upstream_group,
            })
        })
        .collect();
    json!({
        "name": cluster.name,
        "id": cluster.id().to_string(),
        "epoch": cluster.epoch.0,
        "digest": cluster.digest().to_string(),
        "faults": cluster.replicas.faults(),
        "quorum": cluster.replicas.quorum(),
        "replicas": members,
    })
}
