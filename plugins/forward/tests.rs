//! What `forward` makes of upstreams that behave and of others, on loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};

use super::message::{Judgement, Outgoing};
use crate::chain::Chain;
use crate::error::ServeError;
use crate::query::{Query, Transport};
use crate::response::Response;
use crate::testing_blocks::{ask, question, set_up};

/// Messages that a scripted upstream sends for one query.
type Script = Arc<dyn Fn(&Message, &[u8]) -> Vec<Vec<u8>> + Send + Sync>;

fn script(replies: impl Fn(&Message, &[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Script {
    Arc::new(replies)
}

/// An upstream on UDP and TCP of one port.
struct Upstream {
    address: SocketAddr,
    udp: Arc<AtomicUsize>,
    tcp: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    async fn start(udp_script: Script, tcp_script: Script) -> Upstream {
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

    fn counts(&self) -> (usize, usize) {
        (self.udp.load(Ordering::SeqCst), self.tcp.load(Ordering::SeqCst))
    }
}

async fn serve_stream<S: AsyncRead + AsyncWrite + Unpin>(
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

fn reply_to(query: &Message) -> Message {
    let mut reply = query.clone();
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_available = true;
    reply.edns = None;
    reply
}

/// The reply with 192.0.2.LAST.
fn address(query: &Message, last: u8) -> Vec<u8> {
    let mut reply = reply_to(query);
    let name = query.queries[0].name().clone();
    reply.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, last))));
    reply.to_vec().expect("encoded")
}

fn with_rcode(query: &Message, rcode: ResponseCode) -> Vec<u8> {
    let mut reply = reply_to(query);
    reply.metadata.response_code = rcode;
    reply.to_vec().expect("encoded")
}

fn answers(last: u8) -> Script {
    script(move |query, _| vec![address(query, last)])
}

fn silent() -> Script {
    script(|_, _| Vec::new())
}

fn forward(targets: &[&Upstream], properties: &str) -> Chain {
    let targets: Vec<String> = targets.iter().map(|upstream| upstream.address.to_string()).collect();
    chain(&targets.join(" "), properties)
}

/// A chain with upstreams that may take their time, since the machine may be busy, unless `properties` say otherwise.
fn chain(targets: &str, properties: &str) -> Chain {
    let patience = if properties.contains("read_timeout") { "" } else { "read_timeout 30s" };
    let text = format!(". {{\n forward . {targets} {{\n {properties}\n {patience}\n }}\n}}\n");
    crate::testing_blocks::chain(&text, Path::new("/"))
}

async fn asked(chain: &Chain) -> Result<Response, ServeError> {
    ask(chain, "www.example.org.", RecordType::A).await
}

fn addresses(response: &Response) -> Vec<String> {
    response.answers.iter().map(|record| format!("{} {}", record.name, record.data)).collect()
}

async fn soon(query: Query, chain: &Chain, within: Duration) -> Result<Response, ServeError> {
    chain.serve(&Query { deadline: Instant::now() + within, ..query }).await
}

#[tokio::test]
async fn an_answer_comes_back_as_the_upstream_gave_it() {
    let udp = script(|query, _| {
        let mut reply = reply_to(query);
        let name = query.queries[0].name().clone();
        let target = Name::from_ascii("edge.example.net.").expect("a name");
        reply.add_answer(Record::from_rdata(name, 60, RData::CNAME(CNAME(target.clone()))));
        reply.add_authority(Record::from_rdata(target, 5, RData::A(A::new(192, 0, 2, 9))));
        reply.metadata.response_code = ResponseCode::NXDomain;
        reply.metadata.authentic_data = true;
        let mut edns = Edns::new();
        edns.options_mut().insert(EdnsOption::Unknown(15, b"\x00\x03stale".to_vec()));
        edns.options_mut().insert(EdnsOption::Unknown(10, vec![1; 8]));
        reply.set_edns(edns);
        vec![reply.to_vec().expect("encoded")]
    });
    let upstream = Upstream::start(udp, silent()).await;
    let response = asked(&forward(&[&upstream], "")).await.expect("an answer");
    assert_eq!(response.rcode, ResponseCode::NXDomain);
    assert_eq!(addresses(&response), ["www.example.org. edge.example.net."]);
    assert_eq!((response.authorities.len(), response.additionals.len(), response.options.len()), (1, 0, 0));
    assert!(response.recursion_available && !response.authoritative);
    assert!(!response.authentic_data, "AD is for those who asked for it: RFC 6840 §5.8");
    assert_eq!((response.extended_errors[0].code, response.extended_errors[0].text.as_str()), (3, "stale"));
    assert_eq!(response.origin, "forward");
}

#[tokio::test]
async fn ad_is_kept_for_those_who_asked() {
    let udp = script(|query, _| {
        let mut reply = reply_to(query);
        reply.metadata.authentic_data = query.metadata.authentic_data;
        vec![reply.to_vec().expect("encoded")]
    });
    let upstream = Upstream::start(udp, silent()).await;
    let query = Query { authentic_data: true, ..question("www.example.org.", RecordType::A) };
    assert!(forward(&[&upstream], "").serve(&query).await.expect("an answer").authentic_data);
}

#[tokio::test]
async fn the_upstream_sees_neither_the_clients_options_nor_its_payload_size() {
    let (seen, mut sees) = mpsc::unbounded_channel();
    let udp = script(move |query, _| {
        seen.send(query.clone()).expect("received");
        vec![address(query, 1)]
    });
    let upstream = Upstream::start(udp, silent()).await;
    let mut edns = Edns::new();
    edns.set_max_payload(4096).set_dnssec_ok(true);
    edns.options_mut().insert(EdnsOption::Unknown(10, vec![7; 8]));
    edns.options_mut().insert(EdnsOption::Unknown(8, vec![0, 1, 24, 0, 192, 0, 2]));
    let query = Query {
        edns: Some(Arc::new(edns)),
        checking_disabled: true,
        ..question("www.example.org.", RecordType::A)
    };
    forward(&[&upstream], "").serve(&query).await.expect("an answer");
    let got = sees.recv().await.expect("a query");
    let edns = got.edns.expect("an OPT record");
    assert_eq!((edns.max_payload(), edns.flags().dnssec_ok, edns.options().as_ref().len()), (1232, true, 0));
    assert!(got.metadata.checking_disabled && got.metadata.recursion_desired);
}

#[tokio::test]
async fn forged_messages_are_skipped_until_the_reply_comes() {
    let udp = script(|query, _| {
        let mut other_id = address(query, 66);
        other_id[0] ^= 0xff;
        let mut other_name = query.clone();
        other_name.queries[0].set_name(Name::from_ascii("evil.example.org.").expect("a name"));
        let mut not_a_response = address(query, 66);
        not_a_response[2] &= 0x7f;
        let mut other_type = query.clone();
        other_type.queries[0].set_query_type(RecordType::AAAA);
        let garbage = vec![0xff; 7];
        vec![
            other_id,
            address(&other_name, 66),
            not_a_response,
            address(&other_type, 66),
            garbage,
            address(query, 1),
        ]
    });
    let upstream = Upstream::start(udp, answers(99)).await;
    let response = asked(&forward(&[&upstream], "")).await.expect("an answer");
    assert_eq!(addresses(&response), ["www.example.org. 192.0.2.1"]);
    assert_eq!(upstream.counts(), (1, 0));
}

#[tokio::test]
async fn a_reply_in_other_case_is_not_believed_but_asked_by_tcp() {
    let udp = script(|query, bytes| {
        let mut reply = address(query, 66);
        // Turns the case of the first letter of the question.
        assert!(bytes[13].is_ascii_alphabetic());
        reply[13] ^= 0x20;
        vec![reply]
    });
    let upstream = Upstream::start(udp, answers(1)).await;
    let response = asked(&forward(&[&upstream], "")).await.expect("an answer");
    assert_eq!(addresses(&response), ["www.example.org. 192.0.2.1"]);
    assert_eq!(upstream.counts(), (1, 1));
}

#[tokio::test]
async fn a_flood_of_forged_messages_leads_to_tcp() {
    let udp = script(|query, _| {
        let mut forged = address(query, 66);
        forged[1] ^= 0xff;
        vec![forged; super::udp::FOREIGN_MAX]
    });
    let upstream = Upstream::start(udp, answers(1)).await;
    let response = asked(&forward(&[&upstream], "")).await.expect("an answer");
    assert_eq!(addresses(&response), ["www.example.org. 192.0.2.1"]);
}

#[tokio::test]
async fn a_truncated_reply_is_asked_again_by_tcp() {
    let udp = script(|query, _| {
        let mut reply = reply_to(query);
        reply.metadata.truncation = true;
        vec![reply.to_vec().expect("encoded")]
    });
    let upstream = Upstream::start(udp, answers(1)).await;
    let response = asked(&forward(&[&upstream], "")).await.expect("an answer");
    assert_eq!(addresses(&response), ["www.example.org. 192.0.2.1"]);
    assert_eq!(upstream.counts(), (1, 1));
}

#[tokio::test]
async fn a_malformed_reply_is_asked_again_by_tcp_and_is_an_error_there() {
    let malformed = || script(|query, _| vec![[&address(query, 1)[..], &[0xc0]].concat()[..40].to_vec()]);
    let upstream = Upstream::start(malformed(), answers(1)).await;
    assert_eq!(
        addresses(&asked(&forward(&[&upstream], "")).await.expect("an answer")),
        ["www.example.org. 192.0.2.1"]
    );
    let upstream = Upstream::start(malformed(), malformed()).await;
    let error = asked(&forward(&[&upstream], "")).await.expect_err("no message");
    assert_eq!(
        error,
        ServeError::Upstream(format!("upstream {}: sent a malformed message", upstream.address))
    );
}

#[tokio::test]
async fn silence_and_a_closed_port_lead_to_the_next_upstream() {
    let dead = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let silent = Upstream::start(silent(), silent()).await;
    let alive = Upstream::start(answers(1), answers(1)).await;
    let targets = format!("{dead} {} {}", silent.address, alive.address);
    let chain = chain(&targets, "policy sequential\n read_timeout 200ms");
    assert_eq!(addresses(&asked(&chain).await.expect("an answer")), ["www.example.org. 192.0.2.1"]);
    chain.stop();
}

#[tokio::test]
async fn the_last_upstreams_fault_is_told_when_none_answers() {
    let upstream = Upstream::start(silent(), silent()).await;
    let chain = forward(&[&upstream], "read_timeout 10ms");
    let error = asked(&chain).await.expect_err("silence");
    assert_eq!(error.to_string(), format!("upstream {}: no answer within 10 ms", upstream.address));
    chain.stop();
}

#[tokio::test]
async fn the_deadline_of_the_query_ends_all_attempts() {
    let upstream = Upstream::start(silent(), silent()).await;
    let chain = forward(&[&upstream], "");
    let started = Instant::now();
    soon(question("www.example.org.", RecordType::A), &chain, Duration::from_millis(30))
        .await
        .expect_err("silence");
    assert!(started.elapsed() < Duration::from_secs(30), "the read time-out alone is 30 s");
    chain.stop();
}

#[tokio::test]
async fn attempts_are_twice_the_upstreams() {
    let upstream =
        Upstream::start(script(|query, _| vec![with_rcode(query, ResponseCode::ServFail)]), silent()).await;
    let response =
        asked(&forward(&[&upstream, &upstream], "failover SERVFAIL")).await.expect("the last answer");
    assert_eq!((response.rcode, upstream.counts().0), (ResponseCode::ServFail, 2));
    let silent = Upstream::start(silent(), silent()).await;
    let chain = forward(
        &[&silent, &silent],
        "read_timeout 5ms\n max_fails 0\n health_check 1h domain probe.example.org",
    );
    asked(&chain).await.expect_err("silence");
    chain.stop();
    // Two upstreams are asked twice each, and each may have been probed once.
    assert!((4..=6).contains(&silent.counts().0), "{:?}", silent.counts());
}

#[tokio::test]
async fn failover_asks_the_next_upstream() {
    let refusing =
        Upstream::start(script(|query, _| vec![with_rcode(query, ResponseCode::Refused)]), silent()).await;
    let alive = Upstream::start(answers(1), silent()).await;
    let chain = forward(&[&refusing, &alive], "policy sequential\n failover SERVFAIL REFUSED");
    assert_eq!(addresses(&asked(&chain).await.expect("an answer")), ["www.example.org. 192.0.2.1"]);
    let chain = forward(&[&refusing, &alive], "policy sequential\n failover SERVFAIL");
    assert_eq!(asked(&chain).await.expect("an answer").rcode, ResponseCode::Refused);
}

#[tokio::test]
async fn next_asks_the_next_forward_and_no_other_plugin() {
    let missing =
        Upstream::start(script(|query, _| vec![with_rcode(query, ResponseCode::NXDomain)]), silent()).await;
    let alive = Upstream::start(answers(1), silent()).await;
    let text = |zone: &str| {
        let (missing, alive) = (missing.address, alive.address);
        format!(". {{\n forward . {missing} {{\n next NXDOMAIN\n }}\n forward {zone} {alive}\n}}\n")
    };
    let chain = crate::testing_blocks::chain(&text("."), Path::new("/"));
    assert_eq!(addresses(&asked(&chain).await.expect("an answer")), ["www.example.org. 192.0.2.1"]);
    let chain = crate::testing_blocks::chain(&text("example.net"), Path::new("/"));
    assert_eq!(asked(&chain).await.expect("the first answer").rcode, ResponseCode::NXDomain);
    let text = format!(". {{\n forward . {} {{\n next NXDOMAIN\n }}\n whoami\n}}\n", missing.address);
    let chain = crate::testing_blocks::chain(&text, Path::new("/"));
    assert_eq!(asked(&chain).await.expect("the first answer").rcode, ResponseCode::NXDomain);
}

#[tokio::test]
async fn excepted_and_foreign_names_go_on() {
    let upstream = Upstream::start(answers(1), silent()).await;
    let text =
        format!(". {{\n forward example.org {} {{\n except sub.example.org\n }}\n}}\n", upstream.address);
    let chain = crate::testing_blocks::chain(&text, Path::new("/"));
    asked(&chain).await.expect("an answer");
    for name in ["a.sub.example.org.", "example.net."] {
        assert_eq!(ask(&chain, name, RecordType::A).await.expect_err("nobody"), ServeError::NoPlugin);
    }
}

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
async fn more_queries_than_max_concurrent_are_refused() {
    let (arrived, mut arrives) = mpsc::unbounded_channel();
    let udp = script(move |_, _| {
        arrived.send(()).expect("received");
        Vec::new()
    });
    let upstream = Upstream::start(udp, silent()).await;
    let chain = Arc::new(forward(&[&upstream], "max_concurrent 1"));
    let first = tokio::spawn({
        let chain = chain.clone();
        async move { asked(&chain).await }
    });
    arrives.recv().await.expect("the first query");
    let error = asked(&chain).await.expect_err("too many");
    assert_eq!(
        (error.rcode(), error.to_string()),
        (ResponseCode::Refused, "more than 1 queries wait for upstreams".to_owned())
    );
    first.abort();
}

#[tokio::test]
async fn an_upstream_that_fails_probes_is_left_out_until_it_lives_again() {
    let (alive, is_alive) = watch::channel(false);
    let (probed, mut probes) = mpsc::unbounded_channel();
    let udp = script(move |query, _| {
        if query.queries[0].query_type() == RecordType::NS {
            probed.send(query.clone()).expect("received");
        }
        if *is_alive.borrow() { vec![address(query, 1)] } else { vec![vec![0; 3]] }
    });
    let failing = Upstream::start(udp, silent()).await;
    let spare = Upstream::start(answers(2), silent()).await;
    let mut served = {
        let text = format!(
            ". {{\n forward . {} {} {{\n policy sequential\n read_timeout 200ms\n max_fails 1\n health_check 1ms no_rec domain probe.example.org\n }}\n}}\n",
            failing.address, spare.address
        );
        set_up(&text, Path::new("/")).expect("no error").0
    };
    let served = served.remove(0);
    let chain = &served.chain;
    let first = asked(chain).await.expect("an answer");
    assert_eq!(addresses(&first), ["www.example.org. 192.0.2.2"]);
    let probe = probes.recv().await.expect("a probe");
    assert_eq!(probe.queries[0].name().to_ascii().to_lowercase(), "probe.example.org.");
    assert!(!probe.metadata.recursion_desired, "no_rec");

    // The second probe begins after the first has failed: from then on it is down.
    probes.recv().await.expect("another probe");
    let before = failing.counts().0;
    asked(chain).await.expect("an answer");
    assert!(failing.counts().0 - before <= 1, "at most a probe, but no query");
    assert!(served.metrics.encode().contains("quorate_forward_healthcheck_failures_total"));

    alive.send(true).expect("received");
    let back = async {
        while addresses(&asked(chain).await.expect("an answer")) != ["www.example.org. 192.0.2.1"] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.expect("it is asked again");
    chain.stop();
}

#[tokio::test]
async fn when_all_are_down_one_is_asked_anyway_unless_failfast() {
    let udp = script(|query, _| {
        if query.queries[0].query_type() == RecordType::NS { Vec::new() } else { vec![address(query, 1)] }
    });
    for (failfast, is_answered) in [("", true), ("failfast_all_unhealthy_upstreams", false)] {
        let upstream = super::upstream::Upstream::new(
            Upstream::start(udp.clone(), silent()).await.address,
            super::upstream::Protocol::Plain,
            super::upstream::Manner {
                expire: Duration::from_secs(10),
                probe_interval: Duration::from_millis(1),
                probe_name: Name::root(),
                probe_recursive: true,
                probe_by_stream: true,
            },
            super::metrics::ForwardMetrics::new(&crate::metrics::Metrics::new()),
        );
        let upstream = Arc::new(upstream);
        let settings = super::handler::Settings {
            from: vec![Name::root()],
            except: Vec::new(),
            force_tcp: false,
            prefer_udp: false,
            max_fails: 1,
            policy: super::policy::Policy::Sequential,
            max_concurrent: 0,
            read_timeout: Duration::from_secs(2),
            attempts_max: 2,
            failover: Vec::new(),
            next: Vec::new(),
            next_on_nodata: false,
            failfast: !failfast.is_empty(),
        };
        upstream.mark_down();
        let metrics = super::metrics::ForwardMetrics::new(&crate::metrics::Metrics::new());
        let forward = super::Forward::new(settings, vec![upstream.clone()], metrics.clone());
        let chain = Chain::new(vec![Arc::new(forward)]);
        assert_eq!(asked(&chain).await.is_ok(), is_answered);
        assert_eq!(metrics.all_down.get(), 1);
    }
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

// Setup.

fn errors(text: &str) -> Vec<String> {
    set_up(text, Path::new("/")).err().unwrap_or_default()
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (line, expected) in [
        ("forward .", "expected an upstream, got the end of the line"),
        ("forward . https://192.0.2.1", "upstreams are asked by `dns://` or `tls://`, got `https://`"),
        ("forward . dns.example.org", "expected an IP address or a file"),
        ("forward . 192.0.2.300", "expected an upstream, got `192.0.2.300`"),
        (
            "forward . 192.0.2.1 {\n tls_servername dns.example.org\n }",
            "expected upstreams over TLS, got none",
        ),
        ("forward . tls://192.0.2.1%..", "expected a server's name behind `%`"),
        ("forward . 192.0.2.1 {\n next BOGUS\n }", "next: expected `NOERROR`"),
        ("forward . tls://192.0.2.1 {\n tls /nowhere.pem\n }", "/nowhere.pem"),
        ("forward . 192.0.2.1 {\n max_age 5s\n }", "unknown property `max_age`"),
    ] {
        let found = errors(&format!(". {{\n {line}\n}}\n"));
        assert!(found.iter().any(|error| error.contains(expected)), "{line}: {found:?}");
    }
    let many = |count: usize| (0..count).map(|last| format!(" 192.0.2.{last}")).collect::<String>();
    assert!(errors(&format!(". {{\n forward .{}\n}}\n", many(15))).is_empty());
    assert!(
        errors(&format!(". {{\n forward .{}\n}}\n", many(16)))[0].contains("at most 15 upstreams, got 16")
    );
}

#[test]
fn an_address_whose_end_looks_like_a_port_gives_a_warning() {
    let (_, warnings) = set_up(". {\n forward . 2001:db8::1:53\n}\n", Path::new("/")).expect("no error");
    assert!(warnings[0].contains("is an address without a port"), "{warnings:?}");
}

// Messages.

#[test]
fn the_case_of_names_is_drawn_and_must_come_back() {
    let query = question(&format!("{}.example.org.", "w".repeat(63)), RecordType::A);
    let outgoing = Outgoing::new(&query, Some(&mut rand::rng()));
    let other = Outgoing::new(&query, Some(&mut rand::rng()));
    let mut reply = outgoing.with_id(7);
    reply[2] |= 0x80;
    assert_eq!(outgoing.judge(7, &reply), Judgement::Reply);
    assert_eq!(outgoing.judge(8, &reply), Judgement::Foreign);
    assert_eq!(other.judge(7, &reply), Judgement::OtherCase, "73 letters: two draws are not equal");
    reply[2] |= 0x02;
    assert_eq!(outgoing.judge(7, &reply), Judgement::Truncated);
    assert_eq!(outgoing.judge(7, &reply[..11]), Judgement::Foreign);
    assert_eq!(outgoing.judge(7, &reply[..20]), Judgement::Foreign);
}

#[test]
fn types_that_differ_by_the_bit_of_case_are_other_questions() {
    // A is 1 and 33 is SRV: they differ in 0x20. 65 is HTTPS, 97 is none: letters, which only case would tell apart.
    let query = question("www.example.org.", RecordType::HTTPS);
    let outgoing = Outgoing::new(&query, None);
    let mut reply = outgoing.with_id(7);
    reply[2] |= 0x80;
    let type_low = 12 + "www.example.org.".len() + 1 + 1;
    assert_eq!(reply[type_low], 65);
    reply[type_low] = 97;
    assert_eq!(outgoing.judge(7, &reply), Judgement::Foreign);
}

#[test]
fn errors_without_a_question_are_known_as_such() {
    let outgoing = Outgoing::new(&question("www.example.org.", RecordType::A), None);
    let reply = [0, 7, 0x81, 0x85, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(outgoing.judge(7, &reply), Judgement::NoQuestion);
    let empty = [0, 7, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(outgoing.judge(7, &empty), Judgement::Foreign);
}
