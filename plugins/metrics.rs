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

    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &inner.registry).expect("writing to a String does not fail");
        text
    }
}
