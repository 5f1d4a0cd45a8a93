//! HTTP for operators: `/health`, `/ready`, `/metrics`, the JSON API of the plugins below `/v1/`, and the page that shows it. Plain HTTP/1.1, bounded. Whoever
//! reaches a listener may read; `operator` says who may change something, `post` reads what whoever reaches a listener may send.
//!
//! Listeners are known by their address and outlive a reload; what they serve is looked up with each request.

mod operator;
mod page;
mod post;
mod serve;

pub use operator::OPERATOR;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use plugins::chain::Chain;
use plugins::metrics::Metrics;
use plugins::plugin::Plugin;
use plugins::setup::Service;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Why an HTTP service does not listen.
#[derive(Debug, Error)]
#[error("cannot listen on http://{address}: {error}")]
pub struct AdminError {
    address: SocketAddr,
    error: io::Error,
}

/// A service, as the path it answers on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Path {
    Health,
    Ready,
    Metrics,
}

impl Path {
    fn text(self) -> &'static str {
        match self {
            Path::Health => "/health",
            Path::Ready => "/ready",
            Path::Metrics => "/metrics",
        }
    }
}

/// The HTTP services of the program.
pub struct Admin {
    state: Arc<State>,
    listeners: BTreeMap<SocketAddr, Listener>,
}

/// What requests look at.
struct State {
    metrics: Arc<Metrics>,
    current: ArcSwap<Current>,
    stopping: AtomicBool,
    /// Room for requests with a body.
    posts: Arc<Semaphore>,
    /// Room for requests that plugins answer.
    asking: Arc<Semaphore>,
}

/// What belongs to one configuration.
#[derive(Default)]
struct Current {
    /// By address as configured.
    paths: BTreeMap<SocketAddr, BTreeSet<Path>>,
    chains: Vec<Chain>,
    lameduck: Duration,
}

impl Current {
    /// Whether the listener that the Corefile calls `configured` serves `path`.
    fn serves(&self, configured: SocketAddr, path: Path) -> bool {
        self.paths.get(&configured).is_some_and(|paths| paths.contains(&path))
    }

    fn plugins(&self) -> impl Iterator<Item = &Arc<dyn Plugin>> {
        self.chains.iter().flat_map(|chain| chain.plugins())
    }
}

struct Listener {
    address: SocketAddr,
    stop: CancellationToken,
}

/// Sockets that are open but not yet served, and what they are to serve.
pub struct Opened {
    sockets: Vec<(SocketAddr, TcpListener)>,
    paths: BTreeMap<SocketAddr, BTreeSet<Path>>,
    lameduck: Duration,
}

impl Admin {
    /// No service yet.
    pub fn new(metrics: Arc<Metrics>) -> Admin {
        let state = State {
            metrics,
            current: ArcSwap::default(),
            stopping: AtomicBool::new(false),
            posts: Arc::new(Semaphore::new(post::POSTS_MAX)),
            asking: Arc::new(Semaphore::new(serve::ASKING_MAX)),
        };
        Admin { state: Arc::new(state), listeners: BTreeMap::new() }
    }

    /// Opens what `services` need beyond what is open.
    pub fn open(&self, services: &[Service]) -> Result<Opened, AdminError> {
        let mut opened = Opened { sockets: Vec::new(), paths: BTreeMap::new(), lameduck: Duration::ZERO };
        for service in services {
            let (address, path) = match service {
                Service::Health { address, lameduck } => {
                    opened.lameduck = opened.lameduck.max(*lameduck);
                    (*address, Path::Health)
                }
                Service::Ready { address } => (*address, Path::Ready),
                Service::Metrics { address } => (*address, Path::Metrics),
            };
            opened.paths.entry(address).or_default().insert(path);
        }
        for address in opened.paths.keys().filter(|address| !self.listeners.contains_key(address)) {
            let bound = TcpListener::bind(address).and_then(|socket| {
                socket.set_nonblocking(true)?;
                Ok(socket)
            });
            let socket = bound.map_err(|error| AdminError { address: *address, error })?;
            opened.sockets.push((*address, socket));
        }
        Ok(opened)
    }

    /// Serves what was opened, for `chains`, and ends the listeners that are no longer configured.
    pub fn replace(&mut self, opened: Opened, chains: Vec<Chain>) {
        let current = Current { paths: opened.paths, chains, lameduck: opened.lameduck };
        self.listeners.retain(|address, listener| {
            let kept = current.paths.contains_key(address);
            if !kept {
                listener.stop.cancel();
            }
            kept
        });
        self.state.current.store(Arc::new(current));
        for (configured, socket) in opened.sockets {
            let stop = CancellationToken::new();
            let address = socket.local_addr().unwrap_or(configured);
            tokio::spawn(serve::listen(socket, configured, self.state.clone(), stop.clone()));
            self.listeners.insert(configured, Listener { address, stop });
        }
    }

    /// Where the services are: `http://127.0.0.1:9153/metrics`.
    pub fn addresses(&self) -> Vec<String> {
        let current = self.state.current.load();
        let of = |(configured, listener): (&SocketAddr, &Listener)| {
            let paths = current.paths.get(configured).into_iter().flatten();
            paths.map(|path| format!("http://{}{}", listener.address, path.text())).collect::<Vec<_>>()
        };
        self.listeners.iter().flat_map(of).collect()
    }

    /// From now on the program is not ready. Returns for how long it shall go on serving.
    pub fn begin_stop(&self) -> Duration {
        self.state.stopping.store(true, Ordering::Relaxed);
        self.state.current.load().lameduck
    }

    /// Ends all listeners.
    pub fn stop(&self) {
        self.listeners.values().for_each(|listener| listener.stop.cancel());
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
