//! The monitor at work: rounds over all logs, and what becomes of what they find.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use transparency::digest::{LogId, Sha256};
use transparency::log_list::CtLog;
use transparency::tree_head::TreeHead;

use super::budget::{Budget, Rates};
use super::follow::{Followed, Step};
use super::positions::{self, Known};
use super::told::Place;
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
    pub(super) config: MonitorConfig,
    context: Arc<Context>,
    heads: Arc<dyn Heads>,
    pub(super) names: Arc<dyn Names>,
    pub(super) served: ServedKeys,
    state: Mutex<State>,
    /// How many rounds there were.
    rounds: AtomicUsize,
    /// So many logs are asked at a time; who waits longest is next.
    places: Semaphore,
    /// What was found is taken in one piece after another.
    taking: tokio::sync::Mutex<()>,
    /// One at a time goes through what certspotter dropped, and one at a time writes where the monitor stands.
    dropping: tokio::sync::Mutex<()>,
    keeping: tokio::sync::Mutex<()>,
    task: Mutex<Option<AbortHandle>>,
}

pub(super) struct State {
    logs: BTreeMap<LogId, (String, Followed)>,
    /// Logs that somebody is following just now.
    busy: BTreeSet<LogId>,
    /// Where logs stood before the restart that have not shown a head yet.
    kept: BTreeMap<String, super::frontier::Frontier>,
    pub known: Known,
    budget: Budget,
    pub counts: BTreeMap<&'static str, u64>,
    /// Files of certspotter that cannot be read.
    pub passed: BTreeSet<PathBuf>,
    pub is_changed: bool,
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
            busy: BTreeSet::new(),
            kept,
            known,
            budget,
            counts: BTreeMap::new(),
            passed: BTreeSet::new(),
            is_changed: false,
        };
        Ok(Arc::new(Monitor {
            config,
            context,
            heads,
            names,
            served,
            state: Mutex::new(state),
            rounds: AtomicUsize::new(0),
            places: Semaphore::new(STEPS_AT_ONCE_MAX),
            taking: tokio::sync::Mutex::default(),
            dropping: tokio::sync::Mutex::default(),
            keeping: tokio::sync::Mutex::default(),
            task: Mutex::new(None),
        }))
    }

    /// Begins a round every few seconds from now on, until [`Monitor::stop`]; one that takes longer holds up no other.
    pub fn start(self: &Arc<Self>, runtime: &Handle) {
        let monitor = Arc::downgrade(self);
        let task = runtime.spawn(async move {
            let mut ticks = interval(ROUND_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut rounds = JoinSet::new();
            loop {
                ticks.tick().await;
                while rounds.try_join_next().is_some() {}
                let Some(monitor) = monitor.upgrade() else { return };
                if rounds.len() < ROUNDS_AT_ONCE_MAX {
                    rounds.spawn(async move { monitor.round().await });
                }
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
    ///
    /// Each log is followed by itself; one that an earlier round is still busy with is passed over.
    pub async fn round(self: &Arc<Self>) {
        let mut heads = self.heads.heads();
        self.meet(&heads);
        if !heads.is_empty() {
            // When the rates do not allow for all, another log is the first to be left waiting each time.
            let count = heads.len();
            heads.rotate_left(self.rounds.fetch_add(1, Ordering::Relaxed) % count);
        }
        let mut following = JoinSet::new();
        for (log, head) in heads.into_iter().take(LOGS_MAX) {
            let monitor = Arc::clone(self);
            following.spawn(async move { monitor.follow(&log, &head).await });
        }
        if let Ok(_one_at_a_time) = self.dropping.try_lock() {
            self.take_in_dropped().await;
        }
        while following.join_next().await.is_some() {}
        self.keep().await;
    }

    /// Goes on in one log, step by step, unless somebody is at it.
    async fn follow(&self, log: &CtLog, head: &TreeHead) {
        let id = log.key.id();
        let Some(_busy) = Busy::begin(self, id) else { return };
        for _ in 0..STEPS_PER_ROUND_MAX {
            let Ok(place) = self.places.acquire().await else { return };
            let now = self.context.now();
            let followed = {
                let mut state = self.state();
                let has_room = state.budget.has_room(now);
                let followed =
                    state.logs.get(&id).filter(|(_, followed)| has_room && followed.wants(head, now));
                followed.map(|(_, followed)| followed.clone())
            };
            let Some(mut followed) = followed else { return };
            let (zones, behind_max) = (&self.config.zones, self.config.rates.entries_behind_max);
            let step = followed.step(log, head, &self.context.fetcher, zones, (now, behind_max)).await;
            drop(place);
            self.finish(log, followed, step).await;
        }
    }

    /// How many there were of each thing: entries, entries that are malformed, certificates of watched zones.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state().counts.clone()
    }

    /// How many logs are in which state.
    pub fn log_states(&self) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::new();
        for (_, followed) in self.state().logs.values() {
            *states.entry(followed.status.word()).or_default() += 1;
        }
        states
    }

    /// All that is known, as `/v1/transparency` shows it.
    pub fn to_json(&self) -> Value {
        let state = self.state();
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

    /// Takes up logs that are new, and keeps no more than where it stands of those that are gone.
    fn meet(&self, heads: &[(CtLog, TreeHead)]) {
        let mut state = self.state();
        let State { logs, kept, .. } = &mut *state;
        let there: BTreeSet<LogId> = heads.iter().map(|(log, _)| log.key.id()).collect();
        let gone: Vec<LogId> = logs.keys().filter(|id| !there.contains(id)).copied().collect();
        for id in gone {
            let frontier = logs.remove(&id).and_then(|(_, followed)| followed.frontier);
            if let Some(frontier) = frontier.filter(|_| kept.len() < LOGS_MAX) {
                kept.insert(id.to_string(), frontier);
            }
        }
        for (log, _) in heads.iter().take(LOGS_MAX) {
            logs.entry(log.key.id()).or_insert_with(|| {
                (log.description.clone(), Followed::new(kept.remove(&log.key.id().to_string())))
            });
        }
    }

    async fn finish(&self, log: &CtLog, followed: Followed, step: Step) {
        let _one_at_a_time = self.taking.lock().await;
        let error = followed.error.clone().unwrap_or_default();
        {
            let mut state = self.state();
            state.budget.take(step.entries, step.bytes);
            *state.counts.entry("entries").or_default() += step.entries;
            *state.counts.entry("bytes").or_default() += step.bytes;
            let before = state.logs.insert(log.key.id(), (log.description.clone(), followed.clone()));
            let malformed =
                before.map_or(0, |(_, before)| followed.malformed.saturating_sub(before.malformed));
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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    async fn keep(&self) {
        let _one_at_a_time = self.keeping.lock().await;
        let bytes = {
            let mut state = self.state();
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

    pub(super) fn tell(&self, code: &'static str, grave: bool, subject: &str, text: String, facts: Value) {
        let at = self.context.now();
        self.context.events.push(Event { at, code, grave, subject: subject.to_owned(), text, facts });
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A log that is being followed, until this goes.
struct Busy<'a>(&'a Monitor, LogId);

impl<'a> Busy<'a> {
    fn begin(monitor: &'a Monitor, id: LogId) -> Option<Self> {
        let is_free = monitor.state().busy.insert(id);
        // Not made when it is not free: its end would free it.
        is_free.then(|| Busy(monitor, id))
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state().busy.remove(&self.1);
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
const STEPS_AT_ONCE_MAX: usize = 8;
/// How many rounds there may be at a time: all but the newest wait for slow logs.
const ROUNDS_AT_ONCE_MAX: usize = 64;
const LOGS_MAX: usize = transparency::log_list::LOGS_MAX;
