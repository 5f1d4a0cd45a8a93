//! The plugin: judges each client, before the cache and at a glance too.

use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::rules::{Action, Stanza, judge};
use crate::certificate_names;
use crate::chain::Next;
use crate::error::{ExtendedError, ServeError, code};
use crate::metrics::Metrics;
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::response::Response;
use crate::view::QueryView;

/// `acl`
pub struct Acl {
    stanzas: Vec<Stanza>,
    counters: Counters,
}

/// Queries by what became of them, for one server block.
pub struct Counters {
    allowed: Counter,
    blocked: Counter,
    filtered: Counter,
    dropped: Counter,
}

type Labels = Vec<(&'static str, String)>;

impl Counters {
    /// The counters of the block for `zones`.
    pub fn new(metrics: &Metrics, zones: &str) -> Counters {
        let help = "Queries that rules were asked about, by what became of them";
        let family: Family<Labels, Counter> = metrics.metric("quorate_acl_requests", help, Family::default);
        let counter = |action: &str| {
            family.get_or_create_owned(&vec![("zones", zones.to_owned()), ("action", action.to_owned())])
        };
        Counters {
            allowed: counter("allowed"),
            blocked: counter("blocked"),
            filtered: counter("filtered"),
            dropped: counter("dropped"),
        }
    }
}

impl Acl {
    /// Rules by `stanzas`.
    pub fn new(stanzas: Vec<Stanza>, counters: Counters) -> Acl {
        Acl { stanzas, counters }
    }

    /// Judges a query by its own type and, if it asks for a certificate, by the type whose answer that holds: both have to be allowed.
    fn judge_whole(&self, query: &Query) -> Action {
        let by =
            |qtype| judge(&self.stanzas, query.client.address.ip(), qtype, |zones| zones.cover(&query.name));
        match (by(query.qtype.into()), certificate_names::asked_about(&query.name)) {
            (Action::Allow, Some((qtype, _))) => by(qtype),
            (action, _) => action,
        }
    }
}

#[async_trait]
impl Plugin for Acl {
    fn name(&self) -> &'static str {
        NAME
    }

    fn glance(&self, query: &QueryView<'_>, _reply: &mut Vec<u8>) -> Glance {
        let client = query.client.address.ip();
        match judge(&self.stanzas, client, query.qtype, |zones| zones.cover_wire(query.name)) {
            Action::Allow if certificate_names::is_one(query.name) => Glance::Ask,
            Action::Allow => Glance::Pass,
            Action::Drop => {
                self.counters.dropped.inc();
                Glance::Silent
            }
            Action::Block | Action::Filter => Glance::Ask,
        }
    }

    fn glanced(&self, _query: &QueryView<'_>, _reply: &[u8], _elapsed: Duration) {
        self.counters.allowed.inc();
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        match self.judge_whole(query) {
            Action::Allow => {
                self.counters.allowed.inc();
                next.serve(query).await
            }
            Action::Block => {
                self.counters.blocked.inc();
                Ok(denied(ResponseCode::Refused, code::BLOCKED))
            }
            Action::Filter => {
                self.counters.filtered.inc();
                Ok(denied(ResponseCode::NoError, code::FILTERED))
            }
            Action::Drop => {
                self.counters.dropped.inc();
                Err(ServeError::Dropped)
            }
        }
    }
}

/// An answer without records that says in an extended error that it is the operator's doing. RFC 8914 §4
fn denied(rcode: ResponseCode, code: u16) -> Response {
    let mut response = Response::new(rcode, NAME);
    response.extended_errors.push(ExtendedError { code, text: String::new() });
    response
}

/// The directive.
const NAME: &str = "acl";
