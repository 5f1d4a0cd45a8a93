//! Servers to look at, good and bad, and what a look needs beside them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ct_log::{Authority, Issued};
use ct_watch::clock::Clock;
use ct_watch::context::Context;
use ct_watch::fetch::{FetchConfig, Fetcher};
use ct_watch::names::{NameTable, TlsaAnswer};
use ct_watch::resolver::SystemResolver;
use ct_watch::served::{Looking, Materials, Protocol, Target};
use ct_watch::state::StateFolder;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use transparency::policy::Policy;
use transparency::revocation::{CrlSet, RevocationMode};
use transparency::roots::{Intermediates, RootKind, RootStore, anchors_from_pem};
use transparency::{Moment, Pinned};

/// The name that all servers here serve.
pub const HOST: &str = "www.example.org";

/// Serves every connection by `speak`, and returns the port.
pub async fn serve<F>(speak: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(speak(stream));
        }
    });
    port
}

pub fn acceptor(chain: &[Vec<u8>], key_pem: &str) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
    let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

/// A server that speaks TLS from the start.
pub async fn serve_tls(issued: &Issued) -> u16 {
    let acceptor = acceptor(&issued.chain, &issued.key_pem);
    serve(move |stream| finish(acceptor.clone(), stream)).await
}

/// Shakes hands, and reads until the client has enough.
pub async fn finish<S: AsyncRead + AsyncWrite + Unpin>(acceptor: TlsAcceptor, stream: S) {
    if let Ok(mut session) = acceptor.accept(stream).await {
        let mut rest = Vec::new();
        let _closed = session.read_to_end(&mut rest).await;
    }
}

/// A mail server that answers EHLO with `offers`, and STARTTLS with `reply`; then it speaks TLS.
pub async fn serve_mail(issued: &Issued, offers: &'static str, reply: &'static str) -> u16 {
    let acceptor = acceptor(&issued.chain, &issued.key_pem);
    serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            stream.write_all(b"220-mx.example.org here\r\n220 go ahead\r\n").await.unwrap();
            let hello = line(&mut stream).await;
            assert!(hello.starts_with("EHLO [127.0.0.1]"), "{hello}");
            stream.write_all(offers.as_bytes()).await.unwrap();
            if line(&mut stream).await.starts_with("STARTTLS") {
                stream.write_all(reply.as_bytes()).await.unwrap();
                finish(acceptor, stream).await;
            }
        }
    })
    .await
}

async fn line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        match stream.read_u8().await {
            Ok(byte) => line.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(line).unwrap()
}

pub fn target(port: u16, protocol: Protocol) -> Target {
    Target::new(HOST, port, protocol).unwrap()
}

/// Looks that may reach this machine, with a deadline that only a server that keeps silent runs into.
pub fn looking() -> Looking {
    Looking::new(true, Duration::from_secs(20))
}

/// DNS in which [`HOST`] is this machine.
pub fn here() -> NameTable {
    let addresses = BTreeMap::from([(HOST.to_owned(), vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])]);
    NameTable { addresses, ..NameTable::default() }
}

/// The data of a TLSA record in presentation form, as on the wire.
pub fn rdata(presentation: &str) -> Vec<u8> {
    let parts: Vec<&str> = presentation.split_whitespace().collect();
    let [usage, selector, matching, digits] = parts[..] else { panic!("{presentation}") };
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let numbers = [usage, selector, matching].map(|number| number.parse::<u8>().unwrap());
    numbers.into_iter().chain(pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap())).collect()
}

pub fn tlsa(records: &[String], validated: impl Into<Option<bool>>) -> TlsaAnswer {
    TlsaAnswer { records: records.iter().map(|record| rdata(record)).collect(), validated: validated.into() }
}

/// Judges by the roots of one authority, which is the operator's own.
pub struct Trusting {
    roots: RootStore,
    intermediates: Intermediates,
    crls: CrlSet,
}

impl Trusting {
    pub fn in_authority(authority: &Authority) -> Arc<Self> {
        let anchors = anchors_from_pem(authority.root_pem().as_bytes()).unwrap();
        let roots = RootStore::new("test", anchors.into_iter().map(|anchor| (anchor, RootKind::Private)));
        Arc::new(Trusting { roots, intermediates: Intermediates::default(), crls: CrlSet::default() })
    }

    pub fn pinned(&self) -> Pinned<'_> {
        Pinned {
            policy: &Policy::Chrome2026,
            log_list: None,
            roots: &self.roots,
            intermediates: &self.intermediates,
            crls: &self.crls,
            revocation: RevocationMode::Off,
            private_roots_need_logs: false,
        }
    }
}

impl Materials for Trusting {
    fn with(&self, judged: &mut dyn FnMut(&Pinned<'_>)) {
        judged(&self.pinned());
    }
}

/// A clock that the test moves.
pub struct TestClock(pub ct_log::Clock);

impl Clock for TestClock {
    fn now(&self) -> Moment {
        self.0.now()
    }
}

/// A context without a state folder.
pub fn context(clock: &ct_log::Clock) -> Arc<Context> {
    let config = FetchConfig {
        hosts: Vec::new(),
        allow_private: true,
        tls_roots: Arc::new(RootCertStore::empty()),
        resolver: Arc::new(SystemResolver),
    };
    let state = StateFolder::open(None).unwrap();
    Arc::new(Context::new(Fetcher::new(config).unwrap(), state, Arc::new(TestClock(clock.clone()))))
}
