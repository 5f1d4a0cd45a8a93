//! The answers of class CH. What is not asked about here is refused: no plugin behind this one holds data of that class.

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use crate::chain::Next;
use crate::error::ServeError;
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::response::Response;
use crate::view::QueryView;

/// `chaos`
pub struct Chaos {
    /// What `version.bind.` and `version.server.` get.
    pub version: String,
    /// What `authors.bind.` gets.
    pub authors: Vec<String>,
    /// What `hostname.bind.` and `id.server.` get.
    pub host: String,
}

impl Chaos {
    /// The texts of `name`, or `None` if it has none.
    fn texts(&self, name: &str) -> Option<Vec<&str>> {
        match name {
            "version.bind." | "version.server." => Some(vec![&self.version]),
            "hostname.bind." | "id.server." => Some(vec![&self.host]),
            "authors.bind." => Some(self.authors.iter().map(String::as_str).collect()),
            _ => None,
        }
    }
}

#[async_trait]
impl Plugin for Chaos {
    fn name(&self) -> &'static str {
        "chaos"
    }

    fn glance(&self, query: &QueryView<'_>, _reply: &mut Vec<u8>) -> Glance {
        if query.qclass == u16::from(DNSClass::CH) { Glance::Ask } else { Glance::Pass }
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        if query.qclass != DNSClass::CH {
            return next.serve(query).await;
        }
        let texts = self.texts(&query.name.to_string());
        let texts = texts.ok_or_else(|| ServeError::Refused("no such name of class CH".into()))?;
        let mut response = Response::new(ResponseCode::NoError, self.name());
        if query.qtype == RecordType::TXT {
            response.answers.extend(texts.into_iter().map(|text| {
                let data = RData::TXT(TXT::from_bytes(vec![text.as_bytes()]));
                let mut record = Record::from_rdata(query.name.clone(), 0, data);
                record.dns_class = DNSClass::CH;
                record
            }));
        }
        Ok(response)
    }
}
