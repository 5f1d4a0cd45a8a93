//! The bytes: golden digests for every message and record, and a decoder that nothing surprises.

use std::sync::Arc;

use certificate::codec::{Decode, Encode};
use certificate::{Digest, Kinds, MessageType, OperationKind, ReplicaId, Sequence, SlotHeader, View};

use super::bench::*;
use super::toy::*;
use crate::select::Plan;
use crate::*;

/// Length, type byte and the first four bytes of SHA-256 of each message above.
const MESSAGES: [&str; 18] = [
    "resolve: 19 bytes, first 16, 1c02159c",
    "observe: 208 bytes, first 1, eb8dd8e1",
    "pre-prepare: 449 bytes, first 2, 7ce3fe0c",
    "pre-prepare of a null batch: 232 bytes, first 2, 6b88a3e7",
    "prepare: 114 bytes, first 3, 2a75fbf3",
    "commit: 114 bytes, first 4, e831d120",
    "checkpoint: 106 bytes, first 5, 15f91266",
    "status: 26 bytes, first 18, 5c299f9f",
    "fetch: 9 bytes, first 19, 45ae4d22",
    "slot: 621 bytes, first 20, 60a881df",
    "fetch-state: 13 bytes, first 21, 85b85f6a",
    "stable-checkpoint: 252 bytes, first 22, 763da6e1",
    "answer: 41 bytes, first 17, 5272ddee",
    "view-change: 912 bytes, first 6, b894fb4c",
    "new-view: 272 bytes, first 7, cf77b60c",
    "fetch-batch: 41 bytes, first 23, 65aa8a17",
    "fetch-view-change: 33 bytes, first 24, 19162ea8",
    "batch: 377 bytes, first 25, acf1358e",
];

/// The same of each record.
const RECORDS: [&str; 13] = [
    "genesis: 34 bytes, first 1, e7488dfc",
    "accepted: 563 bytes, first 2, ad7bcdeb",
    "proposed: 450 bytes, first 2, b610f7a6",
    "committed: 311 bytes, first 3, 02cee967",
    "decided: 246 bytes, first 4, adce9200",
    "adopted: 622 bytes, first 4, 437c5674",
    "own checkpoint: 106 bytes, first 5, 15f91266",
    "stable: 280 bytes, first 6, 4f908575",
    "view changing: 912 bytes, first 7, eb5c7ae8",
    "entered: 1185 bytes, first 8, 0f228770",
    "learner: 34 bytes, first 9, 6166f53f",
    "voter: 1 bytes, first 10, 01ba4719",
    "voted: 113 bytes, first 11, 79abdb15",
];

fn observation(kind: OperationKind) -> Observation {
    let operation = Operation { kind, subject: b"subject".to_vec() };
    Observation { operation, after: Sequence(3), time_ms: WALL_MS, payload: b"payload".to_vec() }
}

fn set() -> SignedObservations {
    let kinds = [
        OperationKind::Resolve,
        OperationKind::Validate,
        OperationKind::UpdateInputs,
        OperationKind::NewEpoch,
    ];
    let observations = kinds.map(observation).to_vec();
    let mut set = SignedObservations::sign(ReplicaId(2), observations, &domain(), &ToyKeys::of(2));
    set.items[1] = Item::Pruned(set.items[1].digest(ReplicaId(2)));
    set
}

fn header() -> SlotHeader {
    SlotHeader {
        sequence: Sequence(5),
        kinds: Kinds(2),
        entries: 1,
        leaves_root: Digest::of(b"leaves"),
        observations_root: Digest::of(b"observations"),
        time_ms: WALL_MS,
        cluster_digest: Digest::of(b"cluster file"),
        prefix_sequence: Sequence(3),
        prefix_digest: Digest::of(b"prefix"),
    }
}

fn batch() -> Arc<Batch> {
    Arc::new(Batch { operations: vec![observation(OperationKind::Resolve).operation], sets: vec![set()] })
}

