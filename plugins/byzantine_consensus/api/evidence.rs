//! `/v1/evidence`: what this replica kept of the misbehaviour of others.

use std::io;

use node::evidence::{EvidenceFile, EvidenceReadError, Listed};
use serde_json::{Value, json};

use super::parameters::parameter;
use super::{Answer, refuse};
use crate::byzantine_consensus::consensus::Consensus;

/// `GET /v1/evidence`: the names; `GET /v1/evidence?name=NAME`: one of them in full, as `quorate evidence verify` reads it.
///
/// A name is looked for among those that are there and never becomes part of a path, so that none leads out of the folder.
pub fn evidence(consensus: &Consensus, query: &str) -> Answer {
    let listed = match consensus.node().evidence() {
        Ok(listed) => listed,
        Err(error) => return refuse(500, format!("the folder of evidence cannot be read: {error}")),
    };
    let Some(wanted) = parameter(query, "name") else {
        let shown = listed.iter().map(listing).collect::<Vec<_>>();
        return (200, json!({ "replica": consensus.me.0, "evidence": shown }));
    };
    let Some(one) = listed.iter().find(|one| name(one) == wanted) else {
        return refuse(404, "no evidence of this name is kept; `/v1/evidence` lists what is");
    };
    match EvidenceFile::read(&one.path) {
        Ok(file) => {
            let mut shown = listing(one);
            shown["time_ms"] = json!(file.time_ms);
            shown["fault"] = json!(file.fault);
            shown["text"] = json!(file.to_text());
            (200, shown)
        }
        Err(EvidenceReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            refuse(404, "the evidence has just given way to newer")
        }
        Err(error) => refuse(500, format!("the evidence cannot be read: {error}")),
    }
}

fn listing(one: &Listed) -> Value {
    json!({
        "name": name(one), "number": one.number, "kind": one.kind.name(), "replica": one.replica.0,
        "claims_proof": one.kind.is_proof(),
    })
}

fn name(one: &Listed) -> String {
    one.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
