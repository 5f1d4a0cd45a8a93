//! Connections to upstreams: TCP and TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::scripted::*;
use crate::query::Transport;
use crate::testing_blocks::{ask, question, set_up};

#[tokio::test]
async fn clients_on_streams_are_served_by_tcp_and_others_by_udp() {
    let upstream = Upstream::start(answers(1), answers(2)).await;
    let mut over_tcp = question("www.example.org.", RecordType::A);
    over_tcp.client.transport = Transport::Tcp;
    for (properties, query, expected) in [
        ("", question("www.example.org.", RecordType::A), 1),
        ("", over_tcp.clone(), 2),
        ("prefer_udp", over_tcp.clone(), 1),
        ("force_tcp", question("www.example.org.", RecordType::A), 2),
    ] {
        let response = forward(&[&upstream], properties).serve(&query).await.expect("an answer");
        assert_eq!(addresses(&response), [format!("www.example.org. 192.0.2.{expected}")], "{properties}");
    }
}

#[tokio::test]
async fn a_connection_carries_many_queries_with_replies_in_any_order() {
    // Holds the first query until the second has come, and answers that one first.
    let held: Arc<std::sync::Mutex<Vec<Message>>> = Arc::default();
    let tcp = script(move |query, _| {
        let mut held = held.lock().expect("not poisoned");
        held.push(query.clone());
        if held.len() < 2 {
            Vec::new()
        } else {
            held.drain(..).rev().map(|query| address(&query, 1)).collect()
        }
    });
    let upstream = Upstream::start(silent(), tcp).await;
    let chain = forward(&[&upstream], "force_tcp");
    let (one, two) = tokio::join!(
        ask(&chain, "one.example.org.", RecordType::A),
        ask(&chain, "two.example.org.", RecordType::A)
    );
    assert_eq!(addresses(&one.expect("an answer")), ["one.example.org. 192.0.2.1"]);
    assert_eq!(addresses(&two.expect("an answer")), ["two.example.org. 192.0.2.1"]);
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_is_replaced() {
    // Answers one query a connection, and closes at the second.
    let tcp = script({
        let count = AtomicUsize::new(0);
        move |query, _| match count.fetch_add(1, Ordering::SeqCst) {
            1 => vec![Vec::new()],
            _ => vec![address(query, 1)],
        }
    });
    let upstream = Upstream::start(silent(), tcp).await;
    let chain = forward(&[&upstream], "force_tcp\n max_connect_attempts 1");
    for _ in 0..2 {
        assert_eq!(addresses(&asked(&chain).await.expect("an answer")), ["www.example.org. 192.0.2.1"]);
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_stream_may_carry_messages_that_answer_nothing() {
    let tcp = script(|query, _| {
        let mut other = query.clone();
        other.queries[0].set_name(Name::from_ascii("other.example.org.").expect("a name"));
        vec![vec![0], address(&other, 66), address(query, 1)]
    });
    let upstream = Upstream::start(silent(), tcp).await;
    let response = asked(&forward(&[&upstream], "force_tcp")).await.expect("an answer");
    assert_eq!(addresses(&response), ["www.example.org. 192.0.2.1"]);
}

#[tokio::test]
async fn tls_upstreams_are_checked_against_their_name() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["dns.example.org".to_owned()])
        .and_then(|parameters| parameters.self_signed(&key))
        .expect("a certificate");
    let directory = tempfile::tempdir().expect("a folder");
    std::fs::write(directory.path().join("ca.pem"), certificate.pem()).expect("written");
    let chain_der = vec![certificate.der().clone()];
    let key_der = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain_der, key_der))
        .expect("a configuration");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (names, mut seen_names) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            names.send(stream.get_ref().1.server_name().map(str::to_owned)).expect("received");
            tokio::spawn(serve_stream(stream, answers(1), Arc::default()));
        }
    });
    let served = |target: String, properties: &str| {
        let text = format!(". {{\n forward . {target} {{\n {properties}\n max_connect_attempts 1\n }}\n}}\n");
        set_up(&text, directory.path()).expect("no error").0.remove(0).chain
    };
    let named = served(format!("tls://{address}"), "tls ca.pem\n tls_servername dns.example.org");
    for _ in 0..2 {
        assert_eq!(addresses(&asked(&named).await.expect("an answer")), ["www.example.org. 192.0.2.1"]);
    }
    assert_eq!(seen_names.recv().await.flatten().as_deref(), Some("dns.example.org"), "SNI is sent");
    assert!(seen_names.try_recv().is_err(), "one connection is enough");
    let own_name = served(format!("tls://127.0.0.1%dns.example.org:{}", address.port()), "tls ca.pem");
    asked(&own_name).await.expect("an answer");
    let other_name = served(format!("tls://{address}"), "tls ca.pem\n tls_servername other.example.org");
    let error = asked(&other_name).await.expect_err("another name");
    assert!(error.to_string().starts_with(&format!("upstream tls://{address}: ")), "{error}");
    let web_roots = served(format!("tls://{address}"), "tls_servername dns.example.org");
    asked(&web_roots).await.expect_err("nobody vouches for it");
}
