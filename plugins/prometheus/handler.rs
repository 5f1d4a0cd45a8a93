//! The plugin: counts what goes by.

use std::time::Duration;

use async_trait::async_trait;

use super::counters::Counters;
use crate::chain::Next;
use crate::error::ServeError;
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::response::Response;
use crate::view::QueryView;

/// `prometheus`
pub struct Prometheus {
    pub(super) counters: Counters,
}

#[async_trait]
impl Plugin for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn glance(&self, _query: &QueryView<'_>, _reply: &mut Vec<u8>) -> Glance {
        Glance::Pass
    }

    fn glanced(&self, query: &QueryView<'_>, reply: &[u8], elapsed: Duration) {
        let rcode = reply.get(3).copied();
        self.counters.glanced(query.client.transport, query.qtype, rcode, elapsed);
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let result = next.serve(query).await;
        let answer = match &result {
            Ok(response) => Some((response.rcode.into(), response.origin)),
            Err(ServeError::Dropped) => None,
            Err(error) => Some((error.rcode().into(), "")),
        };
        let elapsed = query.received.elapsed();
        self.counters.served(query.client.transport, query.qtype.into(), answer, elapsed);
        result
    }
}
