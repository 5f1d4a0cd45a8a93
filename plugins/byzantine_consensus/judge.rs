//! What replicas agree on, for `pbft`: DNS questions, and what validators say of tasks, both judged by `agreement`.

use std::sync::Arc;

use agreement::{NoProofs, Observation, Observed, Statement, statement};
use certificate::codec::{Decode, Encode};
use certificate::leaf::{Leaf, Question};
use certificate::{Cluster, Digest, OperationKind, ReplicaId};
use detector::Testimony;
use pbft::{Application, Counted, Operation};

use crate::validator::Task;

/// Judges observations by the cluster file. Pure: every replica comes to the same result.
pub struct Judge {
    /// The cluster file.
    pub cluster: Arc<Cluster>,
}

/// The operation that asks for the answer to `question`.
pub fn operation(question: &Question) -> Operation {
    Operation { kind: OperationKind::Resolve, subject: question.to_bytes() }
}

/// The question of an operation, or `None` when it asks for something else.
pub fn question(operation: &Operation) -> Option<Question> {
    match operation.kind {
        OperationKind::Resolve => Question::from_bytes(&operation.subject).ok(),
        OperationKind::Null
        | OperationKind::Validate
        | OperationKind::UpdateInputs
        | OperationKind::NewEpoch => None,
    }
}

/// The operation that a leaf is about.
pub fn asked(leaf: &Leaf) -> Operation {
    Operation { kind: leaf.kind(), subject: leaf.subject.operation_bytes() }
}

/// What a validator judges, or `None` when the operation is a question or nothing that is decided yet.
pub fn task(operation: &Operation) -> Option<Task> {
    is_task(operation.kind).then(|| Task { kind: operation.kind, subject: operation.subject.clone() })
}

/// The operation that asks for a task.
pub fn operation_of(task: &Task) -> Operation {
    Operation { kind: task.kind, subject: task.subject.clone() }
}

/// Whether operations of this kind are for a validator.
pub fn is_task(kind: OperationKind) -> bool {
    match kind {
        OperationKind::Validate | OperationKind::UpdateInputs => true,
        OperationKind::Null | OperationKind::Resolve | OperationKind::NewEpoch => false,
    }
}

impl Judge {
    /// The records served beside the leaf that `observations` decide, in the form of `agreement::extra`.
    pub fn extra(&self, operation: &Operation, observations: &[Counted<'_>]) -> Vec<u8> {
        self.judge(operation, observations, |question, observations| {
            agreement::decide(&self.cluster, question, observations, &NoProofs).extra
        })
        .unwrap_or_default()
    }

    /// What each observer said of the question that `leaf` answers, as far as it can be compared. Nothing of a task: the bytes that differ do not
    /// say who is wrong, since to know too little is no lie.
    pub fn testimonies(
        &self,
        operation: &Operation,
        leaf: &Leaf,
        observations: &[Counted<'_>],
    ) -> Vec<(ReplicaId, Testimony)> {
        let said = self.judge(operation, observations, |_, observations| {
            agreement::testimonies(&self.cluster, leaf, observations, &NoProofs)
        });
        let testimony = |(replica, said): (ReplicaId, agreement::Testimony)| {
            let testimony = match said {
                agreement::Testimony::Value(digest) => Testimony::Value(digest),
                agreement::Testimony::Disproved => Testimony::Disproved,
                agreement::Testimony::Nothing => Testimony::Nothing,
            };
            (replica, testimony)
        };
        said.unwrap_or_default().into_iter().map(testimony).collect()
    }

    fn judge<T>(
        &self,
        operation: &Operation,
        observations: &[Counted<'_>],
        judge: impl FnOnce(&Question, &[Observation<'_>]) -> T,
    ) -> Option<T> {
        let question = question(operation)?;
        let decoded: Vec<(ReplicaId, u64, Observed)> = observations
            .iter()
            .filter_map(|counted| {
                Some((counted.replica, counted.time_ms, Observed::from_bytes(counted.payload).ok()?))
            })
            .collect();
        let observations: Vec<Observation<'_>> = decoded
            .iter()
            .map(|(replica, time_ms, observed)| Observation {
                replica: *replica,
                time_ms: *time_ms,
                observed,
            })
            .collect();
        Some(judge(&question, &observations))
    }
}

impl Application for Judge {
    fn check(&self, operation: &Operation, replica: ReplicaId, payload: &[u8]) -> bool {
        if is_task(operation.kind) {
            return statement::check(&self.cluster, replica, payload).is_ok();
        }
        question(operation)
            .is_some_and(|question| agreement::check(&self.cluster, &question, replica, payload).is_ok())
    }

    fn settled(&self, operation: &Operation, observations: &[Counted<'_>]) -> bool {
        if is_task(operation.kind) {
            return statement::settled(&self.cluster, operation.kind, &statements(observations));
        }
        self.judge(operation, observations, |question, observations| {
            agreement::settled(&self.cluster, question, observations)
        })
        .unwrap_or(false)
    }

    fn decide(&self, operation: &Operation, observations: &[Counted<'_>]) -> Vec<u8> {
        if is_task(operation.kind) {
            let statements = statements(observations);
            return statement::decide(&self.cluster, operation.kind, &operation.subject, &statements)
                .to_bytes();
        }
        let decide = |question: &Question, observations: &[Observation<'_>]| {
            agreement::decide(&self.cluster, question, observations, &NoProofs).leaf.to_bytes()
        };
        // No observation of another kind passes `check`, so no batch holds such an operation.
        self.judge(operation, observations, decide).unwrap_or_default()
    }
}

/// What replicas said of a task. Each payload has passed `check`.
fn statements(observations: &[Counted<'_>]) -> Vec<(ReplicaId, u64, Statement)> {
    let statement = |counted: &Counted<'_>| {
        Some((counted.replica, counted.time_ms, Statement::from_bytes(counted.payload).ok()?))
    };
    observations.iter().filter_map(statement).collect()
}

/// The key of a question wherever answers are kept or waited for.
pub fn key(question: &Question) -> Digest {
    operation(question).digest()
}
