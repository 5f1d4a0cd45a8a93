//! A histogram of durations that is filled without a lock: the library's own takes one for each value.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Durations in buckets of doubling width, from `FIRST` on.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    buckets: [AtomicU64; BUCKETS + 1],
    sum_ns: AtomicU64,
}

impl Durations {
    /// Adds a duration.
    pub fn observe(&self, duration: Duration) {
        let bucket = (0..BUCKETS).find(|&bucket| duration <= FIRST * (1 << bucket)).unwrap_or(BUCKETS);
        self.inner.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let duration_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.inner.sum_ns.fetch_add(duration_ns, Ordering::Relaxed);
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bound = |bucket: usize| match bucket {
            BUCKETS => f64::INFINITY,
            bucket => (FIRST * (1 << bucket)).as_secs_f64(),
        };
        let counts = self.inner.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> =
            counts.enumerate().map(|(bucket, count)| (bound(bucket), count)).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.inner.sum_ns.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

/// Bound of the first bucket: a hit in the cache.
const FIRST: Duration = Duration::from_micros(16);
/// Buckets with a bound; the last one's is 8.4 s.
const BUCKETS: usize = 20;
