//! A disk whose syncs wait until the test lets them go on.

use std::io;
use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::watch;

use crate::log::Storage;
use crate::log::memory::MemoryStorage;
use crate::testing::PATIENCE;

/// Clones share the gate.
#[derive(Clone)]
pub(super) struct Gate {
    storage: MemoryStorage,
    closed: Arc<(Mutex<bool>, Condvar)>,
    waits: watch::Sender<bool>,
}

impl Gate {
    pub(super) fn new(storage: MemoryStorage) -> Gate {
        Gate { storage, closed: Arc::default(), waits: watch::Sender::new(false) }
    }

    pub(super) fn close(&self) {
        *self.closed.0.lock().unwrap() = true;
    }

    pub(super) fn open(&self) {
        *self.closed.0.lock().unwrap() = false;
        self.closed.1.notify_all();
    }

    pub(super) async fn somebody_waits(&self) {
        let mut waits = self.waits.subscribe();
        let wait = waits.wait_for(|waits| *waits);
        tokio::time::timeout(PATIENCE, wait).await.expect("a sync comes").unwrap();
    }
}

impl Storage for Gate {
    fn segments(&mut self) -> io::Result<Vec<u64>> {
        self.storage.segments()
    }

    fn read(&mut self, segment: u64) -> io::Result<Vec<u8>> {
        self.storage.read(segment)
    }

    fn create(&mut self, segment: u64, bytes: u64, head: &[u8]) -> io::Result<()> {
        self.storage.create(segment, bytes, head)
    }

    fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.storage.write(segment, offset, bytes)
    }

    fn sync(&mut self, segment: u64) -> io::Result<()> {
        let mut closed = self.closed.0.lock().unwrap();
        while *closed {
            self.waits.send_replace(true);
            closed = self.closed.1.wait(closed).unwrap();
        }
        self.storage.sync(segment)
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        self.storage.remove(segment)
    }

    fn name(&self, segment: u64) -> String {
        self.storage.name(segment)
    }
}
