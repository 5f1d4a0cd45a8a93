//! How a source is written in every map: 16 bytes of address, IPv4 mapped into IPv6 (RFC 4291 §2.5.5.2), and a port.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A source of datagrams. The scope of a link-local address is not part of it: packets do not carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) address: [u8; 16],
    /// In host order; 0 in the table of peers means any port.
    pub(crate) port: u16,
}

impl Source {
    pub(crate) fn of(address: SocketAddr) -> Source {
        Source { address: octets(address.ip()), port: address.port() }
    }

    pub(crate) fn with_any_port(self) -> Source {
        Source { port: 0, ..self }
    }
}

/// Returns `address` as 16 bytes, IPv4 as `::ffff:a.b.c.d`.
pub(crate) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Returns the address that `octets` stand for, IPv4 as IPv4.
pub(crate) fn from_octets(octets: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(octets).to_canonical()
}
