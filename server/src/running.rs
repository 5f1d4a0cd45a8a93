//! A configuration that runs: listeners, chains and HTTP services, and how they are replaced while queries come in.
//!
//! A new configuration is taken step by step, what can fail first: sockets are opened, plugins are started, and only then one
//! pointer is swapped. Until then nothing of the old one is touched, so that on any error it simply goes on.

use std::collections::BTreeMap;
use std::io;
#[cfg(test)]
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use plugins::chain::Chain;
use plugins::error::StartError;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::admin::{Admin, AdminError};
use crate::config::{Configuration, Lasting};
use crate::engine::{Engine, Shared};
use crate::listen::listener::{Listener, Opened};
use crate::listen::{Engines, Entrance, ListenerKey};
use crate::privileges::hint_of_ownership;

/// Why a configuration cannot be run.
#[derive(Debug, Error)]
pub enum RunError {
    /// A socket cannot be opened.
    #[error("cannot listen on {key}: {error}{}", hint(.error))]
    Listen {
        /// The listener.
        key: ListenerKey,
        /// What the system says.
        error: io::Error,
    },
    /// The socket of an HTTP service cannot be opened.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A plugin does not start.
    #[error("{0}{hint}", hint = hint_of_ownership(.0))]
    Plugin(#[from] StartError),
    /// Privileges cannot be given up.
    #[error("{0}")]
    Privileges(String),
}

/// What runs.
pub struct Running {
    lasting: Lasting,
    shared: Arc<Shared>,
    engines: Arc<ArcSwap<Engines>>,
    listeners: BTreeMap<ListenerKey, Listener>,
    chains: Vec<Chain>,
    admin: Admin,
    tasks: TaskTracker,
    /// Chains that were replaced, until their last queries are done.
    retiring: JoinSet<Vec<Chain>>,
    /// The program ends.
    ending: CancellationToken,
}

impl Running {
    /// Runs nothing yet.
    pub fn new(lasting: Lasting) -> Running {
        Running {
            shared: Arc::new(Shared::new(&lasting.metrics)),
            admin: Admin::new(lasting.metrics.clone()),
            lasting,
            engines: Arc::default(),
            listeners: BTreeMap::new(),
            chains: Vec::new(),
            tasks: TaskTracker::new(),
            retiring: JoinSet::new(),
            ending: CancellationToken::new(),
        }
    }

    /// Runs `configuration` in place of what runs now. `opened` is called when all sockets are open, those of plugins and their filters among them, and
    /// nothing is started.
    ///
    /// Listeners that both have are kept, with their connections. Errors: what runs goes on as if nothing had happened.
    pub fn replace(
        &mut self,
        configuration: Configuration,
        opened: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), RunError> {
        let mut sockets = Vec::new();
        for (key, plan) in &configuration.listeners {
            if !self.listeners.contains_key(key) {
                let one = Opened::open(*key, plan.tls.as_ref());
                sockets.push((*key, one.map_err(|error| RunError::Listen { key: *key, error })?));
            }
        }
        let services = self.admin.open(&configuration.services)?;
        configuration.chains.iter().try_for_each(Chain::open)?;
        opened().map_err(RunError::Privileges)?;
        start(&configuration.chains)?;

        let settings: Vec<_> = configuration
            .listeners
            .iter()
            .map(|(key, plan)| (*key, plan.tls.clone(), plan.idle_timeout))
            .collect();
        let shared = &self.shared;
        let engines: Engines = configuration
            .listeners
            .into_iter()
            .map(|(key, plan)| (key, Arc::new(Engine::new(plan.zones, plan.idle_timeout, shared.clone()))))
            .collect();
        let before = self.engines.swap(Arc::new(engines));
        let patience = before.values().map(|engine| engine.query_deadline()).max().unwrap_or_default();
        for (key, tls, idle_timeout) in settings {
            if let (Some(listener), Some(tls)) = (self.listeners.get(&key), tls)
                && let Err(error) = listener.renew(&tls, idle_timeout)
            {
                warn!(listener = %key, %error, "certificate is not renewed");
            }
        }
        self.serve(sockets)?;
        self.admin.replace(services, configuration.chains.clone());
        self.retire(configuration.chains, patience);
        Ok(())
    }

