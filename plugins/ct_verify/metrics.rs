//! What is counted at queries and operations: verdicts, the cache, statements. Numbers of background work are in `numbers.rs`.

use std::collections::BTreeMap;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

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
