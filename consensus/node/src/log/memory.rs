//! Segments in memory, for tests: every byte can be looked at and changed, and the disk can be told to fail.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::storage::Storage;

/// Segments that survive the log, as a disk survives a process. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct MemoryStorage {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
pub(crate) struct Disk {
    pub segments: BTreeMap<u64, Vec<u8>>,
    /// What the last removed segment held: the next new one starts with it, as a recycled file does.
    pub leftover: Option<Vec<u8>>,
    pub syncs: u64,
    pub fail_syncs: bool,
    pub fail_writes: bool,
    /// All writes since the last sync, to replay them in part.
    pub unsynced: Vec<(u64, u64, Vec<u8>)>,
}

impl MemoryStorage {
    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no test panics while it holds the disk")
    }

    /// A disk with these segments.
    pub(crate) fn with(segments: BTreeMap<u64, Vec<u8>>) -> MemoryStorage {
        let storage = MemoryStorage::default();
        storage.disk().segments = segments;
        storage
    }

    pub(crate) fn boxed(&self) -> Box<dyn Storage> {
        Box::new(self.clone())
    }
}

impl Storage for MemoryStorage {
    fn segments(&mut self) -> io::Result<Vec<u64>> {
        Ok(self.disk().segments.keys().copied().collect())
    }

    fn read(&mut self, segment: u64) -> io::Result<Vec<u8>> {
        self.disk().segments.get(&segment).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&mut self, segment: u64, bytes: u64, head: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        if disk.fail_writes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut content = disk.leftover.take().unwrap_or_default();
        content.resize(bytes as usize, 0);
        content[..head.len()].copy_from_slice(head);
        disk.segments.insert(segment, content);
        Ok(())
    }

    fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        if disk.fail_writes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let content = disk.segments.get_mut(&segment).ok_or(io::ErrorKind::NotFound)?;
        content[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
        disk.unsynced.push((segment, offset, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self, _segment: u64) -> io::Result<()> {
        let mut disk = self.disk();
        if disk.fail_syncs {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        disk.syncs += 1;
        disk.unsynced.clear();
        Ok(())
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        let mut disk = self.disk();
        disk.leftover = disk.segments.remove(&segment);
        Ok(())
    }

    fn name(&self, segment: u64) -> String {
        format!("log-{segment:016}")
    }
}
