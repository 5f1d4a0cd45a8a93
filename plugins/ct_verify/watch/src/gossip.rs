//! Heads of logs, told by replica to replica: what makes a log that shows two trees show them to one reader.
//!
//! Nothing is believed because of who tells it: a head counts by the log's signature, checked with the key of the log list.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use transparency::digest::{LogId, Sha256};

use crate::context::{Context, aside};
use crate::logs::{LogWatcher, SignedHead};

/// What one replica tells another.
#[derive(Debug, Serialize, Deserialize)]
struct NewsJson {
    ct_heads: Vec<HeadJson>,
}

#[derive(Debug, Serialize, Deserialize)]
struct HeadJson {
    /// The log's identity, in base64.
    log: String,
    /// The answer of get-sth, or the checkpoint.
    head: String,
}

/// Tells and hears heads.
pub struct Gossip {
    context: Arc<Context>,
    logs: Arc<LogWatcher>,
    heard: mpsc::Sender<Bytes>,
    rounds: AtomicU64,
}

impl Gossip {
    /// A gossip, and the task that works off what is heard.
    pub(crate) fn new(
        context: Arc<Context>,
        logs: Arc<LogWatcher>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (heard, queue) = mpsc::channel(HEARD_MAX);
        let worker = work_off(context.clone(), logs.clone(), queue);
        (Gossip { context, logs, heard, rounds: AtomicU64::new(0) }, worker)
    }

    /// The newest head of each log that is watched, and the heads of what has been proven; each message at most
    /// [`NEWS_BYTES_MAX`] bytes, at most [`NEWS_MESSAGES_MAX`] at a time, the others when it is asked next.
    pub fn news(&self) -> Vec<Bytes> {
        let heads = self.logs.watched().into_iter().filter_map(|watched| {
            let latest = watched.latest()?;
            Some((watched.log.key.id(), latest.text))
        });
        let proofs = self.logs.evidence().all().into_values();
        let proven = proofs.flat_map(|proof| proof.heads.map(|head| (proof.log, head)));
        let messages = pack(heads.chain(proven));
        if messages.len() <= NEWS_MESSAGES_MAX {
            return messages;
        }
        let round = self.rounds.fetch_add(1, Ordering::Relaxed);
        let first = usize::try_from(round).unwrap_or(0).wrapping_mul(NEWS_MESSAGES_MAX) % messages.len();
        messages.iter().cycle().skip(first).take(NEWS_MESSAGES_MAX).cloned().collect()
    }

    /// Hears news. Returns at once: it is read by a task, or dropped when too much is waiting.
    pub fn told(&self, news: &[u8]) {
        let fits = news.len() <= NEWS_BYTES_MAX;
        if !fits || self.heard.try_send(Bytes::copy_from_slice(news)).is_err() {
            self.context.events.count("news_dropped");
        }
    }
}

async fn work_off(context: Arc<Context>, logs: Arc<LogWatcher>, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(news) = queue.recv().await {
        let (context, logs) = (context.clone(), logs.clone());
        aside(move || hear(&context, &logs, &news)).await;
    }
}

/// The heads of a message: of which log each is said to be, `None` when that is no log's identity, and its text. At most
/// [`HEADS_OF_A_MESSAGE_MAX`] of them. `None` when the bytes are no message. Nothing is verified yet.
pub fn heads_of(news: &[u8]) -> Option<Vec<(Option<LogId>, String)>> {
    let NewsJson { ct_heads } = serde_json::from_slice(news).ok()?;
    let heads = ct_heads.into_iter().take(HEADS_OF_A_MESSAGE_MAX);
    Some(heads.map(|HeadJson { log, head }| (Sha256::from_base64(&log).map(LogId), head)).collect())
}

/// Takes the heads of a message in.
fn hear(context: &Context, logs: &LogWatcher, news: &[u8]) {
    let Some(heads) = heads_of(news) else {
        context.events.count("news_refused");
        return;
    };
    for (log, head) in heads {
        // Of another log list than ours, perhaps: no fault.
        let Some(watched) = log.and_then(|id| logs.log(&id)) else {
            context.events.count("news_of_unknown_logs");
            continue;
        };
        match SignedHead::verify(&watched.log, head.as_bytes(), context.now()) {
            Ok(head) => {
                context.events.count("news_heads");
                watched.told(head);
            }
            Err(_) => context.events.count("news_refused"),
        }
    }
}

/// As few messages as these heads take; a head that is too long for one is left out.
fn pack(heads: impl Iterator<Item = (LogId, Arc<str>)>) -> Vec<Bytes> {
    let (mut messages, mut open, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (log, head) in heads {
        let head = HeadJson { log: log.0.base64(), head: head.to_string() };
        let length = serde_json::to_vec(&head).map_or(usize::MAX, |json| json.len() + 1);
        if NEWS_BYTES_MAX - FRAME_BYTES < length {
            continue;
        }
        if NEWS_BYTES_MAX - FRAME_BYTES < bytes + length || open.len() == HEADS_OF_A_MESSAGE_MAX {
            messages.push(message(std::mem::take(&mut open)));
            bytes = 0;
        }
        bytes += length;
        open.push(head);
    }
    if !open.is_empty() {
        messages.push(message(open));
    }
    messages
}

fn message(ct_heads: Vec<HeadJson>) -> Bytes {
    serde_json::to_vec(&NewsJson { ct_heads }).expect("texts alone").into()
}

/// How long a message may be.
pub const NEWS_BYTES_MAX: usize = 16 << 10;
/// How many messages are told at a time.
pub const NEWS_MESSAGES_MAX: usize = 4;
/// How many messages wait to be read.
const HEARD_MAX: usize = 64;
/// How many heads of one message are looked at; each costs a signature check.
pub const HEADS_OF_A_MESSAGE_MAX: usize = 64;
/// What a message has beside its heads.
const FRAME_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_short_and_hold_all_heads() {
        let log = LogId(Sha256::of(b"log"));
        let heads = (0..300).map(|number| (log, Arc::from("x".repeat(number))));
        let messages = pack(heads);
        assert!(messages.iter().all(|message| message.len() <= NEWS_BYTES_MAX));
        let read = |message: &Bytes| serde_json::from_slice::<NewsJson>(message).unwrap().ct_heads.len();
        assert_eq!(messages.iter().map(read).sum::<usize>(), 300);
    }

    #[test]
    fn of_a_message_with_too_many_heads_the_first_are_looked_at() {
        let one = || HeadJson { log: "none".to_owned(), head: "head".to_owned() };
        let news = message((0..=HEADS_OF_A_MESSAGE_MAX).map(|_| one()).collect());
        assert_eq!(heads_of(&news).unwrap(), vec![(None, "head".to_owned()); HEADS_OF_A_MESSAGE_MAX]);
        assert!(heads_of(b"nonsense").is_none());
    }

    #[test]
    fn head_that_is_too_long_is_left_out() {
        let log = LogId(Sha256::of(b"log"));
        let heads = [(log, Arc::from("x".repeat(NEWS_BYTES_MAX))), (log, Arc::from("short"))];
        assert_eq!(pack(heads.into_iter()).len(), 1);
    }
}
