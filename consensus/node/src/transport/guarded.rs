//! The peer socket where the kernel does not judge: what the filter's twin refuses, QUIC never sees.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use peer_filter::PeerFilter;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

/// A socket, and the policy for what arrives there. What leaves is not looked at.
#[derive(Debug)]
pub(crate) struct Guarded {
    socket: Arc<dyn AsyncUdpSocket>,
    filter: PeerFilter,
}

impl Guarded {
    pub(crate) fn new(socket: Arc<dyn AsyncUdpSocket>, filter: PeerFilter) -> Guarded {
        Guarded { socket, filter }
    }
}

impl AsyncUdpSocket for Guarded {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    /// What is refused is handed on with a length of 0, of which QUIC makes no datagram: so the work that a flood causes counts where quinn bounds
    /// what it does in a row.
    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let arrived = ready!(self.socket.poll_recv(context, buffers, meta))?;
        for (buffer, meta) in buffers.iter().zip(meta.iter_mut()).take(arrived) {
            let datagrams = &buffer[..meta.len.min(buffer.len())];
            if !self.filter.judge(meta.addr, datagrams, meta.stride).passes() {
                meta.len = 0;
            }
        }
        Poll::Ready(Ok(arrived))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}
