//! Clusters, slots and certificates from fixed seeds.

#![allow(dead_code, reason = "each test uses a part of it")]

use certificate::codec::Encode as _;
use certificate::leaf::{Class, Leaf, Outcome, Policy, Question, RrSet, Subject};
use certificate::{
    CertifiedAnswer, Cluster, Digest, Judged, Member, MessageType, QuorumCertificate, Remark, ReplicaId,
    ReplicaSet, SeedKey, Sequence, Signature, SlotHeader, View, merkle, name,
};
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use sha2::{Digest as _, Sha512};

/// 2026-11-22T14:26:00Z
pub const TIME: u64 = 1_795_357_560_000;

pub struct Fixture {
    pub cluster: Cluster,
    pub seeds: Vec<SeedKey>,
}

pub fn wire(text: &str) -> Vec<u8> {
    name::parse(text).unwrap()
}

pub fn question(text: &str, qtype: u16) -> Question {
    Question::parse(text, qtype).unwrap()
}

pub fn rrset(owner: &str, rtype: u16, ttl: u32, rdatas: &[&[u8]]) -> RrSet {
    let rdatas = rdatas.iter().map(|rdata| rdata.to_vec()).collect();
    RrSet { owner: wire(owner), rtype, rclass: 1, ttl, rdatas }
}

pub fn seed(tag: u8, id: u8) -> SeedKey {
    SeedKey::new(seed_bytes(tag, id))
}

fn seed_bytes(tag: u8, id: u8) -> [u8; 32] {
    Digest::of_parts(&[b"quorate test seed", &[tag, id]]).0
}

/// A signature that satisfies the equation of RFC 8032, but whose R is the neutral point: only the signer can make it, and only a
/// strict verifier refuses it. With R = 0, S = k * s.
pub fn small_order_signature(tag: u8, id: u8, message: &[u8]) -> Signature {
    let secret = Digest::of_parts(&[b"quorate signing v1", &seed_bytes(tag, id)]).0;
    let expanded = Sha512::digest(secret);
    let scalar = Scalar::from_bytes_mod_order(clamp_integer(expanded[..32].try_into().unwrap()));
    let mut signature = [0; 64];
    signature[0] = 1;
    let mut hasher = Sha512::new();
    hasher.update(&signature[..32]);
    hasher.update(seed(tag, id).signing_key().public_key().to_bytes());
    hasher.update(message);
    let k = Scalar::from_bytes_mod_order_wide(&hasher.finalize().into());
    signature[32..].copy_from_slice((k * scalar).as_bytes());
    Signature(signature)
}

impl Fixture {
    /// n replicas in up to four upstream groups; `tag` separates the keys of clusters.
    pub fn new(tag: u8, count: u8, faults: u32) -> Fixture {
        let seeds: Vec<SeedKey> = (0..count).map(|id| seed(tag, id)).collect();
        let members = seeds.iter().zip(0..).map(|(seed, id)| Member {
            id: ReplicaId(id),
            name: format!("replica-{id}"),
            address: format!("192.0.2.{}:5380", id + 1).parse().unwrap(),
            public_key: seed.signing_key().public_key(),
            transport_key: seed.transport_key().public_key(),
            upstream_group: format!("isp-{}", char::from(b'a' + id % 4)),
            group: 0,
        });
        let mut cluster = Cluster::new("example", faults, members.collect()).unwrap();
        for (zone, policy) in [
            ("example.org.", Policy::Strong),
            ("pool.example.org.", Policy::Records),
            ("signed.example.org.", Policy::Dnssec),
            ("plain.example.org.", Policy::Corroborated),
        ] {
            cluster.policies.insert(wire(zone), policy);
        }
        Fixture { cluster, seeds }
    }

    pub fn four() -> Fixture {
        Fixture::new(4, 4, 1)
    }

