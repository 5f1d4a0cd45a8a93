//! The plugin: lets what is behind answer, and shapes the answer.

use async_trait::async_trait;
use hickory_proto::rr::RecordType;

use super::{records, wire};
use crate::chain::Next;
use crate::error::ServeError;
use crate::networks::Network;
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::response::Response;
use crate::view::QueryView;

/// `loadbalance`
pub struct LoadBalance {
    preferred: Vec<Network>,
}

impl LoadBalance {
    /// Answers in any order, addresses in `preferred` first.
    pub fn new(preferred: Vec<Network>) -> LoadBalance {
        LoadBalance { preferred }
    }
}

#[async_trait]
impl Plugin for LoadBalance {
    fn name(&self) -> &'static str {
        "loadbalance"
    }

    fn glance(&self, query: &QueryView<'_>, _reply: &mut Vec<u8>) -> Glance {
        // Names in the data of mail exchangers may be pointed at, so their order is changed only where they are decoded.
        if query.qtype == u16::from(RecordType::MX) { Glance::Ask } else { Glance::Pass }
    }

    fn shape(&self, _query: &QueryView<'_>, reply: &mut [u8]) {
        wire::rearrange(reply, rand::random(), &self.preferred);
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let mut response = next.serve(query).await?;
        let seed: u64 = rand::random();
        for section in [&mut response.answers, &mut response.authorities, &mut response.additionals] {
            records::rearrange(section, seed, &self.preferred);
        }
        Ok(response)
    }
}
