//! What the cache counts. Each block's counters are looked up once, so that a hit adds to an atomic and no more.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::lifetime::Kind;
use super::store::Tally;
use crate::metrics::Metrics;

type Labels = Vec<(&'static str, String)>;

/// The counters of one block's cache.
#[derive(Clone)]
pub struct Counters {
    /// Queries that came to the cache.
    pub requests: Counter,
    /// Queries that had to be looked up.
    pub misses: Counter,
    /// Misses that waited for a lookup under way.
    pub coalesced: Counter,
    /// Lookups before the time of a popular answer was over.
    pub prefetch: Counter,
    /// Answers served after their time.
    pub served_stale: Counter,
    hits_success: Counter,
    hits_denial: Counter,
    /// What is kept of records.
    pub success: Tally,
    /// What is kept of denials and failures.
    pub denial: Tally,
}

impl Counters {
    /// The counters of the cache for `zones`.
    pub fn new(metrics: &Metrics, zones: &str) -> Counters {
        let counter = |name, help| {
            let family: Family<Labels, Counter> = metrics.metric(name, help, Family::default);
            move |kind: Option<&str>| {
                let kind = kind.map(|kind| ("type", kind.to_string()));
                family.get_or_create_owned(&[("zones", zones.to_string())].into_iter().chain(kind).collect())
            }
        };
        let entries: Family<Labels, Gauge> =
            metrics.metric("quorate_cache_entries", "Answers kept now", Family::default);
        let evictions = counter("quorate_cache_evictions", "Answers that had to make room");
        let hits = counter("quorate_cache_hits", "Queries answered from the cache");
        let tally = |kind: &str| Tally {
            entries: entries.get_or_create_owned(&vec![("zones", zones.into()), ("type", kind.into())]),
            evictions: evictions(Some(kind)),
        };
        Counters {
            requests: counter("quorate_cache_requests", "Queries that came to the cache")(None),
            misses: counter("quorate_cache_misses", "Queries that had to be looked up")(None),
            coalesced: counter("quorate_cache_coalesced", "Misses that waited for a lookup under way")(None),
            prefetch: counter("quorate_cache_prefetch", "Lookups before an answer's time was over")(None),
            served_stale: counter("quorate_cache_served_stale", "Answers served after their time")(None),
            hits_success: hits(Some("success")),
            hits_denial: hits(Some("denial")),
            success: tally("success"),
            denial: tally("denial"),
        }
    }

    /// The hits on answers of `kind`; failures count as denials, as in CoreDNS.
    pub fn hits(&self, kind: Kind) -> &Counter {
        match kind {
            Kind::Success => &self.hits_success,
            Kind::Denial | Kind::Failure => &self.hits_denial,
        }
    }
}
