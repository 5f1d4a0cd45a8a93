//! A decoded query: one question, who asks, and until when an answer is of use.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use hickory_proto::op::Edns;
use hickory_proto::rr::{DNSClass, Name, RecordType};

/// How a message came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// RFC 1035 §4.2.1
    Udp,
    /// RFC 7766
    Tcp,
    /// DNS over TLS, RFC 7858
    Tls,
    /// DNS over QUIC, RFC 9250
    Quic,
    /// DNS over HTTPS, RFC 8484
    Https,
    /// Asked by this program itself: a refresh, a lookup for a peer.
    Internal,
}

impl Transport {
    /// The word for logs and metrics: `udp`, `tcp`, `tls`, `quic`, `https`, `internal`.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Quic => "quic",
            Transport::Https => "https",
            Transport::Internal => "internal",
        }
    }

    /// Whether a reply must fit a datagram and may be sent to a forged address.
    pub fn is_datagram(self) -> bool {
        self == Transport::Udp
    }
}

/// Who asks, and over what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client {
    /// The address that a reply goes to.
    pub address: SocketAddr,
    /// The address of the listener that the query came to.
    pub local: SocketAddr,
    /// How it came.
    pub transport: Transport,
}

/// A decoded query of opcode QUERY with exactly one question.
#[derive(Clone, Debug)]
pub struct Query {
    /// The message id, as the client chose it.
    pub id: u16,
    /// The name as asked, case kept.
    pub name_as_asked: Name,
    /// The name in lower case.
    pub name: Name,
    /// The type asked for.
    pub qtype: RecordType,
    /// The class asked for.
    pub qclass: DNSClass,
    /// RD
    pub recursion_desired: bool,
    /// AD in the query: the client understands AD, RFC 6840 §5.7.
    pub authentic_data: bool,
    /// CD
    pub checking_disabled: bool,
    /// The OPT record, if there was one.
    pub edns: Option<Arc<Edns>>,
    /// Who asks.
    pub client: Client,
    /// Whether the client has shown that it receives what is sent to its address: by a connection, or by a good cookie (RFC 7873).
    pub address_proven: bool,
    /// When the message came.
    pub received: Instant,
    /// When an answer is of no use any more.
    pub deadline: Instant,
    /// Length of the query in bytes.
    pub size: usize,
}

impl Query {
    /// DO: the client wants DNSSEC records. RFC 3225.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok)
    }

    /// A query that the program asks by itself, such as a refresh or a lookup for a peer.
    pub fn internal(
        name: Name,
        qtype: RecordType,
        qclass: DNSClass,
        dnssec_ok: bool,
        deadline: Instant,
    ) -> Query {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let edns = dnssec_ok.then(|| {
            let mut edns = Edns::new();
            edns.set_max_payload(1232).set_version(0).set_dnssec_ok(true);
            Arc::new(edns)
        });
        Query {
            id: 0,
            name: name.to_lowercase(),
            name_as_asked: name,
            qtype,
            qclass,
            recursion_desired: true,
            authentic_data: false,
            checking_disabled: false,
            edns,
            client: Client { address: here, local: here, transport: Transport::Internal },
            address_proven: true,
            received: Instant::now(),
            deadline,
            size: 0,
        }
    }
}
