//! Tests of the engine with scripted plugins: routing, errors, panics, deadlines, cookies, certificates, broken messages.

use std::net::SocketAddr;
use std::str::FromStr;

use async_trait::async_trait;
use certificate::codec::Decode;
use certificate::delivery::OPTION_CODE;
use certificate::{CertifiedAnswer, Judged, Remark};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use plugins::chain::Chain;
use plugins::metrics::Metrics;
use plugins::{Certification, Certified, Completion, Next, Plugin, Transport};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// Answers by the first label of the name: `panic`, `slow`, `pass`, `big`, `refused`, `silent`, `short`, `proven`; otherwise with an address.
struct Scripted;

#[async_trait]
impl Plugin for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn glance(&self, query: &QueryView<'_>, reply: &mut Vec<u8>) -> plugins::Glance {
        if query.name.starts_with(b"\x05quick") {
            reply.extend_from_slice(b"quick");
            return plugins::Glance::Answered;
        }
        if query.name.starts_with(b"\x06silent") {
            return plugins::Glance::Silent;
        }
        if query.name.starts_with(b"\x05burst") {
            reply.extend_from_slice(b"half");
            panic!("scripted panic");
        }
        plugins::Glance::Ask
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let mut response = Response::new(ResponseCode::NoError, "scripted");
        let first = query.name.iter().next().map(<[u8]>::to_vec).unwrap_or_default();
        let data = match first.as_slice() {
            b"panic" => panic!("scripted panic"),
            b"slow" => std::future::pending().await,
            b"pass" => return next.serve(query).await,
            b"slip" => return Ok(Response { truncated: true, ..response }),
            b"silent" => return Err(ServeError::Dropped),
            b"refused" => return Err(ServeError::Refused("not for you".into())),
            b"disagree" => return Err(ServeError::NoAgreement("2 of 4 replicas agree".into())),
            b"big" => RData::TXT(TXT::from_bytes(vec![&[b'x'; 250]; 6])),
            _ => RData::A(A::new(192, 0, 2, 1)),
        };
        if first.starts_with(b"certified") {
            response.certificate = Some(Certification::complete(Arc::new(certified(&first))));
        }
        if let Some(word) = first.strip_prefix(b"remark-") {
            let judged = match word {
                b"valid" => Judged::Valid,
                b"invalid" => Judged::Invalid,
                _ => Judged::Indeterminate,
            };
            response.remark = Some(Remark::new(judged, 15, "ct-verify: CERT says so"));
        }
        if first.starts_with(b"early") {
            response.certificate = Some(early(&first));
        }
        response.truncated = first == b"short";
        response.authoritative = first == b"proven" && query.address_proven;
        response.answers.push(Record::from_rdata(query.name.clone(), 300, data));
        Ok(response)
    }
}

/// Makes a block answer questions of class CH, and answers none itself.
struct Chaos;

#[async_trait]
impl Plugin for Chaos {
    fn name(&self) -> &'static str {
        "chaos"
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        next.serve(query).await
    }
}

/// A certificate that is not complete yet: that of `early` will be soon, that of `early-never` never, of `early-late` nobody knows when.
fn early(label: &[u8]) -> Certification {
    let completion = Completion::open(OPTION_CODE);
    let certification = completion.certification();
    let label = label.to_vec();
    tokio::spawn(async move {
        tokio::time::sleep(COMMITS_WAIT).await;
        match label.as_slice() {
            b"early" => completion.complete(Arc::new(certified(b""))),
            b"early-never" => completion.give_up(),
            _ => std::future::pending().await,
        }
    });
    certification
}

/// So long the commits of `early` take. The time of these tests runs when nothing else does.
const COMMITS_WAIT: Duration = Duration::from_millis(500);

