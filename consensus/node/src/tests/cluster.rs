//! Four nodes in one process, with a toy application and hosts that remember what they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use certificate::codec::Decode;
use certificate::{Cluster, Digest, MessageType, OperationKind, ReplicaId, Sequence, View};
use pbft::{Application, Counted, Decided, Early, Fault, Lookup, Operation, Record};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::log::{SegmentFolder, StateFolder, Storage, Wal};
use crate::testing::{PATIENCE, Setting, Shelf};
use crate::{FilterMode, Host, Node, NodeConfig, NodeHandle, NodeStatus, StartError, initialise_sized};

pub(super) const SEGMENT_BYTES: u64 = 64 * 1024;

/// Decides the lowest payload that was seen.
pub(super) struct Toy;

impl Application for Toy {
    fn check(&self, _operation: &Operation, _replica: ReplicaId, payload: &[u8]) -> bool {
        !payload.is_empty()
    }

    fn settled(&self, _operation: &Operation, _observations: &[Counted<'_>]) -> bool {
        true
    }

    fn decide(&self, operation: &Operation, observations: &[Counted<'_>]) -> Vec<u8> {
        let least = observations.iter().map(|counted| counted.payload).min().unwrap_or_default();
        [operation.subject.as_slice(), b": ", least].concat()
    }
}

/// What a host was told.
#[derive(Default)]
pub(super) struct Told {
    /// Digest of the header and the leaves of every slot.
    pub slots: BTreeMap<Sequence, (Digest, Vec<Vec<u8>>)>,
    pub faults: Vec<Fault>,
    /// Digest of the header and the leaves of every slot that was released before its commits.
    pub early: BTreeMap<Sequence, (Digest, Vec<Vec<u8>>)>,
    pub lookups: usize,
}

/// Answers every lookup at once and remembers everything else.
pub(super) struct ToyHost {
    told: Mutex<Told>,
    /// News and content.
    pub shelf: Shelf,
    /// How many operations were decided.
    decided: watch::Sender<usize>,
}

impl ToyHost {
    pub(super) fn new() -> Arc<ToyHost> {
        Arc::new(ToyHost { told: Mutex::default(), shelf: Shelf::default(), decided: watch::Sender::new(0) })
    }

    pub(super) fn told<T>(&self, look: impl FnOnce(&Told) -> T) -> T {
        look(&self.told.lock().unwrap())
    }

    /// How many operations were decided since this host took over.
    pub(super) fn count(&self) -> usize {
        *self.decided.borrow()
    }

    /// Waits until more than `count` operations were decided.
    pub(super) async fn more_than(&self, count: usize) {
        let mut decided = self.decided.subscribe();
        decided.wait_for(|decided| *decided > count).await.expect("the host is there");
    }

    /// Waits until so many operations were decided since this host took over.
    pub(super) async fn decided(&self, operations: usize) {
        let mut decided = self.decided.subscribe();
        let wait = decided.wait_for(|decided| *decided >= operations);
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("expected {operations} decided operations, got {}", *self.decided.borrow());
        }
    }
}

impl Host for ToyHost {
    fn lookup(&self, node: &NodeHandle, lookup: Lookup) {
        self.told.lock().unwrap().lookups += 1;
        let _ = node.observed(lookup.digest, crate::clock::wall_ms(), b"seen".to_vec());
    }

    fn early(&self, early: &Early) {
        let slot = (early.header.digest(), early.leaves.clone());
        let mut told = self.told.lock().unwrap();
        assert!(!told.slots.contains_key(&early.header.sequence), "a slot is released before it is decided");
        let before = told.early.insert(early.header.sequence, slot);
        assert!(before.is_none(), "slot {} was released twice", early.header.sequence);
    }

    fn decided(&self, decided: &Decided) {
        let slot = (decided.header.digest(), decided.leaves.clone());
        let before = self.told.lock().unwrap().slots.insert(decided.header.sequence, slot);
        assert!(before.is_none(), "slot {} was reported twice", decided.header.sequence);
        self.decided.send_modify(|count| *count += decided.operations.len());
    }

