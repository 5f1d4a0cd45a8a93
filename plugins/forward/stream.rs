//! A connection over TCP or TLS: many queries at once, replies in any order, closed when nobody asks any more. RFC 7766 §6.2.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::error::ExchangeError;
use super::message::{Judgement, Outgoing};

/// How many queries may wait for a reply on one connection.
pub const IN_FLIGHT_MAX: usize = 128;

/// How many queries may wait to be sent on one connection.
const WAITING_MAX: usize = 32;

/// A connection that leaves queries without a reply and sends nothing for so long is given up.
const STALL: Duration = Duration::from_secs(4);

/// What a connection runs on.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// A handle of an open connection. It closes when all are dropped, when the upstream closes it, or when nobody asked for a while.
#[derive(Clone)]
pub struct Connection {
    asks: mpsc::Sender<Ask>,
    in_flight: Arc<AtomicUsize>,
}

struct Ask {
    outgoing: Outgoing,
    reply: oneshot::Sender<Vec<u8>>,
}

impl Connection {
    /// Runs a connection on `stream`, closed after `expire` without a query.
    pub fn open(stream: Box<dyn Stream>, expire: Duration) -> Connection {
        let (asks, waiting) = mpsc::channel(WAITING_MAX);
        let (reader, writer) = tokio::io::split(stream);
        let driver = Driver {
            reader,
            writer,
            waiting,
            expire,
            pending: HashMap::new(),
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            active: Instant::now(),
        };
        tokio::spawn(driver.run());
        Connection { asks, in_flight: Arc::default() }
    }

    /// Whether a query may be sent.
    pub fn is_open(&self) -> bool {
        !self.asks.is_closed()
    }

    /// How many queries wait for a reply.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Sends `outgoing` and waits for the reply, without end: the caller sets the time.
    ///
    /// Errors: the connection closed before the reply came.
    pub async fn ask(&self, outgoing: Outgoing) -> Result<Vec<u8>, ExchangeError> {
        let _counted = Counted::new(&self.in_flight);
        let (reply, replied) = oneshot::channel();
        self.asks.send(Ask { outgoing, reply }).await.map_err(|_| ExchangeError::Closed)?;
        replied.await.map_err(|_| ExchangeError::Closed)
    }
}

/// Counts as long as it lives.
pub struct Counted<'c>(&'c AtomicUsize);

impl<'c> Counted<'c> {
    /// One more.
    pub fn new(counter: &'c AtomicUsize) -> Counted<'c> {
        counter.fetch_add(1, Ordering::Relaxed);
        Counted(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Driver {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    waiting: mpsc::Receiver<Ask>,
    expire: Duration,
    /// Queries that wait for a reply, by id.
    pending: HashMap<u16, Ask>,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// When the upstream last sent something, or was first asked again.
    active: Instant,
}

impl Driver {
    /// Serves the connection to its end. Queries without a reply learn of it as their channel closes.
    async fn run(mut self) {
        let mut unflushed = false;
        loop {
            let patience = if self.pending.is_empty() { self.expire } else { STALL };
            let turn: io::Result<()> = tokio::select! {
                ask = self.waiting.recv(), if self.pending.len() < IN_FLIGHT_MAX => match ask {
                    Some(ask) => {
                        self.take(ask);
                        Ok(())
                    }
                    None => return,
                },
                read = self.reader.read_buf(&mut self.incoming) => match read {
                    Ok(0) => return,
                    Ok(_) => {
                        self.active = Instant::now();
                        self.hand_out();
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                written = push(&mut self.writer, &mut self.outgoing, &mut unflushed),
                    if unflushed || !self.outgoing.is_empty() => written,
                () = tokio::time::sleep_until(self.active + patience) => return,
            };
            if turn.is_err() {
                return;
            }
        }
    }

    /// Gives `ask` an id that is free, and queues it to be written.
    fn take(&mut self, ask: Ask) {
        // Who gave up waiting leaves room. An id of theirs is not used again before its late reply could be mistaken: the question
        // is compared, too.
        self.pending.retain(|_, ask| !ask.reply.is_closed());
        if self.pending.is_empty() {
            self.active = Instant::now();
        }
        let mut id: u16 = rand::random();
        while self.pending.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        let message = ask.outgoing.with_id(id);
        self.outgoing.extend_from_slice(&(message.len() as u16).to_be_bytes());
        self.outgoing.extend_from_slice(&message);
        self.pending.insert(id, ask);
    }

    /// Hands whole messages to those who wait for them. RFC 1035 §4.2.2: two bytes of length before each.
    fn hand_out(&mut self) {
        while let [high, low, rest @ ..] = &self.incoming[..] {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(message) = rest.get(..length) else { return };
            if let [high, low, ..] = message {
                let id = u16::from_be_bytes([*high, *low]);
                let is_reply = self.pending.get(&id).is_some_and(|ask| {
                    // Over a stream nobody else can speak: other case and a missing question are the upstream's own.
                    ask.outgoing.judge(id, message) != Judgement::Foreign
                });
                if is_reply && let Some(ask) = self.pending.remove(&id) {
                    let _ = ask.reply.send(message.to_vec());
                }
            }
            self.incoming.advance(2 + length);
        }
    }
}

/// Writes some of `bytes`, or flushes when there are none. Loses nothing when it is dropped half-way.
async fn push(
    writer: &mut WriteHalf<Box<dyn Stream>>,
    bytes: &mut BytesMut,
    unflushed: &mut bool,
) -> io::Result<()> {
    if bytes.is_empty() {
        writer.flush().await?;
        *unflushed = false;
    } else {
        writer.write_buf(bytes).await?;
        *unflushed = true;
    }
    Ok(())
}
