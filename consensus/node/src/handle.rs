//! How the program around a node talks to it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use certificate::{Cluster, Digest, ReplicaId, ReplicaSet};
use detector::{Assessment, Notice, TrustGraph};
use pbft::{Event, Operation};
use peer_filter::{FilterError, FilterStatistics, Kind as FilterKind};
use tokio::sync::watch;

use crate::evidence::{self, Listed};
use crate::host::{Host, HostCell};
use crate::inbox::{Busy, Inbox};
use crate::inquiry::Inquiries;
use crate::status::NodeStatus;
use crate::transport::Peers;
use crate::warden::Warden;

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
    pub warden: Arc<Warden>,
    /// The folder of evidence.
    pub evidence: PathBuf,
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

    /// Tells all connected peers, whose hosts hear of it by `Host::told`: at best. Lost is what is longer than `NEWS_BYTES_MAX`, what goes beyond
    /// `NEWS_TOLD_PER_WINDOW_MAX`, and what a peer takes too slowly; `Counters::news_dropped` says how much.
    pub fn tell(&self, bytes: Bytes) {
        self.inner.peers.tell(Instant::now(), &bytes);
    }

    /// Fetches what has this digest (SHA-256, as of `Digest::of`) from the connected peers, whose hosts give it by `Host::content`. They are asked one
    /// after the other: the next one when one has nothing of use, or when nobody has given it for another 500 ms, at most f+1 at once.
    ///
    /// What comes back has the digest and at most `bytes_max` bytes, and never more than `CONTENT_BYTES_MAX`. `None` when nobody gives it within
    /// `deadline`, which includes the wait while `FETCHES_MAX` others are under way.
    pub async fn fetch(&self, digest: &Digest, bytes_max: usize, deadline: Duration) -> Option<Bytes> {
        self.inner.peers.fetch(digest, bytes_max, deadline).await
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

    /// What the detector thinks of every other replica, lowest first. An opinion: nothing that is agreed on depends on it.
    pub fn assessments(&self) -> Vec<Assessment> {
        self.inner.warden.assessments()
    }

    /// Who was seen to agree with whom.
    pub fn trust_graph(&self) -> TrustGraph {
        self.inner.warden.trust_graph()
    }

    /// Whose reputation is at least `least`, and who is not shut out; this replica among them.
    pub fn trusted(&self, least: f64) -> ReplicaSet {
        self.inner.warden.trusted(least)
    }

    /// The reputation of the replica that has the least, 0 to 1, as of the last second.
    pub fn least_reputation(&self) -> f64 {
        self.inner.warden.least_reputation()
    }

    /// How often faults were reported that are nobody's misbehaviour.
    pub fn notices(&self) -> Vec<(Notice, u64)> {
        self.inner.warden.notices()
    }

    /// Whether more replicas look Byzantine than may be faulty, so that this one may be the odd one out.
    pub fn is_doubtful(&self) -> bool {
        self.inner.warden.is_doubtful()
    }

    /// Lets a replica in again that is shut out; says whether it was.
    pub fn lift(&self, replica: ReplicaId) -> bool {
        self.inner.warden.lift(replica)
    }

    /// Tells the detector whose observations in decided slots agreed with what was decided: `false` only for what contradicts a proof, or everybody
    /// else about a name that does not change, as [`detector::Witnesses`] finds.
    pub fn judged(&self, judged: &[(ReplicaId, bool)]) {
        self.inner.warden.judged(judged);
    }

    /// What the filter at the peer port has counted, and where it sits.
    ///
    /// Errors: an old kernel does not let a process read its counters that has dropped its privileges.
    pub fn filter(&self) -> Result<FilterStatistics, FilterError> {
        self.inner.warden.filter().statistics()
    }

    /// Where the filter at the peer port sits.
    pub fn filter_kind(&self) -> FilterKind {
        self.inner.warden.filter().kind()
    }

    /// Why the filter is not in the kernel although `auto` would rather have it there.
    pub fn filter_fallback(&self) -> Option<String> {
        self.inner.warden.filter().fallback().map(str::to_owned)
    }

    /// The evidence that is kept, oldest first; `EvidenceFile::read` reads one. Asks the disk.
    ///
    /// Errors: those of the operating system.
    pub fn evidence(&self) -> io::Result<Vec<Listed>> {
        evidence::list(&self.inner.evidence)
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
