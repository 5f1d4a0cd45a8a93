//! THE entry of every transport: the bytes of a query and who asks, to the bytes of a reply or silence.
//!
//! Transports know nothing of DNS beyond framing; plugins know nothing of wire format, ids, sizes and cookies. Errors of the chain
//! become rcodes and extended errors here and nowhere else.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::DNSClass;
use plugins::error::code;
use plugins::{Client, ExtendedError, Query, QueryView, Response, ServeError};
use prometheus_client::metrics::counter::Counter;
use tracing::{debug, error};

use crate::cookie::{self, Checked, Cookies};
use crate::dump::Dumps;
use crate::message::{self, Asked, Envelope, Received};
use crate::outgoing::Outgoing;
use crate::reply;
use crate::zones::{Block, Zones};

/// What a first look at a message leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glance {
    /// The reply is written.
    Answered,
    /// There is no reply: the message is none that gets one.
    Silent,
    /// A plugin gives the client no reply: a connection ends.
    Dropped,
    /// Take the long way: `serve`.
    Ask,
}

/// What one listener answers with, under one configuration.
pub struct Engine {
    zones: Zones,
    idle_timeout: Duration,
    shared: Arc<Shared>,
}

/// What outlives a reload.
pub struct Shared {
    cookies: Cookies,
    dumps: Dumps,
    panics: Counter,
    rejected: Counter,
    refused: Counter,
}

impl Shared {
    /// Fresh secrets, and counters in `metrics`.
    pub fn new(metrics: &plugins::metrics::Metrics) -> Shared {
        let refused_help =
            "Queries refused before any plugin saw them: no zone of ours, another class, a transfer";
        let rejected_help = "Messages answered from their header and question alone";
        Shared {
            cookies: Cookies::random(),
            dumps: Dumps::default(),
            panics: metrics.metric("quorate_panics", "Queries that made a plugin panic", Counter::default),
            rejected: metrics.metric("quorate_rejected_messages", rejected_help, Counter::default),
            refused: metrics.metric("quorate_dns_refused", refused_help, Counter::default),
        }
    }
}

impl Engine {
    /// An engine that answers for `zones`. `idle_timeout` is told to clients that ask for it.
    pub fn new(zones: Zones, idle_timeout: Duration, shared: Arc<Shared>) -> Engine {
        Engine { zones, idle_timeout, shared }
    }

    /// The longest time that a query may take.
    pub fn query_deadline(&self) -> Duration {
        self.zones.deadline_max().max(QUERY_DEADLINE)
    }

    /// How long a connection may be idle.
    pub fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// Looks at a message on the listener's own thread: answers what is cached and what is wrong, never waits.
    pub fn glance(&self, wire: &[u8], client: &Client, received: Instant, reply: &mut Vec<u8>) -> Glance {
        // Whatever a message does to who reads it: a listener that ended would leave its port without one.
        let look = AssertUnwindSafe(|| self.glance_at_message(wire, client, received, reply));
        catch_unwind(look).unwrap_or_else(|_| {
            self.shared.panics.inc();
            reply.clear();
            Glance::Ask
        })
    }

    fn glance_at_message(
        &self,
        wire: &[u8],
        client: &Client,
        received: Instant,
        reply: &mut Vec<u8>,
    ) -> Glance {
        if let Some(view) = QueryView::parse(wire, client, received) {
            return self.glance_at_query(&view, reply);
        }
        match message::read(wire) {
            Received::Silent => Glance::Silent,
            Received::Rejected(envelope, rcode) => {
                self.reject((&envelope, rcode), wire, client, received, reply);
                Glance::Answered
            }
            Received::Asked(_) => Glance::Ask,
        }
    }

    fn glance_at_query(&self, view: &QueryView<'_>, reply: &mut Vec<u8>) -> Glance {
        // Cookies, certificates, padding and the like are made on the long way.
        if view.qclass != u16::from(DNSClass::IN) || view.edns.is_some_and(|edns| !edns.options.is_empty()) {
            return Glance::Ask;
        }
        let Some(block) = self.zones.find(view.name, view.qtype.into()) else {
            return Glance::Ask;
        };
        match block.chain.glance(view, reply, view.received) {
            plugins::Glance::Answered => Glance::Answered,
            plugins::Glance::Silent => Glance::Dropped,
            plugins::Glance::Pass | plugins::Glance::Ask => Glance::Ask,
        }
    }

