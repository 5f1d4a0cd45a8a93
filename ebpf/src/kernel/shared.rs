//! A map of the kernel in our own memory: reads and writes need no system call, hence no privilege once it is there.

use std::{
    io,
    ops::Deref,
    os::fd::{AsFd, AsRawFd},
    ptr::{self, NonNull},
    slice,
};

use super::layout::{PeerStats, Standing};
use crate::policy::PEERS_MAX;

/// An array map with a place for every number of a peer, shared with the kernel.
pub(crate) struct Shared<T: Cell> {
    start: NonNull<T>,
}

/// What a place of a shared map holds.
///
/// # Safety
///
/// Only atomic fields, laid out as in `bpf/maps.h`, without padding: the kernel reads and writes them at any time.
pub(crate) unsafe trait Cell: Send + Sync {}

// SAFETY: all fields are atomic and the layout is that of `struct standing` (`layout.rs` checks the size).
unsafe impl Cell for Standing {}
// SAFETY: all fields are atomic and the layout is that of `struct peer_stats` (`layout.rs` checks the size).
unsafe impl Cell for PeerStats {}

impl<T: Cell> Shared<T> {
    /// Maps the array `map`, which must have `PEERS_MAX` places of `T` and BPF_F_MMAPABLE.
    pub(crate) fn map(map: impl AsFd) -> io::Result<Shared<T>> {
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of ours; the kernel refuses a
        // length beyond the map's, and the pages live as long as the mapping even when the descriptor is closed.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes::<T>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_fd().as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at address zero"))?;
        Ok(Shared { start })
    }
}

impl<T: Cell> Deref for Shared<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the mapping holds PEERS_MAX places of T, is page-aligned, zeroed at first and lives as long as self;
        // all access to a T is atomic (`Cell`), so that the kernel may write it meanwhile.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), PEERS_MAX) }
    }
}

impl<T: Cell> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `map` with this length, and no reference outlives self.
        unsafe { libc::munmap(self.start.as_ptr().cast(), bytes::<T>()) };
    }
}

// SAFETY: the mapping belongs to the process, not to a thread, and T is Send + Sync.
unsafe impl<T: Cell> Send for Shared<T> {}
// SAFETY: as above; shared access goes through the atomics of T.
unsafe impl<T: Cell> Sync for Shared<T> {}

const fn bytes<T>() -> usize {
    PEERS_MAX * size_of::<T>()
}
