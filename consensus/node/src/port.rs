//! The peer port, with the filter in force before anything can arrive, and whom an earlier run has shut out in the filter before that.
//!
//! It may be opened before the node is started: a filter in the kernel takes a privilege that the rest of a replica's life does not.

use std::fmt;
use std::net::{SocketAddr, UdpSocket};

use certificate::ReplicaId;
use detector::{Detector, Settings};
use peer_filter::{Kind, PeerFilter};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::{NodeConfig, StartError, check_key};
use crate::reputation::{self, Recalled};
use crate::transport::{SocketError, filtered_socket, load_filter};
use crate::warden::shut_out_already;

/// A peer port that is open: what is ready before the first datagram.
pub struct Port {
    pub(crate) socket: UdpSocket,
    /// Where it is bound.
    pub(crate) address: SocketAddr,
    pub(crate) filter: PeerFilter,
    pub(crate) detector: Detector,
    /// Why what the state folder holds of the other replicas cannot be used.
    pub(crate) reputations_unusable: Option<String>,
    /// Whom an earlier run has shut out, and what it is told.
    pub(crate) shut_out: Vec<(ReplicaId, String)>,
    /// The clock of the detector, by which the replica goes on.
    pub(crate) clock: Clock,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Port {
    /// Recalls what is known of the others, loads the filter, binds the socket. One that was bound by somebody else is filtered from here on.
    ///
    /// Errors: `Filter` when it cannot be had as it is asked for, `Bind`; those of a key that is not the replica's.
    pub fn open(config: &mut NodeConfig) -> Result<Port, StartError> {
        check_key(config)?;
        let clock = Clock::new();
        let settings = Settings {
            enabled: config.detector,
            threshold: config.reputation_threshold,
            ..Settings::default()
        };
        let recalled = reputation::recall(&config.state, &config.cluster, config.me, settings, clock.now());
        let Recalled { detector, unusable: reputations_unusable } = recalled;
        let wanted = wanted_address(config)?;
        let filter = load_filter(&config.filter, &config.cluster, config.me, wanted)
            .map_err(|source| StartError::Filter { mode: config.filter.clone(), source })?;
        let shut_out = shut_out_already(&detector, &filter, clock.now());
        let (socket, address) = bind(config, wanted, &filter)?;
        match (filter.kind(), filter.fallback()) {
            (Kind::Off, _) => warn!("the filter is off: whatever reaches the peer port reaches QUIC"),
            (kind, None) => info!(%kind, "filtering the peer port"),
            (kind, Some(reason)) => warn!(%kind, %reason, "filtering the peer port, not in the kernel"),
        }
        Ok(Port { socket, address, filter, detector, reputations_unusable, shut_out, clock })
    }
}

fn wanted_address(config: &NodeConfig) -> Result<SocketAddr, StartError> {
    let address = config.cluster.member(config.me).expect("checked with the key").address;
    match &config.socket {
        Some(socket) => socket.local_addr().map_err(|source| StartError::Bind { address, source }),
        None => Ok(config.bind.unwrap_or(address)),
    }
}

fn bind(
    config: &mut NodeConfig,
    address: SocketAddr,
    filter: &PeerFilter,
) -> Result<(UdpSocket, SocketAddr), StartError> {
    let socket = match config.socket.take() {
        Some(socket) => filter.attach(&socket).map(|()| socket).map_err(SocketError::Filter),
        None => filtered_socket(address, filter),
    };
    let socket = socket.map_err(|reason| match reason {
        SocketError::Filter(source) => StartError::Filter { mode: config.filter.clone(), source },
        SocketError::Io(source) => StartError::Bind { address, source },
    })?;
    let address = socket.local_addr().map_err(|source| StartError::Bind { address, source })?;
    Ok((socket, address))
}