    /// All replicas observed, the first q support.
    pub fn leaf(&self, question: Question, class: Class, ttl: u32, outcome: Outcome) -> Leaf {
        let (_, policy) = self.cluster.policy_for(&question.name);
        let q = self.cluster.replicas.quorum() as u8;
        let support = match class {
            Class::NoAgreement => ReplicaSet::EMPTY,
            Class::Records | Class::Corroborated => (0..q - 1).map(ReplicaId).collect(),
            _ => (0..q).map(ReplicaId).collect(),
        };
        Leaf {
            subject: Subject::Resolve(question),
            class,
            policy,
            single_path: false,
            outcome,
            extra_digest: Digest::ZERO,
            ttl,
            time_ms: TIME,
            not_after_ms: TIME + u64::from(ttl) * 1000,
            support,
            groups: self.cluster.groups_of(support),
            observers: self.cluster.all(),
            verdict: Vec::new(),
        }
    }

    /// `www.example.org. A`, strong.
    pub fn positive(&self) -> Leaf {
        let set = rrset("www.example.org", 1, 300, &[&[192, 0, 2, 1], &[192, 0, 2, 2]]);
        self.leaf(question("www.example.org", 1), Class::Strong, 300, Outcome::Answer(vec![set]))
    }

    /// The verdict on a certificate chain.
    pub fn validated(&self, class: Class) -> Leaf {
        let leaf = self.leaf(question("www.example.org", 1), class, 60, Outcome::None);
        Leaf {
            subject: Subject::Validate(b"192.0.2.1:443 and the digest of a chain".to_vec()),
            policy: Policy::Corroborated,
            verdict: b"trusted".to_vec(),
            ..leaf
        }
    }

    /// The decision that an input is in force.
    pub fn updated(&self) -> Leaf {
        let leaf = self.leaf(question("www.example.org", 1), Class::Strong, 3600, Outcome::None);
        Leaf {
            subject: Subject::UpdateInputs([&[1][..], &Digest::of(b"a log list").0].concat()),
            policy: Policy::Strong,
            verdict: b"accepted".to_vec(),
            ..leaf
        }
    }

    pub fn header(&self, leaves: &[Leaf]) -> SlotHeader {
        let bytes: Vec<Vec<u8>> = leaves.iter().map(|leaf| leaf.to_bytes()).collect();
        SlotHeader {
            sequence: Sequence(1042),
            kinds: leaves.iter().map(Leaf::kind).collect(),
            entries: leaves.len() as u16,
            leaves_root: merkle::root(&bytes),
            observations_root: Digest::of(b"the observations of this slot"),
            time_ms: TIME + 3,
            cluster_digest: self.cluster.digest(),
            prefix_sequence: Sequence(1039),
            prefix_digest: Digest::of(b"the history up to slot 1039"),
        }
    }

    /// The certificate of `header` by the first q replicas.
    pub fn commit(&self, header: SlotHeader, view: View) -> QuorumCertificate {
        let signers: Vec<u8> = (0..self.cluster.replicas.quorum() as u8).collect();
        self.sign(header, view, MessageType::Commit, &signers)
    }

    pub fn sign(
        &self,
        header: SlotHeader,
        view: View,
        phase: MessageType,
        signers: &[u8],
    ) -> QuorumCertificate {
        let domain = self.cluster.domain();
        let preimage = domain.vote_preimage(phase, view, header.sequence, header.digest());
        let signatures = signers.iter().map(|id| self.sign_as(*id, &preimage)).collect();
        let signers = signers.iter().map(|id| ReplicaId(*id)).collect();
        QuorumCertificate { domain, view, header, signers, signatures }
    }

    pub fn sign_as(&self, id: u8, preimage: &[u8]) -> Signature {
        self.seeds[usize::from(id)].signing_key().sign(preimage)
    }

    /// The certified answer for `leaves[index]`, in view 0.
    pub fn certify(&self, leaves: &[Leaf], index: usize) -> CertifiedAnswer {
        let certificate = self.commit(self.header(leaves), View(0));
        let bytes: Vec<Vec<u8>> = leaves.iter().map(|leaf| leaf.to_bytes()).collect();
        CertifiedAnswer {
            certificate,
            index: index as u16,
            proof: merkle::proof(&bytes, index),
            leaf: leaves[index].clone(),
        }
    }
}

