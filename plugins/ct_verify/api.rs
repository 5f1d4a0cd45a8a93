//! `GET /v1/transparency`, `/v1/transparency/events`, `/v1/transparency/probes`: what this replica judges by, and what it met.

use serde_json::{Value, json};
use transparency::operation::InputKind;

use super::explain::revocation_word;
use super::handler::Core;
use super::inputs::Input;

impl Core {
    /// The answer for this path, if it is one of ours.
    pub fn api(&self, path: &str) -> Option<(u16, String)> {
        let value = match path {
            "/v1/transparency" => self.overview(),
            "/v1/transparency/events" => self.events(),
            "/v1/transparency/probes" => self.probes(),
            _ => return None,
        };
        Some((200, value.to_string()))
    }

    /// Status and counters of background work, and with it what is in force and what is this replica's own.
    fn overview(&self) -> Value {
        let own = self.own.materials();
        let mut in_force = serde_json::Map::new();
        let mut ours = serde_json::Map::new();
        for kind in InputKind::ALL {
            let decided = self.in_force.now(kind).map(|decided| {
                json!({
                    "digest": decided.digest,
                    "since": transparency::Moment::from_milliseconds(decided.time_ms),
                    "held": decided.input.is_some(),
                    "content": decided.input.as_ref().map(describe),
                })
            });
            in_force.insert(kind.word().to_owned(), decided.unwrap_or(Value::Null));
            let input = own.input(kind);
            let input = input.map(|input| json!({ "digest": input.digest(), "content": describe(&input) }));
            ours.insert(kind.word().to_owned(), input.unwrap_or(Value::Null));
        }
        let mut overview = json!({
            "policy": self.settings.policy.to_string(),
            "revocation": revocation_word(self.settings.revocation),
            "in_force": in_force,
            "own": ours,
            "verdict_cache": {
                "hits": self.metrics.cache_hits.get(), "misses": self.metrics.cache_misses.get(),
            },
            "content_bytes": self.contents.bytes() + self.chains.bytes(),
        });
        if let (Some(background), Some(overview)) = (self.background(), overview.as_object_mut()) {
            if let Value::Object(status) = background.watch().status() {
                overview
                    .extend(status.into_iter().filter(|(key, _)| BACKGROUND_KEYS.contains(&key.as_str())));
            }
            overview.insert("counters".to_owned(), json!(background.watch().counters()));
            let monitor = background.monitor().map(|monitor| monitor.to_json());
            overview.insert("monitor".to_owned(), monitor.unwrap_or(Value::Null));
            let probes = background
                .prober()
                .map(|prober| json!({ "looks": prober.looks(), "outcomes": prober.outcomes() }));
            overview.insert("probes".to_owned(), probes.unwrap_or(Value::Null));
        }
        overview["summary"] = self.summary();
        overview
    }

    /// All of it in a few numbers, as `quorate top` shows them.
    fn summary(&self) -> Value {
        let mut summary = json!({ "verdicts": self.metrics.verdict_counts() });
        if let Some(background) = self.background() {
            let events = background.watch().events();
            let grave = events.iter().filter(|event| event.grave).count();
            summary["logs"] = json!(background.watch().logs().map(|logs| logs.conditions()));
            let logs = background.watch().logs();
            summary["audits"] = json!(logs.map(|logs| logs.auditor().counts()));
            summary["evidence"] = json!(logs.map(|logs| logs.evidence().count()));
            summary["events"] = json!({ "all": events.len(), "grave": grave });
            summary["probes"] = json!(background.prober().map(|prober| prober.states()));
            let counts = background.monitor().map(|monitor| monitor.counts());
            let certificates = counts.map(|counts| counts.get("certificates").copied().unwrap_or(0));
            summary["certificates"] = json!(certificates);
        }
        summary
    }

    fn events(&self) -> Value {
        let events = self.background().map_or_else(Vec::new, |background| background.watch().events());
        json!({ "events": events })
    }

    fn probes(&self) -> Value {
        let background = self.background();
        let prober = background.as_ref().and_then(|background| background.prober());
        prober.map_or_else(|| json!({ "targets": {} }), |prober| prober.to_json())
    }
}

/// What an input holds, in numbers.
fn describe(input: &Input) -> Value {
    match input {
        Input::LogList(list) => json!(list.value.identity()),
        Input::Trust(trust) => json!({
            "roots": trust.value.roots.identity(), "intermediates": trust.value.intermediates.len(),
        }),
        Input::Lists(lists) => json!(lists.value.set.identity()),
    }
}

/// What of the background's status is shown here; the inputs stand above.
const BACKGROUND_KEYS: [&str; 5] = ["logs", "conditions", "audits", "evidence", "crls"];
