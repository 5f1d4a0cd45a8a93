//! What is counted: verdicts, the cache, inputs, and what background work met.

use std::collections::BTreeMap;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;

type Labels = Vec<(&'static str, String)>;

/// The counters of all `ct-verify` blocks.
#[derive(Clone)]
pub struct CtMetrics {
    verdicts: Family<Labels, Counter>,
    /// Certificates whose verdict was known.
    pub cache_hits: Counter,
    /// Certificates that had to be judged.
    pub cache_misses: Counter,
    operations: Family<Labels, Counter>,
    input_time: Family<Labels, Gauge>,
    events: Family<Labels, Gauge>,
}

impl CtMetrics {
    /// The counters in this registry.
    pub fn new(metrics: &Metrics) -> CtMetrics {
        CtMetrics {
            verdicts: metrics.metric(
                "quorate_ct_verdicts",
                "RRsets that carry certificates, by what came of judging them",
                Family::default,
            ),
            cache_hits: metrics.metric(
                "quorate_ct_verdict_cache_hits",
                "Certificates whose verdict was known",
                Counter::default,
            ),
            cache_misses: metrics.metric(
                "quorate_ct_verdict_cache_misses",
                "Certificates that had to be judged",
                Counter::default,
            ),
            operations: metrics.metric(
                "quorate_ct_statements",
                "Statements of this replica on certificates, probes and inputs for the cluster",
                Family::default,
            ),
            input_time: metrics.metric(
                "quorate_ct_input_timestamp_seconds",
                "When the log list in use was made, and when the cluster put each input in force",
                Family::default,
            ),
            events: metrics.metric(
                "quorate_ct_background_events",
                "What background work met since it was started, by code",
                Family::default,
            ),
        }
    }

    /// Counts what came of judging an RRset.
    pub fn verdict(&self, kind: &str, verdict: &str, mode: &str) {
        let labels =
            vec![("type", kind.to_owned()), ("verdict", verdict.to_owned()), ("mode", mode.to_owned())];
        self.verdicts.get_or_create(&labels).inc();
    }

    /// Counts a statement: `certificate`, `probe` or an input, and what was said.
    pub fn statement(&self, about: &'static str, said: &'static str) {
        let labels = vec![("about", about.to_owned()), ("said", said.to_owned())];
        self.operations.get_or_create(&labels).inc();
    }

    /// Notes a time that belongs to an input, in seconds since 1970.
    pub fn input_time(&self, input: &str, seconds: u64) {
        let labels = vec![("input", input.to_owned())];
        self.input_time.get_or_create(&labels).set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Notes how often each thing happened.
    pub fn background(&self, counts: &BTreeMap<&'static str, u64>) {
        for (code, count) in counts {
            let labels = vec![("code", (*code).to_owned())];
            self.events.get_or_create(&labels).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
    }
}