fn proposal(batch: Arc<Batch>) -> PrePrepare {
    let header = header();
    let signature = vote(MessageType::PrePrepare, 1, 5, header.digest(), 1).signature;
    PrePrepare { view: View(1), header, signature, batch }
}

fn commits() -> CommitCertificate {
    let digest = header().digest();
    let signatures = [0, 2, 3].map(|from| vote(MessageType::Commit, 1, 5, digest, from).signature);
    let signers = [0, 2, 3].map(ReplicaId).into_iter().collect();
    CommitCertificate {
        view: View(1),
        sequence: Sequence(5),
        digest,
        signers,
        signatures: signatures.to_vec(),
    }
}

fn checkpoints() -> CheckpointCertificate {
    let digest = Digest::of(b"state");
    let signatures = [0, 2, 3].map(|from| checkpoint(from, 100, digest).signature).to_vec();
    let signers = [0, 2, 3].map(ReplicaId).into_iter().collect();
    CheckpointCertificate { sequence: Sequence(100), digest, signers, signatures }
}

fn proof() -> Proof {
    let vote_of = |phase, from| vote(phase, 1, 5, header().digest(), from).signature;
    Proof::Prepares {
        primary: vote_of(MessageType::PrePrepare, 1),
        signers: [2, 3].map(ReplicaId).into_iter().collect(),
        signatures: vec![vote_of(MessageType::Prepare, 2), vote_of(MessageType::Prepare, 3)],
    }
}

fn view_change() -> Arc<ViewChange> {
    let digest = header().digest();
    let signature = vote(MessageType::PrePrepare, 1, 5, digest, 1).signature;
    let view = View(1);
    let both = SlotClaim {
        sequence: Sequence(5),
        prepared: Some(Prepared { view, digest, proof: proof() }),
        voted: Some(Voted { view, digest, signature }),
    };
    let decided = SlotClaim { sequence: Sequence(6), prepared: Some(Prepared::of(&commits())), voted: None };
    let message = ViewChange {
        view: View(3),
        replica: ReplicaId(2),
        stable: Some(checkpoints()),
        decided: None,
        slots: vec![both, decided],
        signature,
    };
    Arc::new(message.sign(&domain(), &ToyKeys::of(2)))
}

fn new_view() -> Arc<NewView> {
    let plan = Plan { base: Sequence(4), chosen: vec![header().digest()] };
    let view_change = view_change();
    let refs = [view_change.as_ref(); 3];
    Arc::new(NewView::sign(View(3), &refs, &plan, &parameters(3, 4, 1), &ToyKeys::of(3)))
}

fn messages() -> Vec<(&'static str, Message)> {
    let operation = observation(OperationKind::Resolve).operation;
    let vote_of = |phase| vote(phase, 1, 5, header().digest(), 2);
    let slot = DecidedSlot { header: header(), batch: batch(), certificate: commits() };
    let chunk = StateChunk { certificate: checkpoints(), total: 9, offset: 4, bytes: b"state".to_vec() };
    let status = PeerStatus { view: View(1), executed: Sequence(4), stable: Sequence(0), learner: false };
    vec![
        ("resolve", Message::Resolve { operation: operation.clone(), after: Sequence(3) }),
        ("observe", Message::Observe(set())),
        ("pre-prepare", Message::PrePrepare(proposal(batch()))),
        ("pre-prepare of a null batch", Message::PrePrepare(proposal(Arc::default()))),
        ("prepare", Message::Prepare(vote_of(MessageType::Prepare))),
        ("commit", Message::Commit(vote_of(MessageType::Commit))),
        ("checkpoint", Message::Checkpoint(checkpoint(2, 100, Digest::of(b"state")))),
        ("status", Message::Status(status)),
        ("fetch", Message::Fetch { from: Sequence(5) }),
        ("slot", Message::Slot(slot)),
        ("fetch-state", Message::FetchState { sequence: Sequence(100), offset: 4 }),
        ("stable-checkpoint", Message::StableCheckpoint(chunk)),
        ("answer", Message::Answer { operation: operation.digest(), bytes: b"answer".to_vec() }),
        ("view-change", Message::ViewChange(view_change())),
        ("new-view", Message::NewView(new_view())),
        ("fetch-batch", Message::FetchBatch { sequence: Sequence(5), digest: header().digest() }),
        ("fetch-view-change", Message::FetchViewChange { digest: view_change().digest() }),
        ("batch", Message::Batch { header: header(), batch: batch() }),
    ]
}

