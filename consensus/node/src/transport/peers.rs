//! All connections of a node: accepts, dials, keeps one to each peer, and says which are up. What goes over them: `traffic.rs`.
//!
//! A stranger's handshake fails before it can open a stream; it is counted and gets nothing. A peer counts as connected only
//! after its Hello: an end that dials believes in a finished handshake before the other has judged its key.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use certificate::codec::Encode;
use certificate::{Cluster, ReplicaId, TransportKey};
use pbft::{Message, Recipients};
use peer_filter::PeerFilter;
use quinn::{Connection, ConnectionError, Endpoint, VarInt};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::{debug, error};

use super::allowance::{Allowance, NEWS_TOLD_PER_WINDOW_MAX, NEWS_WINDOW, is_answer};
use super::class::{Class, ClassRules};
use super::connection::{self, Greeted};
use super::dial::{BACK_OFF_LEAST, BackOff};
use super::endpoint::{listen, transport_config};
use super::hello::Hello;
use super::link::Link;
use super::link_error::{CloseCode, LinkError};
use super::tls::{Identities, SERVER_NAME};
use crate::counters::LiveCounters;
use crate::host::{Host, HostCell};
use crate::inbox::Inbox;
use crate::status::PeerState;

/// Fetches of the host that may be under way at once; others wait, within their time.
pub const FETCHES_MAX: usize = 4;

/// Handshakes that may be under way at once.
const HANDSHAKES_MAX: usize = 64;

/// Beyond so many, who dials must first prove that it owns its address.
const HANDSHAKES_UNPROVEN_MAX: usize = 16;

/// A handshake may take so long.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// What the transport is made of.
pub(crate) struct PeersConfig {
    pub cluster: Arc<Cluster>,
    pub me: ReplicaId,
    pub key: TransportKey,
    pub socket: UdpSocket,
    /// What judges the datagrams at the socket.
    pub filter: PeerFilter,
    pub compression: bool,
    /// Who is shut out from the start, and what it is told.
    pub shut_out: Vec<(ReplicaId, String)>,
    /// When our log began, as our Hello says it.
    pub log_began: u64,
    /// Who takes news and gives content.
    pub host: HostCell,
    pub inbox: Arc<Inbox>,
    pub counters: Arc<LiveCounters>,
    pub runtime: Handle,
}

/// Why the transport does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeersError {
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Socket(#[from] std::io::Error),
}

/// The connections.
pub(crate) struct Peers {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

pub(super) struct Shared {
    pub(super) cluster: Arc<Cluster>,
    pub(super) me: ReplicaId,
    hello: Hello,
    identities: Identities,
    endpoint: Endpoint,
    pub(super) rules: ClassRules,
    transport: Arc<quinn::TransportConfig>,
    links: Vec<Link>,
    handshakes: Arc<Semaphore>,
    host: HostCell,
    /// Own news.
    telling: Mutex<Allowance>,
    /// Own fetches.
    pub(super) fetches: Semaphore,
    pub(super) inbox: Arc<Inbox>,
    pub(super) counters: Arc<LiveCounters>,
}

impl Peers {
    /// Listens on the socket and begins to dial.
    ///
    /// Errors: when the key or the socket is not usable.
    pub(crate) fn start(config: PeersConfig) -> Result<Peers, PeersError> {
        let _entered = config.runtime.enter();
        let identities = Identities::new(&config.cluster, config.me, &config.key)?;
        let transport = Arc::new(transport_config());
        let mut server = quinn::ServerConfig::with_crypto(identities.server()?);
        server.transport_config(transport.clone()).migration(false).max_incoming(HANDSHAKES_MAX);
        let endpoint = listen(config.socket, &config.filter, &identities, server)?;
        let links: Vec<Link> = config.cluster.members.iter().map(|member| Link::new(member.id)).collect();
        for (peer, notice) in &config.shut_out {
            links[usize::from(peer.0)].shut_out(notice, &config.inbox);
        }
        let shared = Arc::new(Shared {
            hello: Hello::new(&config.cluster, config.me, config.log_began, identities.random()),
            me: config.me,
            identities,
            endpoint,
            rules: ClassRules::new(&config.cluster, config.compression),
            transport,
            links,
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            host: config.host,
            telling: Mutex::new(Allowance::new(NEWS_TOLD_PER_WINDOW_MAX, NEWS_WINDOW)),
            fetches: Semaphore::new(FETCHES_MAX),
            cluster: config.cluster,
            inbox: config.inbox,
            counters: config.counters,
        });
        let mut tasks = vec![config.runtime.spawn(shared.clone().accept())];
        for peer in shared.cluster.replicas.ids().filter(|peer| *peer != shared.me) {
            tasks.push(config.runtime.spawn(shared.clone().keep_dialling(peer)));
        }
        Ok(Peers { shared, tasks: Mutex::new(tasks) })
    }

