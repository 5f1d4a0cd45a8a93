//! Messages on a byte stream, two bytes of length before each: TCP (RFC 7766) and, on top of TLS, DoT (RFC 7858).
//!
//! Queries of one connection are answered side by side and in the order in which answers are ready. What is held for a connection
//! is bounded: the reader waits while `CONNECTION_QUERIES_MAX` queries are unanswered or their answers are not yet taken.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use plugins::Client;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::trace;

use super::Entrance;
use super::limits::{CONNECTION_QUERIES_MAX, MESSAGE_TIMEOUT, STREAM_QUERIES_MAX, WRITE_TIMEOUT};
use crate::engine::Glance;

/// What the connections of one stream listener share.
#[derive(Clone)]
pub struct Streams {
    /// Where queries go.
    pub entrance: Entrance,
    /// Bounds the queries that are being answered.
    pub room: Arc<Semaphore>,
    /// Tasks that a graceful stop waits for.
    pub tasks: TaskTracker,
    /// Ends the listener, and the reading of its connections.
    pub stop: CancellationToken,
}

/// A reply on its way out, with the right to hold it.
type Outgoing = (Vec<u8>, [OwnedSemaphorePermit; 2]);

impl Streams {
    /// The connections of a listener whose queries go to `entrance`.
    pub fn new(entrance: Entrance, tasks: TaskTracker, stop: CancellationToken) -> Streams {
        Streams { entrance, room: Arc::new(Semaphore::new(STREAM_QUERIES_MAX)), tasks, stop }
    }

    /// Serves a connection until either side ends it. When the client has ended its side, what it asked is still answered.
    pub async fn serve<S: AsyncRead + AsyncWrite>(&self, stream: S, client: Client) {
        let (reader, writer) = tokio::io::split(stream);
        let (replies, outgoing) = mpsc::channel(CONNECTION_QUERIES_MAX);
        let mut writing = pin!(write_replies(writer, outgoing));
        let ended = tokio::select! {
            ended = &mut writing => return trace!(?ended, %client.address, "connection broke"),
            ended = self.read_queries(reader, client, replies) => ended,
        };
        trace!(?ended, %client.address, "no more queries");
        // The reader's end of the channel is gone; the writer ends when the last query under way is answered.
        let _ = timeout(self.entrance.query_deadline() + WRITE_TIMEOUT, writing).await;
    }

    /// Reads queries until the stream ends, is idle for too long or brings a message too slowly.
    async fn read_queries(
        &self,
        reader: impl AsyncRead + Unpin,
        client: Client,
        replies: mpsc::Sender<Outgoing>,
    ) -> io::Result<()> {
        let mut reader = BufReader::new(reader);
        let room = Arc::new(Semaphore::new(CONNECTION_QUERIES_MAX));
        let mut wire = Vec::new();
        // Who gets no answer would wait for one as long as the connection is there.
        let dropped = CancellationToken::new();
        loop {
            let first = tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = dropped.cancelled() => return Ok(()),
                first = timeout(self.entrance.idle_timeout(), reader.read_u8()) => first??,
            };
            timeout(MESSAGE_TIMEOUT, read_message(&mut reader, first, &mut wire)).await??;
            let received = Instant::now();
            let permits = [acquire(&room).await?, acquire(&self.room).await?];
            let mut reply = Vec::new();
            match self.entrance.glance(&wire, &client, received, &mut reply) {
                Glance::Silent => {}
                Glance::Dropped => return Ok(()),
                Glance::Answered => replies.send((reply, permits)).await.map_err(io::Error::other)?,
                Glance::Ask => {
                    let (entrance, replies) = (self.entrance.clone(), replies.clone());
                    let dropped = dropped.clone();
                    let wire = std::mem::take(&mut wire);
                    self.tasks.spawn(async move {
                        match entrance.serve(&wire, client, received).await {
                            // Fails when the connection is gone; then nobody waits for this.
                            Some(reply) => drop(replies.send((reply, permits)).await),
                            None => dropped.cancel(),
                        }
                    });
                }
            }
        }
    }
}

async fn acquire(room: &Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
    room.clone().acquire_owned().await.map_err(io::Error::other)
}

/// Reads a message whose length begins with the byte `first`. Room is taken as bytes come, not as the length promises.
async fn read_message(
    reader: &mut (impl AsyncRead + Unpin),
    first: u8,
    wire: &mut Vec<u8>,
) -> io::Result<()> {
    let length = u16::from_be_bytes([first, reader.read_u8().await?]);
    wire.clear();
    let read = reader.take(length.into()).read_to_end(wire).await?;
    if read == usize::from(length) { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Writes replies, several at once when they are ready together, until there are no more senders.
async fn write_replies(
    mut writer: impl AsyncWrite + Unpin,
    mut replies: mpsc::Receiver<Outgoing>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(reply) = replies.recv().await {
        let mut held = Vec::new();
        let mut next = Some(reply);
        while let Some((reply, permits)) = next {
            let Ok(length) = u16::try_from(reply.len()) else { break };
            buffer.extend_from_slice(&length.to_be_bytes());
            buffer.extend_from_slice(&reply);
            held.push(permits);
            next = if buffer.len() < WRITE_BYTES { replies.try_recv().ok() } else { None };
        }
        timeout(WRITE_TIMEOUT, async {
            writer.write_all(&buffer).await?;
            writer.flush().await
        })
        .await??;
        buffer.clear();
    }
    timeout(WRITE_TIMEOUT, writer.shutdown()).await?
}

/// Replies are gathered into one write up to this length.
const WRITE_BYTES: usize = 16 << 10;

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
