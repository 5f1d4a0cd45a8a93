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
            transparency: transparency(address).await?,
        })
    }

    /// All of it as one object, with the rates since `before`; no rates at the first look.
    pub fn to_json(&self, before: Option<&Sample>) -> Value {
        let rate = |counter: &str| {
            let before = before?;
            let seconds = self.taken.saturating_duration_since(before.taken).as_secs_f64();
            // A replica that was started anew counts from 0.
            let grown = self.status[counter].as_u64()?.checked_sub(before.status[counter].as_u64()?)?;
            (seconds > 0.0).then(|| (grown as f64 / seconds * 10.0).round() / 10.0)
        };
        json!({
            "admin": self.address,
            "status": self.status,
            "slots_per_second": rate("slots_decided"),
            "answers_per_second": rate("operations_decided"),
            "peers": self.assessments["replicas"],
            "trusted": self.assessments["trusted"],
            "threshold": self.assessments["threshold"],
            "evidence": self.evidence["evidence"],
            "filter": self.filter,
            "transparency": self.transparency,
        })
    }
}

/// A replica without `ct-verify` has nothing under this path, and that is no error.
async fn transparency(address: &AdminAddress) -> Result<Value, AdminClientError> {
    match get(address, "/v1/transparency").await {
        Ok(mut said) => Ok(said.get_mut("summary").map(Value::take).unwrap_or_default()),
        Err(AdminClientError::Refused { .. } | AdminClientError::Stranger { .. }) => Ok(Value::Null),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sample(taken: Instant, slots: u64) -> Sample {
        let status = json!({ "slots_decided": slots, "operations_decided": 10 * slots });
        Sample {
            address: "127.0.0.1:9153".to_owned(),
            taken,
            status,
            assessments: json!({ "replicas": [] }),
            filter: Value::Null,
            evidence: Value::Null,
            transparency: Value::Null,
        }
    }

    #[test]
    fn rates_are_what_has_grown_since_the_look_before() {
        let start = Instant::now();
        let (before, now) = (sample(start, 100), sample(start + Duration::from_secs(2), 105));
        let shown = now.to_json(Some(&before));
        assert_eq!((&shown["slots_per_second"], &shown["answers_per_second"]), (&json!(2.5), &json!(25.0)));
    }

    #[test]
    fn first_look_and_a_restart_have_no_rates() {
        let start = Instant::now();
        let (before, now) = (sample(start, 100), sample(start + Duration::from_secs(1), 3));
        assert_eq!(now.to_json(None)["slots_per_second"], Value::Null);
        assert_eq!(now.to_json(Some(&before))["slots_per_second"], Value::Null);
    }
}
