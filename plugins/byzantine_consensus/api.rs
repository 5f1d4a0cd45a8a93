//! The JSON API below `/v1/`: the cluster, its state, certificates, and why an answer is what it is.

use agreement::{Observation, Observed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certificate::codec::Decode;
use certificate::leaf::Question;
use certificate::{ReplicaId, ReplicaSet};
use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use super::consensus::{Consensus, wall_ms};
use super::judge::key;
use super::metrics::standing_name;
use super::store::Held;
use crate::response::Certified;

/// Answers `GET path?query`, if the path is ours.
pub fn answer(consensus: &Consensus, path: &str, query: &str) -> Option<(u16, String)> {
    let (status, body) = match path {
        "/v1/status" => (200, status(consensus)),
        "/v1/cluster" => (200, cluster(consensus)),
        "/v1/certificates" => certificate(consensus, query),
        _ => return None,
    };
    Some((status, body.to_string()))
}

fn status(consensus: &Consensus) -> Value {
    let status = consensus.node().status();
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
        "strangers": status.counters.strangers,
        "waiting_questions": consensus.waiting.len(),
        "held_answers": consensus.store.len(),
    })
}

fn cluster(consensus: &Consensus) -> Value {
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

/// `GET /v1/certificates?name=NAME&type=TYPE`: the decision about a question that is held, with the observations behind it.
fn certificate(consensus: &Consensus, query: &str) -> (u16, Value) {
    let refuse = |status: u16, why: &str| (status, json!({ "error": why }));
    let parameter = |wanted: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == wanted)
            .map(|(_, value)| value)
    };
    let Some(name) = parameter("name") else {
        return refuse(400, "expected `name=NAME`, such as `/v1/certificates?name=www.example.org&type=A`");
    };
    let rtype = parameter("type").unwrap_or("A").to_ascii_uppercase();
    let number = || rtype.strip_prefix("TYPE")?.parse::<u16>().ok();
    let Some(qtype) = rtype.parse::<RecordType>().map(u16::from).ok().or_else(number) else {
        return refuse(400, "expected `type=TYPE`, such as `type=AAAA`");
    };
    let Ok(question) = Question::parse(name, qtype) else {
        return refuse(400, "expected a domain name after `name=`");
    };
    let with_do = Question { flags: Question::DNSSEC_OK, ..question.clone() };
    let held = consensus.store.get(&key(&question)).or_else(|| consensus.store.get(&key(&with_do)));
    match held {
        Some(held) => match held.certificate.get() {
            Some(certified) => (200, explained(consensus, &held, &certified)),
            None => refuse(404, "the answer is certain, but its certificate is not complete yet; ask again"),
        },
        None => refuse(404, "no decision about this question is held here; ask for it with `dig` first"),
    }
}

fn explained(consensus: &Consensus, held: &Held, certified: &Certified) -> Value {
    let leaf = &held.leaf;
    let certificate = &certified.answer.certificate;
    let observed: Vec<(ReplicaId, u64, Observed)> = held
        .evidence
        .iter()
        .filter_map(|one| Some((one.replica, one.time_ms, Observed::from_bytes(&one.payload).ok()?)))
        .collect();
    let observations: Vec<Observation<'_>> = observed
        .iter()
        .map(|(replica, time_ms, observed)| Observation { replica: *replica, time_ms: *time_ms, observed })
        .collect();
    let explanation = agreement::explain::explain(&consensus.cluster, leaf, &observations);
    let parts = explanation.iter().flat_map(|explanation| &explanation.parts);
    let views = explanation.iter().flat_map(|explanation| &explanation.views);
    json!({
        "question": leaf.question().map(ToString::to_string),
        "class": leaf.class.to_string(),
        "policy": leaf.policy.to_string(),
        "zone": explanation.as_ref().map(|explanation| &explanation.zone),
        "quorum": explanation.as_ref().map(|explanation| explanation.quorum),
        "threshold": explanation.as_ref().map(|explanation| explanation.threshold),
        "single_path": leaf.single_path,
        "slot": certificate.header.sequence.0,
        "view": certificate.view.0,
        "signers": ids(certificate.signers),
        "time_ms": leaf.time_ms,
        "not_after_ms": leaf.not_after_ms,
        "holds": held.holds(wall_ms()),
        "answer": parts.map(|part| json!({
            "record": part.text, "seen_by": ids(part.now), "seen_before_by": ids(part.history),
        })).collect::<Vec<_>>(),
        "observations": views.map(|view| json!({
            "replica": view.replica.0, "name": view.name, "upstream_group": view.upstream_group,
            "time_ms": view.time_ms, "saw": view.saw, "counted": view.counted, "supports": view.supports,
        })).collect::<Vec<_>>(),
        "certificate": STANDARD.encode(&certified.bytes),
    })
}

fn ids(set: ReplicaSet) -> Vec<u8> {
    set.iter().map(|id| id.0).collect()
}
