//! A host that shows certificates, as clients see it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use ct_log::{Authority, Clock, Issued, TlsHost};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const NAME: &str = "www.example.org";

/// What a client that believes this authority alone is shown at an address.
fn shown(host: &TlsHost, address: &str, authority: &Authority) -> Vec<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.root_der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), ServerName::try_from(NAME).unwrap()).unwrap();
    let mut stream = StreamOwned::new(session, TcpStream::connect((address, host.port())).unwrap());
    stream.write_all(b"hello").unwrap();
    // It reads, says nothing, and closes.
    drop(stream.read(&mut [0; 1]));
    stream.conn.peer_certificates().unwrap().iter().map(|one| one.to_vec()).collect()
}

#[test]
fn each_address_shows_what_it_was_told_last() {
    // Who checks them has the machine's clock.
    let clock = Clock::of_the_machine();
    let authority = Authority::new("Alder", &clock);
    let [first, second, third]: [Issued; 3] = std::array::from_fn(|_| authority.leaf(NAME).issue(&[]));
    let (one, two) = ("127.0.0.1", "127.0.0.2");
    let host = TlsHost::start(&[one, two], &first);
    assert_eq!(
        [one, two].map(|address| shown(&host, address, &authority)),
        [&first, &first].map(|it| it.chain.clone())
    );
    host.show_at(two, &second);
    assert_eq!(
        [one, two].map(|address| shown(&host, address, &authority)),
        [&first, &second].map(|it| it.chain.clone())
    );
    host.show(&third);
    assert_eq!(
        [one, two].map(|address| shown(&host, address, &authority)),
        [&third, &third].map(|it| it.chain.clone())
    );
}
