//! What goes over a connection that is in use: consensus, bulk and news each way, and content that is asked for.

use std::sync::Arc;

use certificate::ReplicaId;
use certificate::codec::Decode;
use pbft::Message;
use quinn::{ConnectionError, RecvStream};

use super::class::Class;
use super::connection::{self, Greeted};
use super::dial::Origin;
use super::link_error::{CloseCode, LinkError};
use super::peers::Shared;
use super::send_queue::{QueuedFrames, SendQueue};
use crate::clock;

impl Shared {
    /// Takes a connection into use, unless a better one is there.
    pub(super) fn register(self: &Arc<Shared>, greeted: Greeted, dialled_by: ReplicaId) {
        let origin = Origin { dialled_by, instance: greeted.hello.instance, losses: greeted.hello.losses };
        let (queue, frames) = SendQueue::new();
        if !self.link(greeted.peer).take(&greeted.connection, origin, queue, &self.inbox) {
            return;
        }
        let shared = self.clone();
        tokio::spawn(async move {
            let (connection, peer) = (greeted.connection.clone(), greeted.peer);
            let reason = shared.run(greeted, frames).await;
            shared.link(peer).lost(&connection, &reason, &shared.inbox);
        });
    }

    /// Moves everything both ways until the connection ends; returns why.
    async fn run(self: &Arc<Shared>, greeted: Greeted, frames: [QueuedFrames; 3]) -> LinkError {
        let Greeted { connection, peer, send, receive, .. } = greeted;
        let [consensus, bulk, news] = frames;
        // One after the other: streams come in the order in which they are opened.
        let write_others = async {
            let send = connection::open(&connection, Class::Bulk).await?;
            let write_news = async { news.write_to(connection::open(&connection, Class::News).await?).await };
            tokio::try_join!(bulk.write_to(send), write_news)
        };
        let read_others = async {
            let receive = connection::accept(&connection, Class::Bulk).await?;
            let read_news = async {
                let receive = connection::accept(&connection, Class::News).await?;
                self.hear(&connection, peer, receive).await
            };
            tokio::try_join!(self.read(peer, receive, Class::Bulk), read_news)
        };
        let ended = tokio::try_join!(
            consensus.write_to(send),
            self.read(peer, receive, Class::Consensus),
            write_others,
            read_others,
            self.serve(&connection, peer),
        );
        match ended {
            Err(reason) if reason.is_unreadable() => {
                self.counters.refused_frames.add(1);
                CloseCode::Unreadable.close(&connection, &reason.to_string());
                reason
            }
            // Streams end with their connection, which knows better why, unless it is closed once more.
            Err(_) | Ok(_) => {
                let known = connection.close_reason();
                LinkError::Connection(known.unwrap_or_else(|| {
                    CloseCode::ShuttingDown.close(&connection, "the stream ended");
                    ConnectionError::LocallyClosed
                }))
            }
        }
    }

    async fn read(&self, peer: ReplicaId, mut receive: RecvStream, class: Class) -> Result<(), LinkError> {
        let rules = self.rules.of(class);
        loop {
            let bytes = connection::read_frame(&mut receive, rules).await?;
            let message = Message::from_bytes(&bytes)?;
            self.counters.bytes_in.add(bytes.len() as u64);
            self.counters.messages_in.add(1);
            self.link(peer).seen(clock::wall_ms());
            if !self.inbox.push_message(peer, bytes.len(), message) {
                self.counters.inbox_drops.add(1);
            }
        }
    }
}
