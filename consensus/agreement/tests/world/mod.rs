//! What the tests are made of: clusters, records in presentation form, observations.
#![allow(clippy::unwrap_used, reason = "a test that cannot be arranged should fail")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::str::FromStr;

use agreement::canonical::{self, Reading, Unusable};
use agreement::observation::{Seen, SeenRecord};
use agreement::{Decision, Dnssec, NoProofs, Observation, Observed, ObservedOutcome, Proofs};
use certificate::codec::{Decode, Encode};
use certificate::verify::verify;
use certificate::{
    CertifiedAnswer, Class, Cluster, Denial, Digest, Judged, Leaf, Member, MessageType, Policy, Question,
    QuorumCertificate, Remark, ReplicaId, ReplicaSet, RrSet, SeedKey, Sequence, SlotHeader, View, merkle,
};
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// The time of observations: seconds enough after 1970 that any history fits before it.
pub const NOW_MS: u64 = 1_790_000_000_000;

/// A cluster of `count` replicas, each on an upstream group of its own, with one policy for everything.
pub fn cluster(count: u32, faults: u32, policy: Policy) -> Cluster {
    let members = (0..count as u8).map(|id| {
        let seed = SeedKey::new([id + 1; 32]);
        Member {
            id: ReplicaId(id),
            name: format!("replica-{id}"),
            address: format!("192.0.2.{}:5380", id + 1).parse().unwrap(),
            public_key: seed.signing_key().public_key(),
            transport_key: seed.transport_key().public_key(),
            upstream_group: format!("isp-{id}"),
            group: 0,
        }
    });
    let mut cluster = Cluster::new("test", faults, members.collect()).unwrap();
    cluster.policies.insert(certificate::name::ROOT.to_vec(), policy);
    cluster
}

pub fn four(policy: Policy) -> Cluster {
    cluster(4, 1, policy)
}

pub fn wire(name: &str) -> Vec<u8> {
    certificate::name::parse(name).unwrap()
}

pub fn question(name: &str, qtype: u16) -> Question {
    Question::parse(name, qtype).unwrap()
}

pub fn www() -> Question {
    question("www.example.org", 1)
}

/// `OWNER TTL TYPE DATA`; unknown types as `TYPE65280 \# HEX`.
pub fn record(line: &str) -> Record {
    let [owner, ttl, rtype, data] = line.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
    let data = match (rtype, data.strip_prefix("\\# ")) {
        (_, Some(hex)) => opaque(rtype, hex),
        ("DNAME", None) => RData::Unknown { code: RecordType::DNAME, rdata: NULL::with(uncompressed(data)) },
        _ => RData::try_from_str(RecordType::from_str(rtype).unwrap(), data).unwrap(),
    };
    let name = Name::from_str(owner).unwrap();
    Record::from_rdata(name, ttl.parse().unwrap(), data)
}

fn uncompressed(name: &str) -> Vec<u8> {
    let labels = Name::from_str(name).unwrap();
    let mut wire: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8], label].concat()).collect();
    wire.push(0);
    wire
}

fn opaque(rtype: &str, hex: &str) -> RData {
    let number: u16 = rtype.strip_prefix("TYPE").unwrap().parse().unwrap();
    let bytes =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    RData::Unknown { code: RecordType::from(number), rdata: NULL::with(bytes) }
}

/// A response to `question`; lines before `--` are answers, after it authority records.
pub fn response(question: &Question, rcode: ResponseCode, lines: &[&str]) -> Message {
    let mut message = Message::new(7, hickory_proto::op::MessageType::Response, OpCode::Query);
    message.metadata.response_code = rcode;
    let name = agreement::name::from_wire(&question.name).unwrap();
    let mut query = Query::query(name, RecordType::from(question.qtype));
    query.set_query_class(question.qclass.into());
    message.add_query(query);
    let cut = lines.iter().position(|line| *line == "--").unwrap_or(lines.len());
    message.add_answers(lines[..cut].iter().map(|line| record(line)));
    message.add_authorities(lines.iter().skip(cut + 1).map(|line| record(line)));
    message
}

pub fn read(question: &Question, rcode: ResponseCode, lines: &[&str]) -> Result<Reading, Unusable> {
    canonical::read(question, &response(question, rcode, lines))
}

/// The outcome of a NOERROR response with these answers.
pub fn outcome(question: &Question, lines: &[&str]) -> ObservedOutcome {
    read(question, ResponseCode::NoError, lines).unwrap().outcome
}

/// The address 192.0.2.HOST for www.example.org, one for each host.
pub fn addresses(hosts: &[u8], ttl: u32) -> ObservedOutcome {
    let mut rdatas: Vec<Vec<u8>> = hosts.iter().map(|host| vec![192, 0, 2, *host]).collect();
    rdatas.sort();
    ObservedOutcome::Answer(vec![RrSet { owner: www().name, rtype: 1, rclass: 1, ttl, rdatas }])
}

