//! The policy: who the peers are, which rates they may use, and the bounds of both.

use std::{collections::HashMap, net::SocketAddr};

use crate::{FilterError, address::Source, clock::NANOSECONDS};

/// What the filter is told once, at load.
#[derive(Clone)]
pub struct Policy {
    /// Where the node listens. `tc` and `xdp` judge only what is addressed there; the port must be known to them.
    /// An unspecified address means every address of its family (`::` means IPv4 too, as in the socket API).
    pub local: SocketAddr,
    /// The peers. One peer may have several addresses: several entries with one id.
    pub peers: Vec<Peer>,
    /// The secret under which connection ids are made ([`crate::ConnectionIds`]); drawn at random at every start.
    pub connection_id_key: [u8; 16],
    /// Rates, the same for every peer.
    pub limits: Limits,
}

/// An address from which a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The peer's number.
    pub id: u8,
    /// Where its datagrams come from; port 0 means any port.
    pub address: SocketAddr,
}

/// Rates for the two classes of traffic, each peer has its own two buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams that carry one of our connection ids.
    pub established: Rate,
    /// Everything else from a peer's address: first flights, resets, and what somebody sends who borrowed the address.
    pub unproven: Rate,
}

/// A rate and what may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Datagrams a second, from 1 to 1 000 000 000.
    pub per_second: u32,
    /// Datagrams at once, from 1 to 1 000 000.
    pub burst: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            established: Rate { per_second: 20_000, burst: 20_000 },
            unproven: Rate { per_second: 100, burst: 200 },
        }
    }
}

impl Rate {
    /// Nanoseconds that one datagram costs.
    pub(crate) fn interval_ns(self) -> u64 {
        NANOSECONDS / u64::from(self.per_second)
    }

    /// How far ahead of the clock a bucket may run.
    pub(crate) fn tolerance_ns(self) -> u64 {
        self.interval_ns() * u64::from(self.burst)
    }

    fn is_sound(self) -> bool {
        (1..=PER_SECOND_MAX).contains(&self.per_second) && (1..=BURST_MAX).contains(&self.burst)
    }
}

impl Policy {
    /// Returns the table of sources, once the policy has been found sound.
    pub(crate) fn sources(&self) -> Result<HashMap<Source, u8>, FilterError> {
        for (class, rate) in [("established", self.limits.established), ("unproven", self.limits.unproven)] {
            if !rate.is_sound() {
                return Err(FilterError::Limit { class, rate });
            }
        }
        if self.peers.len() > PEER_ADDRESSES_MAX {
            return Err(FilterError::TooManyAddresses { count: self.peers.len() });
        }
        let mut sources = HashMap::new();
        for peer in &self.peers {
            if let Some(other) = sources.insert(Source::of(peer.address), peer.id)
                && other != peer.id
            {
                return Err(FilterError::SharedAddress {
                    address: peer.address,
                    first: other,
                    second: peer.id,
                });
            }
        }
        Ok(sources)
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Policy")
            .field("local", &self.local)
            .field("peers", &self.peers)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Most addresses of peers, all together. The map in the kernel has as many places.
pub const PEER_ADDRESSES_MAX: usize = 256;

/// Places in the tables that are indexed by the number of a peer: one for each `u8`.
pub(crate) const PEERS_MAX: usize = 256;

/// Most by which [`crate::PeerFilter::tighten`] divides a peer's rates.
pub const TIGHTEN_FACTOR_MAX: u32 = 1000;

const PER_SECOND_MAX: u32 = 1_000_000_000;
const BURST_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(peers: &[(u8, &str)]) -> Policy {
        Policy {
            local: "192.0.2.1:7000".parse().unwrap(),
            peers: peers.iter().map(|(id, a)| Peer { id: *id, address: a.parse().unwrap() }).collect(),
            connection_id_key: [0; 16],
            limits: Limits::default(),
        }
    }

    #[test]
    fn one_peer_may_have_two_addresses() {
        let sources = policy(&[(2, "192.0.2.2:7000"), (2, "[2001:db8::2]:7000")]).sources().expect("sound");
        assert_eq!(sources.len(), 2);
    }

    #[test]
    fn two_peers_may_not_share_an_address() {
        // The second way to write the first address: IPv4 mapped into IPv6.
        let error = policy(&[(2, "192.0.2.2:7000"), (3, "[::ffff:192.0.2.2]:7000")]).sources();
        assert!(matches!(error, Err(FilterError::SharedAddress { first: 2, second: 3, .. })), "{error:?}");
    }

    #[test]
    fn rate_of_nothing_is_refused() {
        for (per_second, burst) in [(0, 1), (1, 0), (1_000_000_001, 1), (1, 1_000_001)] {
            let mut policy = policy(&[]);
            policy.limits.unproven = Rate { per_second, burst };
            assert!(matches!(policy.sources(), Err(FilterError::Limit { class: "unproven", .. })));
        }
    }

    #[test]
    fn too_many_addresses_are_refused() {
        let mut policy = policy(&[]);
        let peer = |port| Peer { id: 1, address: SocketAddr::from(([192, 0, 2, 1], port)) };
        policy.peers = (0..=PEER_ADDRESSES_MAX).map(|i| peer(i as u16 + 1)).collect();
        assert!(matches!(policy.sources(), Err(FilterError::TooManyAddresses { count: 257 })));
    }

    #[test]
    fn key_is_not_printed() {
        let mut policy = policy(&[]);
        policy.connection_id_key = [0xAB; 16];
        assert!(!format!("{policy:?}").contains("171"));
    }
}
