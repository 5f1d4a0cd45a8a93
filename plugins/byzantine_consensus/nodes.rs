//! The replicas of this process. Each outlives the reloads of the configuration that names it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use certificate::keys::SeedKey;
use certificate::{Cluster, Digest, ReplicaId};
use node::{Node, NodeConfig, Port, StartError};
use pbft::Pace;
use peer_filter::Mode;
use thiserror::Error;
use tracing::info;

use super::adversary::Vice;
use super::callbacks::Callbacks;
use super::consensus::Consensus;
use super::metrics::ConsensusMetrics;
use super::{connectivity, opinion, validations};

/// Which replica of which cluster, and what its node needs.
#[derive(Clone)]
pub struct Identity {
    /// The cluster file.
    pub cluster: Arc<Cluster>,
    /// This replica.
    pub me: ReplicaId,
    /// Its key.
    pub seed: Arc<SeedKey>,
    /// Where its log is.
    pub state: PathBuf,
    /// How its node behaves.
    pub settings: NodeSettings,
    /// Its counters.
    pub metrics: ConsensusMetrics,
}

/// The directive's options that concern the node. They take effect when it starts; a reload does not restart it.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeSettings {
    /// Where its peer port is bound, if not at its address in the cluster file.
    pub bind: Option<std::net::SocketAddr>,
    /// Whether large frames are compressed.
    pub compression: bool,
    /// Entries at which this replica seals a batch, within what the cluster file allows.
    pub batch_entries: u16,
    /// How long it waits for more of them.
    pub batch_wait: std::time::Duration,
    /// Slots in flight, within what the cluster file allows.
    pub pipeline: u32,
    /// A primary that makes no progress for so long is replaced.
    pub timeout: std::time::Duration,
    /// The first primary of a view change has so long to begin its view; doubles with each that does not.
    pub view_change_timeout: std::time::Duration,
    /// Whether answers go out as soon as a fast quorum voted for them, before their certificate is complete.
    pub fast_path: FastPath,
    /// Whether statistics are kept; without, proven faults alone count.
    pub detector: bool,
    /// A replica whose reputation is less does not count as trusted.
    pub reputation_threshold: f64,
    /// Where the filter before the peer port is to sit.
    pub filter: Mode,
    /// How the replica misbehaves on purpose, if it does.
    pub adversary: Option<Vice>,
}

/// When answers go out before their commits are in.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum FastPath {
    /// Never.
    Off,
    /// Whenever a fast quorum voted for them.
    On,
    /// Then, as long as every replica has at least this reputation here.
    AtLeast(f64),
}

impl FastPath {
    /// Whether an answer may go out early while the least reputation of a replica is `least`.
    pub fn releases(self, least: f64) -> bool {
        match self {
            FastPath::Off => false,
            FastPath::On => true,
            FastPath::AtLeast(threshold) => least >= threshold,
        }
    }
}

impl fmt::Display for FastPath {
    /// As the Corefile has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FastPath::Off => f.write_str("off"),
            FastPath::On => f.write_str("on"),
            FastPath::AtLeast(least) => write!(f, "on {least}"),
        }
    }
}

/// The key and the state folder: one replica, one process.
type Key = ([u8; 32], PathBuf);

/// The replicas of this process, by identity.
#[derive(Default)]
pub struct Nodes {
    running: Mutex<BTreeMap<Key, Running>>,
    /// Ports of replicas that are about to run, as long as a plugin wants them.
    opened: Mutex<BTreeMap<Key, Weak<OpenPort>>>,
}

/// A peer port that is open until a replica takes it. All blocks of a replica share it.
pub struct OpenPort(Mutex<Option<Port>>);

impl OpenPort {
    fn take(&self) -> Option<Port> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct Running {
    cluster: Digest,
    settings: NodeSettings,
    consensus: Arc<Consensus>,
}

/// Why a replica of this process cannot be had.
#[derive(Debug, Error)]
pub enum AcquireError {
    /// The node does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The cluster file of a running replica was changed.
    #[error(
        "the cluster file has changed since the replica started; a replica keeps to the file that its log began under: put that back, or \
         make a new cluster with `quorate cluster new --settings`"
    )]
    OtherClusterFile,
}

