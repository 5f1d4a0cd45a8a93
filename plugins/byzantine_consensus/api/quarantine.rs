//! `/v1/quarantine`: whom this replica has shut out; and letting one in again.

use certificate::ReplicaId;
use serde_json::{Value, json};
use tracing::info;

use super::opinion::quarantine;
use super::parameters::parameter;
use super::{Answer, refuse};
use crate::byzantine_consensus::consensus::Consensus;

/// `GET /v1/quarantine`
pub fn list(consensus: &Consensus) -> Value {
    let assessments = consensus.node().assessments();
    let shown = assessments.iter().filter_map(|one| {
        let mut shown = quarantine(&one.quarantined?);
        shown["id"] = json!(one.replica.0);
        shown["name"] = json!(name(consensus, one.replica));
        Some(shown)
    });
    json!({ "replica": consensus.me.0, "quarantined": shown.collect::<Vec<_>>() })
}

/// `POST /v1/quarantine/lift?replica=ID`
pub fn lift(consensus: &Consensus, query: &str) -> Answer {
    let expected = "expected `replica=ID`, the number of the replica to let in";
    let Some(id) = parameter(query, "replica").and_then(|id| id.parse().ok()).map(ReplicaId) else {
        return refuse(400, expected);
    };
    if !consensus.cluster.replicas.contains(id) {
        let count = consensus.cluster.replicas.count();
        return refuse(404, format!("the cluster has no replica {id}; they go from 0 to {}", count - 1));
    }
    if !consensus.node().lift(id) {
        return refuse(404, format!("replica {id} is not shut out here"));
    }
    info!(replica = %id, "an operator lets the replica in again");
    (200, json!({ "replica": consensus.me.0, "lifted": id.0, "name": name(consensus, id) }))
}

fn name(consensus: &Consensus, id: ReplicaId) -> Option<&str> {
    consensus.cluster.member(id).map(|member| member.name.as_str())
}
