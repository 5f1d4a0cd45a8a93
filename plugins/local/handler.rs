//! The answers: loopback addresses, `localhost` for them, and denials below the zones that no one else may be asked about.

use std::net::{Ipv4Addr, Ipv6Addr};

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, NS, PTR, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use prometheus_client::metrics::counter::Counter;

use crate::chain::Next;
use crate::error::ServeError;
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::response::Response;
use crate::view::QueryView;
use crate::zones::Zones;

/// `local`
pub struct Local {
    /// Whether `localhost` is also the first label of other names.
    prefix: bool,
    names: Vec<Name>,
    /// The same, for names that are not decoded.
    zones: Zones,
    localhost: Name,
    /// The names of the two loopback addresses.
    loopback: [Name; 2],
    answered: Counter,
}

impl Local {
    /// Answers for names that begin with `localhost`, too, if `prefix` says so.
    pub fn new(prefix: bool, answered: Counter) -> Local {
        let loopback = [Name::from(Ipv4Addr::LOCALHOST), Name::from(Ipv6Addr::LOCALHOST)];
        let name = |text: String| Name::from_ascii(text).expect("a name");
        let localhost = name("localhost.".to_owned());
        let mut zones: Vec<Name> =
            ["0", "127", "255"].map(|octet| name(format!("{octet}.in-addr.arpa."))).into();
        zones.extend([localhost.clone(), loopback[1].clone()]);
        Local { prefix, names: zones.clone(), zones: Zones::new(zones), localhost, loopback, answered }
    }

    /// The answer for `query`, or `None` if its name is not local.
    fn answer(&self, query: &Query) -> Option<Response> {
        let name = &query.name;
        let zone = self.names.iter().find(|zone| zone.zone_of(name));
        let prefixed = self.prefix && name.num_labels() > 1 && name.iter().next() == Some(b"localhost");
        let zone = if prefixed { name } else { zone? };
        let apex = name == zone;
        let data = match query.qtype {
            RecordType::A if self.is_localhost(zone, prefixed) => Some(RData::A(A(Ipv4Addr::LOCALHOST))),
            RecordType::AAAA if self.is_localhost(zone, prefixed) => {
                Some(RData::AAAA(AAAA(Ipv6Addr::LOCALHOST)))
            }
            RecordType::PTR if self.loopback.contains(name) => Some(RData::PTR(PTR(self.localhost.clone()))),
            RecordType::NS if apex && !prefixed => Some(RData::NS(NS(self.localhost.clone()))),
            RecordType::SOA if apex => Some(RData::SOA(self.soa())),
            _ => None,
        };
        let exists = apex
            || self.is_localhost(zone, prefixed)
            || self.loopback.iter().any(|known| name.zone_of(known));
        let rcode = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
        let mut response = Response { authoritative: true, ..Response::new(rcode, NAME) };
        match data {
            Some(data) => response.answers.push(Record::from_rdata(name.clone(), TTL, data)),
            None => response.authorities.push(Record::from_rdata(zone.clone(), TTL, RData::SOA(self.soa()))),
        }
        Some(response)
    }

    /// Whether every name in `zone` is one of this host. RFC 6761 §6.3
    fn is_localhost(&self, zone: &Name, prefixed: bool) -> bool {
        prefixed || *zone == self.localhost
    }

    fn soa(&self) -> SOA {
        let mailbox = Name::from_ascii("root.localhost.").expect("a name");
        SOA::new(self.localhost.clone(), mailbox, 1, 0, 0, 0, TTL)
    }
}

#[async_trait]
impl Plugin for Local {
    fn name(&self) -> &'static str {
        NAME
    }

    fn glance(&self, query: &QueryView<'_>, _reply: &mut Vec<u8>) -> Glance {
        let prefixed = self.prefix
            && query
                .name
                .split_at_checked(PREFIX.len())
                .is_some_and(|(first, _)| first.eq_ignore_ascii_case(PREFIX));
        if prefixed || self.zones.cover_wire(query.name) { Glance::Ask } else { Glance::Pass }
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        match self.answer(query).filter(|_| query.qclass == DNSClass::IN) {
            Some(response) => {
                self.answered.inc();
                Ok(response)
            }
            None => next.serve(query).await,
        }
    }
}

const NAME: &str = "local";
/// In seconds, of all records: a week, as in CoreDNS.
const TTL: u32 = 604_800;
/// A first label `localhost` with its length.
const PREFIX: &[u8] = b"\x09localhost";
