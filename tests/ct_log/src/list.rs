//! Lists of logs, schema version 3, as monitors and `ct-verify` read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use transparency::log_key::LogKey;

use crate::log::Kind;

/// One log of a list; change what should be said otherwise.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The name of the log.
    pub description: String,
    /// Who runs it.
    pub operator: String,
    /// Its key.
    pub key: LogKey,
    /// Its interface.
    pub kind: Kind,
    /// Its URL, when it is a log of RFC 6962.
    pub rfc6962_url: String,
    /// Where a static-ct log takes in; without its scheme, the origin of checkpoints.
    pub submission_url: String,
    /// Where a static-ct log has checkpoint and tiles.
    pub monitoring_url: String,
    /// Maximum merge delay, in seconds.
    pub mmd_seconds: u64,
    /// State, and since when: `("usable", "2025-01-01T00:00:00Z")`.
    pub state: (&'static str, String),
    /// Who ran it before, each until the time beside it.
    pub previous_operators: Vec<(String, String)>,
    /// Certificates that expire between these times belong here.
    pub temporal_interval: Option<(String, String)>,
}

impl Listed {
    /// The same log, run by somebody else.
    #[must_use]
    pub fn run_by(mut self, operator: &str) -> Self {
        operator.clone_into(&mut self.operator);
        self
    }

    /// The same log in another state since a time.
    #[must_use]
    pub fn in_state(mut self, state: &'static str, since: &str) -> Self {
        self.state = (state, since.to_owned());
        self
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "description": self.description, "log_id": self.key.id(), "key": STANDARD.encode(self.key.spki()),
            "mmd": self.mmd_seconds, "state": { self.state.0: { "timestamp": self.state.1 } },
        });
        if self.kind == Kind::StaticCt {
            json["submission_url"] = json!(self.submission_url);
            json["monitoring_url"] = json!(self.monitoring_url);
        } else {
            json["url"] = json!(self.rfc6962_url);
        }
        if let Some((start, end)) = &self.temporal_interval {
            json["temporal_interval"] = json!({ "start_inclusive": start, "end_exclusive": end });
        }
        if !self.previous_operators.is_empty() {
            let before =
                self.previous_operators.iter().map(|(name, end)| json!({ "name": name, "end_time": end }));
            json["previous_operators"] = before.collect();
        }
        json
    }
}

/// A list of these logs, made at a time like `2026-07-30T00:00:00Z`; logs of one operator stand together.
pub fn log_list_json(time: &str, logs: &[Listed]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for log in logs {
        if !names.contains(&log.operator.as_str()) {
            names.push(&log.operator);
        }
    }
    let operators = names.iter().map(|name| {
        let of = |kind| {
            let ours = logs.iter().filter(|log| log.operator == *name && log.kind == kind);
            ours.map(Listed::json).collect::<Vec<_>>()
        };
        json!({
            "name": name, "email": [], "logs": of(Kind::Rfc6962), "tiled_logs": of(Kind::StaticCt),
        })
    });
    let list = json!({
        "version": "1.0", "log_list_timestamp": time, "operators": operators.collect::<Vec<_>>(),
    });
    format!("{list:#}\n")
}
