//! What replicas agree on, for `pbft`: DNS questions, judged by `agreement`.

use std::sync::Arc;

use agreement::{NoProofs, Observation, Observed};
use certificate::codec::{Decode, Encode};
use certificate::leaf::{Leaf, Question};
use certificate::{Cluster, Digest, OperationKind, ReplicaId};
use detector::Testimony;
use pbft::{Application, Counted, Operation};

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

impl Judge {
    /// The records served beside the leaf that `observations` decide, in the form of `agreement::extra`.
    pub fn extra(&self, operation: &Operation, observations: &[Counted<'_>]) -> Vec<u8> {
        self.judge(operation, observations, |question, observations| {
            agreement::decide(&self.cluster, question, observations, &NoProofs).extra
        })
        .unwrap_or_default()
    }

    /// What each observer said of the question that `leaf` answers, as far as it can be compared.
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
        question(operation)
            .is_some_and(|question| agreement::check(&self.cluster, &question, replica, payload).is_ok())
    }

    fn settled(&self, operation: &Operation, observations: &[Counted<'_>]) -> bool {
        self.judge(operation, observations, |question, observations| {
            agreement::settled(&self.cluster, question, observations)
        })
        .unwrap_or(false)
    }

    fn decide(&self, operation: &Operation, observations: &[Counted<'_>]) -> Vec<u8> {
        let decide = |question: &Question, observations: &[Observation<'_>]| {
            agreement::decide(&self.cluster, question, observations, &NoProofs).leaf.to_bytes()
        };
        // No observation of another kind passes `check`, so no batch holds such an operation.
        self.judge(operation, observations, decide).unwrap_or_default()
    }
}

/// The key of a question wherever answers are kept or waited for.
pub fn key(question: &Question) -> Digest {
    operation(question).digest()
}
