//! What `hosts` counts.

use std::path::Path;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;

/// A hosts file.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct HostsFile {
    /// Its path.
    pub hostsfile: String,
}

/// The gauges of all `hosts` plugins of the program.
#[derive(Clone, Debug)]
pub struct HostsMetrics {
    entries: Family<HostsFile, Gauge>,
    read_at: Family<HostsFile, Gauge>,
}

impl HostsMetrics {
    /// The gauges, registered in `metrics`.
    pub fn new(metrics: &Metrics) -> HostsMetrics {
        HostsMetrics {
            entries: metrics.metric("quorate_hosts_entries", "Pairs of name and address", Family::default),
            read_at: metrics.metric(
                "quorate_hosts_reload_timestamp_seconds",
                "When the file was last read",
                Family::default,
            ),
        }
    }

    /// Notes that `file` was read at `timestamp`, in seconds since 1970, with the Corefile's own lines.
    pub fn read(&self, file: &Path, entries: usize, timestamp: u64) {
        let label = HostsFile { hostsfile: file.display().to_string() };
        self.entries.get_or_create(&label).set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.read_at.get_or_create(&label).set(i64::try_from(timestamp).unwrap_or(i64::MAX));
    }
}
