//! Catching up over real QUIC: what it costs a replica that was away, counted in questions, and its peers, counted in bytes.

use std::sync::Arc;

use certificate::codec::Encode;
use certificate::{Digest, MessageType, ReplicaId, Sequence, Signature, SlotHeader, View, merkle};
use pbft::{
    Batch, CommitCertificate, DecidedSlot, FETCH_SLOTS_MAX, Item, Observation, Record, SignedObservations,
};

use super::cluster::{Four, SEGMENT_BYTES, Toy, operation};
use crate::log::Wal;
use crate::log::memory::MemoryStorage;
use crate::testing::{Setting, noise};

/// Questions beyond one for every 16 slots: a status that was under way before may end a question early.
const SPARE_FETCHES: u64 = 12;

/// A log of `count` slots, each of one operation, as replicas 0 to 2 have decided it.
pub(super) fn decided_slots(setting: &Setting, count: u64) -> Vec<DecidedSlot> {
    let domain = setting.cluster.domain();
    let keys: Vec<_> = setting.seeds.iter().take(3).map(|seed| seed.signing_key()).collect();
    let mut history = Digest::ZERO;
    let mut slots = Vec::new();
    for number in 1..=count {
        let sequence = Sequence(number);
        let batch = batch_of(number);
        let header = SlotHeader {
            sequence,
            kinds: batch.kinds(),
            entries: 1,
            leaves_root: merkle::root(&batch.decide(&Toy).unwrap()),
            observations_root: merkle::root(&batch.evidence_leaves().unwrap()),
            time_ms: number,
            cluster_digest: setting.cluster.digest(),
            prefix_sequence: Sequence(number - 1),
            prefix_digest: history,
        };
        history = header.extend_history(history);
        let (view, digest) = (View(0), header.digest());
        let preimage = domain.vote_preimage(MessageType::Commit, view, sequence, digest);
        let signatures = keys.iter().map(|key| key.sign(&preimage)).collect();
        let signers = (0..3).map(ReplicaId).collect();
        let certificate = CommitCertificate { view, sequence, digest, signers, signatures };
        slots.push(DecidedSlot { header, batch: Arc::new(batch), certificate });
    }
    slots
}

/// A batch of 2 KiB that does not compress. Nobody looks at its observation's signature again once a quorum has decided it.
fn batch_of(number: u64) -> Batch {
    let operation = operation(&format!("{number}.example.org"));
    let payload = noise(2048);
    let observation =
        Observation { operation: operation.clone(), after: Sequence(0), time_ms: number, payload };
    let items = vec![Item::Full(observation)];
    let set = SignedObservations { replica: ReplicaId(0), items, signature: Signature([7; 64]) };
    Batch { operations: vec![operation], sets: vec![set] }
}

/// A disk with the log of replica 0 that has decided these slots.
pub(super) fn disk_with(setting: &Setting, slots: &[DecidedSlot]) -> MemoryStorage {
    let storage = MemoryStorage::default();
    let genesis = Record::Genesis { cluster_digest: setting.cluster.digest(), me: ReplicaId(0) };
    let mut wal = Wal::create(storage.boxed(), SEGMENT_BYTES, &genesis.to_bytes()).unwrap();
    for slot in slots {
        let body = Some((slot.header.clone(), slot.batch.clone()));
        let record = Record::Decided { certificate: slot.certificate.clone(), body };
        wal.append(&record.to_bytes()).unwrap();
    }
    wal.commit(true).unwrap();
    storage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_a_thousand_slots_behind_catches_up_with_one_question_for_sixteen_slots() {
    const SLOTS: u64 = 1040;
    // No checkpoint on the way: every slot has to come over.
    let mut four = Four::new(|cluster| cluster.checkpoint_interval = 10_000);
    let storage = disk_with(&four.setting, &decided_slots(&four.setting, SLOTS));
    four.start_on(0, storage.boxed());
    assert_eq!(four.node(0).node.status().replica.executed, Sequence(SLOTS));
    four.start(3);
    let status =
        four.node(3).status("it has caught up", |status| status.replica.executed == Sequence(SLOTS)).await;
    let fetches = status.counters.fetches;
    let least = SLOTS / FETCH_SLOTS_MAX;
    assert!((least..=least + SPARE_FETCHES).contains(&fetches), "{fetches} questions for {least} answers");
    assert_eq!(four.node(3).host.told(|told| told.slots.len() as u64), SLOTS);
}
