//! DNS over UDP, RFC 1035 §4.2.1: receive a batch, answer what is cached at once, leave the rest to tasks of their own.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugins::{Client, Transport};
use prometheus_client::metrics::counter::Counter;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::Entrance;
use super::mmsg::{self, BATCH, Batch, Path};
use crate::engine::Glance;

/// What the sockets of one UDP listener share.
#[derive(Clone)]
pub struct Datagrams {
    /// Where queries go.
    pub entrance: Entrance,
    /// Bounds the queries that are being answered.
    pub room: Arc<Semaphore>,
    /// Counts the queries that got no answer for want of room.
    pub dropped: Counter,
    /// Tasks that a graceful stop waits for.
    pub tasks: TaskTracker,
    /// Ends the listener.
    pub stop: CancellationToken,
}

impl Datagrams {
    /// Serves a socket until the listener is stopped. Queries under way are still answered then.
    pub async fn serve(self, socket: UdpSocket) {
        let socket = Arc::new(socket);
        let local = match socket.local_addr() {
            Ok(local) => local,
            Err(error) => return debug!(%error, "udp socket has no address"),
        };
        let mut batch = Batch::new();
        let mut replies = Vec::with_capacity(BATCH);
        let mut spare = vec![Vec::new(); BATCH];
        loop {
            let receiving = socket.async_io(Interest::READABLE, || batch.receive(socket.as_raw_fd()));
            let received = tokio::select! {
                () = self.stop.cancelled() => return,
                received = receiving => received,
            };
            if let Err(error) = received {
                debug!(%error, "receiving failed");
                tokio::time::sleep(RECEIVE_PAUSE).await;
                continue;
            }
            self.dropped.inc_by(batch.unusable());
            let now = Instant::now();
            for (wire, path) in batch.datagrams() {
                let mut reply = spare.pop().unwrap_or_default();
                if self.look(&socket, wire, path, local, now, &mut reply) {
                    replies.push((reply, path));
                } else {
                    spare.push(reply);
                }
            }
            send_all(&socket, &replies).await;
            spare.extend(replies.drain(..).map(|(mut reply, _)| {
                reply.clear();
                reply
            }));
        }
    }

    /// Looks at one datagram; says whether `reply` is to be sent.
    fn look(
        &self,
        socket: &Arc<UdpSocket>,
        wire: &[u8],
        path: Path,
        bound: SocketAddr,
        now: Instant,
        reply: &mut Vec<u8>,
    ) -> bool {
        let address = path.peer();
        // Nobody can be reached at port 0.
        if address.port() == 0 {
            return false;
        }
        let local = SocketAddr::new(path.local().unwrap_or_else(|| bound.ip()), bound.port());
        let client = Client { address, local, transport: Transport::Udp };
        match self.entrance.glance(wire, &client, now, reply) {
            Glance::Answered => true,
            Glance::Silent | Glance::Dropped => false,
            Glance::Ask => {
                self.ask(socket.clone(), wire.to_vec(), path, client, now);
                false
            }
        }
    }

    /// Answers in a task of its own, if there is room for one.
    fn ask(&self, socket: Arc<UdpSocket>, wire: Vec<u8>, path: Path, client: Client, received: Instant) {
        let Ok(permit) = self.room.clone().try_acquire_owned() else {
            self.dropped.inc();
            return;
        };
        let entrance = self.entrance.clone();
        self.tasks.spawn(async move {
            if let Some(reply) = entrance.serve(&wire, client, received).await {
                send_all(&socket, &[(reply, path)]).await;
            }
            drop(permit);
        });
    }
}

/// Sends replies, in as many batches as it takes. One that cannot be sent is left out: its client asks again.
async fn send_all(socket: &UdpSocket, replies: &[(Vec<u8>, Path)]) {
    let mut rest = replies;
    while !rest.is_empty() {
        let batch = || rest.iter().map(|(reply, path)| (reply.as_slice(), path));
        let sending = socket.async_io(Interest::WRITABLE, || mmsg::send(socket.as_raw_fd(), batch()));
        let sent: io::Result<usize> = sending.await;
        let done = match sent {
            Ok(count) => count.max(1),
            Err(error) => {
                debug!(client = %rest[0].1.peer(), %error, "reply cannot be sent");
                1
            }
        };
        rest = &rest[done.min(rest.len())..];
    }
}

/// Pause after a socket reports an error, so that one that is broken does not take a core.
const RECEIVE_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
