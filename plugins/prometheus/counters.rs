//! What is counted. Counters that a hit at a glance needs are looked up once and lie in arrays.

use std::time::Duration;

use hickory_proto::rr::RecordType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::histogram::Durations;
use crate::metrics::Metrics;
use crate::query::Transport;
use crate::words;

type Labels = Vec<(&'static str, String)>;

/// The counters of one block.
pub struct Counters {
    zones: String,
    /// By transport, then by type; the last type is `other`.
    requests: Vec<Vec<Counter>>,
    responses: Family<Labels, Counter>,
    /// By rcode.
    glanced: Vec<Counter>,
    durations: Durations,
}

impl Counters {
    /// The counters of the block for `zones`.
    pub fn new(metrics: &Metrics, zones: String) -> Counters {
        let requests: Family<Labels, Counter> =
            metrics.metric("quorate_dns_requests", "Queries", Family::default);
        let responses: Family<Labels, Counter> =
            metrics.metric("quorate_dns_responses", "Answers", Family::default);
        let durations: Family<Labels, Durations> = metrics.metric(
            "quorate_dns_request_duration_seconds",
            "Time from the arrival of a query to its answer",
            Family::default,
        );
        let types = || TYPES.iter().map(|&rtype| words::rtype(rtype.into())).chain(["other".into()]);
        let of = |transport: &Transport| {
            let counter = |rtype: std::borrow::Cow<'static, str>| {
                let proto = ("proto", transport.name().to_string());
                requests.get_or_create_owned(&vec![
                    ("zones", zones.clone()),
                    proto,
                    ("type", rtype.into_owned()),
                ])
            };
            types().map(counter).collect()
        };
        let glanced = (0..16).map(|rcode| responses.get_or_create_owned(&response(&zones, rcode, GLANCED)));
        Counters {
            requests: TRANSPORTS.iter().map(of).collect(),
            glanced: glanced.collect(),
            durations: durations.get_or_create_owned(&vec![("zones", zones.clone())]),
            responses,
            zones,
        }
    }

    /// Counts a query that was answered at a glance; without an rcode, one that gets no answer.
    pub fn glanced(&self, transport: Transport, qtype: u16, rcode: Option<u8>, elapsed: Duration) {
        self.request(transport, qtype, elapsed);
        if let Some(rcode) = rcode {
            self.glanced[usize::from(rcode & 0x0f)].inc();
        }
    }

    /// Counts a query that took the long way, the rcode of its answer, if it gets one, and the plugin that made it.
    pub fn served(&self, transport: Transport, qtype: u16, answer: Option<(u16, &str)>, elapsed: Duration) {
        self.request(transport, qtype, elapsed);
        if let Some((rcode, origin)) = answer {
            self.responses.get_or_create(&response(&self.zones, rcode, origin)).inc();
        }
    }

    fn request(&self, transport: Transport, qtype: u16, elapsed: Duration) {
        let proto =
            TRANSPORTS.iter().position(|&known| known == transport).expect("all transports are listed");
        let rtype = TYPES.iter().position(|&known| u16::from(known) == qtype).unwrap_or(TYPES.len());
        self.requests[proto][rtype].inc();
        self.durations.observe(elapsed);
    }
}

fn response(zones: &str, rcode: u16, origin: &str) -> Labels {
    vec![("zones", zones.into()), ("rcode", words::rcode(rcode).into_owned()), ("plugin", origin.into())]
}

/// Who answers at a glance.
const GLANCED: &str = "cache";

const TRANSPORTS: [Transport; 6] =
    [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Quic, Transport::Https, Transport::Internal];

/// Types that are counted by name; a client could make up 65 536 others.
const TYPES: [RecordType; 16] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CAA,
    RecordType::CNAME,
    RecordType::DNSKEY,
    RecordType::DS,
    RecordType::HTTPS,
    RecordType::MX,
    RecordType::NAPTR,
    RecordType::NS,
    RecordType::PTR,
    RecordType::SOA,
    RecordType::SRV,
    RecordType::SVCB,
    RecordType::TLSA,
    RecordType::TXT,
];
