//! All background work behind one handle: started once, asked for snapshots, stopped as a whole.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::watch;
use transparency::digest::{LogId, Sha256};
use transparency::inclusion::Audited;
use transparency::log_list::CtLog;
use transparency::tree_head::TreeHead;

use crate::config::{Source, WatchConfig};
use crate::context::{Context, Tasks};
use crate::crl::RevocationSource;
use crate::events::Event;
use crate::fetch::{FetchConfig, Fetcher, FetcherError};
use crate::gossip::Gossip;
use crate::inputs::Inputs;
use crate::issuers::{IssuerSource, Issuers};
use crate::log_list_source::LogListSource;
use crate::logs::{LogWatcher, Promised};
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
    tasks: Arc<Tasks>,
    issuers: Arc<IssuerSource>,
    revocation: Arc<RevocationSource>,
    /// `None` when logs are not to be asked.
    logs: Option<(Arc<LogWatcher>, Gossip)>,
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
        let tasks = Arc::new(Tasks::new(runtime));
        if let Some(source) = config.log_list {
            let source = Arc::new(LogListSource::start(context.clone(), source));
            tasks.spawn(source.run(config.refresh));
        }
        let issuers = Arc::new(Issuers::open(context.clone(), config.intermediates, config.roots));
        let revocation = Arc::new(RevocationSource::start(context.clone(), issuers.clone(), config.crls));
        tasks.spawn(revocation.clone().run(config.refresh));
        let (issuers, worker) = IssuerSource::new(context.clone(), issuers, revocation.clone());
        tasks.spawn(worker);
        let logs = config.audit.then(|| {
            let logs = LogWatcher::start(context.clone(), tasks.clone(), config.heads_period);
            let (gossip, worker) = Gossip::new(context.clone(), logs.clone());
            tasks.spawn(worker);
            (logs, gossip)
        });
        Ok(Arc::new(Watch { context, tasks, issuers, revocation, logs }))
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

    /// Has the issuers and revocation lists of a chain looked after, leaf first. Returns at once.
    pub fn attend(&self, chain: &[CertificateDer<'_>]) {
        self.issuers.attend(chain);
    }

    /// Has a promise of a log looked into; says whether it is a new one. Returns at once.
    pub fn audit(&self, promised: Promised) -> bool {
        self.logs.as_ref().is_some_and(|(logs, _)| logs.audit(promised))
    }

    /// What was found out about these promises, each a log and a leaf; nothing about those that nobody looked into.
    pub fn audited(&self, promises: &[(LogId, Sha256)]) -> Vec<Audited> {
        self.logs.as_ref().map_or_else(Vec::new, |(logs, _)| logs.auditor().audited(promises))
    }

    /// The newest verified head of each log.
    pub fn heads(&self) -> Vec<(CtLog, TreeHead)> {
        self.logs.as_ref().map_or_else(Vec::new, |(logs, _)| logs.heads())
    }

    /// The logs that are watched; `None` when logs are not to be asked.
    pub fn logs(&self) -> Option<&Arc<LogWatcher>> {
        self.logs.as_ref().map(|(logs, _)| logs)
    }

    /// What peers should know: heads of logs.
    pub fn news(&self) -> Vec<Bytes> {
        self.logs.as_ref().map_or_else(Vec::new, |(_, gossip)| gossip.news())
    }

    /// What a peer knows. Returns at once.
    pub fn told(&self, news: &[u8]) {
        if let Some((_, gossip)) = &self.logs {
            gossip.told(news);
        }
    }

    /// How often each thing happened since the start.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.context.events.counts()
    }

    /// What there is and how it is.
    pub fn status(&self) -> Value {
        let inputs = self.inputs();
        let crls: Vec<Value> = self
            .revocation
            .held()
            .into_iter()
            .map(|(source, facts)| {
                let source = match source {
                    Source::File(path) => path.display().to_string(),
                    Source::Url(url) => url,
                };
                json!({ "source": source, "list": facts })
            })
            .collect();
        json!({
            "log_list": inputs.log_list.as_ref().map(|list| json!({
                "list": list.value.identity(), "stale": list.value.is_stale(self.context.now()),
            })),
            "intermediates": { "digest": inputs.intermediates.digest, "certificates": inputs.intermediates.value.len() },
            "crls": { "digest": inputs.crls.digest, "lists": crls },
            "logs": self.logs().map(|logs| logs.status()),
            "conditions": self.logs().map(|logs| logs.conditions()),
            "audits": self.logs().map(|logs| logs.auditor().counts()),
            "evidence": self.logs().map(|logs| logs.evidence().all()),
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
