//! What several tests need: a cluster on loopback whose ports the system chose, and waiting for a condition.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use certificate::{Cluster, Member, ReplicaId, SeedKey};
use peer_filter::{Mode, PeerFilter};

use crate::peer_socket;
use crate::transport::load_filter;

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
