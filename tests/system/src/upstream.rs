//! An authoritative upstream that is not ours: hickory-server, so that a mistake shared by our client and server sides shows.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;
use hickory_proto::serialize::txt::Parser;
use hickory_server::Server;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Runtime;

/// A running upstream; it ends when this is dropped.
pub struct Upstream {
    /// Where it answers, over UDP and TCP.
    pub address: SocketAddr,
    _runtime: Runtime,
}

impl Upstream {
    /// Serves the zone `text` below `origin` on a free port of loopback.
    ///
    /// Panics: when `text` is no zone.
    pub fn serve(origin: &str, text: &str) -> Upstream {
        Upstream::serve_at(Ipv4Addr::LOCALHOST.into(), origin, text)
    }

    /// Serves the zone `text` below `origin` on a free port of `host`.
    ///
    /// Panics: when `text` is no zone, or `host` not an address of this machine.
    pub fn serve_at(host: IpAddr, origin: &str, text: &str) -> Upstream {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads can be made");
        let origin = Name::from_str(origin).expect("the origin is a name");
        let (origin, records) = Parser::new(text, None, Some(origin)).parse().expect("the text is a zone");
        let zone: InMemoryZoneHandler =
            InMemoryZoneHandler::new(origin.clone(), records, ZoneType::Primary, AxfrPolicy::Deny, None)
                .expect("the zone has a SOA");
        let mut catalog = Catalog::new();
        catalog.upsert(origin.into(), vec![Arc::new(zone)]);
        let address = runtime.block_on(async {
            let (udp, tcp) = sockets(host).await;
            let address = udp.local_addr().expect("a bound socket has an address");
            let mut server = Server::new(catalog);
            server.register_socket(udp);
            server.register_listener(tcp, Duration::from_secs(5), 16);
            tokio::spawn(async move { server.block_until_done().await });
            address
        });
        Upstream { address, _runtime: runtime }
    }
}

/// A UDP and a TCP socket on one port.
async fn sockets(host: IpAddr) -> (UdpSocket, TcpListener) {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let udp = UdpSocket::bind((host, 0)).await.expect("the address has free ports");
        // Somebody's connection may have the port over TCP.
        let address = udp.local_addr().expect("a bound socket has an address");
        if let Ok(tcp) = TcpListener::bind(address).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free over both UDP and TCP in {TRIES} tries");
}
