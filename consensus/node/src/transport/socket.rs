//! The UDP socket of the peer port. Made here and nowhere else, so that a filter can be attached to it before QUIC reads from it.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// What the kernel may hold for us while no one reads, in bytes. A wish: the kernel's own limit stands.
const BUFFER_BYTES: usize = 4 << 20;

/// Binds a socket for QUIC.
///
/// Errors: those of the operating system, such as an address in use.
pub fn peer_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