fn records() -> Vec<(&'static str, Record)> {
    let own = vote(MessageType::Prepare, 1, 5, header().digest(), 2);
    let (cluster_digest, me) = (Digest::of(b"cluster file"), ReplicaId(2));
    let state = Arc::new(b"state".to_vec());
    vec![
        ("genesis", Record::Genesis { cluster_digest, me }),
        ("accepted", Record::Accepted { proposal: proposal(batch()), prepare: Some(own) }),
        ("proposed", Record::Accepted { proposal: proposal(batch()), prepare: None }),
        ("committed", Record::Committed { vote: own, proof: proof() }),
        ("decided", Record::Decided { certificate: commits(), body: None }),
        ("adopted", Record::Decided { certificate: commits(), body: Some((header(), batch())) }),
        ("own checkpoint", Record::OwnCheckpoint(checkpoint(2, 100, Digest::of(b"state")))),
        ("stable", Record::Stable { cluster_digest, me, voter: true, certificate: checkpoints(), state }),
        ("view changing", Record::ViewChanging(view_change())),
        ("entered", Record::Entered { new_view: new_view(), view_changes: vec![view_change()] }),
        ("learner", Record::Learner { cluster_digest, me }),
        ("voter", Record::Voter),
        ("voted", Record::Voted { sequence: Sequence(5), voted: proposal(batch()).voted() }),
    ]
}

fn golden(name: &'static str, value: &impl Encode) -> String {
    let bytes = value.to_bytes();
    format!("{name}: {} bytes, first {}, {}", bytes.len(), bytes[0], Digest::of(&bytes).short())
}

#[test]
fn bytes_of_every_message_are_fixed() {
    let found: Vec<String> = messages().iter().map(|(name, message)| golden(name, message)).collect();
    assert_eq!(found, MESSAGES);
}

#[test]
fn bytes_of_every_record_are_fixed() {
    let found: Vec<String> = records().iter().map(|(name, record)| golden(name, record)).collect();
    assert_eq!(found, RECORDS);
}

#[test]
fn bytes_of_a_vote_stand_in_their_order() {
    let vote = vote(MessageType::Commit, 1, 5, Digest([7; 32]), 2);
    let mut expected = vec![4];
    expected.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    expected.extend([0, 0, 0, 0, 0, 0, 0, 5]);
    expected.extend([7; 32]);
    expected.push(2);
    expected.extend(vote.signature.0);
    assert_eq!(Message::Commit(vote).to_bytes(), expected);
}

#[test]
fn what_is_written_is_read_back() {
    for (name, message) in messages() {
        assert_eq!(Message::from_bytes(&message.to_bytes()), Ok(message), "{name}");
    }
    for (name, record) in records() {
        assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record), "{name}");
    }
}

#[test]
fn truncated_or_longer_bytes_are_refused() {
    for (name, message) in messages() {
        let mut bytes = message.to_bytes();
        assert!((0..bytes.len()).all(|length| Message::from_bytes(&bytes[..length]).is_err()), "{name}");
        bytes.push(0);
        assert!(Message::from_bytes(&bytes).is_err(), "{name}");
    }
    for (name, record) in records() {
        let mut bytes = record.to_bytes();
        assert!((0..bytes.len()).all(|length| Record::from_bytes(&bytes[..length]).is_err()), "{name}");
        bytes.push(0);
        assert!(Record::from_bytes(&bytes).is_err(), "{name}");
    }
}

