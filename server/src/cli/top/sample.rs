//! One look at a replica: what its admin listener says, and what came of it since the look before.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::admin_client::{AdminAddress, AdminClientError, get};

/// What a replica said at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    address: String,
    taken: Instant,
    status: Value,
    assessments: Value,
    filter: Value,
    evidence: Value,
    /// Who reaches whom; null when it does not tell.
    connectivity: Value,
    /// What it says of certificates; null when it judges none.
    transparency: Value,
}

impl Sample {
    /// Asks the replica at `address`.
    pub async fn take(address: &AdminAddress, now: Instant) -> Result<Sample, AdminClientError> {
        Ok(Sample {
            address: address.to_string(),
            taken: now,
            status: get(address, "/v1/status").await?,
            assessments: get(address, "/v1/assessments").await?,
            filter: get(address, "/v1/filter").await?,
            evidence: get(address, "/v1/evidence").await?,
            connectivity: if_any(get(address, "/v1/connectivity").await)?,
            transparency: summary(if_any(get(address, "/v1/transparency").await)?),
        })
    }

    /// All of it as one object, with the rates since `before`; no rates at the first look.
    pub fn to_json(&self, before: Option<&Sample>) -> Value {
        let rate = |counter: &str| {
            let before = before?;
            let seconds = self.taken.saturating_duration_since(before.taken).as_secs_f64();
            let grown = grown(self.status.pointer(counter)?, before.status.pointer(counter)?)?;
            (seconds > 0.0).then(|| (grown as f64 / seconds * 10.0).round() / 10.0)
        };
        json!({
            "admin": self.address,
            "status": self.status,
            "slots_per_second": rate("/slots_decided"),
            "answers_per_second": rate("/operations_decided"),
            "messages_in_per_second": rate("/counters/messages_in"),
            "messages_out_per_second": rate("/counters/messages_out"),
            "peers": self.peers(before),
            "trusted": self.assessments["trusted"],
            "threshold": self.assessments["threshold"],
            "evidence": self.evidence["evidence"],
            "filter": self.filter,
            "connectivity": self.connectivity,
            "transparency": self.transparency,
        })
    }

    /// What it says of the others, each with the part of the packets to it that were lost since `before`; null when none were sent.
    fn peers(&self, before: Option<&Sample>) -> Value {
        let mut peers = self.assessments["replicas"].clone();
        for peer in peers.as_array_mut().into_iter().flatten() {
            let known = before.and_then(|before| {
                let known = before.assessments["replicas"].as_array()?;
                known.iter().find(|known| known["id"] == peer["id"])
            });
            let since = |counter: &str| grown(&peer[counter], &known?[counter]);
            let loss = match (since("packets_sent"), since("packets_lost")) {
                (Some(sent), Some(lost)) if sent > 0 => Some(lost as f64 / sent as f64),
                _ => None,
            };
            peer["loss"] = json!(loss);
        }
        peers
    }
}

/// By how much a counter has grown; nothing is known of a replica that was started anew and counts from 0.
fn grown(now: &Value, before: &Value) -> Option<u64> {
    now.as_u64()?.checked_sub(before.as_u64()?)
}

/// A replica without `ct-verify`, or of an earlier version, has nothing under a path, and that is no error.
fn if_any(said: Result<Value, AdminClientError>) -> Result<Value, AdminClientError> {
    match said {
        Err(AdminClientError::Refused { .. } | AdminClientError::Stranger { .. }) => Ok(Value::Null),
        said => said,
    }
}

fn summary(mut said: Value) -> Value {
    said.get_mut("summary").map(Value::take).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sample(taken: Instant, slots: u64) -> Sample {
        let status = json!({
            "slots_decided": slots, "operations_decided": 10 * slots, "counters": { "messages_in": 100 * slots },
        });
        Sample {
            address: "127.0.0.1:9153".to_owned(),
            taken,
            status,
            assessments: json!({ "replicas": [] }),
            filter: Value::Null,
            evidence: Value::Null,
            connectivity: Value::Null,
            transparency: Value::Null,
        }
    }

    #[test]
    fn rates_are_what_has_grown_since_the_look_before() {
        let start = Instant::now();
        let (before, now) = (sample(start, 100), sample(start + Duration::from_secs(2), 105));
        let shown = now.to_json(Some(&before));
        assert_eq!((&shown["slots_per_second"], &shown["answers_per_second"]), (&json!(2.5), &json!(25.0)));
        assert_eq!(shown["messages_in_per_second"], 250.0);
    }

    #[test]
    fn loss_is_of_the_packets_since_the_look_before() {
        let start = Instant::now();
        let peers = |sent: u64, lost: u64| json!([{ "id": 2, "packets_sent": sent, "packets_lost": lost }]);
        let with = |seconds, sent, lost| {
            let mut sample = sample(start + Duration::from_secs(seconds), 1);
            sample.assessments["replicas"] = peers(sent, lost);
            sample
        };
        let before = with(0, 1000, 500);
        let loss = |now: Sample| now.to_json(Some(&before))["peers"][0]["loss"].clone();
        assert_eq!(loss(with(1, 1100, 505)), json!(0.05));
        assert_eq!(loss(with(1, 1000, 500)), Value::Null, "nothing was sent");
        assert_eq!(loss(with(1, 3, 0)), Value::Null, "it was started anew");
        assert_eq!(with(1, 1100, 505).to_json(None)["peers"][0]["loss"], Value::Null);
    }

    #[test]
    fn first_look_and_a_restart_have_no_rates() {
        let start = Instant::now();
        let (before, now) = (sample(start, 100), sample(start + Duration::from_secs(1), 3));
        assert_eq!(now.to_json(None)["slots_per_second"], Value::Null);
        assert_eq!(now.to_json(Some(&before))["slots_per_second"], Value::Null);
    }
}
