//! Tests of `whoami`.

use std::net::SocketAddr;

use hickory_proto::rr::RecordType;

use crate::query::{Client, Query, Transport};
use crate::rehearsal::{messages, plugins, query, serve};

async fn told(name: &str, address: &str, transport: Transport) -> Vec<String> {
    let asked = query(name, RecordType::A);
    let address: SocketAddr = address.parse().unwrap();
    let asked = Query { client: Client { address, transport, ..asked.client }, ..asked };
    let response = serve("whoami", &asked).await.unwrap();
    assert!(response.authoritative && response.answers.is_empty());
    response.additionals.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn client_is_told_its_address_port_and_transport() {
    assert_eq!(
        told("example.org.", "192.0.2.1:40000", Transport::Udp).await,
        ["example.org. 0 IN A 192.0.2.1", "_udp.example.org. 0 IN SRV 0 0 40000 ."]
    );
    assert_eq!(
        told("example.org.", "[2001:db8::1]:53", Transport::Tls).await,
        ["example.org. 0 IN AAAA 2001:db8::1", "_tls.example.org. 0 IN SRV 0 0 53 ."]
    );
}

#[tokio::test]
async fn mapped_address_is_shown_as_ipv4() {
    assert_eq!(told(".", "[::ffff:192.0.2.1]:53", Transport::Tcp).await[0], ". 0 IN A 192.0.2.1");
}

#[tokio::test]
async fn name_without_room_for_the_service_gets_the_address_alone() {
    let name = format!("{0}.{0}.{0}.{1}.", "a".repeat(63), "a".repeat(61));
    assert_eq!(told(&name, "192.0.2.1:53", Transport::Udp).await.len(), 1);
}

#[test]
fn directive_takes_nothing() {
    assert_eq!(plugins("whoami"), ["whoami"]);
    assert_eq!(
        messages("whoami me"),
        ["Corefile:2:8: error: whoami: expected the end of the line, got `me`"]
    );
}