/// Every kind of answer, in one slot.
pub fn every_outcome(fixture: &Fixture) -> Vec<Leaf> {
    let cname = |owner: &str, target: &str| rrset(owner, 5, 120, &[&wire(target)]);
    let chain = Outcome::Answer(vec![
        cname("alias.example.org", "www.example.net"),
        cname("www.example.net", "edge.example.net"),
        rrset("edge.example.net", 28, 60, &[&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]),
    ]);
    let negative =
        |denial, chain| Outcome::Negative { chain, denial, zone: wire("example.org"), minimum: 900 };
    let mut with_flags = question("mail.signed.example.org", 15);
    with_flags.flags = Question::DNSSEC_OK;
    let mx = rrset("mail.signed.example.org", 15, 3600, &[&[&[0, 10][..], &wire("mx.example.org")].concat()]);
    let mut secure = fixture.leaf(with_flags, Class::Secure, 3600, Outcome::Answer(vec![mx]));
    secure.support = [ReplicaId(2)].into_iter().collect();
    secure.groups = fixture.cluster.groups_of(secure.support);
    secure.single_path = true;
    secure.extra_digest = Digest::of(b"the RRSIG record that is served beside it");
    let pool = rrset("a.pool.example.org", 1, 30, &[&[192, 0, 2, 7], &[192, 0, 2, 9], &[198, 51, 100, 1]]);
    let any = Outcome::Answer(vec![
        rrset("any.example.org", 1, 300, &[&[192, 0, 2, 1]]),
        rrset("any.example.org", 16, 200, &[b"\x05hello"]),
    ]);
    use certificate::Denial::{NoData, NxDomain};
    let leaf = |name, qtype, class, ttl, outcome| fixture.leaf(question(name, qtype), class, ttl, outcome);
    vec![
        fixture.positive(),
        leaf("alias.example.org", 28, Class::Strong, 60, chain),
        leaf("nothing.example.org", 1, Class::Strong, 900, negative(NxDomain, Vec::new())),
        leaf("www.example.org", 257, Class::Strong, 300, negative(NoData, Vec::new())),
        leaf(
            "old.example.org",
            1,
            Class::Strong,
            120,
            negative(NxDomain, vec![cname("old.example.org", "gone.example.org")]),
        ),
        leaf("broken.example.org", 1, Class::Failure, 5, Outcome::Failure(2)),
        leaf("split.example.org", 1, Class::NoAgreement, 1, Outcome::None),
        leaf("a.pool.example.org", 1, Class::Records, 30, Outcome::Answer(vec![pool])),
        leaf(
            "a.plain.example.org",
            1,
            Class::Corroborated,
            0,
            Outcome::Answer(vec![rrset("a.plain.example.org", 1, 0, &[&[192, 0, 2, 3]])]),
        ),
        secure,
        leaf("any.example.org", 255, Class::Strong, 200, any),
        leaf(
            "dangling.example.org",
            1,
            Class::Strong,
            120,
            Outcome::Answer(vec![cname("dangling.example.org", "www.example.net")]),
        ),
        fixture.validated(Class::Strong),
        Leaf { verdict: flagged().to_bytes(), ..fixture.positive() },
        Leaf {
            verdict: blocked().to_bytes(),
            ..leaf("blocked.example.org", 37, Class::Failure, 5, Outcome::Failure(2))
        },
        fixture.updated(),
    ]
}

/// A remark beside an answer that is served nevertheless.
pub fn flagged() -> Remark {
    Remark::new(Judged::Indeterminate, 0, "ct-verify: TLSA indeterminate: log_list_stale")
}

/// A remark beside an answer that is not served.
pub fn blocked() -> Remark {
    Remark::new(Judged::Invalid, 15, "ct-verify: CERT invalid: not_enough_logs, too_few_operators")
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
