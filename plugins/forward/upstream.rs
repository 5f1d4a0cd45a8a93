//! One upstream: how it is asked, its open connections, and whether it lives.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::Name;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::error::ExchangeError;
use super::message::Outgoing;
use super::metrics::{ForwardMetrics, To, ToProtocol, ToRcode};
use super::stream::{Connection, IN_FLIGHT_MAX, Stream};
use super::udp::{self, Received};
use crate::query::Query;

/// How many connections to one upstream may be open.
pub const CONNECTIONS_MAX: usize = 8;

/// How long a probe waits for its reply.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How an upstream is spoken to.
#[derive(Clone)]
pub enum Protocol {
    /// Plain DNS, over UDP or TCP.
    Plain,
    /// DNS over TLS, and the name that its certificate must bear.
    Tls(Arc<ClientConfig>, ServerName<'static>),
}

/// How upstreams of one directive are treated.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How long a connection stays open without a query.
    pub expire: Duration,
    /// Time between two probes of an upstream that failed.
    pub probe_interval: Duration,
    /// What probes ask for.
    pub probe_name: Name,
    /// RD in probes.
    pub probe_recursive: bool,
    /// Whether probes of a plain upstream go over TCP, as all queries do.
    pub probe_by_stream: bool,
}

/// An upstream.
pub struct Upstream {
    address: SocketAddr,
    protocol: Protocol,
    manner: Manner,
    metrics: ForwardMetrics,
    connections: Mutex<Connections>,
    /// Probes that failed in a row.
    failures: AtomicU32,
    probing: AtomicBool,
    probe: SyncMutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Connections {
    open: Vec<Connection>,
    /// When dialing last failed, and why: who waited for that very attempt need not try again.
    failed: Option<(Instant, ExchangeError)>,
}

impl fmt::Display for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Plain => write!(formatter, "{}", self.address),
            Protocol::Tls(..) => write!(formatter, "tls://{}", self.address),
        }
    }
}

impl Upstream {
    /// The upstream at `address`, not yet asked anything.
    pub fn new(address: SocketAddr, protocol: Protocol, manner: Manner, metrics: ForwardMetrics) -> Upstream {
        Upstream {
            address,
            protocol,
            manner,
            metrics,
            connections: Mutex::default(),
            failures: AtomicU32::new(0),
            probing: AtomicBool::new(false),
            probe: SyncMutex::default(),
        }
    }

    /// Whether `max_fails` probes in a row have failed. With 0 it is never down.
    pub fn is_down(&self, max_fails: u32) -> bool {
        max_fails > 0 && self.failures.load(Ordering::Relaxed) >= max_fails
    }

    /// Asks what `query` asks, over UDP where that is possible, unless `by_stream`.
    ///
    /// Errors: no reply within `patience`, or none that is a message.
    pub async fn ask(
        &self,
        query: &Query,
        by_stream: bool,
        patience: Duration,
    ) -> Result<Message, ExchangeError> {
        let started = Instant::now();
        let exchange = async {
            match self.exchange(query, by_stream).await? {
                (reply, true) => match Message::from_vec(&reply) {
                    Ok(message) => Ok(message),
                    // It may have been forged by one who guessed all there is to guess.
                    Err(_) => {
                        self.by_stream(Outgoing::new(query, None)).await.and_then(|reply| parse(&reply))
                    }
                },
                (reply, false) => parse(&reply),
            }
        };
        let result = timeout(patience, exchange).await.unwrap_or(Err(ExchangeError::Silent(patience)));
        let to = self.to_string();
        self.metrics.requests.get_or_create(&To { to: to.clone() }).inc();
        let rcode = match &result {
            Ok(message) => u16::from(message.metadata.response_code).to_string(),
            Err(_) => "error".to_owned(),
        };
        self.metrics.durations.get_or_create(&ToRcode { to, rcode }).observe(started.elapsed().as_secs_f64());
        result
    }

