//! One connection: the exchange of Hellos, then framed messages, one stream each way for consensus, one for bulk, one for news.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use certificate::Cluster;
use certificate::ReplicaId;
use certificate::codec::{DecodeError, Encode};
use pbft::Message;
use quinn::{Connection, ReadExactError, RecvStream, SendStream};
use thiserror::Error;
use tokio::sync::mpsc;

use super::CloseCode;
use super::hello::{Hello, HelloError};
use super::news::{NEWS_RULES, QUEUED_NEWS_MAX};
use crate::frame::{FrameError, FrameRules, LENGTH_BYTES};

/// Messages to one peer, of one class, that may wait to be sent.
pub const QUEUE_MESSAGES_MAX: usize = 4096;

/// Bytes of frames to one peer that may wait to be sent.
pub const QUEUE_BYTES_MAX: usize = 8 << 20;

/// Answers to one peer are dropped, before they are encoded, while so many bytes of its bulk stream wait.
pub const QUEUED_ANSWER_BYTES_MAX: usize = 2 << 20;

/// A peer has so long to say Hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);

/// Frames that are handed to QUIC at once.
const WRITE_FRAMES_MAX: usize = 64;

/// A Hello is far shorter than a message may be.
pub(crate) const HELLO_RULES: FrameRules = FrameRules { message_bytes_max: 256, compression: false };

/// Which stream a message takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Class {
    Consensus = 0,
    Bulk = 1,
    /// What the hosts tell each other; no message of `pbft`.
    News = 2,
}

impl Class {
    /// A `Status` ends the answer to a `Fetch`: it goes behind the slots, so that whoever asked does not take it for an answer
    /// without any. Nothing urgent hangs on it: it says how far a replica is, and is said again.
    pub(crate) fn of(message: &Message) -> Class {
        match message {
            Message::Slot(_)
            | Message::StableCheckpoint(_)
            | Message::Status(_)
            | Message::Answer { .. }
            | Message::Batch { .. } => Class::Bulk,
            Message::Resolve { .. }
            | Message::Observe(_)
            | Message::PrePrepare(_)
            | Message::Prepare(_)
            | Message::Commit(_)
            | Message::Checkpoint(_)
            | Message::ViewChange(_)
            | Message::NewView(_)
            | Message::Fetch { .. }
            | Message::FetchBatch { .. }
            | Message::FetchViewChange { .. }
            | Message::FetchState { .. } => Class::Consensus,
        }
    }
}

/// The bounds of each class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClassRules {
    pub consensus: FrameRules,
    pub bulk: FrameRules,
}

impl ClassRules {
    /// `message-size` of the cluster file bounds consensus, but for the view changes of a large cluster. Parts of a state and decided
    /// slots have bounds of their own.
    pub(crate) fn new(cluster: &Cluster, compression: bool) -> ClassRules {
        let message_size = cluster.message_size as usize;
        let view_change = pbft::view_change_bytes_max(cluster.replicas.quorum(), cluster.pipeline.into());
        let bulk = message_size.max(pbft::MESSAGE_BYTES_MAX);
        ClassRules {
            consensus: FrameRules { message_bytes_max: message_size.max(view_change), compression },
            bulk: FrameRules { message_bytes_max: bulk, compression },
        }
    }

    pub(crate) fn of(&self, class: Class) -> FrameRules {
        match class {
            Class::Consensus => self.consensus,
            Class::Bulk => self.bulk,
            Class::News => NEWS_RULES,
        }
    }
}

