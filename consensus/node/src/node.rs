//! Starts a replica: keys, log, socket, peers, driver, in this order; nothing is started when one of them is refused.

use std::sync::{Arc, RwLock};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::info;

use crate::began;
use crate::chronicle::Chronicle;
use crate::config::{AnyApplication, NodeConfig, StartError, check_key, parameters};
use crate::counters::LiveCounters;
use crate::driver::{Driver, TEND_EVERY};
use crate::evidence::{EVIDENCE_FOLDER, Evidence};
use crate::handle::{Inner, NodeHandle};
use crate::host::Host;
use crate::inbox::Inbox;
use crate::log::{FolderError, SegmentFolder, StateFolder, Storage};
use crate::port::Port;
use crate::recall::{self, AnyReplica};
use crate::reputation::Keeper;
use crate::rounds::Rounds;
use crate::status::NodeStatus;
use crate::transport::{Peers, PeersConfig};
use crate::warden::Warden;

/// One replica.
pub struct Node;

impl Node {
    /// Starts a replica over its log. Must be called within a tokio runtime, on which the connections run.
    ///
    /// A replica whose state folder is absent or holds no log learns: it follows the others, and votes when what it may have forgotten can do
    /// no harm. Errors: see `StartError`; above all, a log that is damaged or not its own is refused.
    pub fn start(
        config: NodeConfig,
        application: AnyApplication,
        host: Arc<dyn Host>,
    ) -> Result<NodeHandle, StartError> {
        check_key(&config)?;
        let folder = StateFolder::create(&config.state)?;
        let mut storage = SegmentFolder::new(folder);
        if !storage.segments().unwrap_or_default().is_empty() {
            storage.prepare_spare(config.segment_bytes);
        }
        Node::start_on(config, Box::new(storage), application, host)
    }

    /// Starts a replica over a log in any storage; the state folder then holds evidence only. For tests of a failing disk. Empty storage makes
    /// a learner.
    ///
    /// Errors: as `start`.
    pub fn start_on(
        mut config: NodeConfig,
        storage: Box<dyn Storage>,
        application: AnyApplication,
        host: Arc<dyn Host>,
    ) -> Result<NodeHandle, StartError> {
        check_key(&config)?;
        let parameters = parameters(&config)?;
        let state = config.state.display().to_string();
        let recovered = recall::open_log(&config, storage)?;
        #[cfg(feature = "adversary")]
        let application_of_liar = application.clone();
        let replica = recall::restore(&config, parameters, application, &recovered.records)?;
        let mut port = match config.port.take() {
            Some(port) => port,
            None => Port::open(&mut config)?,
        };
        let unusable = port.reputations_unusable.take();
        #[cfg(feature = "adversary")]
        let liar = crate::adversary::Liar::new(&config, application_of_liar, &port.socket)?;
        let (clock, address) = (port.clock, port.address);
        let counters = Arc::new(LiveCounters::default());
        let (inner, status) = connect(&config, &replica, port, host, counters.clone())?;
        #[cfg(feature = "adversary")]
        let voice = match config.adversary {
            Some(vice) => Some(
                crate::adversary::Voice::start(vice, liar, inner.peers.clone())
                    .map_err(StartError::Thread)?,
            ),
            None => None,
        };
        let driver = Driver {
            me: config.me,
            #[cfg(feature = "adversary")]
            voice,
            evidence: Evidence::start(inner.evidence.clone(), config.cluster.domain(), counters.clone()),
            rounds: Rounds::new(config.me, config.cluster.replicas, replica.status().executed),
            chronicle: Chronicle::new(config.cluster.replicas, &replica.status()),
            cluster: config.cluster,
            replica,
            wal: recovered.wal,
            inbox: inner.inbox.clone(),
            peers: inner.peers.clone(),
            host: inner.host.clone(),
            handle: Arc::downgrade(&inner),
            status,
            counters,
            inquiries: inner.inquiries.clone(),
            clock,
            warden: inner.warden.clone(),
            keeper: Some(Keeper::start(config.state, inner.cluster.digest(), unusable.as_deref())),
            tend_at: Instant::now() + TEND_EVERY,
            deadline: None,
        };
        info!(me = %config.me, %address, %state, "replica started");
        let thread = std::thread::Builder::new().name(format!("replica-{}", config.me));
        thread.spawn(move || driver.run()).map_err(StartError::Thread)?;
        Ok(NodeHandle::from_inner(inner))
    }
}

/// Opens the node to its peers: from here on what they say waits for the driver. Gives what the handles share, and where the driver says how it stands.
fn connect(
    config: &NodeConfig,
    replica: &AnyReplica,
    port: Port,
    host: Arc<dyn Host>,
    counters: Arc<LiveCounters>,
) -> Result<(Arc<Inner>, watch::Sender<NodeStatus>), StartError> {
    let Port { socket, address, filter, detector, shut_out, clock, .. } = port;
    let log_began = began::read(&config.state)
        .map_err(|source| FolderError::Io { path: config.state.clone(), source })?;
    let inbox = Arc::new(Inbox::new(config.cluster.replicas.count()));
    let host = Arc::new(RwLock::new(host));
    let peers = Arc::new(Peers::start(PeersConfig {
        cluster: config.cluster.clone(),
        me: config.me,
        log_began,
        key: config.seed.transport_key(),
        socket,
        filter: filter.clone(),
        compression: config.compression,
        shut_out,
        host: host.clone(),
        inbox: inbox.clone(),
        counters,
        runtime: Handle::current(),
    })?);
    let warden = Arc::new(Warden::new(detector, filter, peers.clone(), clock));
    let status = watch::Sender::new(first_status(config, replica, &peers, &warden));
    let inner = Inner {
        me: config.me,
        cluster: config.cluster.clone(),
        address,
        inbox,
        peers,
        host,
        status: status.subscribe(),
        inquiries: Arc::default(),
        warden,
        evidence: config.state.join(EVIDENCE_FOLDER),
    };
    Ok((Arc::new(inner), status))
}

fn first_status(config: &NodeConfig, replica: &AnyReplica, peers: &Peers, warden: &Warden) -> NodeStatus {
    NodeStatus {
        me: config.me,
        replica: replica.status(),
        refusing: None,
        peers: peers.states(),
        present: 1,
        quorum: config.cluster.replicas.quorum(),
        counters: LiveCounters::default().values(),
        least_reputation: warden.least_reputation(),
    }
}
