//! What tests of the listeners share: a scripted plugin behind a gate, queries, certificates.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use corefile::Scheme;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use plugins::chain::Chain;
use plugins::metrics::Metrics;
use plugins::setup::TlsFiles;
use plugins::{Client, Next, Plugin, Query, Response, ServeError, Transport};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::engine::{Engine, Shared};
use crate::listen::{Engines, Entrance, ListenerKey};
use crate::zones::{Block, Zones};

/// Answers with an address; a name that starts with `slow` waits at the gate first, one that starts with `big` gets 60 kB, one that starts with
/// `drop` nothing.
pub struct Scripted {
    /// Lets one slow query pass for each permit.
    pub gate: Arc<Semaphore>,
}

#[async_trait]
impl Plugin for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn serve(&self, query: &Query, _next: Next) -> Result<Response, ServeError> {
        let first = query.name.iter().next().map(<[u8]>::to_vec).unwrap_or_default();
        if first.starts_with(b"slow") {
            self.gate.acquire().await.expect("the gate is never closed").forget();
        }
        if first.starts_with(b"drop") {
            return Err(ServeError::Dropped);
        }
        let mut response = Response::new(ResponseCode::NoError, "scripted");
        let record = |data| Record::from_rdata(query.name.clone(), 300, data);
        if first.starts_with(b"big") {
            response
                .answers
                .extend((0..235).map(|_| record(RData::TXT(TXT::from_bytes(vec![&[b'x'; 240]])))));
        } else {
            response.answers.push(record(RData::A(A::new(192, 0, 2, 1))));
        }
        // Who asked, for tests of addresses.
        response.additionals.push(Record::from_rdata(
            Name::from_str("local.example.org.").expect("a name"),
            0,
            RData::TXT(TXT::from_bytes(vec![query.client.local.ip().to_string().as_bytes()])),
        ));
        Ok(response)
    }
}

/// A key on 127.0.0.1, port 0.
pub fn key(scheme: Scheme) -> ListenerKey {
    ListenerKey { scheme, address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), port: 0 }
}

/// An entrance for `key` to a server of the root zone that is `Scripted`, and its gate.
pub fn entrance(key: ListenerKey) -> (Entrance, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let mut zones = Zones::default();
    let chain = Chain::new(vec![Arc::new(Scripted { gate: gate.clone() })]);
    zones.insert(&Name::root(), Block::new(chain, None));
    let engine = Engine::new(zones, Duration::from_secs(10), Arc::new(Shared::new(&Metrics::new())));
    let engines: Engines = [(key, Arc::new(engine))].into_iter().collect();
    (Entrance::new(Arc::new(ArcSwap::from_pointee(engines)), key), gate)
}

/// A client at 192.0.2.53.
pub fn client(transport: Transport) -> Client {
    let address = SocketAddr::from(([192, 0, 2, 53], 4000));
    Client { address, local: SocketAddr::from(([127, 0, 0, 1], 53)), transport }
}

/// The bytes of a query for `name`.
pub fn query(id: u16, name: &str) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    let name = Name::from_str(name).expect("a name");
    message.add_query(hickory_proto::op::Query::query(name, RecordType::A));
    message.to_vec().expect("a query can be encoded")
}

/// A query with its length before it, as on a stream.
pub fn framed(id: u16, name: &str) -> Vec<u8> {
    let wire = query(id, name);
    [&(wire.len() as u16).to_be_bytes()[..], &wire].concat()
}

/// A reply, decoded.
pub fn decode(wire: &[u8]) -> Message {
    Message::from_vec(wire).expect("the reply is a message")
}

/// A certificate for `localhost` in files that live as long as the folder, and in DER for clients.
pub fn certificate() -> (TempDir, TlsFiles, rustls_pki_types::CertificateDer<'static>) {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate can be made");
    let dir = TempDir::new().expect("a temporary folder");
    let files = TlsFiles { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).expect("the folder can be written");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("the folder can be written");
    (dir, files, made.cert.der().clone())
}

/// The settings of a TLS client that trusts `certificate` and offers `alpn`.
pub fn tls_client(
    certificate: &rustls_pki_types::CertificateDer<'static>,
    alpn: &[u8],
) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).expect("the certificate is well formed");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}
