//! News: short, for all, and nothing hangs on it. On a stream of its own behind consensus and bulk; what does not fit is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use bytes::Bytes;
use certificate::ReplicaId;
use quinn::{Connection, RecvStream};
use tracing::{debug, error};

use super::class::NEWS_RULES;
use super::connection;
use super::link_error::LinkError;
use super::peers::{Peers, Shared};
use crate::clock;

impl Peers {
    /// Tells all connected peers, at best.
    pub(crate) fn tell(&self, now: Instant, news: &[u8]) {
        let shared = self.shared();
        let frame = match NEWS_RULES.encode(news) {
            Ok(frame) if shared.may_tell(now) => frame,
            Ok(_) => {
                shared.counters.news_dropped.add(1);
                return debug!("dropped own news: too much in this second");
            }
            Err(reason) => {
                shared.counters.news_dropped.add(1);
                return debug!(%reason, "dropped own news: too long");
            }
        };
        for link in shared.links() {
            link.push_news(frame.clone(), &shared.counters);
        }
    }
}

impl Shared {
    /// Hands what a peer tells to the host, until the stream ends.
    pub(super) async fn hear(
        &self,
        connection: &Connection,
        peer: ReplicaId,
        mut receive: RecvStream,
    ) -> Result<(), LinkError> {
        loop {
            let news = connection::read_frame(&mut receive, NEWS_RULES).await?;
            self.take_news(Instant::now(), connection, peer, news);
        }
    }

    /// Hands one piece of news to the host, unless the peer says too much or is shut out: what came before a connection ended is still read.
    pub(super) fn take_news(&self, now: Instant, connection: &Connection, peer: ReplicaId, news: Bytes) {
        self.counters.bytes_in.add(news.len() as u64);
        let link = self.link(peer);
        if !link.hears_news(connection, now) {
            self.counters.news_refused.add(1);
            return;
        }
        link.seen(clock::wall_ms());
        self.counters.news_in.add(1);
        let host = self.host();
        // What a peer says must not end what is heard of it.
        if catch_unwind(AssertUnwindSafe(|| host.told(peer, news))).is_err() {
            error!(%peer, "the host panicked over a peer's news");
        }
    }
}