    /// Queues a message. A peer whose queue is full loses its connection: with the next one both ends find out what is missing.
    /// An answer to a peer that causes too many, or takes them too slowly, is dropped before anything is spent on it.
    pub(crate) fn send(&self, now: Instant, recipients: Recipients, message: &Message) {
        let asker = match recipients {
            Recipients::One(peer) if is_answer(message) => Some(self.shared.link(peer)),
            Recipients::One(_) | Recipients::All => None,
        };
        if asker.is_some_and(|link| !link.takes_answer(now, &self.shared.counters)) {
            return;
        }
        let class = Class::of(message);
        let bytes = message.to_bytes();
        if let Some(link) = asker {
            link.answered(bytes.len());
        }
        let frame = match self.shared.rules.of(class).encode(&bytes) {
            Ok(frame) => frame,
            Err(reason) => {
                self.shared.counters.queue_drops.add(1);
                error!(%reason, "own message is longer than the cluster allows");
                return;
            }
        };
        match recipients {
            Recipients::One(peer) => self.shared.link(peer).push(class, frame, &self.shared.counters),
            Recipients::All => {
                for link in &self.shared.links {
                    link.push(class, frame.clone(), &self.shared.counters);
                }
            }
        }
    }

    /// Shuts a peer out: its connection ends, and there is no other until `admit`. `notice` tells it why.
    pub(crate) fn shut_out(&self, peer: ReplicaId, notice: &str) {
        self.shared.link(peer).shut_out(notice, &self.shared.inbox);
    }

    /// Lets a peer in again; it is dialled at once.
    pub(crate) fn admit(&self, peer: ReplicaId) {
        self.shared.link(peer).admit();
    }

    /// How we stand with every other replica, by id.
    pub(crate) fn states(&self) -> Vec<PeerState> {
        let others = self.shared.cluster.members.iter().filter(|member| member.id != self.shared.me);
        others.map(|member| self.shared.link(member.id).state_of(member)).collect()
    }

    /// Who sent what cannot be read since this was asked last, and over how many connections.
    pub(crate) fn take_unreadable(&self) -> Vec<(ReplicaId, u32)> {
        let ids = self.shared.cluster.replicas.ids();
        ids.map(|id| (id, self.shared.link(id).take_unreadable())).filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    #[cfg(test)]
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.endpoint.open_connections()
    }

    /// Closes all connections and takes no more.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        for task in self.tasks.lock().expect(NO_PANIC).drain(..) {
            task.abort();
        }
        self.shared.endpoint.close(VarInt::from(code as u8), reason.as_bytes());
    }

    /// Returns when the peers have been told of the close, or after `most`.
    pub(crate) async fn closed(&self, most: Duration) {
        let _ = tokio::time::timeout(most, self.shared.endpoint.wait_idle()).await;
    }
}

impl Shared {
    pub(super) fn link(&self, peer: ReplicaId) -> &Link {
        &self.links[usize::from(peer.0)]
    }

    pub(super) fn links(&self) -> &[Link] {
        &self.links
    }

    /// The host in charge.
    pub(super) fn host(&self) -> Arc<dyn Host> {
        self.host.read().expect("nothing panics while it replaces the host").clone()
    }

    /// Whether one more piece of own news may be told.
    pub(super) fn may_tell(&self, now: Instant) -> bool {
        self.telling.lock().expect(NO_PANIC).take_one(now)
    }