    fn answered(&self, _from: ReplicaId, _operation: Digest, _bytes: &[u8]) {}

    fn refused(&self, _operation: Digest) {}

    fn fault(&self, fault: &Fault) {
        self.told.lock().unwrap().faults.push(fault.clone());
    }

    fn told(&self, from: ReplicaId, bytes: Bytes) {
        self.shelf.told(from, bytes);
    }

    fn content(&self, digest: &Digest) -> Option<Bytes> {
        self.shelf.content(digest)
    }
}

/// A node that runs.
pub(super) struct Running {
    pub node: NodeHandle,
    pub host: Arc<ToyHost>,
}

impl Running {
    /// Waits until the status is as wanted.
    pub(super) async fn status(&self, what: &str, wanted: impl FnMut(&NodeStatus) -> bool) -> NodeStatus {
        let mut status = self.node.watch();
        match tokio::time::timeout(PATIENCE, status.wait_for(wanted)).await {
            Ok(Ok(status)) => status.clone(),
            Ok(Err(_)) | Err(_) => panic!("waited in vain until {what}: {:?}", self.node.status()),
        }
    }

    pub(super) fn request(&self, subject: &str) {
        self.node.request(operation(subject)).unwrap();
    }

    /// Requests operations until all of them are decided, again and again as clients do: a replica gives up what takes too long.
    pub(super) async fn decide(&self, label: &str, count: usize) {
        let subjects: Vec<String> =
            (0..count).map(|number| format!("{number}.{label}.example.org")).collect();
        let begun = std::time::Instant::now();
        loop {
            let missing = self.host.told(|told| missing(&subjects, told));
            if missing.is_empty() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "undecided: {missing:?} {:?}", self.node.status());
            for chunk in missing.chunks(32) {
                let before = *self.host.decided.borrow();
                for subject in chunk {
                    self.request(subject);
                }
                let mut decided = self.host.decided.subscribe();
                let wait = decided.wait_for(|decided| *decided >= before + chunk.len());
                // What is not decided by then is asked for again.
                let _ = tokio::time::timeout(Duration::from_secs(2), wait).await;
            }
        }
    }
}

fn missing(subjects: &[String], told: &Told) -> Vec<String> {
    let leaves = told.slots.values().flat_map(|slot| &slot.1);
    let decided: BTreeSet<Vec<u8>> = leaves.cloned().collect();
    let is_missing = |subject: &&String| !decided.contains(format!("{subject}: seen").as_bytes());
    subjects.iter().filter(is_missing).cloned().collect()
}

pub(super) fn operation(subject: &str) -> Operation {
    Operation { kind: OperationKind::Resolve, subject: subject.as_bytes().to_vec() }
}

/// Four replicas with their state folders; each runs or not.
pub(super) struct Four {
    pub setting: Setting,
    pub folders: Vec<TempDir>,
    pub running: Vec<Option<Running>>,
}

impl Four {
    /// Four replicas with first logs, none of them running.
    pub(super) fn new(change: impl FnOnce(&mut Cluster)) -> Four {
        let setting = Setting::with(change);
        let folders: Vec<TempDir> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
        for (id, folder) in folders.iter().enumerate() {
            initialise_sized(folder.path(), &setting.cluster, ReplicaId(id as u8), SEGMENT_BYTES).unwrap();
        }
        Four { setting, folders, running: (0..4).map(|_| None).collect() }
    }

    pub(super) fn config(&self, id: u8) -> NodeConfig {
        let index = usize::from(id);
        NodeConfig {
            socket: Some(self.setting.socket(id)),
            filter: FilterMode::Off,
            segment_bytes: SEGMENT_BYTES,
            ..NodeConfig::new(
                self.setting.cluster.clone(),
                ReplicaId(id),
                self.setting.seeds[index].clone(),
                self.folders[index].path().to_owned(),
            )
        }
    }

