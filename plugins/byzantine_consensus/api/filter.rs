//! `/v1/filter`: what stands before the peer port, what it let pass, and what it threw away.

use peer_filter::{PeerStatistics, UnknownSource, VerdictCount};
use serde_json::{Value, json};

use super::{Answer, refuse};
use crate::byzantine_consensus::consensus::Consensus;

/// `GET /v1/filter`
pub fn filter(consensus: &Consensus) -> Answer {
    let node = consensus.node();
    let statistics = match node.filter() {
        Ok(statistics) => statistics,
        Err(error) => {
            return refuse(500, format!("the filter works, but its counters cannot be read: {error}"));
        }
    };
    let body = json!({
        "replica": consensus.me.0,
        "asked_for": consensus.settings.filter.to_string(),
        "kind": statistics.kind.name(),
        "fallback": node.filter_fallback(),
        "verdicts": statistics.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        "peers": statistics.peers.iter().map(peer).collect::<Vec<_>>(),
        "unknown_sources": statistics.unknown.iter().map(unknown).collect::<Vec<_>>(),
    });
    (200, body)
}

fn verdict(count: &VerdictCount) -> Value {
    json!({
        "verdict": count.verdict.name(), "passes": count.verdict.passes(),
        "datagrams": count.datagrams, "bytes": count.bytes,
    })
}

fn peer(peer: &PeerStatistics) -> Value {
    json!({
        "id": peer.id,
        "datagrams": peer.total_messages,
        "dropped": peer.dropped_messages,
        "bytes": peer.bytes,
        "last_activity_ms_ago": peer.last_activity.map(|age| age.as_millis() as u64),
        "quarantined_for_ms": peer.quarantine.map(|state| state.remaining.as_millis() as u64),
        "tightened": peer.tightened,
        "invalid_signatures": peer.invalid_signatures,
        "timing_violations": peer.timing_violations,
        "contradictory_responses": peer.contradictory_responses,
        "consecutive_faults": peer.consecutive_faults,
        "reputation": f64::from(peer.reputation_score) / 1000.0,
    })
}

fn unknown(source: &UnknownSource) -> Value {
    json!({
        "address": source.address, "datagrams": source.datagrams, "bytes": source.bytes,
        "last_seen_ms_ago": source.last_seen.as_millis() as u64,
    })
}
