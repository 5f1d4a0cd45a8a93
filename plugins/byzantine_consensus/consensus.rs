//! One cluster as this process takes part in it: the node, what it has decided, and who waits for it. Outlives reloads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agreement::ObservedOutcome;
use agreement::history::History;
use agreement::observation::Seen;
use certificate::codec::{Decode, Encode, Reader, Writer};
use certificate::leaf::{Class, Leaf, Question};
use certificate::verify::{GRACE_MS, verify};
use certificate::{CertifiedAnswer, Cluster, Digest, QuorumCertificate, ReplicaId, ReplicaSet, merkle};
use detector::Witnesses;
use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::Name;
use node::NodeHandle;
use pbft::{Decided, Early, Operation};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{error, warn};

use super::answered::{Answered, answered, counted};
use super::connectivity::Matrix;
use super::judge::{self, Judge};
use super::metrics::ConsensusMetrics;
use super::nodes::{Identity, NodeSettings};
use super::store::{Evidence, Held, Kept, Store};
use super::validations::Validations;
use super::waiting::Waiting;
use crate::certification::Completion;
use crate::chain::Rest;
use crate::response::{Certified, Response};
use crate::validator::Validator;

/// A decision that has just expired is still told to those who wait, since agreeing takes a while and some answers have a TTL of 0.
/// An older one, executed while this replica catches up, is not.
const TOLD_AFTER_EXPIRY_MS: u64 = 2000;

/// Answers of other replicas that are verified at once; more are dropped, and asked for again.
const VERIFYING_MAX: usize = 64;

/// Operations that are no questions and may be open at once for clients here: far below what leads the peers to take it for a flood.
const TASKS_MAX: usize = 32;

/// The cluster, seen from this process.
pub struct Consensus {
    /// The cluster file.
    pub cluster: Arc<Cluster>,
    /// This replica.
    pub me: ReplicaId,
    /// Judges observations.
    pub judge: Arc<Judge>,
    /// What was decided.
    pub store: Store,
    /// Who waits for it.
    pub waiting: Arc<Waiting>,
    /// Who waits for the decision about an operation that is no question.
    pub tasks: Arc<Waiting>,
    /// Who reaches whom, as the others tell it.
    pub connectivity: Matrix,
    /// Counters.
    pub metrics: ConsensusMetrics,
    /// What the node was started with; a reload changes nothing of it.
    pub settings: NodeSettings,
    /// What is known of each name, so that those who observe can be judged.
    witnesses: Mutex<Witnesses>,
    node: OnceLock<NodeHandle>,
    history: Mutex<History>,
    chains: RwLock<BTreeMap<u64, Attached>>,
    pub(super) verifying: Arc<Semaphore>,
    pub(super) validations: Validations,
    pub(super) runtime: Handle,
}

/// A chain of this process through which names are looked up for the cluster.
#[derive(Clone)]
pub struct Attached {
    /// The zones of its block.
    pub zones: Vec<Name>,
    /// The plugins behind `byzantine-consensus`.
    pub rest: Rest,
    /// How long a lookup may take before its time-out is the observation.
    pub observe_timeout: Duration,
    /// The EDNS option that carries certificates.
    pub option_code: u16,
}

impl Consensus {
    /// A cluster without its node yet. Must be called on the runtime that lookups shall run on.
    pub fn new(identity: &Identity) -> Consensus {
        let Identity { cluster, me, metrics, settings, .. } = identity.clone();
        Consensus {
            witnesses: Mutex::new(Witnesses::new(cluster.replicas)),
            settings,
            judge: Arc::new(Judge { cluster: cluster.clone() }),
            history: Mutex::new(History::new(cluster.history_ms)),
            validations: Validations::new(cluster.replicas.count()),
            cluster,
            me,
            store: Store::default(),
            waiting: Arc::default(),
            tasks: Arc::new(Waiting::of_at_most(TASKS_MAX)),
            connectivity: Matrix::default(),
            metrics,
            node: OnceLock::new(),
            chains: RwLock::default(),
            verifying: Arc::new(Semaphore::new(VERIFYING_MAX)),
            runtime: Handle::current(),
        }
    }

    /// Gives it the node, once.
    pub fn set_node(&self, node: NodeHandle) {
        assert!(self.node.set(node).is_ok(), "the node is started once");
    }

    /// The node.
    pub fn node(&self) -> &NodeHandle {
        self.node.get().expect("the node is set before the first query")
    }