    /// Answers a message. `None` is silence.
    pub async fn serve(&self, wire: &[u8], client: Client, received: Instant) -> Option<Vec<u8>> {
        let asked = match message::read(wire) {
            Received::Silent => return None,
            Received::Rejected(envelope, rcode) => {
                let mut reply = Vec::new();
                self.reject((&envelope, rcode), wire, &client, received, &mut reply);
                return Some(reply);
            }
            Received::Asked(asked) => asked,
        };
        let block = self.route(&asked);
        let deadline = received + block.map_or(QUERY_DEADLINE, |block| block.deadline);
        let seen = block.filter(|block| block.answers(asked.qtype, asked.qclass));
        let outgoing = Outgoing {
            asked: &asked,
            client,
            cookie: self.cookie(&asked, client),
            udp_payload_max: block.map_or(crate::zones::UDP_PAYLOAD, |block| block.udp_payload_max),
            nsid: block.and_then(|block| block.nsid.as_deref()),
            idle_timeout: self.idle_timeout,
            refused: seen.is_none(),
        };
        let response = match block {
            Some(block) if seen.is_some() => {
                let address_proven = outgoing.is_address_proven();
                let query = query_of(&asked, client, address_proven, received, wire.len());
                self.ask(block, Query { deadline, ..query }).await
            }
            Some(_) => self.refuse(ServeError::Refused("neither this class nor transfers are served".into())),
            None => self.refuse(ServeError::NoPlugin),
        };
        if let Err(ServeError::Dropped) = response {
            return None;
        }
        let response = response
            .and_then(|response| of_class(response, asked.qclass))
            .unwrap_or_else(|error| response_to(&error, &asked));
        Some(outgoing.reply(&response, deadline).await)
    }

    /// Answers a message from its header and question alone.
    fn reject(
        &self,
        (envelope, rcode): (&Envelope<'_>, ResponseCode),
        wire: &[u8],
        client: &Client,
        received: Instant,
        reply: &mut Vec<u8>,
    ) {
        self.shared.rejected.inc();
        if self.zones.debug() {
            self.shared.dumps.rejected(wire, client, rcode, received);
        }
        reply::reject(envelope, rcode, crate::zones::UDP_PAYLOAD, reply);
    }

    /// Refuses a query that no plugin sees, so that none counts it.
    fn refuse(&self, error: ServeError) -> Result<Response, ServeError> {
        self.shared.refused.inc();
        Err(error)
    }

    /// What the query's cookie is worth, if it has one.
    fn cookie(&self, asked: &Asked<'_>, client: Client) -> Option<Checked> {
        let cookie = asked.option(cookie::OPTION_CODE)?;
        self.shared.cookies.check(cookie, client.address.ip(), unix_seconds())
    }

    fn route(&self, asked: &Asked<'_>) -> Option<&Block> {
        let question = asked.envelope.question?;
        self.zones.find(question.get(..question.len() - 4)?, asked.qtype)
    }

    /// Sends a query down the chain, within its deadline. A panic costs this one answer.
    async fn ask(&self, block: &Block, query: Query) -> Result<Response, ServeError> {
        let mut serving = pin!(block.chain.serve(&query));
        let caught = std::future::poll_fn(|context| {
            match catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(context))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(result)) => Poll::Ready(Some(result)),
                Err(_) => Poll::Ready(None),
            }
        });
        // A plugin that minds the deadline knows better what was missing, so it is given the time to say so.
        let until = tokio::time::Instant::from_std(query.deadline + DEADLINE_SLACK);
        match tokio::time::timeout_at(until, caught).await {
            Ok(Some(result)) => result,
            Ok(None) => {
                self.shared.panics.inc();
                error!(name = %query.name, qtype = %query.qtype, "a plugin panicked");
                Err(ServeError::Internal("a plugin failed".into()))
            }
            Err(_) => Err(ServeError::TimedOut(query.deadline.saturating_duration_since(query.received))),
        }
    }
}

fn query_of(
    asked: &Asked<'_>,
    client: Client,
    address_proven: bool,
    received: Instant,
    size: usize,
) -> Query {
    Query {
        id: asked.envelope.id,
        name: asked.name.to_lowercase(),
        name_as_asked: asked.name.clone(),
        qtype: asked.qtype,
        qclass: asked.qclass,
        recursion_desired: asked.envelope.recursion_desired,
        authentic_data: asked.envelope.authentic_data,
        checking_disabled: asked.envelope.checking_disabled,
        edns: asked.edns.clone(),
        client,
        address_proven,
        received,
        deadline: received + QUERY_DEADLINE,
        size,
    }
}

/// A question of another class than IN gets no data of class IN, whatever a plugin thinks.
fn of_class(response: Response, qclass: DNSClass) -> Result<Response, ServeError> {
    if response.answers.iter().any(|record| record.dns_class != qclass) {
        return Err(ServeError::Refused("no data of this class".into()));
    }
    Ok(response)
}

/// The one place where an error becomes what a client sees.
pub fn response_to(error: &ServeError, asked: &Asked<'_>) -> Response {
    debug!(name = %asked.name, qtype = %asked.qtype, %error, "query failed");
    let mut response = Response::new(error.rcode(), "");
    response.extended_errors.push(error.extended_error());
    if matches!(error, ServeError::TimedOut(_)) {
        let text = String::new();
        response.extended_errors.push(ExtendedError { code: code::NO_REACHABLE_AUTHORITY, text });
    }
    response
}

fn unix_seconds() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Cookies compare times modulo 2^32, RFC 9018 §4.3.
    (since.as_secs() & u64::from(u32::MAX)) as u32
}

/// How long the chain has for one query, a round of agreement included, unless `cancel` says otherwise.
pub const QUERY_DEADLINE: Duration = Duration::from_millis(1800);
/// What a plugin has beyond the deadline to say itself what was missing.
const DEADLINE_SLACK: Duration = Duration::from_millis(100);

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
