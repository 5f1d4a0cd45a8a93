//! What several tests need: a cluster on loopback whose ports the system chose, and waiting for a condition.

use std::collections::HashMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use certificate::{Cluster, Digest, Member, ReplicaId, SeedKey};
use peer_filter::{Mode, PeerFilter};

use crate::transport::load_filter;
use crate::{Host, NodeHandle, peer_socket};

/// Nothing here takes so long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster of four with its secrets and bound sockets, by id.
pub(crate) struct Setting {
    pub cluster: Arc<Cluster>,
    pub seeds: Vec<SeedKey>,
    pub sockets: Vec<UdpSocket>,
}

impl Setting {
    pub(crate) fn new() -> Setting {
        Setting::with(|_| {})
    }

    /// A cluster whose file is changed before anybody reads it.
    pub(crate) fn with(change: impl FnOnce(&mut Cluster)) -> Setting {
        let seeds: Vec<SeedKey> = (0..4).map(|id| SeedKey::new([id + 1; 32])).collect();
        let loopback = (Ipv4Addr::LOCALHOST, 0).into();
        let sockets: Vec<UdpSocket> = seeds.iter().map(|_| peer_socket(loopback).unwrap()).collect();
        let members = seeds.iter().zip(&sockets).enumerate().map(|(id, (seed, socket))| Member {
            id: ReplicaId(id as u8),
            name: format!("replica-{id}"),
            address: socket.local_addr().unwrap(),
            public_key: seed.signing_key().public_key(),
            transport_key: seed.transport_key().public_key(),
            upstream_group: format!("group-{id}"),
            group: 0,
        });
        let mut cluster = Cluster::new("example", 1, members.collect()).unwrap();
        change(&mut cluster);
        Setting { cluster: Arc::new(cluster), seeds, sockets }
    }

    /// The filter of a replica.
    pub(crate) fn filter(&self, id: u8, mode: &Mode) -> PeerFilter {
        let address = self.cluster.members[usize::from(id)].address;
        load_filter(mode, &self.cluster, ReplicaId(id), address).unwrap()
    }

    /// The socket of a replica; clones keep the port while a replica is down.
    pub(crate) fn socket(&self, id: u8) -> UdpSocket {
        self.sockets[usize::from(id)].try_clone().unwrap()
    }
}

/// News, or what is asked for by its digest, over which a host panics.
pub(crate) const PANIC: &[u8] = b"panic";

/// What a host was told and asked beside the decisions, and what it has.
#[derive(Default)]
pub(crate) struct Shelf {
    pub news: Mutex<Vec<(ReplicaId, Bytes)>>,
    pub contents: Mutex<HashMap<Digest, Bytes>>,
    pub asked: Mutex<Vec<Digest>>,
}

impl Shelf {
    /// Keeps content and gives its digest.
    pub(crate) fn keep(&self, content: Vec<u8>) -> Digest {
        let digest = Digest::of(&content);
        self.put(digest, content);
        digest
    }

    /// Keeps content under a digest that need not be its own.
    pub(crate) fn put(&self, digest: Digest, content: Vec<u8>) {
        self.contents.lock().unwrap().insert(digest, content.into());
    }

    pub(crate) fn told(&self, from: ReplicaId, bytes: Bytes) {
        assert_ne!(bytes, PANIC, "asked for by the test");
        self.news.lock().unwrap().push((from, bytes));
    }

    pub(crate) fn content(&self, digest: &Digest) -> Option<Bytes> {
        assert_ne!(*digest, Digest::of(PANIC), "asked for by the test");
        self.asked.lock().unwrap().push(*digest);
        self.contents.lock().unwrap().get(digest).cloned()
    }

    pub(crate) fn news_count(&self) -> usize {
        self.news.lock().unwrap().len()
    }

    pub(crate) fn asked_count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// A host for tests of the transport alone.
impl Host for Shelf {
    fn lookup(&self, _node: &NodeHandle, _lookup: pbft::Lookup) {}
    fn early(&self, _early: &pbft::Early) {}
    fn decided(&self, _decided: &pbft::Decided) {}
    fn answered(&self, _from: ReplicaId, _operation: Digest, _bytes: &[u8]) {}
    fn refused(&self, _operation: Digest) {}
    fn fault(&self, _fault: &pbft::Fault) {}

    fn told(&self, from: ReplicaId, bytes: Bytes) {
        Shelf::told(self, from, bytes);
    }

    fn content(&self, digest: &Digest) -> Option<Bytes> {
        Shelf::content(self, digest)
    }
}

/// Bytes that do not compress.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Returns when `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let look = async {
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        while !condition() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}
