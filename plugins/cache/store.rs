//! The kept answers: two bounded maps, so that a flood of names that do not exist pushes out no name that does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::notification::RemovalCause;
use moka::sync::Cache;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::entry::{Age, Entry};
use super::image::Shown;
use super::key::Key;
use super::lifetime::Kind;

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// Most answers with records.
    pub success: u64,
    /// Most denials and failures.
    pub denial: u64,
    /// Most bytes of both together.
    pub bytes: u64,
}

/// What one of the two maps tells of itself.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Entries kept now.
    pub entries: Gauge,
    /// Entries that had to make room.
    pub evictions: Counter,
}

/// Both maps.
pub struct Store {
    success: Half,
    denial: Half,
}

/// What the store has for a key.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// An answer within its lifetime.
    Fresh(Arc<Entry>, Shown),
    /// An answer past it that may still be served.
    Stale(Arc<Entry>, Shown),
    /// Nothing.
    Miss,
}

/// One map.
struct Half {
    entries: Cache<Box<[u8]>, Arc<Entry>, ahash::RandomState>,
    /// What this map added to the gauge, which other maps share.
    count: Arc<AtomicI64>,
    tally: Tally,
}

impl Store {
    /// An empty store.
    pub fn new(capacity: Capacity, success: Tally, denial: Tally) -> Store {
        let success_bytes = capacity.bytes / 4 * 3;
        Store {
            success: Half::new(success_bytes, capacity.success, success),
            denial: Half::new(capacity.bytes - success_bytes, capacity.denial, denial),
        }
    }

    /// What there is for `key` at `now`. A failure hides no answer that may still be served.
    pub fn find(&self, key: &Key, now: Instant) -> Lookup {
        let success = self.success.find(key, now);
        if let Lookup::Fresh(..) = success {
            return success;
        }
        match (success, self.denial.find(key, now)) {
            (Lookup::Stale(entry, shown), Lookup::Fresh(other, _)) if other.kind == Kind::Failure => {
                Lookup::Stale(entry, shown)
            }
            (Lookup::Stale(entry, shown), Lookup::Stale(..) | Lookup::Miss) => Lookup::Stale(entry, shown),
            (_, denial) => denial,
        }
    }

    /// Keeps `entry`. It replaces what there is for `key`; but a failure replaces no answer that may still be served at `now`, unless it holds an answer
    /// back.
    pub fn keep(&self, key: &Key, entry: Arc<Entry>, now: Instant) {
        match entry.kind {
            Kind::Success => {
                self.success.insert(key, entry);
                self.denial.remove(key);
            }
            Kind::Denial => {
                self.denial.insert(key, entry);
                self.success.remove(key);
            }
            Kind::Failure if entry.is_withheld() => {
                self.denial.insert(key, entry);
                self.success.remove(key);
            }
            Kind::Failure => match self.find(key, now) {
                Lookup::Fresh(known, _) | Lookup::Stale(known, _) if known.kind != Kind::Failure => {}
                _ => self.denial.insert(key, entry),
            },
        }
    }

    /// Does the housekeeping that is due, so that less of it falls to those who ask.
    pub fn tidy(&self) {
        self.success.entries.run_pending_tasks();
        self.denial.entries.run_pending_tasks();
    }

    /// How many entries there are. Exact after `tidy`.
    pub fn count(&self) -> u64 {
        self.success.entries.entry_count() + self.denial.entries.entry_count()
    }
}

impl Half {
    fn new(bytes: u64, entries_max: u64, tally: Tally) -> Half {
        // Of an entry that weighs at least `bytes / entries_max`, at most `entries_max` fit `bytes`: one bound holds both.
        let least = u32::try_from(bytes.div_ceil(entries_max.max(1))).unwrap_or(u32::MAX);
        let count = Arc::new(AtomicI64::new(0));
        let (counted, listened) = (count.clone(), tally.clone());
        let entries = Cache::<Box<[u8]>, Arc<Entry>>::builder()
            .max_capacity(bytes)
            .weigher(move |key, entry| weight(key.as_ref(), entry).max(least))
            .expire_after(KeepTime)
            .eviction_listener(move |_, _, cause| {
                counted.fetch_sub(1, Ordering::Relaxed);
                listened.entries.dec();
                if cause == RemovalCause::Size {
                    listened.evictions.inc();
                }
            })
            .build_with_hasher(ahash::RandomState::new());
        Half { entries, count, tally }
    }

    fn find(&self, key: &Key, now: Instant) -> Lookup {
        let Some(entry) = self.entries.get(key.as_bytes()) else {
            return Lookup::Miss;
        };
        match entry.age(now) {
            Age::Fresh(shown) => Lookup::Fresh(entry, shown),
            Age::Stale(shown) => Lookup::Stale(entry, shown),
            Age::Gone => Lookup::Miss,
        }
    }

    fn insert(&self, key: &Key, entry: Arc<Entry>) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.tally.entries.inc();
        self.entries.insert(key.as_bytes().into(), entry);
    }

    fn remove(&self, key: &Key) {
        self.entries.invalidate(key.as_bytes());
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        self.tally.entries.dec_by(self.count.load(Ordering::Relaxed));
    }
}

/// About how many bytes an entry takes in memory.
fn weight(key: &[u8], entry: &Arc<Entry>) -> u32 {
    u32::try_from(key.len() + entry.weight()).unwrap_or(u32::MAX)
}

/// Lets moka drop what is of no use any more. Whether an entry is fresh is not asked of it.
struct KeepTime;

impl Expiry<Box<[u8]>, Arc<Entry>> for KeepTime {
    fn expire_after_create(&self, _: &Box<[u8]>, entry: &Arc<Entry>, _: Instant) -> Option<Duration> {
        Some(entry.keep())
    }

    fn expire_after_update(
        &self,
        _: &Box<[u8]>,
        entry: &Arc<Entry>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.keep())
    }
}
