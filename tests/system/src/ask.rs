//! One question to one replica, and what becomes of it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::history::Witness;

/// How long a client waits. Longer than a server does, so that its SERVFAIL comes in time.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// The EDNS option of certificates.
const OPTION: u16 = 65321;
/// Where the view and the sequence number stand in a certificate: `FORMAT.md` sections 7 and 4.
const VIEW_AT: usize = 45;
const SEQUENCE_AT: usize = 53;

/// How a question travels, and what it asks for beside the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// The reference of the certificate.
    Udp,
    /// The certificate.
    Tcp,
}

/// What came of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// NOERROR, with a certificate.
    Certificate(Vec<u8>),
    /// NOERROR, with the reference of a certificate.
    Reference(Vec<u8>),
    /// An answer without either.
    Rcode(u16),
    /// No answer: the time-out, or what the operating system said.
    Lost(String),
}

/// A question and what came of it.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What was asked for; type A.
    pub name: String,
    /// Whom: the place in the list of servers.
    pub server: usize,
    /// When it was asked.
    pub asked: Instant,
    /// Likewise, in milliseconds since 1970.
    pub asked_ms: u64,
    /// When the answer came, or the client gave up.
    pub ended: Instant,
    /// Likewise, in milliseconds since 1970.
    pub ended_ms: u64,
    /// What came.
    pub outcome: Outcome,
    /// The addresses in the answer.
    pub addresses: Vec<Ipv4Addr>,
}

impl Ask {
    /// Whether the answer was a certified one.
    pub fn is_certified(&self) -> bool {
        matches!(self.outcome, Outcome::Certificate(_) | Outcome::Reference(_))
    }

    /// The view in which a quorum committed the answer, when its certificate came with it.
    pub fn view(&self) -> Option<u64> {
        self.number(VIEW_AT)
    }

    /// The slot of the answer, when its certificate came with it.
    pub fn slot(&self) -> Option<u64> {
        self.number(SEQUENCE_AT)
    }

    /// What this says to the history checker, when it says anything; `asked_ms` is when the name was asked for the first time.
    pub fn witness(&self, asked_ms: u64) -> Option<Witness> {
        let Outcome::Certificate(certificate) = &self.outcome else { return None };
        let (name, certificate) = (Some(self.name.clone()), certificate.clone());
        Some(Witness { name, certificate, asked_ms: Some(asked_ms), received_ms: self.ended_ms })
    }

    fn number(&self, at: usize) -> Option<u64> {
        let Outcome::Certificate(certificate) = &self.outcome else { return None };
        Some(u64::from_be_bytes(certificate.get(at..at + 8)?.try_into().ok()?))
    }
}

/// Asks each question of its server (its number and address) over TCP, some at a time, and returns what came, in that order.
///
/// Panics: when the machine gives no thread.
pub fn ask_all(questions: Vec<(usize, SocketAddr, String)>) -> Vec<Ask> {
    const AT_ONCE: usize = 32;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(async {
        let mut asks = Vec::with_capacity(questions.len());
        for some in questions.chunks(AT_ONCE) {
            let some = some.iter().cloned();
            let under_way: Vec<_> = some
                .map(|(server, address, name)| tokio::spawn(ask((server, address), Transport::Tcp, name)))
                .collect();
            for one in under_way {
                asks.push(one.await.expect("a client does not panic"));
            }
        }
        asks
    })
}

/// Asks the server of that number and address for the A records of a name.
pub async fn ask((server, address): (usize, SocketAddr), transport: Transport, name: String) -> Ask {
    let (asked, asked_ms) = (Instant::now(), wall_ms());
    let exchange = async {
        match transport {
            Transport::Udp => exchange_udp(address, &query(0, &name, Some(2))).await,
            Transport::Tcp => exchange_tcp(address, &query(0, &name, Some(1))).await,
        }
    };
    let lost = |why: String| (Outcome::Lost(why), Vec::new());
    let (outcome, addresses) = match tokio::time::timeout(CLIENT_TIMEOUT, exchange).await {
        Ok(Ok(response)) => match Message::from_vec(&response) {
            Ok(message) => (read(&message), addresses(&message)),
            Err(error) => lost(format!("a response that cannot be read: {error}")),
        },
        Ok(Err(error)) => lost(error.to_string()),
        Err(_) => lost("no answer in time".to_owned()),
    };
    Ask { name, server, asked, asked_ms, ended: Instant::now(), ended_ms: wall_ms(), outcome, addresses }
}

/// A query for the A records of `name`, which asks for a certificate (1), a reference (2), or neither.
pub fn query(id: u16, name: &str, wish: Option<u8>) -> Vec<u8> {
    let mut wire = id.to_be_bytes().to_vec();
    // RD, one question, and the OPT record if there is a wish.
    wire.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(wish.is_some())]);
    for label in name.split('.') {
        wire.push(label.len() as u8);
        wire.extend(label.as_bytes());
    }
    wire.extend([0, 0, 1, 0, 1]);
    if let Some(wish) = wish {
        // The root, OPT, 1232 bytes, no flags, one option of one byte: RFC 6891 §6.1.2.
        wire.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 5]);
        wire.extend(OPTION.to_be_bytes());
        wire.extend([0, 1, wish]);
    }
    wire
}

async fn exchange_udp(address: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    socket.send(query).await?;
    let mut response = vec![0; 4096];
    let length = socket.recv(&mut response).await?;
    response.truncate(length);
    Ok(response)
}

async fn exchange_tcp(address: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let mut framed = (query.len() as u16).to_be_bytes().to_vec();
    framed.extend(query);
    stream.write_all(&framed).await?;
    let mut response = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut response).await?;
    Ok(response)
}

/// The IPv4 addresses in the answer section.
fn addresses(message: &Message) -> Vec<Ipv4Addr> {
    let address = |record: &Record| match &record.data {
        RData::A(address) => Some(address.0),
        _ => None,
    };
    message.answers.iter().filter_map(address).collect()
}

fn read(message: &Message) -> Outcome {
    let rcode = u16::from(message.metadata.response_code);
    let option = message.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Unknown(OPTION)));
    match option {
        Some(EdnsOption::Unknown(_, data)) if rcode == 0 => match data.split_first() {
            Some((1, certificate)) => Outcome::Certificate(certificate.to_vec()),
            Some((2, _)) => Outcome::Reference(data.clone()),
            Some(_) | None => Outcome::Lost(format!("an option that says {data:?}")),
        },
        Some(_) | None => Outcome::Rcode(rcode),
    }
}

/// The wall clock of this machine in milliseconds since 1970.
pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
