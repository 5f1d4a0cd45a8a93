//! Fetching content: whom to ask, when to ask the next one, and answering those who ask us.
//!
//! At most f replicas are faulty, so among the f+1 that are asked at once one is honest: whoever trickles holds up nobody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use certificate::{Digest, ReplicaId};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;

use super::allowance::{ANSWER_WINDOW, FETCH_STREAMS_MAX};
use super::content::{self, CONTENT_BYTES_MAX, CONTENT_PIECE_BYTES, ContentError, PIECE_TIMEOUT, Question};
use super::link_error::{CloseCode, LinkError};
use super::peers::{Peers, Shared};

/// When nobody has given the content for so long, one more peer is asked.
const HEDGE_AFTER: Duration = Duration::from_millis(500);

/// An answer may take so long as a whole.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

impl Peers {
    /// The content with this digest from whoever gives it first.
    pub(crate) async fn fetch(&self, digest: &Digest, bytes_max: usize, deadline: Duration) -> Option<Bytes> {
        timeout(deadline, self.shared().fetch(*digest, bytes_max.min(CONTENT_BYTES_MAX))).await.ok()?
    }
}

impl Shared {
    async fn fetch(self: &Arc<Shared>, digest: Digest, bytes_max: usize) -> Option<Bytes> {
        let _permit = self.fetches.acquire().await.ok()?;
        let bytes_max = u32::try_from(bytes_max).expect("`CONTENT_BYTES_MAX` is far below 4 GiB");
        let question = Question { digest, bytes_max };
        let at_once = self.cluster.replicas.weak_quorum();
        let mut peers = self.order(&digest).into_iter();
        let mut attempts = JoinSet::new();
        loop {
            if attempts.len() < at_once {
                match peers.find_map(|peer| Some((peer, self.link(peer).connection()?))) {
                    Some((peer, connection)) => {
                        attempts.spawn(self.clone().attempt(peer, connection, question));
                    }
                    None if attempts.is_empty() => return None,
                    None => {}
                }
            }
            // Whoever has nothing, or something else, makes room for the next at once.
            if let Ok(Some(Ok(Some(content)))) = timeout(HEDGE_AFTER, attempts.join_next()).await {
                return Some(content);
            }
        }
    }

    /// The peers in the order in which they are asked for this content: another one first for other content.
    fn order(&self, digest: &Digest) -> Vec<ReplicaId> {
        let mut peers: Vec<ReplicaId> = self.cluster.replicas.ids().filter(|peer| *peer != self.me).collect();
        let first = usize::from(digest.0[0]) % peers.len().max(1);
        peers.rotate_left(first);
        peers
    }

    async fn attempt(
        self: Arc<Shared>,
        peer: ReplicaId,
        connection: Connection,
        question: Question,
    ) -> Option<Bytes> {
        let reason = match content::ask(&connection, question).await {
            Ok(content) => {
                let bytes = content.as_ref().map_or(0, Bytes::len);
                self.counters.bytes_in.add(bytes as u64);
                self.counters.content_in.add(u64::from(content.is_some()));
                return content;
            }
            Err(reason) => reason,
        };
        debug!(%peer, digest = %question.digest, %reason, "peer did not give the content that it was asked for");
        match &reason {
            ContentError::Link(unreadable) if unreadable.is_unreadable() => {
                self.counters.refused_frames.add(1);
                CloseCode::Unreadable.close(&connection, &unreadable.to_string());
            }
            ContentError::TooLong { .. } | ContentError::OtherDigest { .. } => {
                self.counters.content_refused.add(1);
            }
            ContentError::Link(_) | ContentError::Late => {}
        }
        None
    }

    /// Answers a peer's fetches until the connection ends. It may fetch from here on.
    pub(super) async fn serve(
        self: &Arc<Shared>,
        connection: &Connection,
        peer: ReplicaId,
    ) -> Result<(), LinkError> {
        connection.set_max_concurrent_bi_streams(VarInt::from(FETCH_STREAMS_MAX));
        let mut answers = JoinSet::new();
        loop {
            tokio::select! {
                stream = connection.accept_bi() => {
                    let (send, receive) = stream?;
                    answers.spawn(self.clone().answer(connection.clone(), peer, send, receive));
                }
                Some(answered) = answers.join_next() => match answered {
                    Ok(Err(reason)) if reason.is_unreadable() => return Err(reason),
                    // The peer has given it up, or its time is over.
                    Ok(_) | Err(_) => {}
                },
            }
        }
    }

    async fn answer(
        self: Arc<Shared>,
        connection: Connection,
        peer: ReplicaId,
        mut send: SendStream,
        mut receive: RecvStream,
    ) -> Result<(), LinkError> {
        let answer = async {
            let Ok(question) = timeout(PIECE_TIMEOUT, content::read_question(&mut receive)).await else {
                return Ok(());
            };
            let question = question?;
            if !self.link(peer).takes_fetch(&connection, Instant::now()) {
                self.counters.fetches_refused.add(1);
                // Fails only on a closed stream.
                let _ = send.reset(VarInt::from(0_u8));
                return Ok(());
            }
            let content = self.content(question).await;
            content::begin(&mut send, content.as_ref()).await?;
            match content {
                Some(content) => self.hand_out(peer, content, &mut send, &mut receive).await,
                None => Ok(()),
            }
        };
        timeout(ANSWER_TIMEOUT, answer).await.unwrap_or(Ok(()))
    }

    /// What the host has, if it is not too long. A host may read a file: not on a thread that moves messages.
    async fn content(&self, question: Question) -> Option<Bytes> {
        let host = self.host();
        let content = tokio::task::spawn_blocking(move || host.content(&question.digest)).await.ok()??;
        let bytes_max = CONTENT_BYTES_MAX.min(question.bytes_max as usize);
        (content.len() <= bytes_max).then_some(content)
    }

    async fn hand_out(
        &self,
        peer: ReplicaId,
        mut content: Bytes,
        send: &mut SendStream,
        receive: &mut RecvStream,
    ) -> Result<(), LinkError> {
        while !content.is_empty() {
            let Ok(wanted) = timeout(PIECE_TIMEOUT, content::is_wanted(receive)).await else {
                return Ok(());
            };
            if !wanted? {
                return Ok(());
            }
            let piece = content.split_to(content.len().min(CONTENT_PIECE_BYTES));
            while !self.link(peer).takes_content(Instant::now(), piece.len()) {
                tokio::time::sleep(ANSWER_WINDOW / 4).await;
            }
            self.counters.bytes_out.add(piece.len() as u64);
            send.write_chunk(piece).await?;
        }
        self.counters.content_out.add(1);
        Ok(())
    }
}