    /// Whose reputation here is at least what the directive asks for; this replica among them.
    pub fn trusted(&self) -> ReplicaSet {
        self.node().trusted(self.settings.reputation_threshold)
    }

    /// Whether answers go out before their commits are in, now: a replica that has just begun to run knows too little for a threshold.
    pub(super) fn releases_early(&self) -> bool {
        self.settings.fast_path.releases(self.node.get().map_or(0.0, NodeHandle::least_reputation))
    }

    /// Looks names up through `attached` from now on, under the number `id` of its plugin. Its validator, if it has one, is told first.
    pub fn attach(&self, id: u64, attached: Attached) {
        if let Some(validator) = attached.rest.validator() {
            validator.attached();
        }
        self.chains.write().unwrap_or_else(PoisonError::into_inner).insert(id, attached);
    }

    /// Forgets the chain of the plugin `id`; says whether another is left.
    pub fn detach(&self, id: u64) -> bool {
        let mut chains = self.chains.write().unwrap_or_else(PoisonError::into_inner);
        chains.remove(&id);
        !chains.is_empty()
    }

    /// The chain whose zone is the longest match for `name`. While a reload replaces a chain by its like, the newer one.
    pub(super) fn chain_for(&self, name: &Name) -> Option<Attached> {
        let chains = self.chains.read().unwrap_or_else(PoisonError::into_inner);
        let matches = chains.values().flat_map(|attached| {
            attached
                .zones
                .iter()
                .filter(|zone| zone.zone_of(name))
                .map(move |zone| (zone.num_labels(), attached))
        });
        matches.max_by_key(|(labels, _)| *labels).map(|(_, attached)| attached.clone())
    }

    /// Who judges operations beside questions: the validator of the newest chain that has one. While a reload replaces a chain by its like, the
    /// newer one: what the older one is told goes with it.
    pub(super) fn validator(&self) -> Option<Arc<dyn Validator>> {
        let chains = self.chains.read().unwrap_or_else(PoisonError::into_inner);
        chains.values().rev().find_map(|attached| attached.rest.validator())
    }

    fn option_code(&self) -> u16 {
        let chains = self.chains.read().unwrap_or_else(PoisonError::into_inner);
        chains
            .values()
            .next_back()
            .map_or(certificate::delivery::OPTION_CODE, |attached| attached.option_code)
    }

    /// What was seen of a name before `time_ms`; and remembers what is seen now, which is in the observation itself.
    pub(super) fn remember(&self, question: &Question, outcome: &ObservedOutcome, time_ms: u64) -> Vec<Seen> {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let before = history.of(question, time_ms);
        history.remember(outcome, time_ms);
        before
    }

    /// Keeps the decisions of a slot and tells those who wait.
    pub(super) fn take_slot(&self, decided: &Decided) {
        let now_ms = wall_ms();
        let certificate = QuorumCertificate {
            domain: self.cluster.domain(),
            view: decided.view,
            header: decided.header.clone(),
            signers: decided.signers,
            signatures: decided.signatures.clone(),
        };
        let tree = merkle::Tree::new(&decided.leaves);
        let mut judged = Vec::new();
        for Answered { index, operation, leaf, evidence } in
            answered(&decided.operations, &decided.leaves, &decided.evidence)
        {
            self.count(&leaf);
            judged.extend(self.judged(operation, &leaf, &evidence));
            let extra = self.extra(operation, &leaf, &evidence);
            let answer = CertifiedAnswer {
                certificate: certificate.clone(),
                index: index as u16,
                proof: tree.proof(index),
                leaf,
            };
            self.take(operation.digest(), Held::certified(self.certified(answer), extra, evidence), now_ms);
        }
        self.store.settle(decided.header.sequence);
        if let Some(node) = self.node.get().filter(|_| !judged.is_empty()) {
            node.judged(&judged);
        }
    }

    /// Counts a decision. Of what only a validator reads nobody is out-voted: to know too little is no lie.
    fn count(&self, leaf: &Leaf) {
        if leaf.question().is_none() {
            return self.metrics.decided_beside(leaf.kind(), leaf.class);
        }
        self.metrics.decided(leaf.class);
        if leaf.class > Class::Failure {
            self.metrics.out_voted(ReplicaSet(leaf.observers.0 & !leaf.support.0));
        }
    }

