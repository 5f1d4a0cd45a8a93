//! Sockets: how messages come in and go out. All transports call the engine and nothing else.

pub mod certificates;
mod freshness;
pub mod https;
pub mod limits;
pub mod listener;
mod mmsg;
pub mod quic;
mod sockets;
pub mod stream;
mod tcp;
pub mod tls;
mod udp;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::AHashMap;
use arc_swap::ArcSwap;
use corefile::Scheme;
use plugins::Client;

use crate::engine::{Engine, Glance, QUERY_DEADLINE};

/// What a listener is known by, before and after a reload: as configured, so port 0 stays 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ListenerKey {
    /// The transport.
    pub scheme: Scheme,
    /// The address; `None` means all.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

impl fmt::Display for ListenerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        write!(f, "{}://{}", self.scheme, SocketAddr::new(address, self.port))
    }
}

/// The engines of all listeners under one configuration.
pub type Engines = AHashMap<ListenerKey, Arc<Engine>>;

/// Where a listener brings its messages: to its engine under whichever configuration is current.
#[derive(Clone)]
pub struct Entrance {
    engines: Arc<ArcSwap<Engines>>,
    key: ListenerKey,
}

impl Entrance {
    /// The entrance of the listener `key`.
    pub fn new(engines: Arc<ArcSwap<Engines>>, key: ListenerKey) -> Entrance {
        Entrance { engines, key }
    }

    /// See `Engine::glance`. Silent when the listener is no longer configured.
    pub fn glance(&self, wire: &[u8], client: &Client, received: Instant, reply: &mut Vec<u8>) -> Glance {
        match self.engines.load().get(&self.key) {
            Some(engine) => engine.glance(wire, client, received, reply),
            None => Glance::Silent,
        }
    }

    /// See `Engine::serve`. Silent when the listener is no longer configured.
    pub async fn serve(&self, wire: &[u8], client: Client, received: Instant) -> Option<Vec<u8>> {
        let engine = self.engines.load().get(&self.key).cloned()?;
        engine.serve(wire, client, received).await
    }

    /// The longest time that a query may take.
    pub fn query_deadline(&self) -> Duration {
        self.engines.load().get(&self.key).map_or(QUERY_DEADLINE, |engine| engine.query_deadline())
    }

    /// How long a connection of the listener may be idle.
    pub fn idle_timeout(&self) -> Duration {
        self.engines.load().get(&self.key).map_or(limits::IDLE_TIMEOUT, |engine| engine.idle_timeout())
    }
}
