//! A cluster of four on loopback with its secrets, and decisions that a quorum of it has signed.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agreement::canonical::Reading;
use agreement::observation::payload_bytes_max;
use agreement::{Decision, Dnssec, NoProofs, Observation, Observed};
use certificate::codec::{Decode, Encode};
use certificate::leaf::{Leaf, Question};
use certificate::{
    CertifiedAnswer, Cluster, Digest, Member, MessageType, QuorumCertificate, ReplicaId, ReplicaSet, SeedKey,
    Sequence, SlotHeader, View, merkle,
};
use node::peer_socket;
use pbft::{Batch, Decided, Operation};
use peer_filter::Mode;

use crate::byzantine_consensus::consensus::to_message;
use crate::byzantine_consensus::metrics::ConsensusMetrics;
use crate::byzantine_consensus::nodes::{FastPath, Identity, NodeSettings};
use crate::byzantine_consensus::store::Held;
use crate::metrics::Metrics;
use crate::response::{Certified, Response};

/// Four replicas, their keys, their peer ports.
pub struct Setting {
    pub cluster: Arc<Cluster>,
    pub seeds: Vec<SeedKey>,
    pub sockets: Vec<UdpSocket>,
}

impl Setting {
    pub fn new() -> Setting {
        Setting::with(|_| {})
    }

    /// A cluster whose file is changed before anybody reads it.
    pub fn with(change: impl FnOnce(&mut Cluster)) -> Setting {
        let seeds: Vec<SeedKey> = (0..4).map(|id| SeedKey::new([id + 1; 32])).collect();
        let loopback = (Ipv4Addr::LOCALHOST, 0).into();
        let sockets: Vec<UdpSocket> = seeds.iter().map(|_| peer_socket(loopback).unwrap()).collect();
        let members = seeds.iter().zip(&sockets).enumerate().map(|(id, (seed, socket))| Member {
            id: ReplicaId(id as u8),
            name: format!("replica-{id}"),
            address: socket.local_addr().unwrap(),
            public_key: seed.signing_key().public_key(),
            transport_key: seed.transport_key().public_key(),
            upstream_group: format!("isp-{id}"),
            group: 0,
        });
        let mut cluster = Cluster::new("example", 1, members.collect()).unwrap();
        change(&mut cluster);
        Setting { cluster: Arc::new(cluster), seeds, sockets }
    }

    /// What replica `id` is; its log would be in the current folder.
    pub fn identity(&self, id: u8) -> Identity {
        Identity {
            cluster: self.cluster.clone(),
            me: ReplicaId(id),
            seed: Arc::new(self.seeds[usize::from(id)].clone()),
            state: PathBuf::new(),
            settings: NodeSettings {
                bind: None,
                compression: true,
                batch_entries: self.cluster.batch_entries,
                batch_wait: Duration::from_millis(2),
                pipeline: self.cluster.pipeline,
                timeout: Duration::from_millis(100),
                view_change_timeout: Duration::from_secs(1),
                fast_path: FastPath::On,
                detector: true,
                reputation_threshold: 0.5,
                filter: Mode::Off,
                adversary: None,
            },
            metrics: ConsensusMetrics::new(&Metrics::new(), &self.cluster.name),
        }
    }

    /// What `replica` signs when it sees `response`.
    pub fn observed(&self, replica: u8, question: &Question, response: Response) -> Observed {
        let remark = response.remark.clone();
        let reading = agreement::canonical::read(question, &to_message(response)).unwrap();
        let reading = Reading { remark, ..reading };
        let group = self.cluster.member(ReplicaId(replica)).unwrap().group;
        let bytes_max = payload_bytes_max(&self.cluster);
        Observed::compose(reading, Dnssec::Indeterminate, group, Vec::new(), bytes_max)
    }

    /// What follows when the replicas 0, 1, ... see these responses at `time_ms`.
    pub fn decision(&self, question: &Question, time_ms: u64, seen: &[Response]) -> Decision {
        let observed: Vec<Observed> =
            seen.iter().zip(0..).map(|(seen, id)| self.observed(id, question, seen.clone())).collect();
        let observations: Vec<Observation<'_>> = observed
            .iter()
            .zip(0..)
            .map(|(observed, id)| Observation { replica: ReplicaId(id), time_ms, observed })
            .collect();
        agreement::decide(&self.cluster, question, &observations, &NoProofs)
    }

    /// What follows when all four see `response`.
    pub fn unanimous(&self, question: &Question, time_ms: u64, response: Response) -> Decision {
        self.decision(question, time_ms, &[0; 4].map(|_| response.clone()))
    }

    fn header(&self, sequence: u64, leaves: &[Vec<u8>]) -> SlotHeader {
        SlotHeader {
            sequence: Sequence(sequence),
            kinds: leaves.iter().filter_map(|leaf| Some(Leaf::from_bytes(leaf).ok()?.kind())).collect(),
            entries: leaves.len() as u16,
            leaves_root: merkle::root(leaves),
            observations_root: Digest::ZERO,
            time_ms: 0,
            cluster_digest: self.cluster.digest(),
            prefix_sequence: Sequence(sequence - 1),
            prefix_digest: Digest::ZERO,
        }
    }

    /// The slot `sequence` with these leaves, committed by the replicas 0, 1 and 2.
    pub fn certificate(&self, sequence: u64, leaves: &[Vec<u8>]) -> QuorumCertificate {
        let header = self.header(sequence, leaves);
        let domain = self.cluster.domain();
        let preimage = domain.vote_preimage(MessageType::Commit, View(0), header.sequence, header.digest());
        let signatures = self.seeds[..3].iter().map(|seed| seed.signing_key().sign(&preimage)).collect();
        QuorumCertificate { domain, view: View(0), header, signers: ReplicaSet(0b0111), signatures }
    }

    /// `leaf` alone in the slot `sequence`.
    pub fn certify(&self, sequence: u64, leaf: &Leaf) -> CertifiedAnswer {
        let leaves = [leaf.to_bytes()];
        let certificate = self.certificate(sequence, &leaves);
        CertifiedAnswer { certificate, index: 0, proof: merkle::proof(&leaves, 0), leaf: leaf.clone() }
    }

    /// The decision as a replica holds it.
    pub fn held(&self, sequence: u64, decision: Decision) -> Arc<Held> {
        held(self.certify(sequence, &decision.leaf), decision.extra)
    }

    /// The slot `sequence` as the node reports it, without its observations.
    pub fn decided(&self, sequence: u64, entries: &[(Operation, Leaf)]) -> Decided {
        let leaves: Vec<Vec<u8>> = entries.iter().map(|(_, leaf)| leaf.to_bytes()).collect();
        let certificate = self.certificate(sequence, &leaves);
        Decided {
            header: certificate.header,
            view: certificate.view,
            leaves,
            operations: entries.iter().map(|(operation, _)| operation.clone()).collect(),
            signers: certificate.signers,
            signatures: certificate.signatures,
            evidence: Arc::new(Batch::default()),
        }
    }
}

/// A certified answer as a replica holds it.
pub fn held(answer: CertifiedAnswer, extra: Vec<u8>) -> Arc<Held> {
    let certified = Certified {
        bytes: answer.to_bytes(),
        reference: answer.reference(),
        answer,
        option_code: certificate::delivery::OPTION_CODE,
    };
    Arc::new(Held::certified(certified, extra, Vec::new()))
}

/// `name IN A`
pub fn question(name: &str) -> Question {
    Question::parse(name, 1).unwrap()
}
