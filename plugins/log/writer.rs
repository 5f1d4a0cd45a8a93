//! The thread that writes lines. Queries put records into a bounded queue and never wait for it.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use prometheus_client::metrics::counter::Counter;

use super::format::Format;
use super::record::Record;

/// A line to write.
pub struct Job {
    /// What it tells of.
    pub record: Record,
    /// How it looks.
    pub format: Arc<Format>,
}

/// The way to the thread. Without it, records are dropped and counted.
pub struct Writer {
    queue: ArcSwapOption<SyncSender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    dropped: Counter,
}

impl Writer {
    /// A writer whose thread does not run yet.
    pub fn new(dropped: Counter) -> Writer {
        Writer { queue: ArcSwapOption::empty(), thread: Mutex::new(None), dropped }
    }

    /// Starts the thread, which writes to `out`.
    ///
    /// Errors: the system has no thread left.
    pub fn start(&self, out: impl Write + Send + 'static) -> std::io::Result<()> {
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let thread =
            std::thread::Builder::new().name("query-log".into()).spawn(move || run(&receiver, out))?;
        self.queue.store(Some(Arc::new(sender)));
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Puts `job` into the queue, or drops and counts it when the queue is full.
    pub fn put(&self, job: Job) {
        let queue = self.queue.load();
        if queue.as_ref().is_none_or(|queue| queue.try_send(job).is_err()) {
            self.dropped.inc();
        }
    }

    /// Lets the thread write what is in the queue and end. Leaves it alone when it takes longer than `STOP_WAIT`, as when nobody
    /// reads what it writes.
    pub fn stop(&self) {
        self.queue.store(None);
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let until = Instant::now() + STOP_WAIT;
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Writes until all senders are gone; what does not reach `out` is lost, since there is nowhere to say so.
fn run(queue: &Receiver<Job>, mut out: impl Write) {
    let mut lines = Vec::new();
    while let Ok(first) = queue.recv() {
        // what came meanwhile goes out with it
        for job in std::iter::once(first).chain(queue.try_iter()) {
            lines.extend_from_slice(job.format.line(&job.record).as_bytes());
            if lines.len() >= WRITE_BYTES_MAX {
                break;
            }
        }
        let _ = out.write_all(&lines).and_then(|()| out.flush());
        lines.clear();
    }
}

/// Records that wait for the thread.
pub const QUEUE_MAX: usize = 8192;
/// Bytes that one write takes, about.
const WRITE_BYTES_MAX: usize = 64 * 1024;
/// How long the end of the program waits for the last lines.
const STOP_WAIT: Duration = Duration::from_secs(1);
