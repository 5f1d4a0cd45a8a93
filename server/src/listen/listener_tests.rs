//! Tests of whole listeners on port 0 with real clients: DNS, DoT, DoQ, DoH.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use quinn::{Connection, VarInt};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::listen::certificates::server_config;
use crate::testing::{certificate, decode, entrance, framed, key, query, tls_client};

/// A listener of `scheme`, the certificate to trust, and the gate of slow queries.
struct Server {
    listener: Listener,
    certificate: CertificateDer<'static>,
    gate: Arc<Semaphore>,
    tasks: TaskTracker,
}

fn serve(scheme: Scheme) -> Server {
    let (_dir, files, certificate) = certificate();
    let tls = server_config(&files, scheme).unwrap();
    let (entrance, gate) = entrance(key(scheme));
    let tasks = TaskTracker::new();
    let listener =
        Opened::open(key(scheme), Some(&tls)).unwrap().serve(entrance, &Metrics::new(), &tasks).unwrap();
    Server { listener, certificate, gate, tasks }
}

async fn tls(server: &Server, alpn: &[u8]) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(server.listener.address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(tls_client(&server.certificate, alpn)));
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

async fn read_reply(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let length = stream.read_u16().await.unwrap();
    let mut reply = vec![0; length.into()];
    stream.read_exact(&mut reply).await.unwrap();
    reply
}

#[tokio::test]
async fn udp_and_tcp_share_a_port() {
    let server = serve(Scheme::Dns);
    let mut stream = TcpStream::connect(server.listener.address).await.unwrap();
    stream.write_all(&framed(5, "www.example.org.")).await.unwrap();
    assert_eq!(decode(&read_reply(&mut stream).await).id, 5);
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.send_to(&query(6, "www.example.org."), server.listener.address).await.unwrap();
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).await.unwrap();
    assert_eq!(decode(&buffer[..length]).id, 6);
}

#[tokio::test]
async fn stopped_listener_ends_its_tasks_and_frees_its_port() {
    let server = serve(Scheme::Dns);
    let mut stream = TcpStream::connect(server.listener.address).await.unwrap();
    stream.write_all(&framed(5, "slow.example.org.")).await.unwrap();
    // Two loops for UDP and TCP, one connection, one query.
    while server.tasks.len() < available_parallelism().unwrap().get() + 3 {
        tokio::task::yield_now().await;
    }
    server.listener.stop();
    server.gate.add_permits(1);
    assert_eq!(decode(&read_reply(&mut stream).await).id, 5);
    server.tasks.close();
    timeout(Duration::from_secs(10), server.tasks.wait()).await.unwrap();
    TcpListener::bind(server.listener.address).unwrap();
}

#[tokio::test]
async fn dns_over_tls_answers_side_by_side() {
    let server = serve(Scheme::Tls);
    let mut stream = tls(&server, b"dot").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"dot"[..]));
    let both = [framed(1, "slow.example.org."), framed(2, "www.example.org.")].concat();
    stream.write_all(&both).await.unwrap();
    assert_eq!(decode(&read_reply(&mut stream).await).id, 2);
    server.gate.add_permits(1);
    assert_eq!(decode(&read_reply(&mut stream).await).id, 1);
}

fn quic_endpoint(server: &Server) -> Endpoint {
    let crypto =
        quinn::crypto::rustls::QuicClientConfig::try_from(tls_client(&server.certificate, b"doq")).unwrap();
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    endpoint
}

async fn quic(server: &Server) -> (Endpoint, Connection) {
    let endpoint = quic_endpoint(server);
    let connecting = endpoint.connect(server.listener.address, "localhost").unwrap();
    let connection = timeout(Duration::from_secs(10), connecting).await.unwrap().unwrap();
    (endpoint, connection)
}

/// Sends `bytes` on a stream of its own and returns what comes back.
async fn exchange(connection: &Connection, bytes: &[u8]) -> Result<Vec<u8>, quinn::ReadToEndError> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    send.finish().unwrap();
    receive.read_to_end(70_000).await
}

/// The code with which the server closes the connection after `bytes` on a stream.
async fn close_code(server: &Server, bytes: &[u8]) -> Option<VarInt> {
    let (_endpoint, connection) = quic(server).await;
    let _ = exchange(&connection, bytes).await;
    match timeout(Duration::from_secs(10), connection.closed()).await.unwrap() {
        quinn::ConnectionError::ApplicationClosed(close) => Some(close.error_code),
        _ => None,
    }
}

