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
        self.verdicts.get_or_create(&verdict_labels(kind, verdict, mode)).inc();
    }

    /// How many RRsets came to which verdict since the start.
    pub fn verdict_counts(&self) -> BTreeMap<&'static str, u64> {
        let of = |verdict: &'static str| {
            let each = TYPES.iter().flat_map(|kind| MODES.iter().map(move |mode| (*kind, *mode)));
            let labels = each.map(|(kind, mode)| verdict_labels(kind, verdict, mode));
            let count = labels.filter_map(|labels| Some(self.verdicts.get(&labels)?.get())).sum();
            (verdict, count)
        };
        VERDICTS.into_iter().map(of).collect()
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

fn verdict_labels(kind: &str, verdict: &str, mode: &str) -> Labels {
    vec![("type", kind.to_owned()), ("verdict", verdict.to_owned()), ("mode", mode.to_owned())]
}

const TYPES: [&str; 3] = ["CERT", "TLSA", "SMIMEA"];
const VERDICTS: [&str; 3] = ["valid", "invalid", "indeterminate"];
const MODES: [&str; 2] = ["flag", "enforce"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_counted_over_all_types_and_modes() {
        let metrics = CtMetrics::new(&Metrics::default());
        metrics.verdict("CERT", "valid", "flag");
        metrics.verdict("TLSA", "valid", "enforce");
        metrics.verdict("SMIMEA", "invalid", "enforce");
        assert_eq!(metrics.verdict_counts(), [("valid", 2), ("invalid", 1), ("indeterminate", 0)].into());
    }
}