/// Why a connection does not go on.
#[derive(Debug, Error)]
pub(crate) enum LinkError {
    #[error(transparent)]
    Hello(#[from] HelloError),
    #[error("{}", printable(.0))]
    Connection(#[from] quinn::ConnectionError),
    #[error("stream ended: {0}")]
    Read(#[from] ReadExactError),
    #[error("stream ended: {0}")]
    Write(#[from] quinn::WriteError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("message cannot be read: {0}")]
    Message(#[from] DecodeError),
    #[error("expected stream {expected:?}, got stream {found}")]
    Stream { expected: Class, found: u8 },
    #[error("no answer to a handshake within 3 s")]
    NoHandshake,
    #[error("own transport key cannot be used")]
    OwnKey,
    #[error("{0}")]
    Dial(#[from] quinn::ConnectError),
    #[error("no Hello within {} s", HELLO_TIMEOUT.as_secs())]
    NoHello,
}

impl LinkError {
    /// Whether the peer keeps another connection instead.
    pub(crate) fn is_duplicate(&self) -> bool {
        matches!(self, LinkError::Connection(closed) if CloseCode::Duplicate.is_of(closed))
    }

    /// Whether an operator must act: one of the two ends has refused the other's Hello.
    pub(crate) fn is_misconfiguration(&self) -> bool {
        match self {
            LinkError::Hello(_) => true,
            LinkError::Connection(closed) => CloseCode::Refused.is_of(closed),
            _ => false,
        }
    }

    /// Whether the peer has shut this replica out.
    pub(crate) fn is_quarantine(&self) -> bool {
        matches!(self, LinkError::Connection(closed) if CloseCode::Quarantined.is_of(closed))
    }

    /// Whether the peer sent what no replica sends.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self, LinkError::Frame(_) | LinkError::Message(_) | LinkError::Stream { .. })
    }
}

/// The text of a peer's close reason is the peer's: what would garble a log is escaped.
fn printable(closed: &quinn::ConnectionError) -> String {
    let mut text = String::new();
    for character in closed.to_string().chars() {
        match character.is_control() {
            true => text.extend(character.escape_default()),
            false => text.push(character),
        }
    }
    text
}

/// A connection whose two ends have said Hello and mean the same cluster.
pub(crate) struct Greeted {
    pub connection: Connection,
    pub peer: ReplicaId,
    pub hello: Hello,
    pub send: SendStream,
    pub receive: RecvStream,
}

/// Says Hello and judges that of `peer`, whose key the handshake has proven.
pub(crate) async fn greet(
    connection: &Connection,
    peer: ReplicaId,
    hello: &Hello,
) -> Result<Greeted, LinkError> {
    let exchange = async {
        let mut send = open(connection, Class::Consensus).await?;
        send.write_chunk(HELLO_RULES.encode(&hello.to_bytes())?).await?;
        let mut receive = accept(connection, Class::Consensus).await?;
        let theirs = Hello::read(&read_frame(&mut receive, HELLO_RULES).await?)?;
        hello.judge(&theirs, peer)?;
        Ok(Greeted { connection: connection.clone(), peer, hello: theirs, send, receive })
    };
    let exchanged = tokio::time::timeout(HELLO_TIMEOUT, exchange).await.unwrap_or(Err(LinkError::NoHello));
    exchanged.map_err(|reason| match (reason, connection.close_reason()) {
        // The peer has judged first: what it says is the reason, not that a stream broke off.
        (LinkError::Read(_) | LinkError::Write(_), Some(closed)) => LinkError::Connection(closed),
        (reason, _) => reason,
    })
}

/// Opens our stream of a class.
pub(crate) async fn open(connection: &Connection, class: Class) -> Result<SendStream, LinkError> {
    let mut send = connection.open_uni().await?;
    let priority = match class {
        Class::Consensus => 1,
        Class::Bulk => 0,
        Class::News => -1,
    };
    // Fails only on a closed stream, which the write reports.
    let _ = send.set_priority(priority);
    send.write_all(&[class as u8]).await?;
    Ok(send)
}

/// Accepts the peer's stream of a class. Streams come in the order in which they are opened.
pub(crate) async fn accept(connection: &Connection, expected: Class) -> Result<RecvStream, LinkError> {
    let mut receive = connection.accept_uni().await?;
    let mut class = [0];
    receive.read_exact(&mut class).await?;
    if class[0] != expected as u8 {
        return Err(LinkError::Stream { expected, found: class[0] });
    }
    Ok(receive)
}

/// Reads one frame and takes its message out.
pub(crate) async fn read_frame(receive: &mut RecvStream, rules: FrameRules) -> Result<Bytes, LinkError> {
    let mut length = [0; LENGTH_BYTES];
    receive.read_exact(&mut length).await?;
    let mut frame = vec![0; rules.length(length)?];
    receive.read_exact(&mut frame).await?;
    Ok(rules.decode(frame.into())?)
}

/// Where frames for one connection wait. Never blocks: what does not fit is refused.
#[derive(Clone, Debug)]
pub(crate) struct SendQueue {
    /// By class.
    frames: [mpsc::Sender<Bytes>; 3],
    /// Of each class.
    bytes: [Arc<AtomicUsize>; 3],
}

/// The other end of a queue's class.
pub(crate) struct QueuedFrames {
    frames: mpsc::Receiver<Bytes>,
    bytes: Arc<AtomicUsize>,
}

impl SendQueue {
    /// A queue and what is taken from it, by class.
    pub(crate) fn new() -> (SendQueue, [QueuedFrames; 3]) {
        let (consensus, consensus_frames) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let (bulk, bulk_frames) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let (news, news_frames) = mpsc::channel(QUEUED_NEWS_MAX);
        let bytes: [Arc<AtomicUsize>; 3] = Default::default();
        let queued = |frames, class: Class| QueuedFrames { frames, bytes: bytes[class as usize].clone() };
        let taken = [
            queued(consensus_frames, Class::Consensus),
            queued(bulk_frames, Class::Bulk),
            queued(news_frames, Class::News),
        ];
        (SendQueue { frames: [consensus, bulk, news], bytes }, taken)
    }

    /// Queues a frame; says whether there was room. Called by one thread at a time. News has room of its own.
    pub(crate) fn push(&self, class: Class, frame: Bytes) -> bool {
        let length = frame.len();
        if class != Class::News && self.queued_bytes() + length > QUEUE_BYTES_MAX {
            return false;
        }
        // Counted first: what is taken out at once is subtracted at once.
        let bytes = &self.bytes[class as usize];
        bytes.fetch_add(length, Ordering::Relaxed);
        let pushed = self.frames[class as usize].try_send(frame).is_ok();
        if !pushed {
            bytes.fetch_sub(length, Ordering::Relaxed);
        }
        pushed
    }

    /// Bytes of consensus and bulk that wait.
    pub(crate) fn queued_bytes(&self) -> usize {
        [Class::Consensus, Class::Bulk]
            .map(|class| self.bytes[class as usize].load(Ordering::Relaxed))
            .iter()
            .sum()
    }

    /// Whether answers may be added.
    pub(crate) fn takes_answers(&self) -> bool {
        self.bytes[Class::Bulk as usize].load(Ordering::Relaxed) < QUEUED_ANSWER_BYTES_MAX
    }
}

impl QueuedFrames {
    /// Writes frames as they come until the queue or the stream ends.
    pub(crate) async fn write_to(mut self, mut send: SendStream) -> Result<(), LinkError> {
        let mut frames = Vec::with_capacity(WRITE_FRAMES_MAX);
        while self.frames.recv_many(&mut frames, WRITE_FRAMES_MAX).await > 0 {
            let length: usize = frames.iter().map(Bytes::len).sum();
            send.write_all_chunks(&mut frames).await?;
            self.bytes.fetch_sub(length, Ordering::Relaxed);
            frames.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_reason_of_a_peer_cannot_garble_a_log() {
        let close = quinn::ApplicationClose {
            error_code: quinn::VarInt::from(CloseCode::Failed as u8),
            reason: Bytes::from_static(b"disk\nWARN all is lost\x1b[2J \xe2\x80\x94 \xff"),
        };
        let text = LinkError::Connection(quinn::ConnectionError::ApplicationClosed(close)).to_string();
        assert!(text.contains("disk\\nWARN all is lost\\u{1b}[2J \u{2014} \u{fffd}"), "{text}");
        assert!(!text.contains(char::is_control), "{text}");
    }

    #[test]
    fn news_that_waits_takes_no_room_from_messages() {
        let (queue, _frames) = SendQueue::new();
        let piece = Bytes::from(vec![0; crate::transport::NEWS_BYTES_MAX]);
        let queued = (0..1000).filter(|_| queue.push(Class::News, piece.clone())).count();
        assert_eq!((queued, queue.queued_bytes()), (QUEUED_NEWS_MAX, 0));
        assert!(queue.push(Class::Consensus, piece));
    }
}
