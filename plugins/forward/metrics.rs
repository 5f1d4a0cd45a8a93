//! What `forward` counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::metrics::Metrics;

/// An upstream.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct To {
    /// Its address, with `tls://` before it if it is asked over TLS.
    pub to: String,
}

/// An upstream and a result.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct ToRcode {
    /// As in `To`.
    pub to: String,
    /// The number of the rcode, or `error`.
    pub rcode: String,
}

/// An upstream and how it is reached.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct ToProtocol {
    /// As in `To`.
    pub to: String,
    /// `tcp` or `tls`.
    pub proto: String,
}

/// A histogram for each label set.
type Durations = Family<ToRcode, Histogram, fn() -> Histogram>;

/// The counters of all `forward` plugins of the program.
#[derive(Clone, Debug)]
pub struct ForwardMetrics {
    /// Exchanges with an upstream, failed ones included.
    pub requests: Family<To, Counter>,
    /// How long exchanges took.
    pub durations: Durations,
    /// Probes without a reply.
    pub probe_failures: Family<To, Counter>,
    /// Queries that found every upstream down.
    pub all_down: Counter,
    /// Queries refused because of `max_concurrent`.
    pub rejected: Counter,
    /// Queries that went over a connection that was open.
    pub reused: Family<ToProtocol, Counter>,
    /// Queries that had to open one.
    pub dialed: Family<ToProtocol, Counter>,
}

impl ForwardMetrics {
    /// The counters, registered in `metrics`.
    pub fn new(metrics: &Metrics) -> ForwardMetrics {
        ForwardMetrics {
            requests: metrics.metric(
                "quorate_forward_requests",
                "Exchanges with an upstream",
                Family::default,
            ),
            durations: metrics.metric(
                "quorate_forward_request_duration_seconds",
                "Time until an upstream's reply",
                || Durations::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_25, 2.0, 16))),
            ),
            probe_failures: metrics.metric(
                "quorate_forward_healthcheck_failures",
                "Health checks of an upstream that failed",
                Family::default,
            ),
            all_down: metrics.metric(
                "quorate_forward_healthcheck_broken",
                "Queries that found all upstreams down",
                Counter::default,
            ),
            rejected: metrics.metric(
                "quorate_forward_max_concurrent_rejects",
                "Queries refused because too many waited for upstreams",
                Counter::default,
            ),
            reused: metrics.metric(
                "quorate_forward_conn_cache_hits",
                "Queries over an open connection",
                Family::default,
            ),
            dialed: metrics.metric(
                "quorate_forward_conn_cache_misses",
                "Queries that opened a connection",
                Family::default,
            ),
        }
    }
}