    /// Serves sockets that were opened. Fails only when the runtime cannot take them, as when descriptors have run out.
    fn serve(&mut self, sockets: Vec<(ListenerKey, Opened)>) -> Result<(), RunError> {
        for (key, opened) in sockets {
            let entrance = Entrance::new(self.engines.clone(), key);
            let listener = opened.serve(entrance, &self.lasting.metrics, &self.tasks);
            self.listeners.insert(key, listener.map_err(|error| RunError::Listen { key, error })?);
        }
        Ok(())
    }

    /// Ends the listeners that are no longer configured, and the chains that `chains` replace when their last queries are done,
    /// which takes `patience` at most.
    fn retire(&mut self, chains: Vec<Chain>, patience: Duration) {
        let engines = self.engines.load();
        self.listeners.retain(|key, listener| {
            let kept = engines.contains_key(key);
            if !kept {
                listener.stop();
            }
            kept
        });
        let old = std::mem::replace(&mut self.chains, chains);
        // Those that have ended are forgotten.
        while self.retiring.try_join_next().is_some() {}
        if !old.is_empty() {
            self.retiring.spawn(retire(old, patience, self.ending.clone()));
        }
    }

    /// What is listened on, as lines for people and scripts: `dns://127.0.0.1:53`, `http://127.0.0.1:9153/metrics`.
    pub fn addresses(&self) -> Vec<String> {
        let listeners = self.listeners.iter().map(|(key, listener)| ListenerKey {
            address: key.address.and(Some(listener.address.ip())),
            port: listener.address.port(),
            ..*key
        });
        listeners.map(|key| key.to_string()).chain(self.admin.addresses()).collect()
    }

    /// The address of the listener `key`, port 0 as chosen.
    #[cfg(test)]
    pub fn address(&self, key: &ListenerKey) -> Option<SocketAddr> {
        self.listeners.get(key).map(|listener| listener.address)
    }

    /// How long to go on serving after a stop was asked for; from now on `GET /ready` says no.
    pub fn begin_stop(&self) -> Duration {
        self.admin.begin_stop()
    }

    /// Takes nothing new, answers what is under way, and ends.
    pub async fn stop(mut self) {
        self.listeners.values().for_each(Listener::stop);
        self.tasks.close();
        if timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            warn!(tasks = self.tasks.len(), "queries were still under way");
        }
        self.ending.cancel();
        let mut chains = std::mem::take(&mut self.chains);
        chains.iter().for_each(Chain::stop);
        chains.extend(self.retiring.join_all().await.into_iter().flatten());
        self.admin.stop();
        let stopped = async {
            for chain in &chains {
                chain.stopped().await;
            }
        };
        if timeout(STOP_TIMEOUT, stopped).await.is_err() {
            warn!("what runs beside queries had not ended");
        }
    }
}

/// Stops chains after `patience`, or when the program ends before that: then they come back, to be waited for.
async fn retire(chains: Vec<Chain>, patience: Duration, ending: CancellationToken) -> Vec<Chain> {
    let early = timeout(patience, ending.cancelled()).await.is_ok();
    chains.iter().for_each(Chain::stop);
    if early { chains } else { Vec::new() }
}

/// Starts all chains, or none.
fn start(chains: &[Chain]) -> Result<(), StartError> {
    for (index, chain) in chains.iter().enumerate() {
        if let Err(error) = chain.start() {
            chains[..index].iter().for_each(Chain::stop);
            return Err(error);
        }
    }
    Ok(())
}

/// What to do about an error of `bind`.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need root or CAP_NET_BIND_SERVICE, or try --dns-port 1053"
        }
        io::ErrorKind::AddrInUse => "; another program listens there, see `ss -lunpt`",
        io::ErrorKind::AddrNotAvailable => "; no interface has this address, see `bind`",
        _ => "",
    }
}

/// How long a stop waits for queries under way, as in CoreDNS, and after that for what runs beside them.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
#[path = "running_tests.rs"]
mod tests;
