//! The monitor at work: rounds over all logs, and what becomes of what they find.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use transparency::digest::{LogId, Sha256};
use transparency::log_list::CtLog;
use transparency::tree_head::TreeHead;

use super::budget::{Budget, Rates};
use super::certspotter::{self, Dropped};
use super::compare::compare;
use super::follow::{Followed, Found, Step};
use super::positions::{self, Known};
use super::zones::Zones;
use crate::context::Context;
use crate::events::Event;
use crate::names::Names;

/// Gives the heads that logs have signed, each verified, and consistent with those before.
pub trait Heads: Send + Sync + 'static {
    /// The newest head of each log that is to be followed.
    fn heads(&self) -> Vec<(CtLog, TreeHead)>;
}

impl Heads for crate::Watch {
    fn heads(&self) -> Vec<(CtLog, TreeHead)> {
        crate::Watch::heads(self)
    }
}

/// What is watched, and how.
#[derive(Debug, Clone, Default)]
pub struct MonitorConfig {
    /// The operator's zones.
    pub zones: Zones,
    /// How much may be taken.
    pub rates: Rates,
    /// Where the script of certspotter drops its events.
    pub certspotter: Option<PathBuf>,
}

/// The monitor cannot start.
#[derive(Debug, Error)]
pub enum MonitorError {
    /// There is nothing to watch.
    #[error("expected a zone to watch")]
    NoZone,
}

/// Gives the SHA-256 of the keys that servers of a host were seen with.
pub type ServedKeys = Arc<dyn Fn(&str) -> Vec<Sha256> + Send + Sync>;

/// Watches what authorities issue for the operator's zones.
pub struct Monitor {
    config: MonitorConfig,
    context: Arc<Context>,
    heads: Arc<dyn Heads>,
    names: Arc<dyn Names>,
    served: ServedKeys,
    state: Mutex<State>,
    /// One round at a time.
    rounds: tokio::sync::Mutex<()>,
    task: Mutex<Option<AbortHandle>>,
}

struct State {
    logs: BTreeMap<LogId, (String, Followed)>,
    /// Where logs stood before the restart that have not shown a head yet.
    kept: BTreeMap<String, super::frontier::Frontier>,
    known: Known,
    budget: Budget,
    counts: BTreeMap<&'static str, u64>,
    /// Files of certspotter that cannot be read.
    passed: BTreeSet<PathBuf>,
    is_changed: bool,
}

/// Where a certificate was found.
struct Place<'a> {
    log: &'a str,
    index: Option<u64>,
    by: &'static str,
}

impl Monitor {
    /// A monitor that goes on where the state folder says it stopped, whenever it is told to by [`Monitor::round`]. Waits for the disk.
    ///
    /// # Errors
    /// [`MonitorError`] when there is nothing to watch.
    pub fn new(
        config: MonitorConfig,
        context: Arc<Context>,
        heads: Arc<dyn Heads>,
        names: Arc<dyn Names>,
        served: ServedKeys,
    ) -> Result<Arc<Self>, MonitorError> {
        if config.zones.is_empty() {
            return Err(MonitorError::NoZone);
        }
        let file = context.state.read(positions::FILE, positions::FILE_BYTES_MAX);
        let (kept, known) = file.and_then(|bytes| positions::read(&bytes)).unwrap_or_default();
        let budget = Budget::new(&config.rates, context.now());
        let state = State {
            logs: BTreeMap::new(),
            kept,
            known,
            budget,
            counts: BTreeMap::new(),
            passed: BTreeSet::new(),
            is_changed: false,
        };
        let (state, rounds, task) = (Mutex::new(state), tokio::sync::Mutex::new(()), Mutex::new(None));
        Ok(Arc::new(Monitor { config, context, heads, names, served, state, rounds, task }))
    }

    /// Goes a round every few seconds from now on, until [`Monitor::stop`].
    pub fn start(self: &Arc<Self>, runtime: &Handle) {
        let monitor = Arc::downgrade(self);
        let task = runtime.spawn(async move {
            let mut ticks = interval(ROUND_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(monitor) = monitor.upgrade() else { return };
                monitor.round().await;
            }
        });
        if let Some(before) = lock(&self.task).replace(task.abort_handle()) {
            before.abort();
        }
    }

