//! The plugin: hit, stale answer, or a lookup that equal questions share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use tokio::task::AbortHandle;

use super::NAME;
use super::entry::{Entry, Keeping, Prefetch};
use super::flights::{Boarding, Flights, Landing, Takeoff, Waiting};
use super::image::{Question, Shown};
use super::key::Key;
use super::lifetime::{Kind, Lifetimes};
use super::metrics::Counters;
use super::store::{Capacity, Lookup, Store};
use crate::chain::{Next, Rest};
use crate::error::{ServeError, StartError};
use crate::plugin::{Glance, Plugin};
use crate::query::{Query, Transport};
use crate::response::Response;
use crate::view::QueryView;
use crate::zones::Zones;

/// What `cache` was told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names outside these are none of its business.
    pub zones: Zones,
    /// How long answers are kept.
    pub lifetimes: Lifetimes,
    /// How many are kept.
    pub capacity: Capacity,
    /// When popular answers are looked up ahead of time.
    pub prefetch: Option<Prefetch>,
    /// Stale answers and TTLs.
    pub keeping: Keeping,
    /// Whether a stale answer is served only when a lookup failed.
    pub verify: bool,
    /// Names whose records are not kept.
    pub success_disabled: Option<Zones>,
    /// Names whose denials and failures are not kept.
    pub denial_disabled: Option<Zones>,
    /// Longest reply over UDP.
    pub payload_max: u16,
}

/// `cache`
pub struct Cache {
    shared: Arc<Shared>,
    ticker: Mutex<Option<AbortHandle>>,
}

/// What lookups that outlive their query hold on to.
struct Shared {
    config: Config,
    store: Store,
    flights: Flights,
    counters: Counters,
}

impl Cache {
    /// An empty cache.
    pub fn new(config: Config, counters: Counters) -> Cache {
        let store = Store::new(config.capacity, counters.success.clone(), counters.denial.clone());
        let shared = Shared { config, store, flights: Flights::default(), counters };
        Cache { shared: Arc::new(shared), ticker: Mutex::new(None) }
    }
}