    async fn accept(self: Arc<Shared>) {
        while let Some(incoming) = self.endpoint.accept().await {
            let Ok(permit) = self.handshakes.clone().try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            let under_way = HANDSHAKES_MAX - self.handshakes.available_permits();
            if under_way > HANDSHAKES_UNPROVEN_MAX && incoming.may_retry() {
                // Fails only when no retry may be asked for.
                let _ = incoming.retry();
                continue;
            }
            let shared = self.clone();
            tokio::spawn(async move {
                shared.admit(incoming).await;
                drop(permit);
            });
        }
    }

    /// Takes one incoming connection through handshake and Hello.
    async fn admit(self: &Arc<Shared>, incoming: quinn::Incoming) {
        let address = incoming.remote_address();
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, incoming.into_future()).await;
        let connection = match handshake {
            Ok(Ok(connection)) => connection,
            Ok(Err(reason)) => {
                if matches!(reason, ConnectionError::TransportError(_)) {
                    self.count_stranger();
                }
                debug!(%address, %reason, "refused a handshake at the peer port");
                return;
            }
            Err(_) => {
                debug!(%address, "a handshake at the peer port took too long");
                return;
            }
        };
        match self.identities.replica(&connection) {
            Some(peer) => {
                if let Some(notice) = self.link(peer).notice() {
                    debug!(%peer, %address, "refused the connection of a quarantined peer");
                    return CloseCode::Quarantined.close(&connection, &notice);
                }
                let _ = self.greet(connection, peer, peer).await;
            }
            None => {
                self.count_stranger();
                CloseCode::Refused.close(&connection, "the key is not in the cluster file");
            }
        }
    }

    fn count_stranger(&self) {
        self.counters.strangers.add(1);
        self.inbox.nudge();
    }

    async fn keep_dialling(self: Arc<Shared>, peer: ReplicaId) {
        let mut up = self.link(peer).watch();
        let mut admitted = self.link(peer).watch_admission();
        let mut back_off = BackOff::new();
        // When all start at once, the lower id's connection is the one that stays: let it be the first.
        if peer < self.me {
            tokio::time::sleep(BACK_OFF_LEAST).await;
        }
        loop {
            // The sender lives as long as the link, so this ends with its value only.
            if up.wait_for(|up| !up).await.is_err() || admitted.wait_for(|admitted| *admitted).await.is_err()
            {
                return;
            }
            match self.dial(peer).await {
                Ok(()) => back_off = BackOff::new(),
                Err(reason) => self.link(peer).note_problem(&reason, &self.inbox),
            }
            if !*up.borrow() {
                tokio::time::sleep(back_off.next(self.identities.random())).await;
            }
        }
    }

    async fn dial(self: &Arc<Shared>, peer: ReplicaId) -> Result<(), LinkError> {
        let member = self.cluster.member(peer).expect("only members are dialled");
        let crypto = self.identities.client(&member.transport_key).map_err(|_| LinkError::OwnKey)?;
        let mut config = quinn::ClientConfig::new(crypto);
        config.transport_config(self.transport.clone());
        let connecting = self.endpoint.connect_with(config, member.address, SERVER_NAME)?;
        let connection = tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting)
            .await
            .map_err(|_| LinkError::NoHandshake)??;
        self.greet(connection, peer, self.me).await
    }

    /// Exchanges Hellos and takes the connection into use, unless a better one is there.
    async fn greet(
        self: &Arc<Shared>,
        connection: Connection,
        peer: ReplicaId,
        dialled_by: ReplicaId,
    ) -> Result<(), LinkError> {
        let hello = Hello { losses: self.link(peer).losses(), ..self.hello.clone() };
        let greeted = connection::greet(&connection, peer, &hello).await;
        match greeted.and_then(|greeted| self.meet(greeted)) {
            Ok(greeted) => {
                self.register(greeted, dialled_by);
                Ok(())
            }
            Err(reason) => {
                let code = if reason.is_unreadable() { CloseCode::Unreadable } else { CloseCode::Refused };
                code.close(&connection, &reason.to_string());
                self.link(peer).note_problem(&reason, &self.inbox);
                Err(reason)
            }
        }
    }

    /// Refuses a peer whose log began before one that was met.
    fn meet(&self, greeted: Greeted) -> Result<Greeted, LinkError> {
        self.link(greeted.peer).meet_log(greeted.hello.log_began)?;
        Ok(greeted)
    }
}

const NO_PANIC: &str = "nothing panics while it holds the lock";
