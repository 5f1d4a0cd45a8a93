//! How a node stands, for people, health checks and graphs.

use std::net::SocketAddr;
use std::time::Duration;

use certificate::ReplicaId;

use crate::counters::Counters;

/// How a node stands. Published after every turn of the driver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeStatus {
    /// Which replica this is.
    pub me: ReplicaId,
    /// The state machine's own account: view, primary, executed, stable, and so on.
    pub replica: pbft::Status,
    /// Why this replica does not take part any more; `None` while it does.
    pub refusing: Option<String>,
    /// Every other replica, by id.
    pub peers: Vec<PeerState>,
    /// Replicas that can talk to each other here: this one and its connected peers. 0 when it refuses.
    pub present: usize,
    /// q: so many must be present to decide anything.
    pub quorum: usize,
    /// What happened since the start.
    pub counters: Counters,
}

impl NodeStatus {
    /// Whether enough replicas are present to decide something.
    pub fn can_reach_quorum(&self) -> bool {
        self.present >= self.quorum
    }
}

/// How a node stands with one peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerState {
    /// Which replica it is.
    pub id: ReplicaId,
    /// Its name in the cluster file.
    pub name: String,
    /// Its peer port in the cluster file.
    pub address: SocketAddr,
    /// Whether both ends have said Hello and the connection is up.
    pub connected: bool,
    /// When its last message came, in milliseconds since 1970.
    pub last_seen_ms: Option<u64>,
    /// Bytes that wait to be sent to it.
    pub queued_bytes: usize,
    /// The connection's own estimate.
    pub round_trip: Option<Duration>,
    /// Why there is no connection, as far as known; a difference of configuration is named here.
    pub problem: Option<String>,
}
