//! Tests of the UDP loop over real sockets on loopback.

use std::net::Ipv4Addr;

use corefile::Scheme;

use super::*;
use crate::listen::ListenerKey;
use crate::listen::sockets;
use crate::testing::{decode, entrance, key, query};

/// A listener on `address`, with room for `room` queries, and its port and gate.
fn listen(address: Option<std::net::IpAddr>, room: usize) -> (Datagrams, u16, Arc<Semaphore>) {
    let key = ListenerKey { address, ..key(Scheme::Dns) };
    let (entrance, gate) = entrance(key);
    let datagrams = Datagrams {
        entrance,
        room: Arc::new(Semaphore::new(room)),
        dropped: Counter::default(),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    };
    let opened = sockets::udp(address, 0, 2).unwrap();
    let port = opened[0].local_addr().unwrap().port();
    for socket in opened {
        tokio::spawn(datagrams.clone().serve(UdpSocket::from_std(socket).unwrap()));
    }
    (datagrams, port, gate)
}

/// A socket that hears nobody but `server`.
async fn client_of(server: SocketAddr) -> UdpSocket {
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

async fn receive(socket: &UdpSocket) -> hickory_proto::op::Message {
    let mut buffer = [0; 4096];
    let length =
        tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut buffer)).await.unwrap().unwrap();
    decode(&buffer[..length])
}

#[tokio::test]
async fn wildcard_socket_answers_from_the_address_that_was_asked() {
    let (_, port, _) = listen(None, 10);
    for address in ["127.0.0.1", "127.0.0.2", "::1"] {
        let server = SocketAddr::new(address.parse().unwrap(), port);
        let socket = client_of(server).await;
        if let Err(error) = socket.send(&query(1, "www.example.org.")).await {
            println!("skipped {address}: {error}");
            continue;
        }
        let reply = receive(&socket).await;
        assert_eq!(reply.id, 1);
        assert!(
            reply.additionals[0].data.to_string().contains(address),
            "{} for {address}",
            reply.additionals[0]
        );
    }
}

#[tokio::test]
async fn queries_without_room_are_dropped_and_counted() {
    let (datagrams, port, gate) = listen(Some(Ipv4Addr::LOCALHOST.into()), 1);
    let socket = client_of((Ipv4Addr::LOCALHOST, port).into()).await;
    socket.send(&query(1, "slow.example.org.")).await.unwrap();
    while datagrams.tasks.is_empty() {
        tokio::task::yield_now().await;
    }
    socket.send(&query(2, "slow.example.org.")).await.unwrap();
    while datagrams.dropped.get() == 0 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(2);
    assert_eq!(receive(&socket).await.id, 1);
    socket.send(&query(3, "www.example.org.")).await.unwrap();
    assert_eq!(receive(&socket).await.id, 3, "the second got no answer");
}

#[tokio::test]
async fn burst_of_many_batches_is_answered_whole() {
    let (_, port, _) = listen(Some(Ipv4Addr::LOCALHOST.into()), 1000);
    let socket = client_of((Ipv4Addr::LOCALHOST, port).into()).await;
    for id in 0..200 {
        socket.send(&query(id, "www.example.org.")).await.unwrap();
    }
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 200 {
        seen.insert(receive(&socket).await.id);
    }
}

#[tokio::test]
async fn responses_and_oversized_datagrams_get_silence() {
    let (datagrams, port, _) = listen(Some(Ipv4Addr::LOCALHOST.into()), 10);
    let socket = client_of((Ipv4Addr::LOCALHOST, port).into()).await;
    let mut response = query(1, "www.example.org.");
    response[2] |= 0x80;
    socket.send(&response).await.unwrap();
    let mut oversized = query(2, "www.example.org.");
    oversized.resize(5000, 0);
    socket.send(&oversized).await.unwrap();
    socket.send(&query(3, "www.example.org.")).await.unwrap();
    assert_eq!(receive(&socket).await.id, 3);
    assert_eq!(datagrams.dropped.get(), 1);
}
