//! How a node stands, for people, health checks and graphs.

use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::Duration;

use certificate::ReplicaId;
use pbft::Standing;

use crate::counters::Counters;

/// How a node stands. Published after every turn of the driver.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeStatus {
    /// Which replica this is.
    pub me: ReplicaId,
    /// The state machine's own account: view, primary, standing, executed, stable, and so on.
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
    /// The reputation of the replica that has the least, 0 to 1, as of the last second. Nothing that is agreed on depends on it.
    pub least_reputation: f64,
}

impl NodeStatus {
    /// Whether this replica votes, or will as soon as a view begins: not while it learns, nor when it found that it must not.
    pub fn votes(&self) -> bool {
        self.refusing.is_none() && matches!(self.replica.standing, Standing::Active | Standing::Changing)
    }

    /// Whether enough replicas are present to decide something. A replica that does not vote itself needs a quorum of others.
    pub fn can_reach_quorum(&self) -> bool {
        self.present.saturating_sub(usize::from(!self.votes())) >= self.quorum
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
    /// Whether this node has shut it out; `problem` says why and until when.
    pub quarantined: bool,
    /// When its last message came, in milliseconds since 1970.
    pub last_seen_ms: Option<u64>,
    /// Bytes that wait to be sent to it.
    pub queued_bytes: usize,
    /// The connection's own estimate.
    pub round_trip: Option<Duration>,
    /// What was sent to it since the start, over all connections.
    pub packets: Packets,
    /// Why there is no connection, as far as known; a difference of configuration is named here.
    pub problem: Option<String>,
}

/// Packets of QUIC to one peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Packets {
    /// Those that were sent.
    pub sent: u64,
    /// Those of them that were taken for lost, and their content sent again: no acknowledgement came in time. Some may have come late.
    pub lost: u64,
}

impl AddAssign for Packets {
    fn add_assign(&mut self, more: Packets) {
        self.sent += more.sent;
        self.lost += more.lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replica_that_does_not_vote_needs_a_quorum_of_others() {
        let status = |standing, present| NodeStatus {
            me: ReplicaId(0),
            replica: pbft::Status { standing, ..pbft::Status::default() },
            refusing: None,
            peers: Vec::new(),
            present,
            quorum: 3,
            counters: Counters::default(),
            least_reputation: 1.0,
        };
        for voting in [Standing::Active, Standing::Changing] {
            assert!(status(voting, 3).can_reach_quorum() && !status(voting, 2).can_reach_quorum());
        }
        for silent in [Standing::Learning, Standing::Diverged] {
            assert!(status(silent, 4).can_reach_quorum() && !status(silent, 3).can_reach_quorum());
        }
    }
}
