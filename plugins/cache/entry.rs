//! A kept answer: its image, the response for the long way, how old it is, how often it was asked for.
//!
//! Time comes in as an argument. The counters are atomics, for many threads look at one entry; a lost count does no harm.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Record;

use super::image::{Image, Question, Shown};
use super::lifetime::{Admitted, Kind, records_mut};
use crate::error::{ExtendedError, code};
use crate::response::Response;

/// An answer that is kept.
#[derive(Debug)]
pub struct Entry {
    /// The answer as bytes.
    pub image: Image,
    /// What it says.
    pub kind: Kind,
    response: Response,
    stored: Instant,
    lifetime: Duration,
    /// How long it may be served when its lifetime is over.
    stale_window: Duration,
    /// Whether TTLs are shown as they were stored.
    keep_ttl: bool,
    hits: AtomicU32,
    /// Milliseconds from `stored` to the last hit.
    last_hit_ms: AtomicU32,
    /// Milliseconds from `stored` to the last attempt to refresh, plus one; 0 when there was none.
    refreshed_ms: AtomicU32,
}

/// Where an entry is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// Within its lifetime.
    Fresh(Shown),
    /// Past it, but within the window of stale answers.
    Stale(Shown),
    /// Of no use any more.
    Gone,
}

/// When a popular answer is looked up again before its time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefetch {
    /// How many times it was asked for, at least.
    pub hits: u32,
    /// A gap of this length between two queries starts the count anew.
    pub gap: Duration,
    /// How much of its lifetime is left, in per cent, at most.
    pub percent: u32,
}

/// What entries of one cache have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keeping {
    /// How long an answer may be served when its lifetime is over; zero when never.
    pub stale_window: Duration,
    /// Whether TTLs are shown as they were stored.
    pub keep_ttl: bool,
}

impl Entry {
    /// An entry for `response`, which came at `now`, or `None` when it cannot be encoded.
    pub fn new(
        mut response: Response,
        question: Question<'_>,
        admitted: Admitted,
        keeping: Keeping,
        now: Instant,
    ) -> Option<Entry> {
        let failed = admitted.kind == Kind::Failure;
        if failed {
            response.extended_errors.push(ExtendedError { code: code::CACHED_ERROR, text: String::new() });
        }
        response.origin = super::NAME;
        Some(Entry {
            image: Image::encode(&response, question)?,
            kind: admitted.kind,
            stored: now,
            lifetime: admitted.lifetime,
            stale_window: if failed { Duration::ZERO } else { keeping.stale_window },
            // a quorum signed until when: TTLs of its answers are never shown longer
            keep_ttl: keeping.keep_ttl && response.certificate.is_none(),
            response,
            hits: AtomicU32::new(0),
            last_hit_ms: AtomicU32::new(0),
            refreshed_ms: AtomicU32::new(0),
        })
    }

    /// Whether it says that an answer is held back.
    pub fn is_withheld(&self) -> bool {
        self.response.is_withheld()
    }

    /// Where the entry is in its life at `now`.
    pub fn age(&self, now: Instant) -> Age {
        let elapsed = now.saturating_duration_since(self.stored);
        if elapsed < self.lifetime {
            let age_s = if self.keep_ttl { 0 } else { u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX) };
            Age::Fresh(Shown::Aged(age_s))
        } else if elapsed < self.lifetime + self.stale_window {
            Age::Stale(Shown::Stale(match self.response.rcode {
                ResponseCode::NXDomain => code::STALE_NXDOMAIN,
                _ => code::STALE_ANSWER,
            }))
        } else {
            Age::Gone
        }
    }

    /// The answer for the long way, its TTLs as `shown`.
    pub fn response(&self, shown: Shown) -> Response {
        let mut response = self.response.clone();
        records_mut(&mut response).for_each(|record| record.ttl = shown.ttl(record.ttl));
        if let Shown::Stale(code) = shown {
            response.extended_errors.push(ExtendedError { code, text: String::new() });
        }
        response
    }

    /// Counts a hit at `now` for `prefetch`.
    pub fn hit(&self, now: Instant, prefetch: Option<Prefetch>) {
        if let Some(prefetch) = prefetch {
            let now_ms = self.since_stored(now);
            self.hits.store(self.hits_with(now_ms, prefetch), Ordering::Relaxed);
            self.last_hit_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Whether a hit at `now` makes a refresh due: it is popular, near its end, and not being refreshed.
    pub fn prefetch_due(&self, now: Instant, prefetch: Option<Prefetch>) -> bool {
        let Some(prefetch) = prefetch else {
            return false;
        };
        let now_ms = self.since_stored(now);
        let left = self.lifetime.saturating_sub(now.saturating_duration_since(self.stored));
        left < self.lifetime * prefetch.percent / 100
            && self.hits_with(now_ms, prefetch) >= prefetch.hits
            && self.refresh_due(now)
    }

    /// Whether the last attempt to refresh is long enough ago. RFC 8767 §5
    pub fn refresh_due(&self, now: Instant) -> bool {
        let last = self.refreshed_ms.load(Ordering::Relaxed);
        last == 0 || self.since_stored(now) >= (last - 1).saturating_add(REFRESH_PAUSE_MS)
    }

    /// Takes the right to refresh the entry at `now`; one of many askers gets it.
    pub fn begin_refresh(&self, now: Instant) -> bool {
        let last = self.refreshed_ms.load(Ordering::Relaxed);
        let begun = self.since_stored(now).saturating_add(1);
        self.refresh_due(now)
            && self.refreshed_ms.compare_exchange(last, begun, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes over how often `former` was asked for, which this entry replaces at `now`.
    pub fn inherit_hits(&self, former: &Entry, now: Instant, prefetch: Option<Prefetch>) {
        if let Some(prefetch) = prefetch {
            let hits = former.hits_with(former.since_stored(now), prefetch).saturating_sub(1);
            self.hits.store(hits, Ordering::Relaxed);
        }
    }

    /// How long the store keeps the entry.
    pub fn keep(&self) -> Duration {
        self.lifetime + self.stale_window
    }

    /// About how many bytes the entry takes in memory, beside its key.
    pub fn weight(&self) -> usize {
        let response = &self.response;
        let records = response.answers.len() + response.authorities.len() + response.additionals.len();
        let certificate = response
            .certificate
            .as_ref()
            .map_or(0, |certification| CERTIFICATE_COPIES * certification.bytes());
        ENTRY_BYTES + 2 * self.image.weight() + records * RECORD_BYTES + certificate
    }

    /// The count of hits if there is one more at `now_ms`.
    fn hits_with(&self, now_ms: u32, prefetch: Prefetch) -> u32 {
        let hits = self.hits.load(Ordering::Relaxed);
        let gap_ms = u128::from(now_ms.saturating_sub(self.last_hit_ms.load(Ordering::Relaxed)));
        if gap_ms > prefetch.gap.as_millis() { 1 } else { hits.saturating_add(1) }
    }

    fn since_stored(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.stored).as_millis()).unwrap_or(u32::MAX)
    }
}

/// Time between two attempts to refresh one entry. RFC 8767 §5: no more often than every 30 s.
const REFRESH_PAUSE_MS: u32 = 30_000;
/// An entry with the store's own nodes, measured at moka 0.12 as 560 bytes with a small value.
const ENTRY_BYTES: usize = 800;
/// A decoded record without what its data point to.
const RECORD_BYTES: usize = size_of::<Record>();
/// A certificate is kept decoded and encoded.
const CERTIFICATE_COPIES: usize = 2;
