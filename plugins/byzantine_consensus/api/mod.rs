//! The JSON API below `/v1/`: the cluster and its state, what this replica makes of the others, evidence, the filter, certificates.
//!
//! Whoever reaches the listener may read, and may have a certificate judged. The one thing that can be changed is a quarantine, and only by an operator on
//! this machine.

mod certificates;
mod connectivity;
mod evidence;
mod filter;
mod opinion;
mod parameters;
mod quarantine;
mod status;
mod validate;

use std::fmt::Write as _;

use certificate::ReplicaSet;
use serde_json::{Value, json};

use super::consensus::Consensus;

/// Below it stand references.
const CERTIFICATES: &str = "/v1/certificates/";

/// The one path that takes a body.
pub const VALIDATE: &str = "/v1/certificates/validate";

/// A status of HTTP and what goes with it.
type Answer = (u16, Value);

/// Answers `GET path?query`, if the path is ours.
pub fn answer(consensus: &Consensus, path: &str, query: &str) -> Option<(u16, String)> {
    let (status, body) = match path {
        "/v1/status" => (200, status::status(consensus)),
        "/v1/cluster" => (200, status::cluster(consensus)),
        "/v1/connectivity" => (200, connectivity::connectivity(consensus)),
        "/v1/assessments" => opinion::assessments(consensus, query),
        "/v1/trust" => (200, opinion::trust(consensus)),
        "/v1/quarantine" => (200, quarantine::list(consensus)),
        "/v1/evidence" => evidence::evidence(consensus, query),
        "/v1/filter" => filter::filter(consensus),
        "/v1/certificates" => certificates::certificate(consensus, query),
        VALIDATE => return None,
        _ => certificates::redeemed(consensus, path.strip_prefix(CERTIFICATES)?),
    };
    Some((status, body.to_string()))
}

/// Does what `POST path?query` asks for, if the path is ours.
pub fn change(consensus: &Consensus, path: &str, query: &str) -> Option<(u16, String)> {
    let (status, body) = match path {
        "/v1/quarantine/lift" => quarantine::lift(consensus, query),
        _ => return None,
    };
    Some((status, body.to_string()))
}

/// Answers `POST path?query` with `body`, if the path is ours.
pub async fn post(consensus: &Consensus, path: &str, query: &str, body: &[u8]) -> Option<(u16, String)> {
    if path != VALIDATE {
        return None;
    }
    let (status, body) = validate::validate(consensus, query, body).await;
    Some((status, body.to_string()))
}

fn refuse(status: u16, why: impl Into<String>) -> Answer {
    (status, json!({ "error": why.into() }))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn ids(set: ReplicaSet) -> Vec<u8> {
    set.iter().map(|id| id.0).collect()
}