#[test]
fn whatever_decodes_has_no_other_encoding() {
    let mut random = Random::new(7);
    let mut decoded = 0;
    for (name, message) in messages() {
        let good = message.to_bytes();
        for place in 0..good.len() {
            let mut bytes = good.clone();
            bytes[place] = random.below(256) as u8;
            if let Ok(read) = Message::from_bytes(&bytes) {
                decoded += 1;
                assert_eq!(read.to_bytes(), bytes, "{name}");
            }
        }
    }
    assert!(decoded > 1000, "most changes leave something that decodes: {decoded}");
}

/// The first bytes of messages and records.
const KINDS: [u8; 17] = [1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25];

#[test]
fn random_bytes_decode_to_one_encoding_or_not_at_all() {
    let mut random = Random::new(8);
    for _ in 0..200_000 {
        let length = random.below(200) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        if let Some(first) = bytes.first_mut() {
            *first = KINDS.get(random.below(18) as usize).copied().unwrap_or(*first);
        }
        if let Ok(read) = Message::from_bytes(&bytes) {
            assert_eq!(read.to_bytes(), bytes);
        }
        if let Ok(read) = Record::from_bytes(&bytes) {
            assert_eq!(read.to_bytes(), bytes);
        }
    }
}

#[test]
fn bytes_of_no_message_are_refused() {
    for byte in [0, 8, 15, 26, 255] {
        let mut bytes = vec![byte];
        bytes.extend([0; 200]);
        assert!(Message::from_bytes(&bytes).is_err(), "{byte}");
    }
}

#[test]
fn bounds_of_the_format_are_kept() {
    let long = Operation { kind: OperationKind::Resolve, subject: vec![0; SUBJECT_BYTES_MAX + 1] };
    assert!(Operation::from_bytes(&long.to_bytes()).is_err());
    let many =
        SignedObservations { items: vec![Item::Pruned(Digest::ZERO); OBSERVATIONS_PER_SET_MAX + 1], ..set() };
    assert!(SignedObservations::from_bytes(&many.to_bytes()).is_err());
    let none = SignedObservations { items: Vec::new(), ..set() };
    assert!(SignedObservations::from_bytes(&none.to_bytes()).is_err());
    let mut fat = observation(OperationKind::Resolve);
    fat.payload = vec![0; OBSERVATION_BYTES_MAX + 1];
    assert!(Observation::from_bytes(&fat.to_bytes()).is_err());
    let operation = observation(OperationKind::Resolve).operation;
    let twice = Batch { operations: vec![operation.clone(), operation], sets: vec![set()] };
    assert!(Batch::from_bytes(&twice.to_bytes()).is_err());
    let outside = StateChunk { certificate: checkpoints(), total: 8, offset: 4, bytes: b"state".to_vec() };
    assert!(StateChunk::from_bytes(&outside.to_bytes()).is_err());
    let huge = StateChunk { total: STATE_BYTES_MAX as u32 + 1, ..outside };
    assert!(StateChunk::from_bytes(&huge.to_bytes()).is_err());
    let mut bit = commits().to_bytes();
    bit[48] |= 0x80;
    assert!(CommitCertificate::from_bytes(&bit).is_err(), "no cluster has a replica 31");
}

#[test]
fn largest_proposal_and_slot_fit_into_a_message() {
    let parameters = parameters(0, 31, 10);
    let header = proposal(batch()).to_bytes().len() - batch().encoded_len();
    let slot = header + 4 + 8 + 32 + parameters.replicas.quorum() * 64;
    assert!(1 + slot + parameters.batch_bytes <= MESSAGE_BYTES_MAX);
    assert!(parameters.observation_bytes_max() > 900, "{}", parameters.observation_bytes_max());
}

#[test]
fn encoded_length_is_the_length_of_the_encoding() {
    assert_eq!(batch().encoded_len(), batch().to_bytes().len());
    assert_eq!(set().encoded_len(), set().to_bytes().len());
}
