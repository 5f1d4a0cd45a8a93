//! Counters and histograms by name, shared by all blocks, kept across reloads.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::{Metric, Registry};

/// Every metric of the program. Asking twice for a name gives the same metric.
#[derive(Default)]
pub struct Metrics {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    registry: Registry,
    by_name: BTreeMap<&'static str, Box<dyn Any + Send>>,
}

impl Metrics {
    /// No metric yet.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// The metric `name`, made by `make` when it is asked for the first time.
    ///
    /// Panics: when one name is asked for with two types, which is a mistake in this program.
    pub fn metric<M: Metric + Clone + Send>(
        &self,
        name: &'static str,
        help: &'static str,
        make: impl FnOnce() -> M,
    ) -> M {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inner.by_name.get(name) {
            return known.downcast_ref::<M>().expect("each name is used with one type").clone();
        }
        let metric = make();
        inner.registry.register(name, help, metric.clone());
        inner.by_name.insert(name, Box::new(metric.clone()));
        metric
    }

    /// All metrics in the OpenMetrics text format, the series of each in the order of their labels: two texts can be compared line by line.
    pub fn encode(&self) -> String {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &inner.registry).expect("writing to a String does not fail");
        in_order(&text)
    }
}

/// Puts the series between two comments in order. The lines of one histogram stay as they are: `le` is no number to a comparison of texts.
fn in_order(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for series in lines.chunk_by_mut(|one, next| one.starts_with('#') == next.starts_with('#')) {
        series.sort_by_cached_key(|line| series_of(line));
    }
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

/// The labels of a line that tell its series from others of the metric; of a comment nothing, so that comments stay where they are.
fn series_of(line: &str) -> Vec<&str> {
    if line.starts_with('#') {
        return Vec::new();
    }
    let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
    labels
        .map_or("", |(labels, _)| labels)
        .split(',')
        .filter(|label| !label.is_empty() && !label.starts_with("le=\""))
        .collect()
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::histogram::Histogram;

    use super::*;

    #[test]
    fn series_are_in_the_order_of_their_labels() {
        let metrics = Metrics::new();
        let counters = metrics.metric("things", "Things", Family::<Vec<(String, String)>, Counter>::default);
        for id in (0..100).rev() {
            counters.get_or_create(&vec![("id".to_owned(), format!("{id:02}"))]).inc();
        }
        let text = metrics.encode();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("things_total")).collect();
        assert_eq!(lines.len(), 100);
        assert!(lines.is_sorted(), "{text}");
        assert!(
            text.starts_with("# HELP things Things.\n# TYPE things counter\n") && text.ends_with("# EOF\n"),
            "{text}"
        );
    }

    #[test]
    fn buckets_of_a_histogram_stay_in_the_order_of_their_bounds() {
        let metrics = Metrics::new();
        let make = || {
            Family::<Vec<(String, String)>, Histogram>::new_with_constructor(|| Histogram::new([2.0, 10.0]))
        };
        let histograms: Family<Vec<(String, String)>, Histogram, _> = metrics.metric("times", "Times", make);
        for id in ["b", "a"] {
            histograms.get_or_create(&vec![("id".to_owned(), id.to_owned())]).observe(3.0);
        }
        let text = metrics.encode();
        let values: Vec<&str> = text.lines().filter(|line| line.contains("id=\"a\"")).collect();
        let bounds: Vec<&str> =
            values.iter().filter_map(|line| line.split("le=\"").nth(1)?.split('"').next()).collect();
        assert_eq!(bounds, ["2.0", "10.0", "+Inf"], "{text}");
        assert!(text.find("id=\"a\"").unwrap() < text.find("id=\"b\"").unwrap(), "{text}");
    }
}
