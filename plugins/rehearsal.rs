//! What tests of plugins have in common: queries, records, a plugin that answers as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_proto::op::{Edns, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::sync::Semaphore;

use crate::certification::Certification;
use crate::chain::{Chain, Next};
use crate::error::ServeError;
use crate::plugin::{Glance, Plugin};
use crate::query::{Client, Query, Transport};
use crate::response::{Certified, Response};
use crate::view::QueryView;

/// The time that tests under tokio's paused clock go by.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// 192.0.2.1 over UDP.
pub fn client() -> Client {
    Client {
        address: SocketAddr::from(([192, 0, 2, 1], 40_000)),
        local: SocketAddr::from(([192, 0, 2, 53], 53)),
        transport: Transport::Udp,
    }
}

/// A query that came at `received`, with two seconds to answer it.
pub fn query_at(name: &str, qtype: RecordType, received: Instant) -> Query {
    let name_as_asked = Name::from_ascii(name).unwrap();
    Query {
        id: 7,
        name: name_as_asked.to_lowercase(),
        name_as_asked,
        qtype,
        qclass: DNSClass::IN,
        recursion_desired: true,
        authentic_data: false,
        checking_disabled: false,
        edns: None,
        client: client(),
        address_proven: false,
        received,
        deadline: received + Duration::from_secs(2),
        size: 40,
    }
}

/// A query that came now.
pub fn query(name: &str, qtype: RecordType) -> Query {
    query_at(name, qtype, now())
}

/// The query with an OPT record.
pub fn with_edns(query: Query, dnssec_ok: bool) -> Query {
    let mut edns = Edns::new();
    edns.set_max_payload(1232).set_version(0).set_dnssec_ok(dnssec_ok);
    Query { edns: Some(Arc::new(edns)), ..query }
}

/// The bytes of `query`.
pub fn wire(query: &Query) -> Vec<u8> {
    use hickory_proto::op::{Message, MessageType, OpCode};
    let mut message = Message::new(query.id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = query.recursion_desired;
    message.metadata.authentic_data = query.authentic_data;
    message.metadata.checking_disabled = query.checking_disabled;
    let mut question = hickory_proto::op::Query::query(query.name_as_asked.clone(), query.qtype);
    question.set_query_class(query.qclass);
    message.add_query(question);
    if let Some(edns) = &query.edns {
        message.set_edns(Edns::clone(edns));
    }
    message.to_vec().unwrap()
}

/// Shows `query` to `chain`; the reply, if there is one at a glance.
pub fn glance(chain: &Chain, query: &Query) -> Option<Vec<u8>> {
    let (wire, mut reply) = (wire(query), Vec::new());
    let view = QueryView::parse(&wire, &query.client, query.received).expect("a plain query");
    (chain.glance(&view, &mut reply, query.received) == Glance::Answered).then_some(reply)
}

/// `name TTL IN A 192.0.2.LAST`
pub fn a(name: &str, ttl: u32, last: u8) -> Record {
    Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, RData::A(A::new(192, 0, 2, last)))
}

/// `name TTL IN CNAME target`
pub fn cname(name: &str, ttl: u32, target: &str) -> Record {
    let target = CNAME(Name::from_ascii(target).unwrap());
    Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, RData::CNAME(target))
}

/// `name TTL IN SOA`
pub fn soa(name: &str, ttl: u32, minimum: u32) -> Record {
    let name = Name::from_ascii(name).unwrap();
    let data = SOA::new(name.clone(), name.clone(), 1, 3600, 600, 86_400, minimum);
    Record::from_rdata(name, ttl, RData::SOA(data))
}

/// NOERROR with these answers.
pub fn answer(answers: Vec<Record>) -> Response {
    Response { answers, ..Response::new(ResponseCode::NoError, "test") }
}

/// A denial with `soa`.
pub fn denial(rcode: ResponseCode, soa: Record) -> Response {
    Response { authorities: vec![soa], ..Response::new(rcode, "test") }
}

/// A plugin at the end of a chain that gives the answers it holds, in order, and the last one again and again.
///
/// Each answer takes a permit from `gate`, so that a test decides when it comes.
pub struct Script {
    answers: Mutex<VecDeque<Result<Response, ServeError>>>,
    asked: Mutex<Vec<Query>>,
    calls: AtomicUsize,
    pub gate: Semaphore,
}

impl Script {
    /// A script whose gate stands open.
    pub fn new(answers: impl IntoIterator<Item = Result<Response, ServeError>>) -> Arc<Script> {
        let script = Script::gated(answers);
        script.gate.add_permits(1_000_000);
        script
    }

    /// A script whose gate is shut.
    pub fn gated(answers: impl IntoIterator<Item = Result<Response, ServeError>>) -> Arc<Script> {
        Arc::new(Script {
            answers: Mutex::new(answers.into_iter().collect()),
            asked: Mutex::default(),
            calls: AtomicUsize::new(0),
            gate: Semaphore::new(0),
        })
    }