    /// The bytes of the reply, and whether they came over UDP.
    async fn exchange(&self, query: &Query, by_stream: bool) -> Result<(Vec<u8>, bool), ExchangeError> {
        if !by_stream && matches!(self.protocol, Protocol::Plain) {
            let outgoing = Outgoing::new(query, Some(&mut rand::rng()));
            if let Received::Reply(reply) = udp::exchange(self.address, &outgoing, rand::random()).await? {
                return Ok((reply, true));
            }
        }
        self.by_stream(Outgoing::new(query, None)).await.map(|reply| (reply, false))
    }

    /// Over an open connection, or a new one. One that the upstream closed meanwhile is replaced, once.
    async fn by_stream(&self, outgoing: Outgoing) -> Result<Vec<u8>, ExchangeError> {
        let (connection, is_new) = self.connection().await?;
        match connection.ask(outgoing.clone()).await {
            Err(ExchangeError::Closed) if !is_new => self.connection().await?.0.ask(outgoing).await,
            result => result,
        }
    }

    async fn connection(&self) -> Result<(Connection, bool), ExchangeError> {
        let asked = Instant::now();
        let mut connections = self.connections.lock().await;
        connections.open.retain(Connection::is_open);
        let least = connections.open.iter().min_by_key(|connection| connection.in_flight());
        let is_full = connections.open.len() >= CONNECTIONS_MAX;
        let proto = if matches!(self.protocol, Protocol::Plain) { "tcp" } else { "tls" };
        let label = ToProtocol { to: self.to_string(), proto: proto.to_owned() };
        if let Some(least) = least.filter(|connection| is_full || connection.in_flight() < IN_FLIGHT_MAX) {
            self.metrics.reused.get_or_create(&label).inc();
            return Ok((least.clone(), false));
        }
        if let Some((when, error)) = &connections.failed
            && *when > asked
        {
            return Err(error.clone());
        }
        self.metrics.dialed.get_or_create(&label).inc();
        match self.dial().await {
            Ok(stream) => {
                let connection = Connection::open(stream, self.manner.expire);
                connections.open.push(connection.clone());
                Ok((connection, true))
            }
            Err(error) => {
                let error = ExchangeError::from(error);
                connections.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn dial(&self) -> std::io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        match &self.protocol {
            Protocol::Plain => Ok(Box::new(stream)),
            Protocol::Tls(config, name) => {
                let stream = TlsConnector::from(config.clone()).connect(name.clone(), stream).await?;
                Ok(Box::new(stream))
            }
        }
    }

    /// Begins to probe the upstream, after an exchange failed, until it replies.
    pub fn suspect(self: &Arc<Self>) {
        if self.probing.swap(true, Ordering::AcqRel) {
            return;
        }
        let upstream = Arc::clone(self);
        let task = tokio::spawn(async move { upstream.probe_until_alive().await });
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    async fn probe_until_alive(&self) {
        loop {
            if timeout(PROBE_TIMEOUT, self.probe()).await.is_ok_and(|reply| reply.is_ok()) {
                self.failures.store(0, Ordering::Relaxed);
                self.probing.store(false, Ordering::Release);
                return;
            }
            // It stops at its largest value, which is as down as can be.
            let _ = self
                .failures
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_add(1));
            self.metrics.probe_failures.get_or_create(&To { to: self.to_string() }).inc();
            tokio::time::sleep(self.manner.probe_interval).await;
        }
    }

    /// Any reply, whatever it says, is a sign of life.
    async fn probe(&self) -> Result<(), ExchangeError> {
        let outgoing = Outgoing::probe(&self.manner.probe_name, self.manner.probe_recursive);
        match self.protocol {
            Protocol::Plain if !self.manner.probe_by_stream => {
                udp::exchange(self.address, &outgoing, rand::random()).await?;
            }
            _ => {
                self.by_stream(outgoing).await?;
            }
        }
        Ok(())
    }

    /// As after one failed probe.
    #[cfg(test)]
    pub fn mark_down(&self) {
        self.failures.store(1, Ordering::Relaxed);
    }

    /// Ends the probes.
    pub fn stop(&self) {
        if let Some(task) = self.probe.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

fn parse(reply: &[u8]) -> Result<Message, ExchangeError> {
    Message::from_vec(reply).map_err(|_| ExchangeError::Malformed)
}
