//! All background work behind one handle: started once, asked for snapshots, stopped as a whole.

use std::future::Future;
use std::io;
use std::sync::Arc;

use serde_json::{Value, json};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::config::WatchConfig;
use crate::context::{Context, Tasks};
use crate::events::Event;
use crate::fetch::{FetchConfig, Fetcher, FetcherError};
use crate::inputs::Inputs;
use crate::log_list_source::LogListSource;
use crate::state::StateFolder;

/// Why a watch cannot start.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The client for HTTP.
    #[error(transparent)]
    Fetcher(#[from] FetcherError),
    /// The state folder.
    #[error("state folder: {0}")]
    State(#[source] io::Error),
}

/// The background work of one replica.
pub struct Watch {
    context: Arc<Context>,
    tasks: Tasks,
}

impl Watch {
    /// Starts the background work on this runtime. What the state folder and files hold is in use when this returns; nothing has
    /// been asked of others then.
    ///
    /// # Errors
    /// [`WatchError`] when it cannot start at all. A source that cannot be had is none: it is reported, and asked again.
    pub fn start(config: WatchConfig, runtime: Handle) -> Result<Arc<Self>, WatchError> {
        let fetcher = Fetcher::new(FetchConfig {
            hosts: config.hosts,
            allow_private: config.allow_private,
            tls_roots: config.tls_roots,
            resolver: config.resolver,
        })?;
        let state = StateFolder::open(config.state).map_err(WatchError::State)?;
        let context = Arc::new(Context::new(fetcher, state, config.clock));
        let watch = Arc::new(Watch { context: context.clone(), tasks: Tasks::new(runtime) });
        if let Some(source) = config.log_list {
            let source = Arc::new(LogListSource::start(context, source));
            watch.spawn(source.run(config.refresh));
        }
        Ok(watch)
    }

    /// What certificates are judged by now, as this replica's own sources have it.
    pub fn inputs(&self) -> Arc<Inputs> {
        self.context.inputs()
    }

    /// Counts up whenever the inputs change.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.context.changed()
    }

    /// What the tasks share.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Starts a task that `stop` ends.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// The latest events, the oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.context.events.recent(usize::MAX)
    }

    /// What there is and how it is.
    pub fn status(&self) -> Value {
        let inputs = self.inputs();
        json!({
            "log_list": inputs.log_list.as_ref().map(|list| list.value.identity()),
        })
    }

    /// Ends all background work. Snapshots stay as they are.
    pub fn stop(&self) {
        self.tasks.stop();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}