    /// Whose observation was right, and whose was wrong, as far as the detector's rules let either count.
    pub(super) fn judged(
        &self,
        operation: &Operation,
        leaf: &Leaf,
        evidence: &[Evidence],
    ) -> Vec<(ReplicaId, bool)> {
        if !self.settings.detector {
            return Vec::new();
        }
        let testimonies = self.judge.testimonies(operation, leaf, &counted(evidence));
        let mut witnesses = self.witnesses.lock().unwrap_or_else(PoisonError::into_inner);
        witnesses.judge(operation.digest(), leaf.time_ms, &testimonies)
    }

    /// Keeps what a slot will be decided as, and tells those who wait. Its certificate is on its way.
    pub(super) fn take_early(&self, early: &Early) {
        let now_ms = wall_ms();
        let sequence = early.header.sequence;
        for Answered { operation, leaf, evidence, .. } in
            answered(&early.operations, &early.leaves, &early.evidence)
        {
            let extra = self.extra(operation, &leaf, &evidence);
            let certificate = Completion::open(self.option_code());
            self.take(operation.digest(), Held { sequence, leaf, certificate, extra, evidence }, now_ms);
        }
    }

    fn take(&self, key: Digest, held: Held, now_ms: u64) {
        let waiting = if judge::is_task(held.leaf.kind()) { &self.tasks } else { &self.waiting };
        let Kept { held, contradicts } = self.store.insert(key, &Arc::new(held));
        if contradicts {
            error!(slot = %held.sequence, "decided another answer than was released: more replicas are faulty than tolerated");
        }
        if now_ms < held.leaf.not_after_ms.saturating_add(TOLD_AFTER_EXPIRY_MS) {
            waiting.tell(&key, &held, Instant::now());
        } else {
            waiting.not_taken(&key);
        }
    }

    fn certified(&self, answer: CertifiedAnswer) -> Certified {
        Certified {
            bytes: answer.to_bytes(),
            reference: answer.reference(),
            answer,
            option_code: self.option_code(),
        }
    }

    /// The records that belong beside a leaf. What an early answer has is not computed again.
    fn extra(&self, operation: &Operation, leaf: &Leaf, evidence: &[Evidence]) -> Vec<u8> {
        if leaf.extra_digest == Digest::ZERO {
            return Vec::new();
        }
        let known = self.store.get(&operation.digest()).filter(|held| held.leaf == *leaf);
        known.map_or_else(|| self.judge.extra(operation, &counted(evidence)), |held| held.extra.clone())
    }

    /// Takes a certified answer that `from` handed out, if it proves itself.
    pub(super) fn take_answer(&self, from: ReplicaId, key: Digest, bytes: &[u8]) {
        let now_ms = wall_ms();
        let Ok((answer, extra)) = decode_answer(bytes) else {
            return warn!(%from, "answer from a replica is none");
        };
        let question = answer.leaf.question().cloned();
        if judge::asked(&answer.leaf).digest() != key {
            return warn!(%from, "answer from a replica is to another question");
        }
        if agreement::extra::digest(&extra) != answer.leaf.extra_digest {
            return warn!(%from, "answer from a replica lacks the records that belong to it");
        }
        match verify(&answer, &self.cluster, question.as_ref(), now_ms, GRACE_MS, Class::NoAgreement) {
            Ok(_) => self.take(key, Held::certified(self.certified(answer), extra, Vec::new()), now_ms),
            Err(error) => warn!(%from, %error, "answer from a replica does not verify"),
        }
    }
}

/// The wall clock in milliseconds since 1970.
pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

/// `length (4) || certificate || length (4) || records beside it`; `None` without a certificate.
pub(super) fn encode_answer(held: &Held) -> Option<Vec<u8>> {
    let certified = held.certificate.get()?;
    let mut writer = Writer::new();
    writer.bytes32(&certified.bytes);
    writer.bytes32(&held.extra);
    Some(writer.finish())
}

fn decode_answer(bytes: &[u8]) -> Result<(CertifiedAnswer, Vec<u8>), certificate::codec::DecodeError> {
    let mut reader = Reader::new(bytes);
    let answer = CertifiedAnswer::from_bytes(reader.bytes32()?)?;
    let extra = reader.bytes32()?.to_vec();
    reader.finish()?;
    Ok((answer, extra))
}

/// The response as a message, the form in which `agreement` reads it.
pub fn to_message(response: Response) -> Message {
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.metadata.response_code = response.rcode;
    message.metadata.authoritative = response.authoritative;
    message.answers = response.answers;
    message.authorities = response.authorities;
    message.additionals = response.additionals;
    message
}
