//! Where frames for one connection wait until it takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use quinn::SendStream;
use tokio::sync::mpsc;

use super::class::Class;
use super::link_error::LinkError;

/// Messages to one peer, of one class, that may wait to be sent.
pub const QUEUE_MESSAGES_MAX: usize = 4096;

/// Bytes of frames to one peer that may wait to be sent.
pub const QUEUE_BYTES_MAX: usize = 8 << 20;

/// Answers to one peer are dropped, before they are encoded, while so many bytes of its bulk stream wait.
pub const QUEUED_ANSWER_BYTES_MAX: usize = 2 << 20;

/// Pieces of news to one peer that may wait to be sent; what is more is lost.
pub const QUEUED_NEWS_MAX: usize = 64;

/// Frames that are handed to QUIC at once.
const WRITE_FRAMES_MAX: usize = 64;

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
    use super::super::class::NEWS_BYTES_MAX;
    use super::*;

    #[test]
    fn news_that_waits_takes_no_room_from_messages() {
        let (queue, _frames) = SendQueue::new();
        let piece = Bytes::from(vec![0; NEWS_BYTES_MAX]);
        let queued = (0..1000).filter(|_| queue.push(Class::News, piece.clone())).count();
        assert_eq!((queued, queue.queued_bytes()), (QUEUED_NEWS_MAX, 0));
        assert!(queue.push(Class::Consensus, piece));
    }
}
