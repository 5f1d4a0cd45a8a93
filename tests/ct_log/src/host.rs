//! A server that shows a certificate over TLS, at several addresses of the loopback: what a name leads to may differ from place to place.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::AsyncReadExt as _;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::leaf::Issued;
use crate::serve::{locked, runtime};

/// One port at several addresses, each showing a certificate of its own choice; it ends when it is dropped.
#[derive(Debug)]
pub struct TlsHost {
    port: u16,
    faces: BTreeMap<Ipv4Addr, Face>,
}

#[derive(Debug)]
struct Face {
    shown: Arc<Shown>,
    accepting: JoinHandle<()>,
}

/// What is shown to the next who shakes hands.
#[derive(Debug)]
struct Shown(Mutex<Arc<CertifiedKey>>);

impl TlsHost {
    /// Shows this certificate at all of these addresses, `127.0.0.1` and the like, on one port.
    ///
    /// # Panics
    /// When the machine has no port that is free at all of them.
    pub fn start(addresses: &[&str], issued: &Issued) -> Self {
        let addresses: Vec<Ipv4Addr> =
            addresses.iter().map(|address| address.parse().expect("an IPv4 address")).collect();
        let (port, listeners) = open(&addresses);
        let faces = addresses.into_iter().zip(listeners).map(|(address, listener)| {
            let shown = Arc::new(Shown(Mutex::new(certified(issued))));
            let accepting = serve(listener, shown.clone());
            (address, Face { shown, accepting })
        });
        TlsHost { port, faces: faces.collect() }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Shows another certificate at all addresses from now on.
    ///
    /// # Panics
    /// When its key cannot be used.
    pub fn show(&self, issued: &Issued) {
        self.faces.values().for_each(|face| *locked(&face.shown.0) = certified(issued));
    }

    /// Shows another certificate at one address from now on.
    ///
    /// # Panics
    /// When that is none of its addresses, or the key cannot be used.
    pub fn show_at(&self, address: &str, issued: &Issued) {
        let address: Ipv4Addr = address.parse().expect("an IPv4 address");
        let face = self.faces.get(&address).expect("one of the addresses of the host");
        *locked(&face.shown.0) = certified(issued);
    }
}

impl Drop for TlsHost {
    fn drop(&mut self) {
        self.faces.values().for_each(|face| face.accepting.abort());
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&locked(&self.0)))
    }
}

fn certified(issued: &Issued) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("rcgen wrote it");
    let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key on P-256");
    let chain = issued.chain.iter().map(|der| der.clone().into()).collect();
    Arc::new(CertifiedKey::new(chain, key))
}

/// A port that is free at all addresses, and who listens there.
fn open(addresses: &[Ipv4Addr]) -> (u16, Vec<TcpListener>) {
    for _ in 0..TRIES_MAX {
        let first = TcpListener::bind((addresses[0], 0)).expect("the loopback has free ports");
        let port = first.local_addr().expect("it is bound").port();
        let others = addresses[1..].iter().map(|address| TcpListener::bind((*address, port)));
        let all: Result<Vec<TcpListener>, _> = std::iter::once(Ok(first)).chain(others).collect();
        if let Ok(all) = all {
            return (port, all);
        }
    }
    panic!("no port is free at all of {addresses:?} in {TRIES_MAX} tries");
}

fn serve(listener: TcpListener, shown: Arc<Shown>) -> JoinHandle<()> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("ring has what they need").with_no_client_auth().with_cert_resolver(shown);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let _inside = runtime().enter();
    listener.set_nonblocking(true).expect("sockets can be told not to block");
    let listener = tokio::net::TcpListener::from_std(listener).expect("the runtime runs");
    runtime().spawn(async move {
        // They end with the server.
        let mut sessions = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            while sessions.try_join_next().is_some() {}
            sessions.spawn(async move {
                // Who looks says goodbye, or hangs up; neither is news.
                if let Ok(mut session) = acceptor.accept(stream).await {
                    let _closed = session.read(&mut [0; 64]).await;
                }
            });
        }
    })
}

/// How often a port is tried that is free at the first address.
const TRIES_MAX: usize = 100;
