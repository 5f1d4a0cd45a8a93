//! What is seen of servers, good and bad.

use std::net::IpAddr;
use std::time::Duration;

use ct_log::{Authority, Clock, Issued};
use ct_watch::names::NameTable;
use ct_watch::served::{LookError, Looking, Protocol, look};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::peers::{HOST, acceptor, finish, here, looking, serve, serve_mail, serve_tls, target};

fn issued() -> Issued {
    let clock = Clock::at("2026-08-01T00:00:00Z");
    Authority::new("Alder CA", &clock).leaf(HOST).issue(&[])
}

async fn failure(port: u16, protocol: Protocol) -> LookError {
    look(&target(port, protocol), &here(), &looking()).await.unwrap_err()
}

#[tokio::test]
async fn the_chain_is_seen_as_it_is_served() {
    let issued = issued();
    let port = serve_tls(&issued).await;
    let served = look(&target(port, Protocol::Tls), &here(), &looking()).await.unwrap();
    assert_eq!(served.chain.iter().map(|one| one.to_vec()).collect::<Vec<_>>(), issued.chain);
    assert_eq!(served.address, served.addresses[0]);
}

#[tokio::test]
async fn certificates_that_no_client_would_take_are_seen() {
    let clock = Clock::at("2020-01-01T00:00:00Z");
    let issued = Issued::self_signed("another.example.net", &clock);
    let port = serve_tls(&issued).await;
    let served = look(&target(port, Protocol::Tls), &here(), &looking()).await.unwrap();
    assert_eq!(served.chain[0].to_vec(), issued.chain[0]);
}

#[tokio::test]
async fn a_server_that_does_not_hold_its_key_is_not_believed() {
    // rustls itself would not start with a key that is not the certificate's; so the handshake is spoilt on the way.
    let (ours, other) = (issued(), issued());
    let acceptor = mismatched(&ours, &other);
    let port = serve(move |stream| finish(acceptor.clone(), stream)).await;
    let error = failure(port, Protocol::Tls).await;
    assert!(matches!(error, LookError::Handshake(_)), "{error}");
}

/// Shows one certificate, and signs by the key of another.
fn mismatched(shown: &Issued, signing: &Issued) -> tokio_rustls::TlsAcceptor {
    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::CertifiedKey;
    use rustls_pki_types::pem::PemObject as _;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Fixed(Arc<CertifiedKey>);
    impl ResolvesServerCert for Fixed {
        fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }
    }
    let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(signing.key_pem.as_bytes()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let chain = shown.chain.iter().map(|der| der.clone().into()).collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let fixed = Fixed(Arc::new(CertifiedKey::new(chain, key)));
    tokio_rustls::TlsAcceptor::from(Arc::new(config.with_cert_resolver(Arc::new(fixed))))
}

#[tokio::test]
async fn inner_addresses_are_refused_whatever_the_name() {
    let port = serve_tls(&issued()).await;
    let looking = Looking::new(false, Duration::from_secs(20));
    let error = look(&target(port, Protocol::Tls), &here(), &looking).await.unwrap_err();
    assert!(matches!(error, LookError::NotPublic(_)), "{error}");
    assert_eq!(error.code(), "not_public");
}

#[tokio::test]
async fn a_name_without_addresses_and_one_without_answer_are_told_apart() {
    let nowhere = NameTable::default();
    let error = look(&target(443, Protocol::Tls), &nowhere, &looking()).await.unwrap_err();
    assert_eq!(error.code(), "no_address");
    let silent = NameTable { silent: [HOST.to_owned()].into(), ..NameTable::default() };
    let error = look(&target(443, Protocol::Tls), &silent, &looking()).await.unwrap_err();
    assert_eq!(error.code(), "no_dns_answer");
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let port = serve_tls(&issued()).await;
    let mut names = here();
    // Nobody listens there: the server is bound to 127.0.0.1 alone. Sorted, it would come first.
    let refused: IpAddr = "127.0.0.0".parse().unwrap();
    names.addresses.get_mut(HOST).unwrap().push(refused);
    let served = look(&target(port, Protocol::Tls), &names, &looking()).await.unwrap();
    assert_eq!((served.address.to_string(), served.addresses.len()), ("127.0.0.1".to_owned(), 2));
}

#[tokio::test]
async fn a_silent_server_is_left_at_the_deadline() {
    let port = serve(|mut stream| async move {
        let mut rest = Vec::new();
        let _closed = stream.read_to_end(&mut rest).await;
    })
    .await;
    let looking = Looking::new(true, Duration::from_millis(200));
    let error = look(&target(port, Protocol::Tls), &here(), &looking).await.unwrap_err();
    assert!(matches!(error, LookError::Deadline(_)), "{error}");
}

#[tokio::test]
async fn garbage_is_no_handshake() {
    let port = serve(|mut stream| async move {
        let _sent = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    assert_eq!(failure(port, Protocol::Tls).await.code(), "handshake");
}

#[tokio::test]
async fn a_server_that_talks_without_end_is_cut_off() {
    // Records of TLS with a warning that means nothing, for ever; rustls reads a few and then refuses, so mail is used: before
    // TLS, lines may come for long.
    let port =
        serve(|mut stream| async move { while stream.write_all(b"220-and more\r\n").await.is_ok() {} }).await;
    let error = failure(port, Protocol::Smtp).await;
    assert!(matches!(error, LookError::Smtp(_)), "{error}");
    let port =
        serve(|mut stream| async move { while stream.write_all(&[b'a'; 4096]).await.is_ok() {} }).await;
    let error = failure(port, Protocol::Smtp).await;
    assert!(matches!(error, LookError::Smtp(_)), "{error}");
}

#[tokio::test]
async fn a_chain_that_is_too_long_is_not_looked_at() {
    let issued = issued();
    let mut chain = issued.chain.clone();
    chain.resize(17, issued.chain[1].clone());
    let acceptor = acceptor(&chain, &issued.key_pem);
    let port = serve(move |stream| finish(acceptor.clone(), stream)).await;
    assert_eq!(failure(port, Protocol::Tls).await.code(), "chain_too_long");
}

#[tokio::test]
async fn a_certificate_of_mail_is_seen_behind_starttls() {
    let issued = issued();
    let offers = "250-mx.example.org\r\n250-SIZE 1000\r\n250-starttls\r\n250 HELP\r\n";
    let port = serve_mail(&issued, offers, "220 go\r\n").await;
    let served = look(&target(port, Protocol::Smtp), &here(), &looking()).await.unwrap();
    assert_eq!(served.chain[0].to_vec(), issued.chain[0]);
}

#[tokio::test]
async fn mail_servers_that_do_not_go_over_to_tls_are_told_of() {
    let issued = issued();
    for (offers, reply, told) in [
        ("250-STARTTLS\r\n250 HELP\r\n", "", "does not offer"),
        ("250-mx\r\n250 STARTTLS\r\n", "454 not now\r\n", "454 not now"),
        ("250-mx\r\n250 STARTTLS\r\n", "220 go\r\nEHLO intruder\r\n", "between"),
        ("999 what\r\n", "", "999 what"),
        ("250_mx\r\n", "", "250_mx"),
        ("\r\n", "", "expected a reply"),
    ] {
        let port = serve_mail(&issued, offers, reply).await;
        let error = failure(port, Protocol::Smtp).await.to_string();
        assert!(error.contains(told), "{error}");
    }
}
