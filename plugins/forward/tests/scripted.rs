//! An upstream that does what a test tells it, and a chain that asks it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::chain::Chain;
use crate::error::ServeError;
use crate::query::Query;
use crate::response::Response;
use crate::testing_blocks::ask;

/// Messages that a scripted upstream sends for one query.
pub(super) type Script = Arc<dyn Fn(&Message, &[u8]) -> Vec<Vec<u8>> + Send + Sync>;

pub(super) fn script(replies: impl Fn(&Message, &[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Script {
    Arc::new(replies)
}

/// An upstream on UDP and TCP of one port.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    pub(super) udp: Arc<AtomicUsize>,
    pub(super) tcp: Arc<AtomicUsize>,
    pub(super) connections: Arc<AtomicUsize>,
}

impl Upstream {
    pub(super) async fn start(udp_script: Script, tcp_script: Script) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let socket = UdpSocket::bind(address).await.expect("the same port for UDP");
        let upstream =
            Upstream { address, udp: Arc::default(), tcp: Arc::default(), connections: Arc::default() };
        let count = upstream.udp.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::SeqCst);
                let query = Message::from_vec(&buffer[..length]).expect("a query");
                for reply in udp_script(&query, &buffer[..length]) {
                    socket.send_to(&reply, from).await.expect("sent");
                }
            }
        });
        let (count, connections) = (upstream.tcp.clone(), upstream.connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve_stream(stream, tcp_script.clone(), count.clone()));
            }
        });
        upstream
    }

    pub(super) fn counts(&self) -> (usize, usize) {
        (self.udp.load(Ordering::SeqCst), self.tcp.load(Ordering::SeqCst))
    }
}

pub(super) async fn serve_stream<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    script: Script,
    count: Arc<AtomicUsize>,
) {
    while let Ok(length) = stream.read_u16().await {
        let mut bytes = vec![0; usize::from(length)];
        if stream.read_exact(&mut bytes).await.is_err() {
            return;
        }
        count.fetch_add(1, Ordering::SeqCst);
        let query = Message::from_vec(&bytes).expect("a query");
        for reply in script(&query, &bytes) {
            if reply.is_empty() {
                return; // An empty reply closes the connection.
            }
            let framed = [&(reply.len() as u16).to_be_bytes()[..], &reply].concat();
            stream.write_all(&framed).await.expect("sent");
            stream.flush().await.expect("flushed");
        }
    }
}

pub(super) fn reply_to(query: &Message) -> Message {
    let mut reply = query.clone();
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_available = true;
    reply.edns = None;
    reply
}

/// The reply with 192.0.2.LAST.
pub(super) fn address(query: &Message, last: u8) -> Vec<u8> {
    let mut reply = reply_to(query);
    let name = query.queries[0].name().clone();
    reply.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, last))));
    reply.to_vec().expect("encoded")
}

pub(super) fn with_rcode(query: &Message, rcode: ResponseCode) -> Vec<u8> {
    let mut reply = reply_to(query);
    reply.metadata.response_code = rcode;
    reply.to_vec().expect("encoded")
}

pub(super) fn answers(last: u8) -> Script {
    script(move |query, _| vec![address(query, last)])
}

pub(super) fn silent() -> Script {
    script(|_, _| Vec::new())
}

pub(super) fn forward(targets: &[&Upstream], properties: &str) -> Chain {
    let targets: Vec<String> = targets.iter().map(|upstream| upstream.address.to_string()).collect();
    chain(&targets.join(" "), properties)
}

/// A chain with upstreams that may take their time, since the machine may be busy, unless `properties` say otherwise.
pub(super) fn chain(targets: &str, properties: &str) -> Chain {
    let patience = if properties.contains("read_timeout") { "" } else { "read_timeout 30s" };
    let text = format!(". {{\n forward . {targets} {{\n {properties}\n {patience}\n }}\n}}\n");
    crate::testing_blocks::chain(&text, Path::new("/"))
}

pub(super) async fn asked(chain: &Chain) -> Result<Response, ServeError> {
    ask(chain, "www.example.org.", RecordType::A).await
}

pub(super) fn addresses(response: &Response) -> Vec<String> {
    response.answers.iter().map(|record| format!("{} {}", record.name, record.data)).collect()
}

pub(super) async fn soon(query: Query, chain: &Chain, within: Duration) -> Result<Response, ServeError> {
    chain.serve(&Query { deadline: Instant::now() + within, ..query }).await
}
