//! How long the replicas take to agree, lookups not included, and how much they agree on at once: metrics, and figures of the last slots.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use node::Round;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::metrics::Series;

/// Figures are of so many slots, the last ones.
pub const ROUNDS_MAX: usize = 256;

/// Questions whose times are remembered.
const QUESTIONS_MAX: usize = 1024;

/// What is measured of each slot.
#[derive(Clone)]
pub struct RoundMetrics {
    agreement: Histogram,
    ordering: Histogram,
    entries: Histogram,
    bytes: Histogram,
    recent: Arc<Mutex<Recent>>,
}

#[derive(Default)]
struct Recent {
    agreement: VecDeque<Duration>,
    ordering: VecDeque<Duration>,
    /// Entries and bytes.
    sizes: VecDeque<(usize, usize)>,
}

/// The last slots in figures. What is of nothing is `None`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RoundFigures {
    /// Of how many slots.
    pub slots: usize,
    /// From the proposal to the decision.
    pub agreement: Option<Spread>,
    /// From the observations of a quorum to the decision.
    pub ordering: Option<Spread>,
    /// Mean count of operations in a slot.
    pub entries: Option<f64>,
    /// Mean length of a slot.
    pub bytes: Option<f64>,
}

/// Half of the times are at most `p50`, and so on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// The median.
    pub p50: Duration,
    /// Nine of ten.
    pub p90: Duration,
    /// Ninety-nine of a hundred.
    pub p99: Duration,
}

impl RoundMetrics {
    /// The series of one cluster.
    pub(super) fn new(series: &Series<'_>) -> RoundMetrics {
        let times = || Histogram::new(exponential_buckets(0.0005, 2.0, 14));
        RoundMetrics {
            agreement: series.histogram(
                "quorate_consensus_agreement_seconds",
                "From the primary's proposal of a slot to its decision, on disk here",
                times,
            ),
            ordering: series.histogram(
                "quorate_consensus_ordering_seconds",
                "From the observations of q replicas of a question to its decision: the wait for a batch and a place in the pipeline, and the agreement",
                times,
            ),
            entries: series.histogram(
                "quorate_consensus_slot_entries",
                "Operations in a slot that was decided",
                || Histogram::new([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]),
            ),
            bytes: series.histogram(
                "quorate_consensus_slot_bytes",
                "Length of a slot that was decided: operations and signed observations",
                || Histogram::new(exponential_buckets(256.0, 2.0, 10)),
            ),
            recent: Arc::default(),
        }
    }

    /// A slot was decided. One that decides nothing fills a gap in a new view, and says nothing of how well the cluster works.
    pub fn take(&self, round: &Round) {
        if round.entries == 0 {
            return;
        }
        self.entries.observe(round.entries as f64);
        self.bytes.observe(round.bytes as f64);
        round.agreement.iter().for_each(|time| self.agreement.observe(time.as_secs_f64()));
        round.since_quorum.iter().for_each(|time| self.ordering.observe(time.as_secs_f64()));
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        keep(&mut recent.sizes, [(round.entries, round.bytes)], ROUNDS_MAX);
        keep(&mut recent.agreement, round.agreement, ROUNDS_MAX);
        keep(&mut recent.ordering, round.since_quorum.iter().copied(), QUESTIONS_MAX);
    }

    /// The last slots in figures.
    pub fn figures(&self) -> RoundFigures {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = recent.sizes.len();
        let mean = |sum: usize| (slots > 0).then(|| sum as f64 / slots as f64);
        RoundFigures {
            slots,
            agreement: spread(&recent.agreement),
            ordering: spread(&recent.ordering),
            entries: mean(recent.sizes.iter().map(|(entries, _)| entries).sum()),
            bytes: mean(recent.sizes.iter().map(|(_, bytes)| bytes).sum()),
        }
    }
}

fn keep<T>(kept: &mut VecDeque<T>, more: impl IntoIterator<Item = T>, most: usize) {
    kept.extend(more);
    while kept.len() > most {
        kept.pop_front();
    }
}

fn spread(times: &VecDeque<Duration>) -> Option<Spread> {
    let mut times: Vec<Duration> = times.iter().copied().collect();
    times.sort_unstable();
    // The nearest rank: a time that was measured, never one between two.
    let rank = |percent: usize| times.get((times.len() * percent).div_ceil(100).checked_sub(1)?).copied();
    Some(Spread { p50: rank(50)?, p90: rank(90)?, p99: rank(99)? })
}