/// A certificate; that of `certified-long` does not fit a datagram, that of `certified-tight` only without the answer.
fn certified(label: &[u8]) -> Certified {
    let vectors = include_str!("../../consensus/certificate/vectors/delivery.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let hex = vectors["certificate"].as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let mut bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let answer = CertifiedAnswer::from_bytes(&bytes).unwrap();
    let reference = answer.reference();
    match label {
        b"certified-long" => bytes.resize(1200, 0),
        // Header 12, question 33, OPT 11, cookie 28, four bytes and the tag of the option; then 15 are left.
        b"certified-tight" => bytes.resize(1232 - 12 - 33 - 11 - 28 - 5 - 15, 0),
        _ => {}
    }
    Certified { answer, bytes, reference, option_code: OPTION_CODE }
}

fn engine() -> Engine {
    let mut zones = Zones::default();
    let chain = Chain::new(vec![Arc::new(Scripted)]);
    zones.insert(&Name::from_str("example.org.").unwrap(), Block::new(chain, None));
    Engine::new(zones, Duration::from_secs(10), Arc::new(Shared::new(&Metrics::new())))
}

fn client(transport: Transport) -> Client {
    let address = SocketAddr::from(([192, 0, 2, 53], 4000));
    Client { address, local: SocketAddr::from(([192, 0, 2, 1], 53)), transport }
}

fn query(name: &str, qtype: RecordType, edns: Option<Edns>) -> Message {
    let mut message = Message::new(0x4321, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(hickory_proto::op::Query::query(Name::from_str(name).unwrap(), qtype));
    message.edns = edns;
    message
}

fn edns(payload: u16, options: &[(u16, &[u8])]) -> Option<Edns> {
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    options
        .iter()
        .for_each(|(code, value)| edns.options_mut().insert(EdnsOption::Unknown(*code, value.to_vec())));
    Some(edns)
}

async fn ask(engine: &Engine, query: &Message, transport: Transport) -> Message {
    let wire = query.to_vec().unwrap();
    let reply = engine.serve(&wire, client(transport), Instant::now()).await.unwrap();
    Message::from_vec(&reply).unwrap()
}

/// INFO-CODEs of the extended errors in a reply.
fn extended_errors(reply: &Message) -> Vec<u16> {
    let options = reply.edns.as_ref().unwrap().options().as_ref();
    let errors = options.iter().filter_map(|(_, option)| match option {
        EdnsOption::Unknown(15, value) => Some(u16::from_be_bytes([value[0], value[1]])),
        _ => None,
    });
    errors.collect()
}

fn option(reply: &Message, code: u16) -> Option<Vec<u8>> {
    match reply.edns.as_ref()?.option(code.into())? {
        EdnsOption::Unknown(_, value) => Some(value.clone()),
        _ => None,
    }
}

#[tokio::test]
async fn query_is_answered_by_the_chain_of_its_zone() {
    let reply = ask(&engine(), &query("www.example.org.", RecordType::A, None), Transport::Udp).await;
    assert_eq!((reply.id, reply.response_code, reply.answers.len()), (0x4321, ResponseCode::NoError, 1));
}

#[tokio::test]
async fn name_of_no_zone_is_refused_as_not_ours() {
    let reply = ask(&engine(), &query("example.com.", RecordType::A, edns(1232, &[])), Transport::Udp).await;
    assert_eq!((reply.response_code, extended_errors(&reply)), (ResponseCode::Refused, vec![20]));
}

#[tokio::test]
async fn query_that_no_plugin_sees_is_counted() {
    let engine = engine();
    for (name, qtype, refused) in [
        ("www.example.org.", RecordType::A, 0),
        ("refused.example.org.", RecordType::A, 0),
        ("example.com.", RecordType::A, 1),
        ("example.org.", RecordType::AXFR, 2),
    ] {
        ask(&engine, &query(name, qtype, None), Transport::Tcp).await;
        assert_eq!(engine.shared.refused.get(), refused, "{name} {qtype}");
    }
}

#[tokio::test]
async fn errors_of_the_chain_become_rcodes_and_extended_errors() {
    let engine = engine();
    for (name, rcode, codes) in [
        ("pass.example.org.", ResponseCode::Refused, vec![20]),
        ("refused.example.org.", ResponseCode::Refused, vec![18]),
        ("disagree.example.org.", ResponseCode::ServFail, vec![0]),
        ("panic.example.org.", ResponseCode::ServFail, vec![0]),
    ] {
        let reply = ask(&engine, &query(name, RecordType::A, edns(1232, &[])), Transport::Udp).await;
        assert_eq!((reply.response_code, extended_errors(&reply)), (rcode, codes), "{name}");
    }
    assert_eq!(engine.shared.panics.get(), 1);
}

#[tokio::test]
async fn remark_becomes_an_extended_error_unless_all_holds() {
    let engine = engine();
    for (name, told) in [
        ("remark-valid.example.org.", None),
        ("remark-invalid.example.org.", Some(b"\x00\x0fct-verify: CERT says so".to_vec())),
        ("remark-unknown.example.org.", Some(b"\x00\x0fct-verify: CERT says so".to_vec())),
    ] {
        let reply = ask(&engine, &query(name, RecordType::A, edns(1232, &[])), Transport::Udp).await;
        assert_eq!((reply.response_code, reply.answers.len()), (ResponseCode::NoError, 1), "{name}");
        assert_eq!(option(&reply, 15), told, "{name}");
        let without_edns = ask(&engine, &query(name, RecordType::A, None), Transport::Udp).await;
        assert!(without_edns.edns.is_none(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn query_without_answer_fails_at_its_deadline() {
    let (engine, started) = (engine(), tokio::time::Instant::now());
    let reply =
        ask(&engine, &query("slow.example.org.", RecordType::A, edns(1232, &[])), Transport::Udp).await;
    assert_eq!((reply.response_code, extended_errors(&reply)), (ResponseCode::ServFail, vec![23, 22]));
    assert!(started.elapsed() <= QUERY_DEADLINE + 2 * DEADLINE_SLACK, "{:?}", started.elapsed());
}

#[tokio::test]
async fn other_classes_and_transfers_are_refused() {
    let engine = engine();
    for qtype in [RecordType::AXFR, RecordType::IXFR] {
        let reply = ask(&engine, &query("example.org.", qtype, None), Transport::Tcp).await;
        assert_eq!((reply.response_code, reply.answers.len()), (ResponseCode::Refused, 0));
    }
    for qclass in [DNSClass::CH, DNSClass::ANY, DNSClass::Unknown(4711)] {
        let mut query = query("example.org.", RecordType::TXT, None);
        query.queries[0].query_class = qclass;
        assert_eq!(ask(&engine, &query, Transport::Udp).await.response_code, ResponseCode::Refused);
    }
}

#[tokio::test]
async fn data_of_class_in_never_answers_another_class() {
    let mut zones = Zones::default();
    let chain = Chain::new(vec![Arc::new(Chaos), Arc::new(Scripted)]);
    zones.insert(&Name::root(), Block::new(chain, None));
    let engine = Engine::new(zones, Duration::from_secs(10), Arc::new(Shared::new(&Metrics::new())));
    let mut query = query("www.example.org.", RecordType::A, None);
    assert_eq!(ask(&engine, &query, Transport::Udp).await.answers.len(), 1);
    query.queries[0].query_class = DNSClass::CH;
    let reply = ask(&engine, &query, Transport::Udp).await;
    assert_eq!((reply.response_code, reply.answers.len()), (ResponseCode::Refused, 0));
}

#[test]
fn answer_at_a_glance_is_the_plugins_and_a_panic_there_takes_the_long_way() {
    let engine = engine();
    let glance = |name: &str, edns: Option<Edns>| {
        let wire = query(name, RecordType::A, edns).to_vec().unwrap();
        let mut reply = Vec::new();
        (engine.glance(&wire, &client(Transport::Udp), Instant::now(), &mut reply), reply)
    };
    assert_eq!(glance("quick.example.org.", None), (Glance::Answered, b"quick".to_vec()));
    assert_eq!(glance("quick.example.org.", edns(1232, &[])), (Glance::Answered, b"quick".to_vec()));
    assert_eq!(
        glance("quick.example.org.", edns(1232, &[(10, &[1; 8])])).0,
        Glance::Ask,
        "options need the long way"
    );
    assert_eq!(glance("www.example.org.", None).0, Glance::Ask);
    assert_eq!(glance("burst.example.org.", None), (Glance::Ask, Vec::new()));
    assert_eq!(engine.shared.panics.get(), 1);
}

#[test]
fn broken_messages_are_answered_at_a_glance_and_responses_not_at_all() {
    let engine = engine();
    let glance = |wire: &[u8]| {
        let mut reply = Vec::new();
        (engine.glance(wire, &client(Transport::Udp), Instant::now(), &mut reply), reply)
    };
    let mut wire = query("www.example.org.", RecordType::A, None).to_vec().unwrap();
    wire[5] = 2;
    let (answered, reply) = glance(&wire);
    assert_eq!((answered, reply[3] & 0xf), (Glance::Answered, 1));
    wire[2] |= 0x80;
    assert_eq!(glance(&wire), (Glance::Silent, vec![]));
}

#[tokio::test]
async fn query_that_a_plugin_drops_gets_silence_on_both_ways() {
    let engine = engine();
    let wire = query("silent.example.org.", RecordType::A, None).to_vec().unwrap();
    let (client, now) = (client(Transport::Udp), Instant::now());
    let mut reply = Vec::new();
    assert_eq!((engine.glance(&wire, &client, now, &mut reply), reply), (Glance::Dropped, vec![]));
    assert_eq!(engine.serve(&wire, client, now).await, None);
}

#[tokio::test]
async fn answer_that_a_plugin_cuts_short_says_so() {
    let reply = ask(&engine(), &query("short.example.org.", RecordType::A, None), Transport::Udp).await;
    assert!(reply.truncation);
}

#[tokio::test]
async fn plugins_know_whether_the_address_is_proven() {
    let engine = engine();
    // the scripted plugin tells it by AA
    let is_proven = async |options: &[(u16, &[u8])], transport| {
        let query = query("proven.example.org.", RecordType::A, edns(1232, options));
        ask(&engine, &query, transport).await
    };
    let first = is_proven(&[(10, &[9; 8])], Transport::Udp).await;
    assert!(!first.authoritative, "a client cookie alone is anybody's");
    let cookie = option(&first, 10).unwrap();
    assert!(is_proven(&[(10, &cookie)], Transport::Udp).await.authoritative);
    assert!(is_proven(&[], Transport::Tcp).await.authoritative);
}

#[tokio::test]
async fn datagrams_are_bounded_by_client_and_server_and_streams_are_not() {
    let engine = engine();
    for (payload, transport, truncated) in [
        (None, Transport::Udp, true),
        (edns(1232, &[]), Transport::Udp, true),
        (edns(4096, &[]), Transport::Udp, true),
        (None, Transport::Tcp, false),
    ] {
        let reply = ask(&engine, &query("big.example.org.", RecordType::TXT, payload), transport).await;
        assert_eq!(reply.truncation, truncated, "{transport:?}");
    }
    let mut zones = Zones::default();
    let block = Block::new(Chain::new(vec![Arc::new(Scripted)]), Some(4096));
    zones.insert(&Name::root(), block);
    let generous = Engine::new(zones, Duration::from_secs(10), Arc::new(Shared::new(&Metrics::new())));
    let large = query("big.example.org.", RecordType::TXT, edns(4096, &[]));
    assert!(!ask(&generous, &large, Transport::Udp).await.truncation);
    let small = query("big.example.org.", RecordType::TXT, edns(1232, &[]));
    assert!(ask(&generous, &small, Transport::Udp).await.truncation);
}

#[tokio::test]
async fn cookie_comes_back_whole_and_is_good_the_next_time() {
    let engine = engine();
    let first = query("www.example.org.", RecordType::A, edns(1232, &[(10, &[9; 8])]));
    let cookie = option(&ask(&engine, &first, Transport::Udp).await, 10).unwrap();
    assert_eq!((cookie.len(), &cookie[..8]), (24, &[9; 8][..]));
    let second = query("www.example.org.", RecordType::A, edns(1232, &[(10, &cookie)]));
    assert_eq!(option(&ask(&engine, &second, Transport::Udp).await, 10).unwrap(), cookie);
}

#[tokio::test]
async fn padding_answers_padding_on_encrypted_transports() {
    let engine = engine();
    let padded = query("www.example.org.", RecordType::A, edns(1232, &[(12, &[0; 4])]));
    for (transport, expected) in
        [(Transport::Udp, false), (Transport::Tcp, false), (Transport::Tls, true), (Transport::Quic, true)]
    {
        let reply = engine.serve(&padded.to_vec().unwrap(), client(transport), Instant::now()).await.unwrap();
        assert_eq!(reply.len() % 468 == 0, expected, "{transport:?}");
    }
}

#[tokio::test]
async fn keepalive_tells_the_idle_timeout_on_streams() {
    let engine = engine();
    let asking = query("www.example.org.", RecordType::A, edns(1232, &[(11, &[])]));
    assert_eq!(option(&ask(&engine, &asking, Transport::Tcp).await, 11), Some(vec![0, 100]));
    assert_eq!(option(&ask(&engine, &asking, Transport::Udp).await, 11), None);
}

/// The first byte and the length of the certificate option in the answer to `options`.
async fn certificate_option(
    engine: &Engine,
    name: &str,
    options: &[(u16, &[u8])],
    transport: Transport,
) -> Option<(u8, usize)> {
    let reply = ask(engine, &query(name, RecordType::A, edns(1232, options)), transport).await;
    assert_eq!((reply.answers.len(), reply.truncation), (1, false));
    option(&reply, OPTION_CODE).map(|value| (value[0], value.len()))
}

/// How long the answer to `options` took, and what `certificate_option` says of it.
async fn timed_option(name: &str, options: &[(u16, &[u8])]) -> (Duration, Option<(u8, usize)>) {
    let started = tokio::time::Instant::now();
    let got = certificate_option(&engine(), name, options, Transport::Tcp).await;
    (started.elapsed(), got)
}

#[tokio::test(start_paused = true)]
async fn only_who_asks_for_the_certificate_waits_for_the_commits() {
    let (took, got) = timed_option("early.example.org.", &[]).await;
    assert!(took < COMMITS_WAIT && got.is_none(), "{took:?}");
    let (took, got) = timed_option("early.example.org.", &[(OPTION_CODE, &[1])]).await;
    assert!(took >= COMMITS_WAIT && took < 2 * COMMITS_WAIT, "{took:?}");
    assert_eq!(got, Some((1, 1 + certified(b"").bytes.len())));
    let (_, reference) = timed_option("early.example.org.", &[(OPTION_CODE, &[2])]).await;
    assert_eq!(reference, Some((2, 33)));
}

#[tokio::test(start_paused = true)]
async fn certificate_that_does_not_come_in_time_costs_no_answer() {
    let (took, got) = timed_option("early-late.example.org.", &[(OPTION_CODE, &[1])]).await;
    assert!(got.is_none() && took >= QUERY_DEADLINE && took < QUERY_DEADLINE + DEADLINE_SLACK, "{took:?}");
    let (took, got) = timed_option("early-never.example.org.", &[(OPTION_CODE, &[1])]).await;
    assert!(got.is_none() && took < 2 * COMMITS_WAIT, "{took:?}");
}

#[tokio::test]
async fn certificate_comes_in_the_form_that_was_asked_for_on_streams() {
    let engine = engine();
    let whole = Some((1, 1 + certified(b"").bytes.len()));
    for (flag, expected) in
        [(&[1][..], whole), (&[3], whole), (&[], whole), (&[2], Some((2, 33))), (&[9], None)]
    {
        let asked = [(OPTION_CODE, flag)];
        let got = certificate_option(&engine, "certified.example.org.", &asked, Transport::Tcp).await;
        assert_eq!(got, expected, "flag {flag:?}");
    }
    let silent = certificate_option(&engine, "certified.example.org.", &[], Transport::Tcp).await;
    assert_eq!(silent, None, "only for those who ask");
    let uncertified =
        certificate_option(&engine, "www.example.org.", &[(OPTION_CODE, &[1])], Transport::Tcp).await;
    assert_eq!(uncertified, None);
}

#[tokio::test]
async fn datagram_carries_the_reference_unless_a_cookie_proves_the_address() {
    let (engine, reference, name) = (engine(), Some((2, 33)), "certified.example.org.");
    let asked = (OPTION_CODE, &[1][..]);
    assert_eq!(certificate_option(&engine, name, &[asked], Transport::Udp).await, reference);
    let first = query(name, RecordType::A, edns(1232, &[(10, &[9; 8])]));
    let mut cookie = option(&ask(&engine, &first, Transport::Udp).await, 10).unwrap();
    let whole = Some((1, 1 + certified(b"").bytes.len()));
    assert_eq!(certificate_option(&engine, name, &[asked, (10, &cookie)], Transport::Udp).await, whole);
    for name in ["certified-long.example.org.", "certified-tight.example.org."] {
        let got = certificate_option(&engine, name, &[asked, (10, &cookie)], Transport::Udp).await;
        assert_eq!(got, reference, "{name} does not fit");
    }
    cookie[20] ^= 1;
    assert_eq!(certificate_option(&engine, name, &[asked, (10, &cookie)], Transport::Udp).await, reference);
}

#[tokio::test]
async fn unknown_options_are_not_reflected() {
    let asking = query("www.example.org.", RecordType::A, edns(1232, &[(65_001, &[1; 200])]));
    let reply = ask(&engine(), &asking, Transport::Udp).await;
    assert!(reply.edns.unwrap().options().as_ref().is_empty());
}

#[tokio::test]
async fn no_broken_message_panics_or_gets_data() {
    let (engine, mut random) = (engine(), StdRng::seed_from_u64(11));
    let good = query("www.example.org.", RecordType::A, edns(1232, &[(10, &[9; 8])])).to_vec().unwrap();
    let mut still_good = 0;
    for round in 0..20_000 {
        let mut wire = good.clone();
        match round % 4 {
            0 => wire.truncate(random.random_range(0..wire.len())),
            1 => wire[random.random_range(0..good.len())] ^= 1 << random.random_range(0..8),
            2 => (0..3).for_each(|_| wire[random.random_range(0..good.len())] = random.random()),
            _ => wire = (0..random.random_range(0..80)).map(|_| random.random()).collect(),
        }
        let reply = engine.serve(&wire, client(Transport::Udp), Instant::now()).await;
        let Some(reply) = reply else { continue };
        let reply = Message::from_vec(&reply).unwrap_or_else(|error| panic!("{error}: {wire:02x?}"));
        assert_eq!(reply.id, u16::from_be_bytes([wire[0], wire[1]]));
        // Flips inside the name, the id or the cookie leave a good query; what is not one must not get data.
        let whole = matches!(message::read(&wire), Received::Asked(_));
        assert!(
            whole || reply.answers.is_empty() && reply.response_code != ResponseCode::NoError,
            "{wire:02x?}"
        );
        still_good += u32::from(whole);
    }
    assert_eq!(engine.shared.panics.get(), 0);
    assert!(still_good > 1000, "only {still_good}");
}

/// An engine whose zone is as `settings` say.
fn engine_with(settings: &plugins::setup::Settings) -> Engine {
    let mut zones = Zones::default();
    let chain = Chain::new(vec![Arc::new(Scripted)]);
    zones.insert(&Name::from_str("example.org.").unwrap(), Block::configured(chain, settings));
    Engine::new(zones, Duration::from_secs(10), Arc::new(Shared::new(&Metrics::new())))
}

/// What a reply says of the server to a client that asks.
async fn nsid_of(engine: &Engine, name: &str, options: &[(u16, &[u8])]) -> Option<Vec<u8>> {
    let reply = ask(engine, &query(name, RecordType::A, edns(1232, options)), Transport::Udp).await;
    match reply.edns.as_ref()?.option(EdnsCode::NSID)? {
        EdnsOption::NSID(name) => Some(name.as_ref().to_vec()),
        _ => None,
    }
}

#[tokio::test]
async fn server_is_named_to_those_who_ask_also_when_the_query_fails() {
    let settings = plugins::setup::Settings { nsid: Some(b"ams1".to_vec()), ..Default::default() };
    let named = engine_with(&settings);
    for name in ["www", "refused", "panic", "pass", "disagree"] {
        let name = format!("{name}.example.org.");
        assert_eq!(nsid_of(&named, &name, &[(3, b"")]).await.as_deref(), Some(&b"ams1"[..]), "{name}");
    }
    assert_eq!(nsid_of(&named, "www.example.org.", &[]).await, None, "only if asked");
    assert_eq!(nsid_of(&named, "www.example.net.", &[(3, b"")]).await, None, "no block of ours");
    assert_eq!(nsid_of(&engine(), "www.example.org.", &[(3, b"")]).await, None);
}

#[tokio::test]
async fn answer_at_a_glance_is_not_given_to_who_asks_for_the_server() {
    let settings = plugins::setup::Settings { nsid: Some(b"ams1".to_vec()), ..Default::default() };
    let named = engine_with(&settings);
    for (options, expected) in [(&[][..], Glance::Answered), (&[(3, &b""[..])][..], Glance::Ask)] {
        let wire = query("quick.example.org.", RecordType::A, edns(1232, options)).to_vec().unwrap();
        let glance = named.glance(&wire, &client(Transport::Udp), Instant::now(), &mut Vec::new());
        assert_eq!(glance, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn deadline_is_that_of_the_block() {
    for (deadline_ms, slow) in [(Some(300), 300), (Some(6000), 6000), (None, 1800)] {
        let deadline = deadline_ms.map(Duration::from_millis);
        let engine = engine_with(&plugins::setup::Settings { deadline, ..Default::default() });
        let started = tokio::time::Instant::now();
        let asked = query("slow.example.org.", RecordType::A, edns(1232, &[])).to_vec().unwrap();
        let reply = engine.serve(&asked, client(Transport::Udp), started.into_std()).await.unwrap();
        let reply = Message::from_vec(&reply).unwrap();
        assert_eq!((reply.response_code, extended_errors(&reply)), (ResponseCode::ServFail, vec![23, 22]));
        let (took, slow) = (started.elapsed(), Duration::from_millis(slow));
        assert!(took >= slow && took <= slow + 2 * DEADLINE_SLACK, "{took:?}");
        assert_eq!(engine.query_deadline(), slow.max(QUERY_DEADLINE));
    }
}

#[tokio::test]
async fn broken_message_is_dumped_where_a_block_wants_it() {
    for debug in [false, true] {
        let engine = engine_with(&plugins::setup::Settings { debug, ..Default::default() });
        let broken = &query("www.example.org.", RecordType::A, None).to_vec().unwrap()[..20];
        let glance = engine.glance(broken, &client(Transport::Udp), Instant::now(), &mut Vec::new());
        assert_eq!((glance, engine.shared.dumps.count()), (Glance::Answered, u32::from(debug)));
    }
}

/// The bytes of the query and of its reply, from an engine whose server has a long name.
async fn lengths(name: &str, qtype: RecordType, transport: Transport) -> (usize, Message, usize) {
    let settings = plugins::setup::Settings { nsid: Some(vec![b'n'; 128]), ..Default::default() };
    let asked = query(name, qtype, edns(1232, &[(3, b"")])).to_vec().unwrap();
    let reply = engine_with(&settings).serve(&asked, client(transport), Instant::now()).await.unwrap();
    (asked.len(), Message::from_vec(&reply).unwrap(), reply.len())
}

#[tokio::test]
async fn refusal_that_no_plugin_saw_multiplies_nothing_for_a_forged_address() {
    for (name, qtype, code) in
        [("example.org.", RecordType::AXFR, 18), ("www.example.net.", RecordType::A, 20)]
    {
        let (asked, reply, length) = lengths(name, qtype, Transport::Udp).await;
        assert_eq!((reply.response_code, option(&reply, 15)), (ResponseCode::Refused, Some(vec![0, code])));
        assert!(length <= asked + 2, "{length} bytes for {asked}: an extended error without a word");
    }
    let (_, reply, length) = lengths("example.org.", RecordType::AXFR, Transport::Tcp).await;
    assert!(length > 200 && option(&reply, 15).unwrap().len() > 2, "who is no victim is told everything");
}

#[tokio::test]
async fn truncated_reply_without_records_is_no_longer_than_its_query() {
    let (asked, reply, length) = lengths("slip.example.org.", RecordType::A, Transport::Udp).await;
    assert!(reply.truncation && length <= asked, "{length} bytes for {asked}");
}
