//! Forwards queries: picks upstreams, tries again, counts who waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use rand::Rng;
use tokio::time::Instant;

use super::error::ExchangeError;
use super::message::{is_nodata, response};
use super::metrics::ForwardMetrics;
use super::policy::Policy;
use super::stream::Counted;
use super::upstream::Upstream;
use crate::chain::Next;
use crate::error::ServeError;
use crate::plugin::Plugin;
use crate::query::{Query, Transport};
use crate::response::Response;

/// The directive.
pub const NAME: &str = "forward";

/// What a `forward` directive says, apart from its upstreams.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names below these are forwarded.
    pub from: Vec<Name>,
    /// Names below these are not.
    pub except: Vec<Name>,
    /// TCP for every query.
    pub force_tcp: bool,
    /// UDP for queries that came over a stream, too.
    pub prefer_udp: bool,
    /// Failed probes that make an upstream count as down; 0: none.
    pub max_fails: u32,
    /// In which order upstreams are asked.
    pub policy: Policy,
    /// How many queries may wait for upstreams; 0: any number.
    pub max_concurrent: usize,
    /// How long one upstream may take.
    pub read_timeout: Duration,
    /// How many exchanges one query may cost.
    pub attempts_max: usize,
    /// Answers that make us ask the next upstream.
    pub failover: Vec<ResponseCode>,
    /// Answers that make us ask the next `forward` of the block.
    pub next: Vec<ResponseCode>,
    /// Whether NODATA makes us ask the next `forward`, too.
    pub next_on_nodata: bool,
    /// Whether no upstream is asked when all are down.
    pub failfast: bool,
}

/// One `forward` directive.
pub struct Forward {
    settings: Settings,
    upstreams: Vec<Arc<Upstream>>,
    metrics: ForwardMetrics,
    waiting: AtomicUsize,
    turn: AtomicUsize,
}

impl Forward {
    /// Forwards to `upstreams`, of which there is at least one.
    pub fn new(settings: Settings, upstreams: Vec<Arc<Upstream>>, metrics: ForwardMetrics) -> Forward {
        assert!(!upstreams.is_empty(), "setup reads at least one");
        Forward { settings, upstreams, metrics, waiting: AtomicUsize::new(0), turn: AtomicUsize::new(0) }
    }

    fn is_ours(&self, name: &Name) -> bool {
        let any = |zones: &[Name]| zones.iter().any(|zone| zone.zone_of(name));
        any(&self.settings.from) && !any(&self.settings.except)
    }

    /// Asks upstreams in turn until one answers, attempts are used up or the query's deadline comes.
    async fn ask(&self, query: &Query) -> Result<Response, ServeError> {
        let settings = &self.settings;
        let by_stream = settings.force_tcp
            || (!settings.prefer_udp
                && !matches!(query.client.transport, Transport::Udp | Transport::Internal));
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let order = settings.policy.order(self.upstreams.len(), turn, &mut rand::rng());
        let mut candidates = Candidates { forward: self, order, at: 0, skipped: 0 };
        let deadline = Instant::from_std(query.deadline);
        let mut last_answer = None;
        let mut last_error = None;
        let mut answered = 0;
        for _ in 0..settings.attempts_max {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let Some(upstream) = candidates.pick() else {
                return Err(ServeError::Upstream("all upstreams are down".to_owned()));
            };
            match upstream.ask(query, by_stream, left.min(settings.read_timeout)).await {
                Ok(message) => {
                    let answer = response(query, message, NAME);
                    answered += 1;
                    if !settings.failover.contains(&answer.rcode) || answered >= self.upstreams.len() {
                        return Ok(answer);
                    }
                    last_answer = Some(answer);
                }
                Err(error) => {
                    upstream.suspect();
                    last_error = Some((upstream, error));
                }
            }
        }
        last_answer.ok_or_else(|| failure(last_error, query))
    }
}

/// Why there is no answer: what the last upstream did, or that there was no time to ask one.
fn failure(last: Option<(&Arc<Upstream>, ExchangeError)>, query: &Query) -> ServeError {
    match last {
        Some((upstream, error)) => ServeError::Upstream(format!("upstream {upstream}: {error}")),
        None => ServeError::TimedOut(query.deadline.saturating_duration_since(query.received)),
    }
}

/// Upstreams in the order of the policy, again and again, those that are down left out.
struct Candidates<'f> {
    forward: &'f Forward,
    order: Vec<usize>,
    at: usize,
    /// How many in a row were down.
    skipped: usize,
}

impl<'f> Candidates<'f> {
    /// The next upstream. When all are down, any: being asked is how they come back, unless `failfast`.
    fn pick(&mut self) -> Option<&'f Arc<Upstream>> {
        let upstreams = &self.forward.upstreams;
        while self.skipped < upstreams.len() {
            let upstream = &upstreams[self.order[self.at % self.order.len()]];
            self.at += 1;
            if !upstream.is_down(self.forward.settings.max_fails) {
                self.skipped = 0;
                return Some(upstream);
            }
            self.skipped += 1;
        }
        self.skipped = 0;
        self.forward.metrics.all_down.inc();
        if self.forward.settings.failfast {
            return None;
        }
        Some(&upstreams[rand::rng().random_range(0..upstreams.len())])
    }
}

#[async_trait]
impl Plugin for Forward {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        if !self.is_ours(&query.name) {
            return next.serve(query).await;
        }
        if matches!(query.qtype, RecordType::AXFR | RecordType::IXFR) {
            return Err(ServeError::Refused("zone transfers are not forwarded".to_owned()));
        }
        let counted = Counted::new(&self.waiting);
        let limit = self.settings.max_concurrent;
        if limit > 0 && self.waiting.load(Ordering::Relaxed) > limit {
            self.metrics.rejected.inc();
            return Err(ServeError::Refused(format!("more than {limit} queries wait for upstreams")));
        }
        let answer = self.ask(query).await?;
        drop(counted);
        let goes_on = self.settings.next.contains(&answer.rcode)
            || (self.settings.next_on_nodata && is_nodata(&answer));
        // Only another `forward` may know better.
        if goes_on && next.rest().names().first() == Some(&NAME) {
            return match next.serve(query).await {
                Err(ServeError::NoPlugin) => Ok(answer),
                further => further,
            };
        }
        Ok(answer)
    }

    fn stop(&self) {
        self.upstreams.iter().for_each(|upstream| upstream.stop());
    }
}
