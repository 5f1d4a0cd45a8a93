//! Opens sockets: the options that a DNS server wants, before anything is served on them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, Socket, Type};

/// Opens `count` UDP sockets on one address and port; the kernel spreads clients over them.
///
/// `None` means all addresses, of IPv6 and IPv4. Port 0 lets the kernel choose one, the same for all.
pub fn udp(address: Option<IpAddr>, port: u16, count: usize) -> io::Result<Vec<UdpSocket>> {
    let first = udp_socket(address, port)?;
    let port = first.local_addr()?.port();
    let others = (1..count).map(|_| udp_socket(address, port)).collect::<io::Result<Vec<_>>>()?;
    Ok(std::iter::once(first).chain(others).collect())
}

/// Opens a UDP socket alone on its address and port.
pub fn quic(address: Option<IpAddr>, port: u16) -> io::Result<UdpSocket> {
    let socket = bind(address, port, Type::DGRAM, |_| Ok(()))?;
    Ok(socket.into())
}

/// Opens a TCP listener.
pub fn tcp(address: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    let socket = bind(address, port, Type::STREAM, |socket| socket.set_reuse_address(true))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Opens UDP sockets and a TCP listener on one port.
pub fn udp_and_tcp(
    address: Option<IpAddr>,
    port: u16,
    count: usize,
) -> io::Result<(Vec<UdpSocket>, TcpListener)> {
    let attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
    let mut last = None;
    for _ in 0..attempts {
        let datagrams = udp(address, port, count)?;
        match tcp(address, datagrams[0].local_addr()?.port()) {
            Ok(listener) => return Ok((datagrams, listener)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("there is at least one attempt"))
}

fn udp_socket(address: Option<IpAddr>, port: u16) -> io::Result<UdpSocket> {
    let socket = bind(address, port, Type::DGRAM, |socket| {
        socket.set_reuse_port(true)?;
        // Larger buffers bridge bursts; the kernel caps them at what it allows.
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        socket.set_send_buffer_size(BUFFER_BYTES)
    })?;
    let (level, option) = match socket.local_addr()?.as_socket() {
        Some(SocketAddr::V6(_)) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        _ => (libc::IPPROTO_IP, libc::IP_PKTINFO),
    };
    let on: libc::c_int = 1;
    // SAFETY: `on` lives through the call and its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket.into())
}

/// Binds a non-blocking socket after `configure`. Without IPv6 all addresses are those of IPv4.
fn bind(
    address: Option<IpAddr>,
    port: u16,
    kind: Type,
    configure: impl Fn(&Socket) -> io::Result<()>,
) -> io::Result<Socket> {
    let one = |address: SocketAddr| {
        let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
        let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
        if address.is_ipv6() {
            // Both families on one socket for all addresses, and never for a single one.
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        configure(&socket)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    };
    match address {
        Some(address) => one(SocketAddr::new(address, port)),
        None => one(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).or_else(|error: io::Error| {
            let without_ipv6 = matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL));
            if without_ipv6 { one(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))) } else { Err(error) }
        }),
    }
}

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;
/// Receive and send buffer of a UDP socket.
const BUFFER_BYTES: usize = 4 << 20;
/// How often to look for a port that is free for both UDP and TCP.
const PORT_ATTEMPTS: usize = 16;
