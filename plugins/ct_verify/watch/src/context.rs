//! What all background tasks share: the fetcher, the state folder, the clock, events, and the snapshot that they work on.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rand::Rng as _;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::warn;
use transparency::Moment;

use crate::clock::Clock;
use crate::events::{Event, Events};
use crate::fetch::Fetcher;
use crate::inputs::Inputs;
use crate::state::StateFolder;

/// What all background tasks share.
pub struct Context {
    /// Asks others.
    pub fetcher: Fetcher,
    /// Keeps what outlives a restart.
    pub state: StateFolder,
    /// Says what time it is.
    pub clock: Arc<dyn Clock>,
    /// Takes what an operator should know of.
    pub events: Events,
    inputs: ArcSwap<Inputs>,
    updates: Mutex<()>,
    changed: watch::Sender<u64>,
}

impl Context {
    /// A context with nothing to judge by yet.
    pub fn new(fetcher: Fetcher, state: StateFolder, clock: Arc<dyn Clock>) -> Self {
        Context {
            fetcher,
            state,
            clock,
            events: Events::default(),
            inputs: ArcSwap::default(),
            updates: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// What certificates are judged by now.
    pub fn inputs(&self) -> Arc<Inputs> {
        self.inputs.load_full()
    }

    /// Counts up whenever the inputs change.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What time it is.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Replaces the inputs by changed ones.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Inputs)) {
        {
            let _one_at_a_time = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
            let mut inputs = Inputs::clone(&self.inputs.load());
            change(&mut inputs);
            self.inputs.store(Arc::new(inputs));
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// Keeps an event that is good to know.
    pub(crate) fn note(&self, code: &'static str, subject: &str, text: String) {
        self.happened(code, false, (subject, text), Value::Null);
    }

    /// Keeps an event that somebody should look at.
    pub(crate) fn alarm(&self, code: &'static str, subject: &str, text: String, facts: Value) {
        self.happened(code, true, (subject, text), facts);
    }

    fn happened(&self, code: &'static str, grave: bool, (subject, text): (&str, String), facts: Value) {
        self.events.push(Event { at: self.now(), code, grave, subject: subject.to_owned(), text, facts });
    }

    /// Writes a file of the state folder, where no query waits for the disk.
    pub(crate) async fn write(self: &Arc<Self>, name: String, bytes: impl AsRef<[u8]> + Send + 'static) {
        let context = self.clone();
        let written = aside(move || {
            let result = context.state.write(&name, bytes.as_ref());
            (name, result)
        });
        if let Some((name, Err(error))) = written.await {
            warn!(name, %error, "state is not written");
        }
    }
}

/// Runs work that takes long where it holds up nobody. `None` when the runtime ends meanwhile, or the work panicked.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// A period, up to a tenth longer or shorter, so that replicas do not ask all at once.
pub(crate) fn jittered(period: Duration) -> Duration {
    period.mul_f64(rand::rng().random_range(0.9..=1.1))
}

/// The tasks of a watch; they end with it.
pub(crate) struct Tasks {
    runtime: Handle,
    /// `None` once stopped.
    running: Mutex<Option<Vec<AbortHandle>>>,
}

impl Tasks {
    pub fn new(runtime: Handle) -> Self {
        Tasks { runtime, running: Mutex::new(Some(Vec::new())) }
    }

    /// Starts a task, unless all have been stopped.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let running = running.as_mut()?;
        running.retain(|task| !task.is_finished());
        let task = self.runtime.spawn(task).abort_handle();
        running.push(task.clone());
        Some(task)
    }

    /// Ends all tasks, and starts none any more.
    pub fn stop(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.take().into_iter().flatten().for_each(|task| task.abort());
    }
}
