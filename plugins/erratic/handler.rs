//! The answers: one address for all names, dropped, late or truncated every so many queries.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use crate::chain::Next;
use crate::error::ServeError;
use crate::plugin::Plugin;
use crate::query::Query;
use crate::response::Response;

/// What `erratic` was told. One query in so many, the first of them, is treated so; 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Gets no answer.
    pub drop: u64,
    /// Gets a truncated answer.
    pub truncate: u64,
    /// Gets its answer late.
    pub delay: u64,
    /// How late.
    pub duration: Duration,
    /// Whether answers hold many records.
    pub large: bool,
}

/// `erratic`
pub struct Erratic {
    settings: Settings,
    queries: AtomicU64,
}

impl Erratic {
    /// Answers as `settings` say.
    pub fn new(settings: Settings) -> Erratic {
        Erratic { settings, queries: AtomicU64::new(0) }
    }

    /// The answer to `query`, without what is done to it.
    fn answer(&self, query: &Query) -> Response {
        let data = |index: u8| match query.qtype {
            RecordType::A => Some(RData::A(A(Ipv4Addr::new(192, 0, 2, 53 + index)))),
            RecordType::AAAA => {
                let last = 0x53 + u16::from(index);
                Some(RData::AAAA(AAAA(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last))))
            }
            _ => None,
        };
        let records = (0..if self.settings.large { LARGE } else { 1 }).filter_map(data);
        let answers: Vec<Record> =
            records.map(|data| Record::from_rdata(query.name.clone(), 0, data)).collect();
        let rcode = if answers.is_empty() { ResponseCode::ServFail } else { ResponseCode::NoError };
        Response { authoritative: !answers.is_empty(), answers, ..Response::new(rcode, "erratic") }
    }
}

#[async_trait]
impl Plugin for Erratic {
    fn name(&self) -> &'static str {
        "erratic"
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        if query.qclass != DNSClass::IN {
            return next.serve(query).await;
        }
        let number = self.queries.fetch_add(1, Ordering::Relaxed);
        let is_one_in = |amount: u64| amount > 0 && number.is_multiple_of(amount);
        if is_one_in(self.settings.drop) {
            return Err(ServeError::Dropped);
        }
        if is_one_in(self.settings.delay) {
            tokio::time::sleep(self.settings.duration).await;
        }
        Ok(Response { truncated: is_one_in(self.settings.truncate), ..self.answer(query) })
    }
}

/// Records of a large answer. As in CoreDNS.
const LARGE: u8 = 30;
