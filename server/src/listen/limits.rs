//! How much of this server one listener, and one client of it, may hold at a time.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Counts the connections of a listener, in all and by client.
pub struct Connections {
    total_max: usize,
    client_max: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// The right to one connection. It ends when this is dropped.
pub struct Admission {
    connections: Arc<Connections>,
    client: IpAddr,
}

impl Connections {
    /// No connection yet; at most `total_max`, of them `client_max` from one client.
    pub fn new(total_max: usize, client_max: usize) -> Arc<Connections> {
        Arc::new(Connections { total_max, client_max, open: Mutex::default() })
    }

    /// Admits a connection from `address`, or refuses it because there are too many.
    ///
    /// Clients of IPv6 are counted by /64, which is what one of them is given.
    pub fn admit(self: &Arc<Connections>, address: IpAddr) -> Option<Admission> {
        let client = client_of(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_client = open.by_client.get(&client).copied().unwrap_or(0);
        if open.total >= self.total_max || of_client >= self.client_max {
            return None;
        }
        open.total += 1;
        open.by_client.insert(client, of_client + 1);
        Some(Admission { connections: self.clone(), client })
    }

    /// How many are open.
    #[cfg(test)]
    pub fn total(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(count) = open.by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}

fn client_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let prefix = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
    }
}

/// Connections of one TCP, DoT, DoQ or DoH listener.
pub const CONNECTIONS_MAX: usize = 2048;
/// Connections of one client to one listener.
pub const CLIENT_CONNECTIONS_MAX: usize = 512;
/// Queries of one connection that are being answered; DoQ streams and HTTP/2 streams likewise.
pub const CONNECTION_QUERIES_MAX: usize = 128;
/// Queries of one stream listener that are being answered.
pub const STREAM_QUERIES_MAX: usize = 4096;
/// Queries of one UDP listener that are being answered.
pub const DATAGRAM_QUERIES_MAX: usize = 8192;
/// Time for a TLS or QUIC handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time from the first byte of a message to its last.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a client to take some bytes that are written to it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time that a connection may be idle, unless the Corefile says otherwise. As in CoreDNS.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after `accept` failed, as when descriptors have run out.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_are_bounded_by_client_and_in_all() {
        let connections = Connections::new(3, 2);
        let held: Vec<_> = (0..3).map(|_| connections.admit(address("192.0.2.1"))).collect();
        assert_eq!(held.iter().flatten().count(), 2);
        let other = connections.admit(address("192.0.2.2"));
        assert!(other.is_some());
        assert!(connections.admit(address("192.0.2.3")).is_none(), "three in all");
        drop(held);
        assert_eq!(connections.total(), 1);
        assert!(connections.admit(address("192.0.2.1")).is_some());
    }

    #[test]
    fn clients_of_ipv6_are_their_network() {
        let connections = Connections::new(10, 1);
        let _held = connections.admit(address("2001:db8::1"));
        assert!(connections.admit(address("2001:db8::2")).is_none());
        assert!(connections.admit(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn closed_connections_leave_nothing_behind() {
        let connections = Connections::new(10, 1);
        drop(connections.admit(address("192.0.2.1")));
        assert!(connections.open.lock().unwrap().by_client.is_empty());
    }
}
