//! The answer to ANY: one HINFO record that says why there are no others. RFC 8482 §4.2.

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::HINFO;
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use crate::chain::Next;
use crate::error::ServeError;
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::response::Response;
use crate::view::QueryView;

/// `any`
pub struct Any;

#[async_trait]
impl Plugin for Any {
    fn name(&self) -> &'static str {
        "any"
    }

    /// ANY is no type of data, and a view holds no other.
    fn glance(&self, _query: &QueryView<'_>, _reply: &mut Vec<u8>) -> Glance {
        Glance::Pass
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        if query.qtype != RecordType::ANY || query.qclass != DNSClass::IN {
            return next.serve(query).await;
        }
        let data = HINFO::new("ANY obsoleted".to_owned(), "See RFC 8482".to_owned());
        let mut response = Response::new(ResponseCode::NoError, self.name());
        response.answers.push(Record::from_rdata(query.name.clone(), TTL, RData::HINFO(data)));
        Ok(response)
    }
}

/// In seconds. As in CoreDNS.
const TTL: u32 = 8482;
