//! All logs of the list that are in use, each with its task; the list may change at any time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::task::AbortHandle;
use transparency::digest::LogId;
use transparency::log_list::{CtLog, LogList, StateKind};
use transparency::tree_head::TreeHead;

use super::audit::{Auditor, Promised};
use super::condition::Condition;
use super::watched::WatchedLog;
use crate::context::{Context, Tasks, aside};
use crate::evidence::Evidence;

/// All logs that are watched.
pub struct LogWatcher {
    context: Arc<Context>,
    tasks: Arc<Tasks>,
    evidence: Arc<Evidence>,
    auditor: Arc<Auditor>,
    period: Duration,
    logs: Mutex<BTreeMap<LogId, Running>>,
}

struct Running {
    watched: Arc<WatchedLog>,
    task: Option<AbortHandle>,
}

impl LogWatcher {
    /// Watches the logs of the list in use, and of each that follows it.
    pub(crate) fn start(context: Arc<Context>, tasks: Arc<Tasks>, period: Duration) -> Arc<Self> {
        let evidence = Arc::new(Evidence::open(context.clone()));
        let auditor = Arc::new(Auditor::open(context.clone()));
        let watcher =
            Arc::new(LogWatcher { context, tasks, evidence, auditor, period, logs: Mutex::default() });
        watcher.follow();
        let (this, mut changed) = (watcher.clone(), watcher.context.changed());
        watcher.tasks.spawn(async move {
            while changed.changed().await.is_ok() {
                let this = this.clone();
                aside(move || this.follow()).await;
            }
        });
        watcher
    }

    /// Starts to watch what is new in the list, and ends what is no longer in use.
    fn follow(&self) {
        let inputs = self.context.inputs();
        let Some(list) = &inputs.log_list else { return };
        let wanted: BTreeMap<LogId, &CtLog> = in_use(&list.value).map(|log| (log.key.id(), log)).collect();
        let mut logs = self.logs();
        logs.retain(|id, running| {
            let stays = wanted.get(id).is_some_and(|log| **log == running.watched.log);
            if !stays && let Some(task) = &running.task {
                task.abort();
            }
            stays
        });
        for (id, log) in wanted {
            logs.entry(id).or_insert_with(|| {
                let parts = (self.context.clone(), self.evidence.clone(), self.auditor.clone());
                let watched = Arc::new(WatchedLog::open(parts.0, parts.1, parts.2, log.clone()));
                let task = self.tasks.spawn(watched.clone().run(self.period));
                Running { watched, task }
            });
        }
    }

    /// The logs that are watched.
    pub fn watched(&self) -> Vec<Arc<WatchedLog>> {
        self.logs().values().map(|running| running.watched.clone()).collect()
    }

    /// The watched log with this identity.
    pub fn log(&self, id: &LogId) -> Option<Arc<WatchedLog>> {
        self.logs().get(id).map(|running| running.watched.clone())
    }

    /// The newest verified head of each log.
    pub fn heads(&self) -> Vec<(CtLog, TreeHead)> {
        let head =
            |watched: Arc<WatchedLog>| watched.latest().map(|latest| (watched.log.clone(), latest.head));
        self.watched().into_iter().filter_map(head).collect()
    }

    /// Has a promise looked into, if its log is watched; says whether it is a new one.
    pub fn audit(&self, promised: Promised) -> bool {
        let Some(watched) = self.log(&promised.log) else { return false };
        let new = self.auditor.take(promised);
        if new {
            watched.wake();
        }
        new
    }

    /// The promises that are looked into.
    pub fn auditor(&self) -> &Auditor {
        &self.auditor
    }

    /// The proofs against logs.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// How each log is, as JSON.
    pub fn status(&self) -> Value {
        self.watched().iter().map(|watched| watched.status()).collect()
    }

    /// How many logs are in each condition.
    pub fn conditions(&self) -> BTreeMap<&'static str, usize> {
        let words = ["unasked", "ok", "behind", "unreachable", "lying"];
        let mut counts: BTreeMap<&str, usize> = words.into_iter().map(|word| (word, 0)).collect();
        for watched in self.watched() {
            let word = match watched.condition() {
                Condition::Unasked => "unasked",
                Condition::Ok => "ok",
                Condition::Behind(_) => "behind",
                Condition::Unreachable(_) => "unreachable",
                Condition::Lying(_) => "lying",
            };
            *counts.entry(word).or_default() += 1;
        }
        counts
    }

    fn logs(&self) -> MutexGuard<'_, BTreeMap<LogId, Running>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logs of a list that are in use: what they sign counts today.
pub fn in_use(list: &LogList) -> impl Iterator<Item = &CtLog> {
    let current = [StateKind::Qualified, StateKind::Usable, StateKind::Readonly];
    list.logs().filter(move |log| log.state.is_some_and(|state| current.contains(&state.kind)))
}