#[tokio::test]
async fn dns_over_quic_answers_many_queries_on_one_connection() {
    let server = serve(Scheme::Quic);
    let (_endpoint, connection) = quic(&server).await;
    for _ in 0..300 {
        let reply = exchange(&connection, &framed(0, "www.example.org.")).await.unwrap();
        assert_eq!(usize::from(u16::from_be_bytes([reply[0], reply[1]])), reply.len() - 2);
        assert_eq!(decode(&reply[2..]).answers.len(), 1);
    }
}

#[tokio::test]
async fn slow_query_on_one_stream_delays_no_other() {
    let server = serve(Scheme::Quic);
    let (_endpoint, connection) = quic(&server).await;
    let slow = framed(0, "slow.example.org.");
    let slow = exchange(&connection, &slow);
    let quick = async {
        exchange(&connection, &framed(0, "www.example.org.")).await.unwrap();
        server.gate.add_permits(1);
    };
    let (slow, ()) = tokio::join!(slow, quick);
    assert_eq!(decode(&slow.unwrap()[2..]).answers.len(), 1);
}

#[tokio::test]
async fn breach_of_dns_over_quic_closes_the_connection() {
    let server = serve(Scheme::Quic);
    let protocol_error = Some(VarInt::from_u32(2));
    let good = framed(0, "www.example.org.");
    let mut response = good.clone();
    response[4] |= 0x80;
    let mut keepalive = good.clone();
    keepalive[13] = 1;
    keepalive.extend_from_slice(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x04\x00\x0b\x00\x00");
    keepalive[1] += 15;
    for (what, bytes) in [
        ("an id", framed(7, "www.example.org.")),
        ("two messages", [good.clone(), good.clone()].concat()),
        ("less than promised", good[..good.len() - 1].to_vec()),
        ("no message", vec![]),
        ("a response", response),
        ("keepalive", keepalive),
    ] {
        assert_eq!(close_code(&server, &bytes).await, protocol_error, "{what}");
    }
}

#[tokio::test]
async fn half_open_handshakes_delay_nobody() {
    let server = serve(Scheme::Quic);
    // The first flight of a client that never answers, as many others would send it.
    let deaf = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = quic_endpoint(&server);
    let _connecting = endpoint.connect(deaf.local_addr().unwrap(), "localhost").unwrap();
    let mut flight = vec![0; 2000];
    let length = timeout(Duration::from_secs(10), deaf.recv(&mut flight)).await.unwrap().unwrap();
    for _ in 0..30 {
        deaf.send_to(&flight[..length], server.listener.address).await.unwrap();
        // Another connection id makes it another connection.
        flight[10] = flight[10].wrapping_add(1);
    }
    let (_endpoint, connection) =
        timeout(Duration::from_secs(4), quic(&server)).await.expect("no waiting for others");
    exchange(&connection, &framed(0, "www.example.org.")).await.unwrap();
}

type Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn http2(server: &Server) -> Sender {
    let stream = TokioIo::new(tls(server, b"h2").await);
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn post(body: Vec<u8>, content_type: &str) -> Request<Full<Bytes>> {
    Request::post("https://localhost/dns-query")
        .header("content-type", content_type)
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

fn get(target: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://localhost{target}")).body(Full::default()).unwrap()
}

async fn reply_of(response: Response<Incoming>) -> hickory_proto::op::Message {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/dns-message");
    assert_eq!(response.headers()["cache-control"], "max-age=300");
    decode(&response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn dns_over_https_answers_get_and_post() {
    let server = serve(Scheme::Https);
    let mut sender = http2(&server).await;
    let wire = query(0, "www.example.org.");
    let by_post = sender.send_request(post(wire.clone(), "application/dns-message")).await.unwrap();
    assert_eq!(reply_of(by_post).await.answers.len(), 1);
    let target = format!("/dns-query?dns={}", URL_SAFE_NO_PAD.encode(&wire));
    let by_get = sender.send_request(get(&target)).await.unwrap();
    assert_eq!(reply_of(by_get).await.answers.len(), 1);
}

#[tokio::test]
async fn dns_over_https_speaks_http1() {
    let server = serve(Scheme::Https);
    let stream = TokioIo::new(tls(&server, b"http/1.1").await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let mut request = post(query(0, "www.example.org."), "application/dns-message");
        *request.uri_mut() = "/dns-query".parse().unwrap();
        request.headers_mut().insert("host", "localhost".parse().unwrap());
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(reply_of(response).await.answers.len(), 1);
    }
}

/// A body that comes in three parts of so many bytes, each after others had their turn twenty times.
struct LateBody {
    part_bytes: usize,
    turns: usize,
    /// Counts the bodies that were sent to their end.
    ended: Arc<AtomicUsize>,
}

fn late_body(bytes: usize, ended: &Arc<AtomicUsize>) -> LateBody {
    LateBody { part_bytes: bytes / 3, turns: 60, ended: ended.clone() }
}

impl Body for LateBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.turns == 0 {
            self.ended.fetch_add(1, Ordering::Relaxed);
            return Poll::Ready(None);
        }
        self.turns -= 1;
        if self.turns.is_multiple_of(20) {
            return Poll::Ready(Some(Ok(Frame::data(vec![0; self.part_bytes].into()))));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[tokio::test]
async fn refused_request_gets_its_status_although_it_is_still_being_sent() {
    let server = serve(Scheme::Https);
    let stream = TokioIo::new(tls(&server, b"h2").await);
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = |method: &str, path: &str, content_type: &str, bytes, ended: &Arc<AtomicUsize>| {
        let uri = format!("https://localhost{path}");
        let builder = Request::builder().method(method).uri(uri).header("content-type", content_type);
        builder.body(late_body(bytes, ended)).unwrap()
    };
    let (json, dns) = ("application/json", "application/dns-message");
    for (method, path, content_type, bytes, status) in [
        ("POST", "/dns-query", json, 60_000, 415),
        ("PUT", "/dns-query", dns, 60_000, 405),
        ("POST", "/dns-query", dns, 120_000, 413),
        ("POST", "/", dns, 300, 404),
        ("GET", "/dns-query", dns, 300, 400),
    ] {
        let ended = Arc::default();
        let exchanges: Vec<_> = (0..50)
            .map(|_| {
                let mut sender = sender.clone();
                let request = request(method, path, content_type, bytes, &ended);
                tokio::spawn(async move {
                    let response =
                        sender.send_request(request).await.map_err(|error| format!("{error:?}"))?;
                    let status = response.status().as_u16();
                    let body = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?;
                    Ok::<_, String>((status, body.to_bytes().len()))
                })
            })
            .collect();
        for exchange in exchanges {
            assert_eq!(exchange.await.unwrap(), Ok((status, 0)), "{method} {path} {content_type}");
        }
        assert_eq!(ended.load(Ordering::Relaxed), 50, "{method} {path} {content_type}: none was broken off");
    }
}

#[tokio::test]
async fn refused_request_leaves_its_http1_connection_open() {
    let server = serve(Scheme::Https);
    let stream = TokioIo::new(tls(&server, b"http/1.1").await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..5 {
        let request = Request::post("/dns-query")
            .header("host", "localhost")
            .body(late_body(60_000, &Arc::default()))
            .unwrap();
        sender.ready().await.unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 415);
    }
}

#[tokio::test]
async fn requests_that_are_no_query_get_their_status() {
    let server = serve(Scheme::Https);
    let mut sender = http2(&server).await;
    let wire = query(0, "www.example.org.");
    let encoded = URL_SAFE_NO_PAD.encode(&wire);
    let mut response = wire.clone();
    response[2] |= 0x80;
    let put = Request::put("https://localhost/dns-query").body(Full::new(Bytes::from(wire.clone()))).unwrap();
    let dns = "application/dns-message";
    for (what, request, status) in [
        ("another path", get("/"), 404),
        ("another method", put, 405),
        ("another type", post(wire.clone(), "application/json"), 415),
        ("a body that is too long", post(vec![0; 65_536], dns), 413),
        ("a body that is too short", post(vec![0; 11], dns), 400),
        ("a response", post(response, dns), 400),
        ("no parameter", get("/dns-query"), 400),
        ("not base64", get("/dns-query?dns=%%%"), 400),
        ("padded base64", get(&format!("/dns-query?dns={encoded}==")), 400),
        ("two messages", get(&format!("/dns-query?dns={encoded}&dns={encoded}")), 400),
        ("too long a query", get(&format!("/dns-query?dns={}", "A".repeat(5000))), 414),
    ] {
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{what}");
    }
}
