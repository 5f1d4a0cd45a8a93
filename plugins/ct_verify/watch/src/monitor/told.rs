//! What becomes of what was found: it is told of once, with what the zone says of it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::certspotter::{self, Dropped};
use super::compare::compare;
use super::follow::Found;
use super::run::Monitor;
use crate::context::aside;

/// Where a certificate was found.
pub(super) struct Place<'a> {
    /// The log's name, or its URL.
    pub log: &'a str,
    pub index: Option<u64>,
    /// By whom: `log` or `certspotter`.
    pub by: &'static str,
}

impl Monitor {
    /// Tells of a certificate that is new.
    pub(super) async fn take_in(&self, found: Found, place: &Place<'_>) {
        let facts = json!({ "log": place.log, "index": place.index, "by": place.by, "zone": found.zone });
        let Some(announced) = found.announced else {
            let text = "an entry that cannot be read mentions the zone".to_owned();
            return self.tell("malformed_certificate", true, &found.zone, text, facts);
        };
        let is_new = {
            let mut state = self.state();
            let is_new = state.known.is_new(announced.tbs_sha256);
            *state.counts.entry(if is_new { "certificates" } else { "duplicates" }).or_default() += 1;
            state.is_changed = true;
            is_new
        };
        let Some((zone, _)) = self.config.zones.find(std::slice::from_ref(&found.zone)) else { return };
        if !is_new {
            return;
        }
        let compared = compare(zone, &announced, &found.names, &*self.names, &*self.served).await;
        let subject = found.names.first().map_or(found.zone.as_str(), String::as_str);
        let mut facts = facts;
        facts["certificate"] = json!(announced);
        facts["certificate"]["names"] =
            json!(announced.names.iter().take(NAMES_TOLD_MAX).collect::<Vec<_>>());
        facts["names"] = json!(found.names);
        facts["compared"] = json!(compared);
        let text = format!("`{}` has issued a certificate", announced.issuer);
        self.tell("new_certificate", false, subject, text, facts.clone());
        for (code, text) in compared.findings() {
            self.tell(code, true, subject, format!("{text} (`{}`)", announced.issuer), facts.clone());
        }
    }

    /// Takes in what certspotter dropped.
    pub(super) async fn take_in_dropped(&self) {
        let Some(folder) = self.config.certspotter.clone() else { return };
        let passed = self.state().passed.clone();
        let read = aside(move || {
            let files = certspotter::finished(&folder, &|path| passed.contains(path));
            files.into_iter().map(|path| (certspotter::open(&path), path)).collect::<Vec<_>>()
        });
        for (dropped, path) in read.await.unwrap_or_default() {
            match dropped {
                Ok(dropped) => {
                    self.take_in_one(dropped).await;
                    self.remove(path).await;
                }
                Err(error) => self.pass(&path, &error.to_string()),
            }
        }
    }

    async fn take_in_one(&self, dropped: Dropped) {
        match dropped {
            Dropped::Error { summary } => {
                self.tell("certspotter_error", true, "certspotter", summary, Value::Null);
            }
            Dropped::Malformed { summary } => {
                self.tell(
                    "malformed_certificate",
                    true,
                    "certspotter",
                    summary,
                    json!({ "by": "certspotter" }),
                );
            }
            Dropped::Certificate { announced, log, index } => {
                let Some((zone, names)) = self.config.zones.find(&announced.names) else {
                    *self.state().counts.entry("other_zones").or_default() += 1;
                    return;
                };
                let zone = zone.name().to_owned();
                let found = Found { index: index.unwrap_or(0), zone, announced: Some(*announced), names };
                self.take_in(found, &Place { log: &log, index, by: "certspotter" }).await;
            }
        }
    }

    /// What was taken in is removed; what cannot be removed is not taken in again.
    async fn remove(&self, path: PathBuf) {
        let removed = aside(move || {
            let removed = std::fs::remove_file(&path);
            (removed, path)
        });
        if let Some((Err(error), path)) = removed.await {
            self.pass(&path, &error.to_string());
        }
    }

    fn pass(&self, path: &Path, why: &str) {
        let mut state = self.state();
        if state.passed.len() < PASSED_MAX && state.passed.insert(path.to_owned()) {
            *state.counts.entry("unreadable_files").or_default() += 1;
            drop(state);
            let subject = path.display().to_string();
            self.tell("certspotter_unreadable", false, &subject, why.to_owned(), Value::Null);
        }
    }
}

/// How many names of a certificate an event has.
const NAMES_TOLD_MAX: usize = 100;
/// How many files that cannot be read are remembered; further ones are passed over in silence.
const PASSED_MAX: usize = 1000;
