//! `POST /v1/certificates/validate`: has the cluster judge a certificate, and returns what it decided with the quorum's signatures.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pbft::Operation;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::{Answer, hexadecimal, ids, refuse};
use crate::byzantine_consensus::consensus::{Consensus, wall_ms};
use crate::byzantine_consensus::judge::operation_of;
use crate::byzantine_consensus::store::Held;
use crate::byzantine_consensus::waiting::ASK_AGAIN;
use crate::error::ServeError;
use crate::response::Certified;

/// How long a client waits for a decision with its certificate.
const DECISION_TIME: Duration = Duration::from_secs(10);

/// Reads `body` by the validator behind this plugin, and waits for what the cluster says of it.
pub async fn validate(consensus: &Consensus, query: &str, body: &[u8]) -> Answer {
    let Some(validator) = consensus.validator() else {
        return refuse(
            404,
            "no plugin behind `byzantine-consensus` judges certificates; is `ct-verify` in its server block?",
        );
    };
    let task = match validator.compose(query, body, wall_ms()) {
        Ok(task) => task,
        Err(refusal) => return refuse(refusal.status, refusal.why),
    };
    let deadline = Instant::now() + DECISION_TIME;
    let operation = operation_of(&task);
    let held = match decided(consensus, &operation, deadline).await {
        Ok(Some(held)) => held,
        Ok(None) => return undecided(consensus, &operation).await,
        Err(error) => return refuse(503, error.to_string()),
    };
    let complete = timeout_at(deadline, held.certificate.certification().wait()).await;
    let Some(certified) = complete.ok().flatten() else {
        return refuse(
            503,
            "the cluster has decided, but its certificate was not complete in time; ask again",
        );
    };
    let mut answer = shown(&certified);
    answer["validation"] = validator.explain(&task, &certified.answer.leaf).await;
    (200, answer)
}

/// The decision. Asks the cluster again, since a request may have been given up: by a replica that had to fetch what others have.
async fn decided(
    consensus: &Consensus,
    operation: &Operation,
    deadline: Instant,
) -> Result<Option<Arc<Held>>, ServeError> {
    loop {
        let until = deadline.min(Instant::now() + ASK_AGAIN);
        let held = consensus.decision(operation.clone(), until).await?;
        if held.is_some() || Instant::now() >= deadline || !consensus.node().can_reach_quorum() {
            return Ok(held);
        }
    }
}

async fn undecided(consensus: &Consensus, operation: &Operation) -> Answer {
    let heard = consensus.node().observers(operation.digest()).await.len();
    let (count, quorum) = (consensus.cluster.replicas.count(), consensus.cluster.replicas.quorum());
    refuse(503, format!("no decision in time: {heard} of {count} replicas answered, {quorum} are needed"))
}

fn shown(certified: &Certified) -> serde_json::Value {
    let (certificate, leaf) = (&certified.answer.certificate, &certified.answer.leaf);
    json!({
        "certificate": STANDARD.encode(&certified.bytes),
        "class": leaf.class.to_string(),
        "slot": certificate.header.sequence.0,
        "signers": ids(certificate.signers),
        "leaf-subject": hexadecimal(&leaf.subject.operation_bytes()),
    })
}
