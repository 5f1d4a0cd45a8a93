//! The plugin: takes out of an answer what the client did not ask for and does not need.

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Record, RecordType};

use crate::chain::Next;
use crate::error::ServeError;
use crate::plugin::Plugin;
use crate::query::Query;
use crate::response::Response;

/// `minimal`
pub struct Minimal;

#[async_trait]
impl Plugin for Minimal {
    fn name(&self) -> &'static str {
        "minimal"
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let mut response = next.serve(query).await?;
        if is_positive(&response) {
            shorten(&mut response);
        }
        Ok(response)
    }
}

/// Whether the answer has what was asked for. An alias whose target does not exist or has no such record comes with a SOA, which says how long that may be
/// remembered (RFC 2308 §2.1); referrals have no answers.
fn is_positive(response: &Response) -> bool {
    let denies = response.authorities.iter().any(|record| record.record_type() == RecordType::SOA);
    response.rcode == ResponseCode::NoError && !response.answers.is_empty() && !denies
}

/// Takes out authority and additional section, but for the proof that a wildcard stands for the name. RFC 4035 §3.1.3.3
fn shorten(response: &mut Response) {
    response.additionals.clear();
    response.authorities.retain(is_proof);
}

fn is_proof(record: &Record) -> bool {
    let proves = |rtype| matches!(rtype, RecordType::NSEC | RecordType::NSEC3);
    proves(record.record_type()) || covered(record).is_some_and(proves)
}

/// The type that `record` is a signature of, if it is one. RFC 4034 §3.1
fn covered(record: &Record) -> Option<RecordType> {
    use hickory_proto::dnssec::rdata::DNSSECRData;
    use hickory_proto::rr::RData;
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some(signature.input().type_covered),
        _ => None,
    }
}
