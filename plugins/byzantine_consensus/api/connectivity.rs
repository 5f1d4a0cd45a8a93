//! `/v1/connectivity`: who reaches whom, as this replica sees it and as the others tell it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use certificate::ReplicaId;
use serde_json::{Value, json};

use super::opinion::rounded;
use crate::byzantine_consensus::connectivity::{Reach, Row};
use crate::byzantine_consensus::consensus::{Consensus, wall_ms};

/// `GET /v1/connectivity`: a row of each replica, its own first hand; null where nothing was heard lately.
pub fn connectivity(consensus: &Consensus) -> Value {
    let mut rows = consensus.connectivity.rows(Instant::now());
    rows.insert(consensus.me, (Duration::ZERO, Row::of(&consensus.node().status())));
    let members = consensus.cluster.members.iter().map(|member| {
        let row = rows.get(&member.id);
        json!({
            "id": member.id.0,
            "name": member.name,
            "told_ms_ago": row.map(|(age, _)| age.as_millis() as u64),
            "links": row.map(|(_, row)| links(row)),
        })
    });
    json!({
        "cluster": consensus.cluster.name,
        "replica": consensus.me.0,
        "time_ms": wall_ms(),
        "rows": members.collect::<Vec<_>>(),
        "one_sided": one_sided(&rows),
    })
}

fn links(row: &Row) -> Vec<Value> {
    let link = |(replica, reach): (&ReplicaId, &Reach)| {
        let round_trip_ms = match reach {
            Reach::Up(micros) => Some(rounded(f64::from(*micros) / 1000.0)),
            Reach::Down | Reach::Shut => None,
        };
        json!({ "id": replica.0, "state": reach.name(), "round_trip_ms": round_trip_ms })
    };
    row.0.iter().map(link).collect()
}

/// The pairs of which one tells of a connection and the other of none: a moment ago, or one of them is wrong.
fn one_sided(rows: &BTreeMap<ReplicaId, (Duration, Row)>) -> Vec<[u8; 2]> {
    let is_up = |from: ReplicaId, to: ReplicaId| {
        rows.get(&from)?.1.0.get(&to).map(|reach| matches!(reach, Reach::Up(_)))
    };
    let pairs = rows
        .keys()
        .flat_map(|one| rows.keys().filter(move |other| *other > one).map(move |other| (*one, *other)));
    let differ = pairs.filter(|(one, other)| is_up(*one, *other) != is_up(*other, *one));
    differ.map(|(one, other)| [one.0, other.0]).collect()
}
