//! A listener from its sockets to its end. Opening can fail and changes nothing; serving begins when the configuration is accepted.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use arc_swap::ArcSwap;
use corefile::Scheme;
use plugins::metrics::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use quinn::Endpoint;
use rustls::ServerConfig;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::{CLIENT_CONNECTIONS_MAX, CONNECTIONS_MAX, Connections, DATAGRAM_QUERIES_MAX};
use super::stream::Streams;
use super::udp::Datagrams;
use super::{Entrance, ListenerKey, https, quic, sockets, tcp, tls};

/// The sockets of a listener, open but not yet served.
pub struct Opened {
    key: ListenerKey,
    address: SocketAddr,
    sockets: Sockets,
}

enum Sockets {
    Dns(Vec<UdpSocket>, TcpListener),
    Tls(TcpListener, tls::Settings),
    Https(TcpListener, tls::Settings),
    Quic(UdpSocket, Arc<ServerConfig>),
}

/// A listener that serves.
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    encryption: Encryption,
}

/// Whose settings a reload replaces.
enum Encryption {
    None,
    Tls(tls::Settings),
    Quic(Endpoint),
}

impl Opened {
    /// Opens the sockets of the listener `key`. An encrypted one needs `tls`.
    pub fn open(key: ListenerKey, tls: Option<&Arc<ServerConfig>>) -> io::Result<Opened> {
        let missing = || io::Error::other("no certificate");
        let settings = || Ok::<_, io::Error>(Arc::new(ArcSwap::new(tls.ok_or_else(missing)?.clone())));
        let sockets = match key.scheme {
            Scheme::Dns => {
                let count = available_parallelism().map_or(1, usize::from).min(DATAGRAM_SOCKETS_MAX);
                let (datagrams, streams) = sockets::udp_and_tcp(key.address, key.port, count)?;
                Sockets::Dns(datagrams, streams)
            }
            Scheme::Tls => Sockets::Tls(sockets::tcp(key.address, key.port)?, settings()?),
            Scheme::Https => Sockets::Https(sockets::tcp(key.address, key.port)?, settings()?),
            Scheme::Quic => {
                let tls = tls.ok_or_else(missing)?.clone();
                Sockets::Quic(sockets::quic(key.address, key.port)?, tls)
            }
        };
        let address = match &sockets {
            Sockets::Dns(_, listener) | Sockets::Tls(listener, _) | Sockets::Https(listener, _) => {
                listener.local_addr()?
            }
            Sockets::Quic(socket, _) => socket.local_addr()?,
        };
        Ok(Opened { key, address, sockets })
    }

    /// Starts to serve.
    ///
    /// Errors: the runtime does not take the sockets.
    pub fn serve(self, entrance: Entrance, metrics: &Metrics, tasks: &TaskTracker) -> io::Result<Listener> {
        let stop = CancellationToken::new();
        let connections = Connections::new(CONNECTIONS_MAX, CLIENT_CONNECTIONS_MAX);
        let idle_timeout = entrance.idle_timeout();
        let streams = Streams::new(entrance.clone(), tasks.clone(), stop.clone());
        let encryption = match self.sockets {
            Sockets::Dns(datagrams, listener) => {
                let shared = Datagrams {
                    entrance,
                    room: Arc::new(Semaphore::new(DATAGRAM_QUERIES_MAX)),
                    dropped: dropped(metrics, self.key),
                    tasks: tasks.clone(),
                    stop: stop.clone(),
                };
                for socket in datagrams {
                    tasks.spawn(shared.clone().serve(tokio::net::UdpSocket::from_std(socket)?));
                }
                tasks.spawn(tcp::serve(tokio::net::TcpListener::from_std(listener)?, connections, streams));
                Encryption::None
            }
            Sockets::Tls(listener, settings) => {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tasks.spawn(tls::serve(listener, settings.clone(), connections, streams));
                Encryption::Tls(settings)
            }
            Sockets::Https(listener, settings) => {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tasks.spawn(https::serve(listener, settings.clone(), connections, streams));
                Encryption::Tls(settings)
            }
            Sockets::Quic(socket, settings) => {
                let endpoint = quic::endpoint(socket, settings, idle_timeout)?;
                tasks.spawn(quic::serve(endpoint.clone(), connections, streams));
                Encryption::Quic(endpoint)
            }
        };
        Ok(Listener { address: self.address, stop, encryption })
    }
}

impl Listener {
    /// Replaces the TLS settings for the connections to come.
    pub fn renew(&self, tls: &Arc<ServerConfig>, idle_timeout: Duration) -> io::Result<()> {
        match &self.encryption {
            Encryption::None => {}
            Encryption::Tls(settings) => settings.store(tls.clone()),
            Encryption::Quic(endpoint) => {
                endpoint.set_server_config(Some(quic::server_config(tls.clone(), idle_timeout)?));
            }
        }
        Ok(())
    }

    /// Takes nothing new; what is under way is still answered.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

/// Counts the datagrams of a listener that got no answer for want of room.
fn dropped(metrics: &Metrics, key: ListenerKey) -> Counter {
    type Labels = Vec<(&'static str, String)>;
    let help = "Queries over UDP that got no answer for want of room";
    let family: Family<Labels, Counter> = metrics.metric("quorate_dropped_queries", help, Family::default);
    family.get_or_create_owned(&vec![("server", key.to_string())])
}

/// Sockets of one UDP listener; one for each core.
const DATAGRAM_SOCKETS_MAX: usize = 64;

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
