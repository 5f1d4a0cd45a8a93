//! The answer: address, port and transport of the client, in the additional section.

use std::net::IpAddr;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::SRV;
use hickory_proto::rr::{Name, RData, Record};

use crate::chain::Next;
use crate::error::ServeError;
use crate::plugin::Plugin;
use crate::query::{Client, Query};
use crate::response::Response;

/// `whoami`
pub struct Whoami;

#[async_trait]
impl Plugin for Whoami {
    fn name(&self) -> &'static str {
        "whoami"
    }

    async fn serve(&self, query: &Query, _next: Next) -> Result<Response, ServeError> {
        let mut response = Response::new(ResponseCode::NoError, self.name());
        response.authoritative = true;
        response.additionals = who_is(&query.name_as_asked, &query.client);
        Ok(response)
    }
}

/// The client as records of `name`: its address, and its port as that of a service called after the transport.
fn who_is(name: &Name, client: &Client) -> Vec<Record> {
    let address = match client.address.ip().to_canonical() {
        IpAddr::V4(address) => RData::A(address.into()),
        IpAddr::V6(address) => RData::AAAA(address.into()),
    };
    let port = RData::SRV(SRV::new(0, 0, client.address.port(), Name::root()));
    let mut records = vec![Record::from_rdata(name.clone(), 0, address)];
    // a name too long for one more label has no service below it
    if let Ok(service) = name.prepend_label(format!("_{}", client.transport.name())) {
        records.push(Record::from_rdata(service, 0, port));
    }
    records
}
