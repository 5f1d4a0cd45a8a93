//! The plugin: what a network has had enough of is dropped, or told to come back over TCP.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::buckets::{Buckets, Taken};
use crate::chain::Next;
use crate::error::ServeError;
use crate::metrics::Metrics;
use crate::networks::{Networks, prefix};
use crate::plugin::{Glance, Plugin};
use crate::query::{Client, Query};
use crate::response::Response;
use crate::view::{FLAG_CD, FLAG_DO, FLAG_RD, QueryView};

/// What `ratelimit` was told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Replies a second to one network.
    pub rate: u32,
    /// Replies at once, when there were none before.
    pub burst: u32,
    /// One in so many replies that are too many is sent truncated; 0: none.
    pub slip: u32,
    /// Bits that the addresses of a network have in common, IPv4.
    pub v4_bits: u8,
    /// The same, IPv6.
    pub v6_bits: u8,
    /// Who is not limited.
    pub exempt: Networks,
    /// What the OPT record of a truncated reply announces.
    pub payload_max: u16,
}

/// Counters of one server block.
pub struct Counters {
    dropped: Counter,
    slipped: Counter,
    evictions: Counter,
}

type Labels = Vec<(&'static str, String)>;

impl Counters {
    /// The counters of the block for `zones`.
    pub fn new(metrics: &Metrics, zones: &str) -> Counters {
        let limited: Family<Labels, Counter> =
            metrics.metric("quorate_ratelimit_limited", "Queries that were too many", Family::default);
        let evictions: Family<Labels, Counter> =
            metrics.metric("quorate_ratelimit_evictions", "Networks that had to make room", Family::default);
        let limited = |action: &str| {
            limited.get_or_create_owned(&vec![("zones", zones.to_owned()), ("action", action.to_owned())])
        };
        Counters {
            dropped: limited("dropped"),
            slipped: limited("slipped"),
            evictions: evictions.get_or_create_owned(&vec![("zones", zones.to_owned())]),
        }
    }
}

/// `ratelimit`
pub struct RateLimit {
    config: Config,
    buckets: Buckets,
    counters: Counters,
    /// What times are counted from.
    since: Instant,
    /// Queries that were too many.
    limited: AtomicU32,
}

impl RateLimit {
    /// Full buckets at `since`.
    pub fn new(config: Config, counters: Counters, since: Instant) -> RateLimit {
        let buckets = Buckets::new(config.rate, config.burst, ahash::RandomState::new());
        RateLimit { config, buckets, counters, since, limited: AtomicU32::new(0) }
    }

    /// The network whose bucket pays for the client; `None` when nobody's does. Over a stream an address is proven.
    fn network(&self, client: &Client) -> Option<IpAddr> {
        let address = client.address.ip().to_canonical();
        let is_limited = client.transport.is_datagram() && !self.config.exempt.contains(address);
        is_limited.then(|| prefix(address, self.config.v4_bits, self.config.v6_bits))
    }

    fn time(&self, received: Instant) -> Duration {
        received.saturating_duration_since(self.since)
    }

    /// Takes a reply out of the bucket; whether there was one.
    fn take(&self, network: IpAddr, received: Instant) -> bool {
        let taken = self.buckets.take(network, self.time(received));
        if taken == Taken::Evicting {
            self.counters.evictions.inc();
        }
        taken != Taken::No
    }

    /// Whether a reply that is too many is sent truncated. Counts it either way.
    fn slips(&self) -> bool {
        let before = self.limited.fetch_add(1, Ordering::Relaxed);
        let slips = self.config.slip > 0 && before.is_multiple_of(self.config.slip);
        if slips {
            self.counters.slipped.inc()
        } else {
            self.counters.dropped.inc()
        };
        slips
    }
}

#[async_trait]
impl Plugin for RateLimit {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Only looks, for the query may come again on the long way: `glanced` pays for what was answered at a glance.
    fn glance(&self, query: &QueryView<'_>, reply: &mut Vec<u8>) -> Glance {
        let Some(network) = self.network(query.client) else { return Glance::Pass };
        if self.buckets.has_room(network, self.time(query.received)) {
            return Glance::Pass;
        }
        if self.slips() {
            write_truncated(query, self.config.payload_max, reply);
            return Glance::Answered;
        }
        Glance::Silent
    }

    fn glanced(&self, query: &QueryView<'_>, reply: &[u8], _elapsed: Duration) {
        if let Some(network) = self.network(query.client).filter(|_| !reply.is_empty()) {
            self.take(network, query.received);
        }
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let network = self.network(&query.client).filter(|_| !query.address_proven);
        if network.is_none_or(|network| self.take(network, query.received)) {
            return next.serve(query).await;
        }
        match self.slips() {
            true => Ok(Response { truncated: true, ..Response::new(ResponseCode::NoError, NAME) }),
            false => Err(ServeError::Dropped),
        }
    }
}

/// Writes the reply that says to come back over TCP: header, question and, if the query had one, OPT. It is not longer than the query.
fn write_truncated(query: &QueryView<'_>, payload_max: u16, reply: &mut Vec<u8>) {
    reply.clear();
    reply.extend_from_slice(&query.wire[..HEADER_BYTES + query.name.len() + TYPE_AND_CLASS_BYTES]);
    reply[2] = FLAG_QR | FLAG_TC | query.wire[2] & FLAG_RD;
    reply[3] = query.wire[3] & FLAG_CD;
    if query.edns.is_some() {
        let [high, low] = payload_max.to_be_bytes();
        let dnssec_ok = if query.dnssec_ok() { FLAG_DO } else { 0 };
        reply.extend_from_slice(&[0, 0, TYPE_OPT, high, low, 0, 0, dnssec_ok, 0, 0, 0]);
    }
}

/// The directive.
const NAME: &str = "ratelimit";
/// Length of a message's header.
const HEADER_BYTES: usize = 12;
/// What follows the name in a question.
const TYPE_AND_CLASS_BYTES: usize = 4;
const TYPE_OPT: u8 = 41;
const FLAG_QR: u8 = 0x80;
const FLAG_TC: u8 = 0x02;