impl Identity {
    fn key(&self) -> Key {
        (self.seed.signing_key().public_key().to_bytes(), self.state.clone())
    }
}

/// What the node of `identity` is started with.
pub(super) fn config(identity: &Identity) -> NodeConfig {
    let settings = &identity.settings;
    let ms = |duration: std::time::Duration| duration.as_millis() as u64;
    let mut config = NodeConfig::new(
        identity.cluster.clone(),
        identity.me,
        SeedKey::clone(&identity.seed),
        identity.state.clone(),
    );
    config.bind = settings.bind;
    config.compression = settings.compression;
    config.pace =
        Some(Pace { entries: usize::from(settings.batch_entries), pipeline: u64::from(settings.pipeline) });
    config.timeouts.batch_wait_ms = ms(settings.batch_wait);
    config.timeouts.suspect_ms = ms(settings.timeout);
    config.timeouts.view_change_ms = ms(settings.view_change_timeout);
    config.fast_path = settings.fast_path != FastPath::Off;
    config.detector = settings.detector;
    config.reputation_threshold = settings.reputation_threshold;
    config.filter = settings.filter.clone();
    super::adversary::tell(&mut config, settings.adversary);
    config
}

impl Nodes {
    /// Opens the peer port of a replica that does not run yet, with its filter, while the process may; whoever holds it lets it go by dropping it.
    /// `None` when it runs.
    ///
    /// Errors: the filter cannot be had as it is asked for, or the port is in use.
    pub fn open(&self, identity: &Identity) -> Result<Option<Arc<OpenPort>>, StartError> {
        let key = identity.key();
        if self.running.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&key) {
            return Ok(None);
        }
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|_, port| port.strong_count() > 0);
        if let Some(port) = opened.get(&key).and_then(Weak::upgrade) {
            return Ok(Some(port));
        }
        let port = Arc::new(OpenPort(Mutex::new(Some(Port::open(&mut config(identity))?))));
        opened.insert(key, Arc::downgrade(&port));
        Ok(Some(port))
    }

    /// The running replica of this identity; starts it if there is none, at `port` if that is open.
    ///
    /// Errors: the node cannot start; or it runs with another cluster file.
    pub fn acquire(
        &self,
        identity: &Identity,
        port: Option<&OpenPort>,
    ) -> Result<Arc<Consensus>, AcquireError> {
        self.acquire_with(identity, || NodeConfig { port: port.and_then(OpenPort::take), ..config(identity) })
    }

    /// As `acquire`; a node that does not run yet is started with what `config` says.
    pub(super) fn acquire_with(
        &self,
        identity: &Identity,
        config: impl FnOnce() -> NodeConfig,
    ) -> Result<Arc<Consensus>, AcquireError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = identity.cluster.digest();
        if let Some(known) = running.get(&identity.key()) {
            if known.cluster != cluster {
                return Err(AcquireError::OtherClusterFile);
            }
            if known.settings != identity.settings {
                info!("changed options of the replica take effect at the next start of the program");
            }
            return Ok(known.consensus.clone());
        }
        let consensus = Arc::new(Consensus::new(identity));
        let node =
            Node::start(config(), consensus.judge.clone(), Arc::new(Callbacks(Arc::downgrade(&consensus))))?;
        tokio::spawn(identity.metrics.clone().follow(Arc::downgrade(&consensus), node.watch()));
        consensus.set_node(node);
        tokio::spawn(opinion::follow(Arc::downgrade(&consensus)));
        tokio::spawn(connectivity::follow(Arc::downgrade(&consensus)));
        tokio::spawn(validations::tell(Arc::downgrade(&consensus)));
        tokio::spawn(validations::follow(Arc::downgrade(&consensus)));
        let settings = identity.settings.clone();
        running.insert(identity.key(), Running { cluster, settings, consensus: consensus.clone() });
        Ok(consensus)
    }

    /// Takes the chain of plugin `id` away. The replica stops when no chain is left.
    pub fn release(&self, identity: &Identity, consensus: &Consensus, id: u64) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if !consensus.detach(id) {
            running.remove(&identity.key());
            consensus.node().shutdown();
        }
    }
}