#[async_trait]
impl Plugin for Cache {
    fn name(&self) -> &'static str {
        NAME
    }

    fn glance(&self, query: &QueryView<'_>, reply: &mut Vec<u8>) -> Glance {
        let key = Key::of_view(query);
        if !self.shared.config.zones.cover_wire(key.name()) {
            return Glance::Pass;
        }
        // an option may ask for something beside the answer: a cookie, the certificate
        if query.edns.is_some_and(|edns| !edns.options.is_empty()) {
            return Glance::Ask;
        }
        self.shared.glance(&key, query, reply)
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let key = Key::of_query(query);
        let meta_type = (128..=255).contains(&u16::from(query.qtype));
        if meta_type || !self.shared.config.zones.cover_wire(key.name()) {
            return next.serve(query).await;
        }
        self.shared.counters.requests.inc();
        self.shared.serve(key, query, next).await
    }

    fn start(&self, _rest: Rest) -> Result<(), StartError> {
        let shared = self.shared.clone();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TIDY_PERIOD);
            loop {
                ticks.tick().await;
                shared.store.tidy();
            }
        });
        *self.ticker.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok(())
    }

    fn stop(&self) {
        if let Some(ticker) = self.ticker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            ticker.abort();
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Answers from the store, on the listener's thread, when nothing else is to be done.
    fn glance(&self, key: &Key, query: &QueryView<'_>, reply: &mut Vec<u8>) -> Glance {
        let now = query.received;
        let (entry, shown) = match self.store.find(key, now) {
            Lookup::Fresh(entry, shown) if !entry.prefetch_due(now, self.config.prefetch) => (entry, shown),
            Lookup::Stale(entry, shown) if !entry.refresh_due(now) => (entry, shown),
            _ => return Glance::Ask,
        };
        if !entry.image.write(query, shown, self.config.payload_max, reply) {
            return Glance::Ask;
        }
        self.counters.requests.inc();
        self.count_hit(&entry, shown, now);
        Glance::Answered
    }

    async fn serve(self: &Arc<Self>, key: Key, query: &Query, next: Next) -> Result<Response, ServeError> {
        match self.store.find(&key, query.received) {
            Lookup::Fresh(entry, shown) => {
                let due = entry.prefetch_due(query.received, self.config.prefetch);
                if due && entry.begin_refresh(query.received) && self.refresh(&key, query, next) {
                    self.counters.prefetch.inc();
                }
                self.count_hit(&entry, shown, query.received);
                Ok(entry.response(shown))
            }
            Lookup::Stale(entry, shown) => {
                let begun = entry.begin_refresh(query.received);
                if begun && self.config.verify {
                    self.verify(&entry, shown, key, query, next).await
                } else {
                    if begun {
                        self.refresh(&key, query, next);
                    }
                    self.count_hit(&entry, shown, query.received);
                    Ok(entry.response(shown))
                }
            }
            Lookup::Miss => {
                self.counters.misses.inc();
                self.look_up(&key, query, next, query.deadline + WAITING_SLACK).await
            }
        }
    }

    /// Asks first, and serves the stale `entry` when there is no better answer in time. RFC 8767 §5.
    async fn verify(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        shown: Shown,
        key: Key,
        query: &Query,
        next: Next,
    ) -> Result<Response, ServeError> {
        let until = query.deadline.min(query.received + VERIFY_WAIT);
        match self.look_up(&key, query, next, until).await {
            Ok(response) if !is_failure(&response) => {
                self.counters.misses.inc();
                Ok(response)
            }
            _ => {
                self.count_hit(entry, shown, query.received);
                Ok(entry.response(shown))
            }
        }
    }

    /// Looks the question up, or waits for who does, no longer than `until`.
    async fn look_up(
        self: &Arc<Self>,
        key: &Key,
        query: &Query,
        next: Next,
        until: Instant,
    ) -> Result<Response, ServeError> {
        let waiting = match self.flights.board(&flight_key(key, query)) {
            Boarding::Lead(takeoff, waiting) => {
                self.fly(takeoff, key.clone(), as_asked_by_key(query), next);
                waiting
            }
            Boarding::Follow(waiting) => {
                self.counters.coalesced.inc();
                waiting
            }
            Boarding::Full => return Err(ServeError::NotReady("too many lookups are under way".into())),
        };
        landing(waiting, query, until).await.map(Arc::unwrap_or_clone)
    }

    /// Looks the question of `query` up for no client, unless somebody does. Returns whether it began.
    fn refresh(self: &Arc<Self>, key: &Key, query: &Query, next: Next) -> bool {
        let mut asked = as_asked_by_key(query);
        asked.client.transport = Transport::Internal;
        asked.deadline = asked.deadline.max(asked.received + REFRESH_TIME);
        match self.flights.board(&flight_key(key, query)) {
            Boarding::Lead(takeoff, _) => {
                self.fly(takeoff, key.clone(), asked, next);
                true
            }
            Boarding::Follow(_) | Boarding::Full => false,
        }
    }

    /// Looks `query` up in a task of its own and keeps what comes.
    fn fly(self: &Arc<Self>, takeoff: Takeoff, key: Key, query: Query, next: Next) {
        let shared = self.clone();
        tokio::spawn(async move {
            let until = query.deadline + FLIGHT_SLACK;
            let answer = match tokio::time::timeout_at(until.into(), next.serve(&query)).await {
                Ok(answer) => answer,
                Err(_) => Err(ServeError::TimedOut(query.deadline.saturating_duration_since(query.received))),
            };
            takeoff.land(shared.keep(&key, &query, answer));
        });
    }

    /// Keeps the answer, if it may be kept, and returns it as those who wait get it.
    fn keep(&self, key: &Key, query: &Query, answer: Result<Response, ServeError>) -> Landing {
        let now = tokio::time::Instant::now().into_std();
        match answer {
            Ok(mut response) => {
                self.keep_response(key, query, &mut response, now);
                Ok(Arc::new(response))
            }
            Err(error) => {
                if let Some(mut response) = failure_to_keep(&error) {
                    self.keep_response(key, query, &mut response, now);
                }
                Err(error)
            }
        }
    }

    fn keep_response(&self, key: &Key, query: &Query, response: &mut Response, now: Instant) {
        let Some(admitted) = self.config.lifetimes.admit(response, query.qtype) else {
            return;
        };
        let disabled = match admitted.kind {
            Kind::Success => &self.config.success_disabled,
            Kind::Denial | Kind::Failure => &self.config.denial_disabled,
        };
        if disabled.as_ref().is_some_and(|zones| zones.cover_wire(key.name())) {
            return;
        }
        let question = Question {
            name: &query.name,
            qtype: query.qtype,
            qclass: query.qclass,
            dnssec_ok: query.dnssec_ok(),
        };
        if let Some(entry) = Entry::new(response.clone(), question, admitted, self.config.keeping, now) {
            if let Lookup::Fresh(former, _) | Lookup::Stale(former, _) = self.store.find(key, now) {
                entry.inherit_hits(&former, now, self.config.prefetch);
            }
            self.store.keep(key, Arc::new(entry), now);
        }
    }

    fn count_hit(&self, entry: &Entry, shown: Shown, now: Instant) {
        entry.hit(now, self.config.prefetch);
        self.counters.hits(entry.kind).inc();
        if let Shown::Stale(_) = shown {
            self.counters.served_stale.inc();
        }
    }
}

