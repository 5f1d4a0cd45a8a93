//! The plugin: lets what is behind answer, and shapes the answer.

use async_trait::async_trait;
use hickory_proto::rr::RecordType;

use super::weights::Weights;
use super::{records, wire};
use crate::chain::Next;
use crate::error::ServeError;
use crate::networks::Network;
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::response::Response;
use crate::view::QueryView;

/// How answers are ordered.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Weights of addresses; all alike where there are none.
    pub weights: Weights,
    /// Networks whose addresses come first.
    pub preferred: Vec<Network>,
}

/// `loadbalance`
pub struct LoadBalance {
    policy: Policy,
}

impl LoadBalance {
    /// Answers in orders that `policy` makes likely.
    pub fn new(policy: Policy) -> LoadBalance {
        LoadBalance { policy }
    }
}

#[async_trait]
impl Plugin for LoadBalance {
    fn name(&self) -> &'static str {
        "loadbalance"
    }

    fn glance(&self, query: &QueryView<'_>, _reply: &mut Vec<u8>) -> Glance {
        match RecordType::from(query.qtype) {
            // Names in the data of mail exchangers may be pointed at, so their order is changed only where they are decoded.
            RecordType::MX => Glance::Ask,
            // Weights are found by owners, which an alias may lead to.
            RecordType::A | RecordType::AAAA if !self.policy.weights.is_empty() => Glance::Ask,
            _ => Glance::Pass,
        }
    }

    fn shape(&self, _query: &QueryView<'_>, reply: &mut [u8]) {
        wire::rearrange(reply, rand::random(), &self.policy.preferred);
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let mut response = next.serve(query).await?;
        let seed: u64 = rand::random();
        for section in [&mut response.answers, &mut response.authorities, &mut response.additionals] {
            records::rearrange(section, seed, &self.policy);
        }
        Ok(response)
    }
}
