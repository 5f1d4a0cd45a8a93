//! The log list: from a file or a URL, taken only when it can be the successor of the one in use.
//!
//! The last list that was taken is kept on disk, so that neither a restart nor a bad file leaves this replica without one.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use thiserror::Error;
use transparency::digest::Sha256;
use transparency::log_list::{
    LOG_LIST_BYTES_MAX, LogList, LogListError, StateKind, UpdateProblem, check_update,
};

use crate::config::{FILE_PERIOD, Source};
use crate::context::{Context, aside, jittered};
use crate::fetch::{FetchError, Limits, Permit};
use crate::inputs::{Inputs, Loaded};
use crate::state::read_bounded;

/// Why a list is not taken.
#[derive(Debug, Error)]
pub enum LogListRefusal {
    /// The file cannot be read.
    #[error("not readable: {0}")]
    File(#[from] std::io::Error),
    /// The URL does not answer.
    #[error("not to be had: {0}")]
    Fetch(#[from] FetchError),
    /// It is no list.
    #[error(transparent)]
    List(#[from] LogListError),
    /// It cannot follow the one in use.
    #[error("it cannot follow the one in use: {}", words(.0))]
    Update(Vec<UpdateProblem>),
}

fn words(problems: &[UpdateProblem]) -> String {
    problems.iter().map(UpdateProblem::to_string).collect::<Vec<_>>().join("; ")
}

/// Watches the source of the log list.
pub struct LogListSource {
    context: Arc<Context>,
    source: Source,
    seen: Mutex<Seen>,
}

/// What was seen last, so that it is neither read nor reported twice.
#[derive(Debug, Default)]
struct Seen {
    stamp: Option<Stamp>,
    refused: Option<String>,
}

/// How a file looks from outside.
type Stamp = (SystemTime, u64);

impl LogListSource {
    /// A source; the last good list is in use from now on, and a file is read at once.
    pub fn start(context: Arc<Context>, source: Source) -> Self {
        let this = LogListSource { context, source, seen: Mutex::default() };
        if let Some(bytes) = this.context.state.read(LAST_GOOD, LOG_LIST_BYTES_MAX)
            && let Ok(list) = LogList::parse(&bytes)
        {
            let loaded = Arc::new(Loaded::new(list, bytes.into()));
            this.context.update(|inputs| inputs.log_list = Some(loaded));
        }
        if let Source::File(path) = &this.source {
            this.seen().stamp = stamp(path);
            let read = read_bounded(path, LOG_LIST_BYTES_MAX).map_err(LogListRefusal::from);
            this.settle(read.and_then(|bytes| this.take(bytes.into())));
        }
        this
    }

    /// Looks at the source again and again.
    pub(crate) async fn run(self: Arc<Self>, refresh: Duration) {
        loop {
            let period = match &self.source {
                Source::File(_) => FILE_PERIOD,
                Source::Url(_) => {
                    self.look().await;
                    let missing = self.context.inputs().log_list.is_none();
                    if missing { refresh.min(RETRY_WITHOUT_LIST) } else { refresh }
                }
            };
            tokio::time::sleep(jittered(period)).await;
            if matches!(self.source, Source::File(_)) {
                self.look().await;
            }
        }
    }

    /// Looks at the source once: a file that has not changed is not read.
    pub async fn look(self: &Arc<Self>) {
        let read = match &self.source {
            Source::File(path) => {
                let (this, path) = (self.clone(), path.clone());
                aside(move || this.read_changed(&path)).await.flatten()
            }
            Source::Url(url) => {
                let fetched = self.context.fetcher.get(url, Permit::Named, LIST_LIMITS).await;
                Some(fetched.map_err(LogListRefusal::from))
            }
        };
        let this = self.clone();
        if let Some(read) = read {
            aside(move || this.settle(read.and_then(|bytes| this.take(bytes)))).await;
        }
    }

    fn read_changed(&self, path: &Path) -> Option<Result<Bytes, LogListRefusal>> {
        let now = stamp(path);
        if now.is_some() && now == self.seen().stamp {
            return None;
        }
        self.seen().stamp = now;
        Some(read_bounded(path, LOG_LIST_BYTES_MAX).map(Bytes::from).map_err(LogListRefusal::from))
    }

    /// Takes a list if it may follow the one in use; says whether it is another one.
    ///
    /// # Errors
    /// [`LogListRefusal`] when it may not. The one in use stays.
    pub fn take(&self, bytes: Bytes) -> Result<bool, LogListRefusal> {
        let old = self.context.inputs().log_list.clone();
        if old.as_ref().is_some_and(|old| old.digest == Sha256::of(&bytes)) {
            return Ok(false);
        }
        let list = LogList::parse(&bytes)?;
        if let Some(old) = &old {
            check_update(&old.value, &list, vanished_max(&old.value)).map_err(LogListRefusal::Update)?;
        }
        if let Err(error) = self.context.state.write(LAST_GOOD, &bytes) {
            tracing::warn!(%error, "the log list is not kept");
        }
        let loaded = Arc::new(Loaded::new(list, bytes));
        self.context.update(|inputs: &mut Inputs| inputs.log_list = Some(loaded));
        Ok(true)
    }

    fn settle(&self, taken: Result<bool, LogListRefusal>) {
        let subject = match &self.source {
            Source::File(path) => path.display().to_string(),
            Source::Url(url) => url.clone(),
        };
        match taken {
            Ok(new) => {
                self.seen().refused = None;
                if new && let Some(list) = self.context.inputs().log_list.as_ref() {
                    let identity = list.value.identity();
                    let text = format!("{} logs, of {}", identity.logs, identity.timestamp);
                    self.context.note("log_list_taken", &subject, text);
                }
            }
            Err(refusal) => {
                let text = refusal.to_string();
                self.context.events.count("log_list_looks_failed");
                // Said once, not at every look.
                if self.seen().refused.replace(text.clone()).as_ref() != Some(&text) {
                    self.context.alarm("log_list_refused", &subject, text, serde_json::Value::Null);
                }
            }
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// How many logs that count may be missing in the next list: a tenth, at least [`VANISHED_MIN`].
fn vanished_max(list: &LogList) -> usize {
    let current = [StateKind::Qualified, StateKind::Usable, StateKind::Readonly];
    let counts = list.logs().filter(|log| log.state.is_some_and(|state| current.contains(&state.kind)));
    (counts.count() / 10).max(VANISHED_MIN)
}

const LIST_LIMITS: Limits = Limits { bytes_max: LOG_LIST_BYTES_MAX, total: Duration::from_secs(60) };
/// How soon a URL is asked again while there is no list at all.
const RETRY_WITHOUT_LIST: Duration = Duration::from_secs(60);
/// So many logs may always go at once: real lists drop a year's shard of two operators in one update.
const VANISHED_MIN: usize = 2;
const LAST_GOOD: &str = "log-list.json";
