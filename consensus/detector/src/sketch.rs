//! Quantiles of a stream in constant space: a histogram of logarithmic buckets.
//!
//! Source: DDSketch, Masson, Rim & Lee 2019 (VLDB 12(12)) §2, with its relative accuracy of `ACCURACY`. Deviates: the buckets are a fixed store that
//! ends at [`LONGEST_MS`], and all counts are halved once there are [`SAMPLES_MAX`], so that the sketch follows what changes.

/// Values differ from the true quantile by at most this part of it.
pub const ACCURACY: f64 = 0.05;

/// Longer ones count as this, in milliseconds.
pub const LONGEST_MS: u64 = 120_000;

/// All counts are halved when there are so many.
pub const SAMPLES_MAX: u32 = 4096;

/// ceil(ln(LONGEST_MS) / ln(gamma)) + 1, gamma = (1 + ACCURACY) / (1 - ACCURACY); the first bucket is for less than a millisecond.
const BUCKETS: usize = 119;

/// Durations of a stream, in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sketch {
    counts: [u16; BUCKETS],
    total: u32,
}

/// The quantiles of a [`Sketch`].
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Quantiles {
    /// Half are shorter, in milliseconds.
    pub p50: f64,
    /// Nine in ten are shorter.
    pub p90: f64,
    /// 99 in a hundred are shorter.
    pub p99: f64,
    /// How many samples these are of; old ones fade.
    pub count: u32,
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch { counts: [0; BUCKETS], total: 0 }
    }
}

fn gamma() -> f64 {
    (1.0 + ACCURACY) / (1.0 - ACCURACY)
}

fn bucket_of(ms: u64) -> usize {
    match ms.min(LONGEST_MS) {
        0 => 0,
        ms => 1 + ((ms as f64).ln() / gamma().ln()).ceil() as usize,
    }
}

/// The value that stands for a bucket: within `ACCURACY` of every value in it.
fn value_of(bucket: usize) -> f64 {
    match bucket {
        0 => 0.0,
        bucket => 2.0 * gamma().powi(bucket as i32 - 1) / (gamma() + 1.0),
    }
}

impl Sketch {
    pub(crate) fn add(&mut self, ms: u64) {
        self.counts[bucket_of(ms)] += 1;
        self.total += 1;
        if self.total >= SAMPLES_MAX {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().map(|count| u32::from(*count)).sum();
        }
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let of = |quantile: f64| self.quantile(quantile);
        Quantiles { p50: of(0.5), p90: of(0.9), p99: of(0.99), count: self.total }
    }

    fn quantile(&self, quantile: f64) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        let rank = (quantile * f64::from(self.total - 1)).floor() as u32;
        let mut below = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            below += u32::from(*count);
            if below > rank {
                return value_of(bucket);
            }
        }
        value_of(BUCKETS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_the_accuracy_of_the_true_ones() {
        let mut sketch = Sketch::default();
        let mut values: Vec<u64> = (0..2000u64).map(|index| 1 + index * index % 70_001).collect();
        values.iter().for_each(|value| sketch.add(*value));
        values.sort_unstable();
        let quantiles = sketch.quantiles();
        for (found, part) in [(quantiles.p50, 0.5), (quantiles.p90, 0.9), (quantiles.p99, 0.99)] {
            let true_value = values[(part * 1999.0) as usize] as f64;
            assert!((found - true_value).abs() <= ACCURACY * true_value + 1e-9, "{found} for {true_value}");
        }
    }

    #[test]
    fn longest_and_shortest_have_buckets() {
        let mut sketch = Sketch::default();
        [0, 1, LONGEST_MS, u64::MAX].into_iter().for_each(|value| sketch.add(value));
        assert_eq!(bucket_of(u64::MAX), bucket_of(LONGEST_MS));
        assert!(bucket_of(u64::MAX) < BUCKETS);
        assert_eq!(sketch.quantiles().count, 4);
        assert_eq!(Sketch::default().quantiles(), Quantiles::default());
    }

    #[test]
    fn sketch_follows_what_changes() {
        let mut sketch = Sketch::default();
        (0..20_000).for_each(|_| sketch.add(10));
        (0..20_000).for_each(|_| sketch.add(1000));
        assert!(sketch.quantiles().p50 > 900.0);
        assert!(sketch.quantiles().count < SAMPLES_MAX);
    }
}