/// Waits for the answer to `query`, no longer than `until`.
async fn landing(waiting: Waiting, query: &Query, until: Instant) -> Landing {
    match tokio::time::timeout_at(until.into(), waiting.landing()).await {
        Ok(landing) => landing,
        Err(_) => Err(ServeError::TimedOut(until.saturating_duration_since(query.received))),
    }
}

/// The key of a lookup: RD goes down the chain, so who sets it does not wait for who does not.
fn flight_key(key: &Key, query: &Query) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    bytes.push(query.recursion_desired.into());
    bytes
}

/// The query as it goes down the chain: it says what its key says and no more, for its answer serves all who ask the same.
///
/// So the client's EDNS options stay here, a client subnet above all (RFC 7871 §7.1.1: who does not cache by subnet must not
/// forward it). AD is asked for, and taken out of replies to clients that do not understand it.
fn as_asked_by_key(query: &Query) -> Query {
    let plain =
        Query::internal(query.name.clone(), query.qtype, query.qclass, query.dnssec_ok(), query.deadline);
    Query {
        id: query.id,
        recursion_desired: query.recursion_desired,
        authentic_data: true,
        checking_disabled: query.checking_disabled,
        client: query.client,
        received: query.received,
        size: query.size,
        ..plain
    }
}

/// The failure to remember for `error`, or `None` if it says nothing about the name. RFC 9520 §2.
fn failure_to_keep(error: &ServeError) -> Option<Response> {
    match error {
        ServeError::TimedOut(_)
        | ServeError::Upstream(_)
        | ServeError::NoAgreement(_)
        | ServeError::Internal(_) => {
            let mut response = Response::new(error.rcode(), NAME);
            response.extended_errors.push(error.extended_error());
            Some(response)
        }
        ServeError::NoPlugin | ServeError::Dropped | ServeError::Refused(_) | ServeError::NotReady(_) => None,
    }
}

/// Whether a stale answer is better than `response`. RFC 8767 §5: NOERROR and NXDOMAIN are answers, all else is none; but what is held back would come out
/// by the stale answer.
fn is_failure(response: &Response) -> bool {
    let is_answer = matches!(response.rcode, ResponseCode::NoError | ResponseCode::NXDomain);
    !is_answer && !response.is_withheld()
}

/// How long `verify` lets a client wait for a better answer than a stale one. RFC 8767 §5
const VERIFY_WAIT: Duration = Duration::from_millis(1800);
/// What a plugin has beyond the deadline to say itself what was missing.
const FLIGHT_SLACK: Duration = Duration::from_millis(50);
/// What those who wait have to hear of it, within the engine's own slack.
const WAITING_SLACK: Duration = Duration::from_millis(75);
/// How long a lookup may take that no client waits for.
const REFRESH_TIME: Duration = Duration::from_secs(5);
/// How often the store's housekeeping runs.
const TIDY_PERIOD: Duration = Duration::from_millis(200);