    pub(super) fn try_start(&self, id: u8, config: NodeConfig) -> Result<Running, StartError> {
        assert_eq!(config.me, ReplicaId(id));
        let host = ToyHost::new();
        let node = Node::start(config, Arc::new(Toy), host.clone())?;
        Ok(Running { node, host })
    }

    pub(super) fn start(&mut self, id: u8) {
        self.running[usize::from(id)] = Some(self.try_start(id, self.config(id)).unwrap());
    }

    /// Starts a replica over another disk than its folder.
    pub(super) fn start_on(&mut self, id: u8, storage: Box<dyn Storage>) {
        let host = ToyHost::new();
        let node = Node::start_on(self.config(id), storage, Arc::new(Toy), host.clone()).unwrap();
        self.running[usize::from(id)] = Some(Running { node, host });
    }

    /// Starts all and waits until each sees all.
    pub(super) async fn start_all(&mut self) {
        for id in 0..4 {
            self.start(id);
        }
        for id in 0..4 {
            self.node(id).status("all are present", |status| status.present == 4).await;
        }
    }

    pub(super) async fn stop(&mut self, id: u8) {
        let running = self.running[usize::from(id)].take().expect("it runs");
        running.node.shutdown();
        running.node.stopped().await;
    }

    pub(super) fn node(&self, id: u8) -> &Running {
        self.running[usize::from(id)].as_ref().expect("it runs")
    }

    pub(super) fn runs(&self, id: u8) -> bool {
        self.running[usize::from(id)].is_some()
    }

    /// Waits until replica `behind` has executed all that replica `ahead` has by now.
    pub(super) async fn caught_up(&self, behind: u8, ahead: u8) {
        let executed = self.node(ahead).node.status().replica.executed;
        self.node(behind).status("it has caught up", |status| status.replica.executed >= executed).await;
    }

    /// Every slot that two running replicas have executed is the same on both; no fault is proven.
    pub(super) fn assert_agreement(&self) {
        let mut decided: BTreeMap<Sequence, (Digest, Vec<Vec<u8>>)> = BTreeMap::new();
        for running in self.running.iter().flatten() {
            running.host.told(|told| {
                for (sequence, slot) in &told.slots {
                    let first = decided.entry(*sequence).or_insert_with(|| slot.clone());
                    assert_eq!(first, slot, "slot {sequence} on replica {}", running.node.me());
                }
                let proven: Vec<&Fault> = told.faults.iter().filter(|fault| fault.is_proof()).collect();
                assert_eq!(proven, Vec::<&Fault>::new());
            });
        }
    }

    /// The records in a stopped replica's log.
    pub(super) fn records(&self, id: u8) -> Vec<Record> {
        let path = self.folders[usize::from(id)].path();
        let folder = SegmentFolder::new(StateFolder::lock(path).unwrap());
        let recovered = Wal::open(Box::new(folder), SEGMENT_BYTES, "state").unwrap();
        recovered.records.iter().map(|bytes| Record::from_bytes(bytes).unwrap()).collect()
    }
}

/// What a replica has signed: digests by phase, view and slot.
pub(super) type Signed = BTreeMap<(MessageType, View, Sequence), Digest>;

/// Adds what the records say was signed; says for what another digest was signed before.
pub(super) fn add_signed(
    signed: &mut Signed,
    me: ReplicaId,
    records: &[Record],
) -> Vec<(MessageType, View, Sequence)> {
    let mut twice = Vec::new();
    for record in records {
        let vote = match record {
            Record::Accepted { prepare: Some(vote), .. } => (MessageType::Prepare, *vote),
            Record::Accepted { proposal, prepare: None } => (MessageType::PrePrepare, proposal.vote(me)),
            Record::Committed { vote, .. } => (MessageType::Commit, *vote),
            _ => continue,
        };
        let key = (vote.0, vote.1.view, vote.1.sequence);
        if *signed.entry(key).or_insert(vote.1.digest) != vote.1.digest {
            twice.push(key);
        }
    }
    twice
}
