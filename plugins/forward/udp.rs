//! One query over UDP: a socket of its own on a random port, a random id, and patience with what is not the reply.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

use super::message::{Judgement, Outgoing};

/// How many messages that are not the reply are read. More of them means that somebody tries ids: TCP cannot be guessed.
pub const FOREIGN_MAX: usize = 16;

/// Longest datagram that is read; upstreams were told 1232.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// How an exchange over UDP ends.
pub enum Received {
    /// With the reply.
    Reply(Vec<u8>),
    /// With a reply that UDP is not enough for: cut short, in other case, without its question, or too many others.
    AskByTcp,
}

/// Sends `outgoing` to `upstream` and waits for the reply, without end: the caller sets the time.
///
/// The socket is connected, so messages of other senders never get here, and a closed port is an error at once.
///
/// Errors: those of the socket.
pub async fn exchange(upstream: SocketAddr, outgoing: &Outgoing, id: u16) -> io::Result<Received> {
    let any: SocketAddr = match upstream {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(upstream).await?;
    socket.send(&outgoing.with_id(id)).await?;
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    for _ in 0..FOREIGN_MAX {
        let length = socket.recv(&mut buffer).await?;
        match outgoing.judge(id, &buffer[..length]) {
            Judgement::Reply => return Ok(Received::Reply(buffer[..length].to_vec())),
            Judgement::Truncated | Judgement::OtherCase | Judgement::NoQuestion => {
                return Ok(Received::AskByTcp);
            }
            Judgement::Foreign => {}
        }
    }
    Ok(Received::AskByTcp)
}
