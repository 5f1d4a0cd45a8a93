//! How the program around a node talks to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certificate::{Cluster, Digest, ReplicaId, ReplicaSet};
use pbft::{Event, Operation};
use tokio::sync::watch;

use crate::driver::HostCell;
use crate::host::Host;
use crate::inbox::{Busy, Inbox};
use crate::inquiry::Inquiries;
use crate::status::NodeStatus;
use crate::transport::Peers;

/// After a shutdown peers have so long to hear of it.
const FAREWELL: Duration = Duration::from_millis(500);

/// A running node. When the last clone is dropped, the node shuts down.
#[derive(Clone)]
pub struct NodeHandle {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub me: ReplicaId,
    pub cluster: Arc<Cluster>,
    pub address: SocketAddr,
    pub inbox: Arc<Inbox>,
    pub peers: Arc<Peers>,
    pub host: HostCell,
    pub status: watch::Receiver<NodeStatus>,
    pub inquiries: Arc<Inquiries>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl NodeHandle {
    pub(crate) fn from_inner(inner: Arc<Inner>) -> NodeHandle {
        NodeHandle { inner }
    }

    /// Asks the cluster to decide an operation. The result comes by `Host::decided`.
    ///
    /// Errors: `Full` when too much waits, `Stopped`.
    pub fn request(&self, operation: Operation) -> Result<(), Busy> {
        self.inner.inbox.push_host(Event::Request(operation))
    }

    /// Hands over what our own lookup saw at `time_ms` (milliseconds since 1970); `operation` is the lookup's digest.
    ///
    /// Errors: `Full` when too much waits, `Stopped`.
    pub fn observed(&self, operation: Digest, time_ms: u64, payload: Vec<u8>) -> Result<(), Busy> {
        self.inner.inbox.push_host(Event::Observed { operation, time_ms, payload })
    }

    /// Returns a certified answer, at most `pbft::ANSWER_BYTES_MAX` bytes, to the replica that asked for the lookup.
    ///
    /// Errors: `Full` when too much waits, `Stopped`.
    pub fn answer(&self, to: ReplicaId, operation: Digest, bytes: Vec<u8>) -> Result<(), Busy> {
        self.inner.inbox.push_host(Event::Answer { to, operation, bytes })
    }

    /// Puts another host in charge: a new configuration, the same replica. From the next turn on only the new one is called.
    pub fn replace_host(&self, host: Arc<dyn Host>) {
        *self.inner.host.write().expect("nothing panics while it replaces the host") = host;
    }

    /// How the node stands.
    pub fn status(&self) -> NodeStatus {
        self.inner.status.borrow().clone()
    }

    /// Whether enough replicas are present to decide something.
    pub fn can_reach_quorum(&self) -> bool {
        self.inner.status.borrow().can_reach_quorum()
    }

    /// How the node stands, whenever that changes.
    pub fn watch(&self) -> watch::Receiver<NodeStatus> {
        self.inner.status.clone()
    }

    /// The replicas whose observations of an open operation are held here; nobody when it is not open.
    pub async fn observers(&self, operation: Digest) -> ReplicaSet {
        self.inner.inquiries.ask(operation, || self.inner.inbox.nudge()).await
    }

    /// Which replica this is.
    pub fn me(&self) -> ReplicaId {
        self.inner.me
    }

    /// The cluster file by which it runs.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.inner.cluster
    }

    /// The address that its peer port is bound to.
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Stops the node after its current turn. `stopped` waits for the end.
    pub fn shutdown(&self) {
        self.inner.inbox.close();
    }

    /// Returns when the node has stopped: its log is closed, its state folder unlocked, its peers told.
    pub async fn stopped(&self) {
        let mut status = self.watch();
        // The sender is gone only when the driver is: that is stopped, too.
        let _ = status.wait_for(|status| status.refusing.is_some()).await;
        self.inner.peers.closed(FAREWELL).await;
    }
}
