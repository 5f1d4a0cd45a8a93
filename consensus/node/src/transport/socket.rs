//! The UDP socket of the peer port, with the filter on it before anything can arrive. Made here and nowhere else.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use certificate::{Cluster, ReplicaId};
use peer_filter::{FilterError, Limits, Mode, Peer, PeerFilter, Policy};
use rustls::crypto::CryptoProvider;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use super::ids::random;

/// What the kernel may hold for us while no one reads, in bytes. A wish: the kernel's own limit stands.
const BUFFER_BYTES: usize = 4 << 20;

/// Why there is no peer port.
#[derive(Debug, Error)]
pub(crate) enum SocketError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// Binds a socket for QUIC, without a filter.
///
/// Errors: those of the operating system, such as an address in use.
pub fn peer_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = unbound(address)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Binds a socket on which the filter sits already.
pub(crate) fn filtered_socket(address: SocketAddr, filter: &PeerFilter) -> Result<UdpSocket, SocketError> {
    let socket = unbound(address)?;
    filter.attach(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn unbound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Loads the filter for a peer port at `local`: whoever the cluster file names may send, from the address that stands there.
///
/// Replicas dial from the socket that they listen on, so this is where their datagrams come from, whoever began.
pub(crate) fn load_filter(
    mode: &Mode,
    cluster: &Cluster,
    me: ReplicaId,
    local: SocketAddr,
) -> Result<PeerFilter, FilterError> {
    let others = cluster.members.iter().filter(|member| member.id != me);
    let mut connection_id_key = [0; 16];
    random(&provider(), &mut connection_id_key);
    PeerFilter::load(
        mode,
        Policy {
            local,
            peers: others.map(|member| Peer { id: member.id.0, address: member.address }).collect(),
            connection_id_key,
            limits: Limits::default(),
        },
    )
}

fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}
