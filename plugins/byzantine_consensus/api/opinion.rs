//! `/v1/assessments` and `/v1/trust`: what this replica makes of the others. An opinion: another replica may well have another, and no vote depends on it.

use detector::{Assessment, Quantiles, Quarantined, Statistics};
use node::PeerState;
use serde_json::{Value, json};

use super::parameters::parameter;
use super::{Answer, ids, refuse};
use crate::byzantine_consensus::consensus::{Consensus, wall_ms};

/// `GET /v1/assessments[?replica=ID]`: every other replica; with an id that one alone, with the history of its reputation.
pub fn assessments(consensus: &Consensus, query: &str) -> Answer {
    let wanted = match parameter(query, "replica").map(|id| id.parse::<u8>()) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return refuse(400, "expected `replica=ID`, the number of a replica"),
    };
    let node = consensus.node();
    let peers = node.status().peers;
    let assessments = node.assessments();
    let is_wanted = |one: &&Assessment| wanted.is_none_or(|id| id == one.replica.0);
    let shown: Vec<Value> = assessments
        .iter()
        .filter(is_wanted)
        .filter_map(|one| Some((one, peers.iter().find(|peer| peer.id == one.replica)?)))
        .map(|(one, peer)| assessment(one, peer, wanted.is_some()))
        .collect();
    if let (Some(id), true) = (wanted, shown.is_empty()) {
        return refuse(404, format!("replica {id} is none that this replica judges"));
    }
    let body = json!({
        "cluster": consensus.cluster.name,
        "replica": consensus.me.0,
        "time_ms": wall_ms(),
        "detector": consensus.settings.detector,
        "threshold": consensus.settings.reputation_threshold,
        "trusted": ids(consensus.trusted()),
        "least_reputation": rounded(node.least_reputation()),
        "replicas": shown,
    });
    (200, body)
}

fn assessment(one: &Assessment, peer: &PeerState, with_history: bool) -> Value {
    let Statistics { offences, .. } = &one.statistics;
    let mut body = json!({
        "id": one.replica.0,
        "name": peer.name,
        "address": peer.address,
        "connected": peer.connected,
        "round_trip_ms": peer.round_trip.map(|time| rounded(time.as_secs_f64() * 1000.0)),
        "packets_sent": peer.packets.sent,
        "packets_lost": peer.packets.lost,
        "problem": peer.problem,
        "is_byzantine": one.is_byzantine,
        "confidence": rounded(one.confidence),
        "pattern": one.pattern.name(),
        "indicators": one.indicators.iter().map(|indicator| indicator.name()).collect::<Vec<_>>(),
        "action": one.action.name(),
        "quarantined": one.quarantined.map(|quarantined| quarantine(&quarantined)),
        "tightened": one.tightened,
        "trust": rounded(one.trust),
        "labels": {
            "given": one.statistics.labels,
            "confirmed": one.statistics.labels_confirmed,
            "unproven": one.statistics.labels - one.statistics.labels_confirmed,
        },
        "reputation": {
            "score": rounded(one.reputation.score),
            "historical_average": rounded(one.reputation.historical_average),
            "recent": rounded(one.reputation.recent),
            "interactions": one.reputation.interactions,
            "successful": one.reputation.successful,
        },
        "statistics": statistics(&one.statistics),
        "offences": offences.iter().map(|(offence, count)| (offence.name().to_owned(), json!(count))).collect::<Value>(),
    });
    if with_history {
        let changes = one.reputation.history.iter().map(|change| {
            json!({
                "time_ms": change.wall_ms, "event": change.event.name(),
                "delta": rounded(change.delta), "score": rounded(change.score),
            })
        });
        body["reputation"]["history"] = changes.collect();
    }
    body
}

/// The figures. What is the share of nothing is null, not all.
fn statistics(figures: &Statistics) -> Value {
    let share = |of: bool, share: f64| of.then(|| rounded(share));
    json!({
        "vote_latency_ms": quantiles(figures.latency),
        "lookup_latency_ms": quantiles(figures.lookup),
        "lateness_ms": rounded(figures.lateness_ms),
        "accuracy": share(figures.judged > 0, figures.accuracy),
        "judged": figures.judged,
        "participation": share(figures.slots > 0, figures.participation),
        "slots": figures.slots,
        "signature_success": share(figures.total_messages > 0, figures.signature_success),
        "uptime": rounded(figures.uptime),
        "messages": figures.total_messages,
        "message_rate": rounded(figures.message_rate),
        "last_seen_ms": figures.last_seen_ms,
    })
}

fn quantiles(quantiles: Quantiles) -> Option<Value> {
    let Quantiles { p50, p90, p99, count } = quantiles;
    (count > 0)
        .then(|| json!({ "p50": rounded(p50), "p90": rounded(p90), "p99": rounded(p99), "count": count }))
}

/// A quarantine.
pub(super) fn quarantine(quarantined: &Quarantined) -> Value {
    json!({
        "until_ms": quarantined.until_ms, "reason": quarantined.reason.to_string(), "strike": quarantined.strike,
    })
}

/// `GET /v1/trust`: how much each two replicas were seen to agree, 0 to 1.
pub fn trust(consensus: &Consensus) -> Value {
    let graph = consensus.node().trust_graph();
    let edges = graph
        .edges()
        .map(|(one, other, trust)| json!({ "between": [one.0, other.0], "trust": rounded(trust) }));
    let standing = consensus.cluster.replicas.ids();
    json!({
        "replica": consensus.me.0,
        "edges": edges.collect::<Vec<_>>(),
        "standing": standing.map(|id| json!({ "id": id.0, "trust": rounded(graph.standing(id)) })).collect::<Vec<_>>(),
    })
}

/// Three digits behind the point are as many as mean something.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