    /// How many times it was asked.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The last query that came.
    pub fn last_query(&self) -> Query {
        self.asked.lock().unwrap().last().expect("it was asked").clone()
    }
}

#[async_trait]
impl Plugin for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    async fn serve(&self, query: &Query, _next: Next) -> Result<Response, ServeError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.asked.lock().unwrap().push(query.clone());
        self.gate.acquire().await.unwrap().forget();
        let mut answers = self.answers.lock().unwrap();
        if answers.len() > 1 { answers.pop_front().expect("more than one") } else { answers[0].clone() }
    }
}

/// `response` with a certificate beside it, whose signatures are none.
pub fn certified(response: Response) -> Response {
    use certificate::{
        CertifiedAnswer, Class, Digest, Domain, Epoch, Kinds, Leaf, Outcome, Policy, Question,
        QuorumCertificate, ReplicaSet, Sequence, SlotHeader, Subject, View,
    };
    let header = SlotHeader {
        sequence: Sequence(1),
        kinds: Kinds(1),
        entries: 1,
        leaves_root: Digest::ZERO,
        observations_root: Digest::ZERO,
        time_ms: 0,
        cluster_digest: Digest::ZERO,
        prefix_sequence: Sequence(0),
        prefix_digest: Digest::ZERO,
    };
    let leaf = Leaf {
        subject: Subject::Resolve(Question { name: vec![0], qtype: 1, qclass: 1, flags: 0 }),
        class: Class::Strong,
        policy: Policy::Strong,
        single_path: false,
        outcome: Outcome::None,
        extra_digest: Digest::ZERO,
        ttl: 1,
        time_ms: 0,
        not_after_ms: 1000,
        support: ReplicaSet::EMPTY,
        groups: 0,
        observers: ReplicaSet::EMPTY,
        verdict: Vec::new(),
    };
    let certificate = QuorumCertificate {
        domain: Domain { cluster_id: Digest::ZERO, epoch: Epoch(1) },
        view: View(0),
        header,
        signers: ReplicaSet::EMPTY,
        signatures: Vec::new(),
    };
    let answer = CertifiedAnswer { certificate, index: 0, proof: Vec::new(), leaf };
    let certified = Certified { answer, bytes: vec![0; 700], reference: [2; 33], option_code: 65_321 };
    Response { certificate: Some(Certification::complete(Arc::new(certified))), ..response }
}

/// The answer of the chain that `text` makes.
pub async fn serve(text: &str, query: &Query) -> Result<Response, ServeError> {
    let (messages, chain) = set_up(text, |block| Chain::new(block.plugins.clone()));
    assert_eq!(messages, [""; 0]);
    chain.serve(query).await
}

/// A plugin that answers every query at a glance with an empty reply of this rcode.
pub struct Answered(pub u8);

#[async_trait]
impl Plugin for Answered {
    fn name(&self) -> &'static str {
        "answered"
    }

    fn glance(&self, query: &QueryView<'_>, reply: &mut Vec<u8>) -> Glance {
        reply.clear();
        reply.extend_from_slice(&[query.wire[0], query.wire[1], 0x81, 0x80 | self.0]);
        reply.extend_from_slice(&[0; 8]);
        Glance::Answered
    }

    async fn serve(&self, _: &Query, _: Next) -> Result<Response, ServeError> {
        Err(ServeError::NoPlugin)
    }
}

/// What setting up the server block `.` with the lines of `text` leads to: diagnostics, settings, services, plugins.
pub fn set_up<T>(text: &str, read: impl FnOnce(&crate::setup::Block<'_>) -> T) -> (Vec<String>, T) {
    let text = format!(". {{\n{text}\n}}\n");
    let sources = corefile::MemorySources::new().with_file("Corefile", text.as_str());
    let names = crate::registry::names();
    let options = corefile::ParseOptions { directives: Some(&names), ..Default::default() };
    let (tree, mut diagnostics) = corefile::parse("Corefile".as_ref(), &sources, &options);
    let context = crate::setup::Context {
        directory: std::env::temp_dir(),
        metrics: Arc::default(),
        nodes: Arc::default(),
        claims: Mutex::default(),
        fatal: Arc::default(),
    };
    let block = crate::registry::set_up(&tree.blocks[0], &context, &mut diagnostics);
    (diagnostics.iter().map(ToString::to_string).collect(), read(&block))
}

/// What setting up `text` has to say, a line a diagnostic.
pub fn messages(text: &str) -> Vec<String> {
    set_up(text, |_| ()).0
}

/// Records in presentation form, each with its absolute name.
pub fn records(text: &str) -> Vec<Record> {
    let included = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let read = crate::file::master::parse(text, "records".as_ref(), &Name::root(), &included).unwrap();
    let records = read.records.into_iter();
    records.map(|record| Record::from_rdata(record.owner_name(), record.ttl, record.data)).collect()
}

/// The names of the plugins that `text` makes.
pub fn plugins(text: &str) -> Vec<&'static str> {
    set_up(text, |block| block.plugins.iter().map(|plugin| plugin.name()).collect()).1
}