    /// Watches no more.
    pub fn stop(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }

    /// Follows every log as far as its head and the rates allow, takes in what certspotter dropped, and keeps where it stands.
    pub async fn round(&self) {
        let _one_at_a_time = self.rounds.lock().await;
        let heads = self.heads.heads();
        self.meet(&heads);
        for _ in 0..STEPS_PER_ROUND_MAX {
            if !self.step_all(&heads).await {
                break;
            }
        }
        self.take_in_dropped().await;
        self.keep().await;
    }

    /// How many there were of each thing: entries, entries that are malformed, certificates of watched zones.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.state).counts.clone()
    }

    /// How many logs are in which state.
    pub fn log_states(&self) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::new();
        for (_, followed) in lock(&self.state).logs.values() {
            *states.entry(followed.status.word()).or_default() += 1;
        }
        states
    }

    /// All that is known, as `/v1/transparency` shows it.
    pub fn to_json(&self) -> Value {
        let state = lock(&self.state);
        let logs = state.logs.iter().map(|(id, (description, followed))| {
            json!({
                "log": description,
                "id": id,
                "state": followed.status.word(),
                "position": followed.frontier.as_ref().map(super::frontier::Frontier::size),
                "head": followed.head_size,
                "entries": followed.entries,
                "malformed": followed.malformed,
                "error": followed.error,
            })
        });
        let zones: Vec<&str> = self.config.zones.names().collect();
        json!({ "zones": zones, "known": state.known.len(), "counts": state.counts, "logs": logs.collect::<Vec<_>>() })
    }

    /// Takes up logs that are new, and forgets those that are gone from the list.
    fn meet(&self, heads: &[(CtLog, TreeHead)]) {
        let mut state = lock(&self.state);
        let State { logs, kept, .. } = &mut *state;
        for (log, _) in heads.iter().take(LOGS_MAX) {
            logs.entry(log.key.id()).or_insert_with(|| {
                (log.description.clone(), Followed::new(kept.remove(&log.key.id().to_string())))
            });
        }
    }

    /// Takes one step in each log that wants one; says whether any did.
    async fn step_all(&self, heads: &[(CtLog, TreeHead)]) -> bool {
        let now = self.context.now();
        let mut steps = JoinSet::new();
        let mut any = false;
        for (log, head) in heads.iter().take(LOGS_MAX) {
            let mut followed = {
                let mut state = lock(&self.state);
                if !state.budget.has_room(now) {
                    break;
                }
                match state.logs.get(&log.key.id()) {
                    Some((_, followed)) if followed.wants(head, now) => followed.clone(),
                    _ => continue,
                }
            };
            any = true;
            if steps.len() == STEPS_AT_ONCE_MAX
                && let Some(Ok(done)) = steps.join_next().await
            {
                self.finish(done).await;
            }
            let (log, head, context) = (log.clone(), *head, Arc::clone(&self.context));
            let (zones, behind_max) = (self.config.zones.clone(), self.config.rates.entries_behind_max);
            steps.spawn(async move {
                let step = followed.step(&log, &head, &context.fetcher, &zones, (now, behind_max)).await;
                (log, followed, step)
            });
        }
        while let Some(done) = steps.join_next().await {
            if let Ok(done) = done {
                self.finish(done).await;
            }
        }
        any
    }

    async fn finish(&self, (log, followed, step): (CtLog, Followed, Step)) {
        let error = followed.error.clone().unwrap_or_default();
        {
            let mut state = lock(&self.state);
            state.budget.take(step.entries, step.bytes);
            *state.counts.entry("entries").or_default() += step.entries;
            *state.counts.entry("bytes").or_default() += step.bytes;
            let before = state.logs.insert(log.key.id(), (log.description.clone(), followed.clone()));
            let malformed = before.map_or(0, |(_, before)| followed.malformed - before.malformed);
            *state.counts.entry("malformed").or_default() += malformed;
            state.is_changed = true;
        }
        if let Some((from, to)) = step.skipped {
            let text = format!("entries {from} to {to} were left out, too far behind or unreadable");
            self.tell("monitor_skipped", true, &log.description, text, json!({ "from": from, "to": to }));
        }
        if step.is_new_lie {
            self.tell("entries_not_in_tree", true, &log.description, error, json!({ "log": log.key.id() }));
        }
        if step.found_beyond > 0 {
            let text =
                format!("{} more certificates for watched zones in one piece of the log", step.found_beyond);
            self.tell(
                "too_many_certificates",
                true,
                &log.description,
                text,
                json!({ "more": step.found_beyond }),
            );
        }
        for found in step.found {
            let place = Place { log: &log.description, index: Some(found.index), by: "log" };
            self.take_in(found, &place).await;
        }
    }

    /// Tells of a certificate that is new.
    async fn take_in(&self, found: Found, place: &Place<'_>) {
        let facts = json!({ "log": place.log, "index": place.index, "by": place.by, "zone": found.zone });
        let Some(announced) = found.announced else {
            let text = "an entry that cannot be read mentions the zone".to_owned();
            return self.tell("malformed_certificate", true, &found.zone, text, facts);
        };
        let is_new = {
            let mut state = lock(&self.state);
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
    async fn take_in_dropped(&self) {
        let Some(folder) = self.config.certspotter.clone() else { return };
        let passed = lock(&self.state).passed.clone();
        let read = crate::context::aside(move || {
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
                    *lock(&self.state).counts.entry("other_zones").or_default() += 1;
                    return;
                };
                let zone = zone.name().to_owned();
                let found = Found { index: index.unwrap_or(0), zone, announced: Some(announced), names };
                self.take_in(found, &Place { log: &log, index, by: "certspotter" }).await;
            }
        }
    }

    /// What was taken in is removed; what cannot be removed is not taken in again.
    async fn remove(&self, path: PathBuf) {
        let removed = crate::context::aside(move || {
            let removed = std::fs::remove_file(&path);
            (removed, path)
        });
        if let Some((Err(error), path)) = removed.await {
            self.pass(&path, &error.to_string());
        }
    }

    fn pass(&self, path: &Path, why: &str) {
        let mut state = lock(&self.state);
        if state.passed.len() < PASSED_MAX && state.passed.insert(path.to_owned()) {
            *state.counts.entry("unreadable_files").or_default() += 1;
            drop(state);
            let subject = path.display().to_string();
            self.tell("certspotter_unreadable", false, &subject, why.to_owned(), Value::Null);
        }
    }

    async fn keep(&self) {
        let bytes = {
            let mut state = lock(&self.state);
            if !std::mem::take(&mut state.is_changed) {
                return;
            }
            let followed = state
                .logs
                .iter()
                .filter_map(|(id, (_, followed))| Some((id.to_string(), followed.frontier.as_ref()?)));
            let kept = state.kept.iter().map(|(id, frontier)| (id.clone(), frontier));
            positions::write(followed.chain(kept), &state.known)
        };
        self.context.write(positions::FILE.to_owned(), bytes).await;
    }

    fn tell(&self, code: &'static str, grave: bool, subject: &str, text: String, facts: Value) {
        let at = self.context.now();
        self.context.events.push(Event { at, code, grave, subject: subject.to_owned(), text, facts });
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often all logs are looked after.
const ROUND_EVERY: Duration = Duration::from_secs(10);
/// How many steps a log may take in one round.
const STEPS_PER_ROUND_MAX: usize = 64;
/// How many logs are asked at a time.
const STEPS_AT_ONCE_MAX: usize = 4;
/// How many names of a certificate an event has.
const NAMES_TOLD_MAX: usize = 100;
/// How many files that cannot be read are remembered; further ones are passed over in silence.
const PASSED_MAX: usize = 1000;
const LOGS_MAX: usize = transparency::log_list::LOGS_MAX;