pub fn nxdomain(minimum: u32, ttl: u32) -> ObservedOutcome {
    denied(Denial::NxDomain, minimum, ttl)
}

pub fn denied(denial: Denial, minimum: u32, ttl: u32) -> ObservedOutcome {
    ObservedOutcome::Negative { chain: vec![], denial, zone: wire("example.org"), minimum, ttl }
}

/// An observation of `outcome` and nothing beside it.
pub fn saw(outcome: ObservedOutcome) -> Observed {
    Observed {
        outcome,
        dnssec: Dnssec::Indeterminate,
        group: 0,
        extra: vec![],
        remark: None,
        history: vec![],
    }
}

/// One observation a replica, numbered in order, all at `NOW_MS`.
pub fn round(observed: &[Observed]) -> Vec<Observation<'_>> {
    let numbered = observed.iter().enumerate();
    numbered
        .map(|(id, observed)| Observation { replica: ReplicaId(id as u8), time_ms: NOW_MS, observed })
        .collect()
}

pub fn decide(cluster: &Cluster, observed: &[Observed]) -> Leaf {
    agreement::decide(cluster, &www(), &round(observed), &NoProofs).leaf
}

pub fn decide_with(cluster: &Cluster, observed: &[Observed], proofs: &dyn Proofs) -> Decision {
    agreement::decide(cluster, &www(), &round(observed), proofs)
}

/// What was seen of www.example.org, type A, so many milliseconds before `NOW_MS`.
pub fn history(hosts: &[u8], ttl: u32, age_ms: u64) -> Vec<Seen> {
    let mut records: Vec<SeenRecord> = hosts
        .iter()
        .map(|host| SeenRecord { rdata: vec![192, 0, 2, *host], ttl, last_seen_ms: NOW_MS - age_ms })
        .collect();
    records.sort_by(|one, other| one.rdata.cmp(&other.rdata));
    vec![Seen { owner: www().name, rtype: 1, rclass: 1, records }]
}

/// The last bytes of the addresses of an answer.
pub fn hosts(leaf: &Leaf) -> Vec<u8> {
    let rrsets = leaf.outcome.rrsets().unwrap_or_default();
    let addresses = rrsets.iter().filter(|rrset| rrset.rtype == 1).flat_map(|rrset| &rrset.rdatas);
    addresses.map(|rdata| rdata[3]).collect()
}

pub fn ids(set: ReplicaSet) -> Vec<u8> {
    set.iter().map(|replica| replica.0).collect()
}

/// A small generator of numbers for tests, the same for the same seed (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// A remark of ct-verify's kind.
pub fn remark(text: &str) -> Remark {
    Remark::new(Judged::Invalid, 0, text)
}

/// An observation with a remark on it.
pub fn remarked(observed: Observed, text: &str) -> Observed {
    Observed { remark: Some(remark(text)), ..observed }
}

/// Whether a certificate of `leaf` by a quorum of `cluster` verifies.
pub fn verifies(cluster: &Cluster, leaf: &Leaf) -> bool {
    let header = SlotHeader {
        sequence: Sequence(1),
        kinds: [leaf.kind()].into_iter().collect(),
        entries: 1,
        leaves_root: merkle::root(&[leaf.to_bytes()]),
        observations_root: Digest::ZERO,
        time_ms: leaf.time_ms,
        cluster_digest: cluster.digest(),
        prefix_sequence: Sequence(0),
        prefix_digest: Digest::ZERO,
    };
    let signers: ReplicaSet = (0..cluster.replicas.quorum() as u8).map(ReplicaId).collect();
    let domain = cluster.domain();
    let preimage = domain.vote_preimage(MessageType::Commit, View(0), header.sequence, header.digest());
    let sign = |id: ReplicaId| SeedKey::new([id.0 + 1; 32]).signing_key().sign(&preimage);
    let signatures = signers.iter().map(sign).collect();
    let certificate = QuorumCertificate { domain, view: View(0), header, signers, signatures };
    let answer = CertifiedAnswer { certificate, index: 0, proof: Vec::new(), leaf: leaf.clone() };
    let read = CertifiedAnswer::from_bytes(&answer.to_bytes()).unwrap();
    verify(&read, cluster, leaf.question(), leaf.time_ms, 0, Class::NoAgreement).is_ok()
}

/// Visits every order of `items`.
pub fn permutations<T>(items: &mut [T], from: usize, visit: &mut impl FnMut(&[T])) {
    if from + 1 >= items.len() {
        return visit(items);
    }
    for other in from..items.len() {
        items.swap(from, other);
        permutations(items, from + 1, visit);
        items.swap(from, other);
    }
}
