//! The node outlives the chains that use it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use certificate::{Cluster, ReplicaId};
use node::initialise_sized;

use super::four::{Four, settings, until};
use crate::byzantine_consensus::handler::ByzantineConsensus;
use crate::byzantine_consensus::nodes::{AcquireError, Identity, Nodes};
use crate::chain::Chain;

/// Replica 0 alone, on a port of its own.
fn identity(four: &Four) -> Identity {
    let mut identity = four.identity(0);
    identity.settings.bind = Some(([127, 0, 0, 1], 0).into());
    identity
}

fn chain(identity: &Identity, nodes: &Arc<Nodes>) -> Chain {
    Chain::new(vec![Arc::new(ByzantineConsensus::new(settings(), identity.clone(), nodes.clone()))])
}

/// An address that nobody listens at.
fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_port_is_open_before_the_replica_starts_and_goes_with_its_last_plugin() {
    let (four, nodes) = (Four::new(|_| {}), Arc::<Nodes>::default());
    let address = free_address();
    let mut identity = identity(&four);
    identity.settings.bind = Some(address);
    let (one, other) = (chain(&identity, &nodes), chain(&identity, &nodes));
    one.open().unwrap();
    other.open().unwrap();
    drop(one);
    assert!(UdpSocket::bind(address).is_err(), "the port is open");
    drop(other);
    assert!(UdpSocket::bind(address).is_ok(), "nobody wants it any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_starts_at_the_port_that_was_opened_for_it() {
    let (four, nodes) = (Four::new(|_| {}), Arc::<Nodes>::default());
    let mut identity = identity(&four);
    identity.settings.bind = Some(free_address());
    let (one, other) = (chain(&identity, &nodes), chain(&identity, &nodes));
    one.open().unwrap();
    other.open().unwrap();
    // Opened anew it could not be bound.
    one.start().unwrap();
    other.start().unwrap();
    let later = chain(&identity, &nodes);
    later.open().unwrap();
    later.start().unwrap();
    let node = nodes.acquire(&identity, None).unwrap().node().clone();
    assert_eq!(Some(node.address()), identity.settings.bind);
    [one, other, later].iter().for_each(Chain::stop);
    node.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_outlives_a_reload() {
    let (four, nodes) = (Four::new(|_| {}), Arc::<Nodes>::default());
    let identity = identity(&four);
    let (old, new) = (chain(&identity, &nodes), chain(&identity, &nodes));
    old.start().unwrap();
    let before = nodes.acquire(&identity, None).unwrap();
    new.start().unwrap();
    old.stop();
    let after = nodes.acquire(&identity, None).unwrap();
    assert!(Arc::ptr_eq(&before, &after));
    assert_eq!(after.node().status().refusing, None);
    new.stop();
    after.node().stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_chain_takes_the_node_with_it() {
    let (four, nodes) = (Four::new(|_| {}), Arc::<Nodes>::default());
    let identity = identity(&four);
    let first = chain(&identity, &nodes);
    first.start().unwrap();
    let node = nodes.acquire(&identity, None).unwrap().node().clone();
    first.stop();
    node.stopped().await;
    // The folder is free again.
    let second = chain(&identity, &nodes);
    second.start().unwrap();
    assert_ne!(nodes.acquire(&identity, None).unwrap().node().address(), node.address());
    second.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_stopped_replica_is_left() {
    let (four, nodes) = (Four::new(|_| {}), Arc::<Nodes>::default());
    let identity = identity(&four);
    let only = chain(&identity, &nodes);
    only.start().unwrap();
    let consensus = Arc::downgrade(&nodes.acquire(&identity, None).unwrap());
    only.stop();
    drop(only);
    until("its state, and with it its socket, is gone", || consensus.strong_count() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_cluster_file_is_refused_and_the_replica_goes_on() {
    let (four, nodes) = (Four::new(|_| {}), Arc::<Nodes>::default());
    let identity = identity(&four);
    let running = chain(&identity, &nodes);
    running.start().unwrap();
    let cluster = Arc::new(Cluster { ttl_max_s: 60, ..Cluster::clone(&identity.cluster) });
    let changed = chain(&Identity { cluster, ..identity.clone() }, &nodes);
    let error = changed.start().unwrap_err();
    assert_eq!(
        error.to_string(),
        "byzantine-consensus: the cluster file has changed since the replica started; a replica keeps to the file that its log began under: \
         put that back, or make a new cluster with `quorate cluster new --settings`"
    );
    assert_eq!(
        nodes.acquire(&identity, None).unwrap().node().status().refusing,
        None,
        "the old one serves on"
    );
    running.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_options_of_the_node_do_not_stop_a_reload() {
    let (four, nodes) = (Four::new(|_| {}), Arc::<Nodes>::default());
    let identity = identity(&four);
    let running = chain(&identity, &nodes);
    running.start().unwrap();
    let mut changed = identity.clone();
    changed.settings.pipeline = 1;
    let new = chain(&changed, &nodes);
    new.start().unwrap();
    assert!(Arc::ptr_eq(&nodes.acquire(&identity, None).unwrap(), &nodes.acquire(&changed, None).unwrap()));
    running.stop();
    new.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_that_did_not_start_leaves_nothing_behind() {
    let (four, nodes) = (Four::new(|_| {}), Arc::<Nodes>::default());
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity { state: folder.path().join("state"), ..identity(&four) };
    // The log of another replica.
    initialise_sized(&identity.state, &identity.cluster, ReplicaId(1), 64 * 1024).unwrap();
    assert!(matches!(nodes.acquire(&identity, None), Err(AcquireError::Start(_))));
    std::fs::remove_dir_all(&identity.state).unwrap();
    let consensus = nodes.acquire(&identity, None).expect("nothing of the first try is left");
    assert_eq!(consensus.node().status().replica.standing, pbft::Standing::Learning);
    consensus.node().shutdown();
    consensus.node().stopped().await;
}
