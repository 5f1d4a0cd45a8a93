//! A validator that says of content how long it is, or what a test tells it to say.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use agreement::{Said, Statement};
use async_trait::async_trait;
use bytes::Bytes;
use certificate::leaf::Leaf;
use certificate::{Digest, OperationKind, ReplicaId};
use serde_json::{Value, json};

use crate::validator::{Decision, Library, Refusal, Task, Validator};

/// A validator. The subject of each task is the digest of its content.
#[derive(Default)]
pub struct Toy {
    /// Whether it was told that a cluster asks.
    pub is_attached: AtomicBool,
    /// What it says of everything, if not how long the content is.
    pub says: Mutex<Option<Said>>,
    /// Never says anything.
    pub is_stuck: bool,
    /// Never says anything of this.
    pub stuck_on: Mutex<Option<Task>>,
    /// Panics when it is told that this is decided.
    pub fails_at: Mutex<Option<Task>>,
    /// What decisions name and it does not hold.
    pub missing: Mutex<Vec<Digest>>,
    /// What it holds.
    pub shelf: Mutex<BTreeMap<Digest, Bytes>>,
    /// What it wants to be decided.
    pub wishes: Mutex<Vec<Task>>,
    /// News for the peers, each told once.
    pub news: Mutex<VecDeque<Bytes>>,
    /// What it was told that was decided.
    pub decided: Mutex<Vec<(Task, Decision)>>,
    /// What peers told it.
    pub told: Mutex<Vec<(ReplicaId, Vec<u8>)>>,
}

impl Toy {
    /// Says this of everything from now on.
    pub fn say(&self, said: Said) {
        *self.says.lock().unwrap() = Some(said);
    }

    /// Puts content onto the shelf, and returns what asks for its judgement.
    pub fn hold(&self, kind: OperationKind, content: &[u8]) -> Task {
        let digest = Digest::of(content);
        self.shelf.lock().unwrap().insert(digest, Bytes::copy_from_slice(content));
        Task { kind, subject: digest.0.to_vec() }
    }

    /// Whether it was told that `task` is decided.
    pub fn knows(&self, task: &Task) -> bool {
        self.decided.lock().unwrap().iter().any(|(decided, _)| decided == task)
    }
}

/// A verdict with these bytes.
pub fn verdict(text: &str) -> Said {
    Said::Verdict(text.as_bytes().to_vec())
}

#[async_trait]
impl Validator for Toy {
    fn compose(&self, _query: &str, body: &[u8], _now_ms: u64) -> Result<Task, Refusal> {
        if body.is_empty() {
            return Err(Refusal { status: 400, why: "expected a certificate, found nothing".to_owned() });
        }
        Ok(self.hold(OperationKind::Validate, body))
    }

    fn attached(&self) {
        self.is_attached.store(true, Ordering::Relaxed);
    }

    async fn observe(&self, task: &Task, _now_ms: u64, library: &dyn Library) -> Statement {
        let is_stuck = self.is_stuck || self.stuck_on.lock().unwrap().as_ref() == Some(task);
        if is_stuck {
            return std::future::pending().await;
        }
        if let Some(said) = self.says.lock().unwrap().clone() {
            return Statement { ttl: 60, said };
        }
        let Ok(digest) = task.subject.as_slice().try_into().map(Digest) else {
            return Statement::cannot_judge("no digest");
        };
        let held = self.shelf.lock().unwrap().get(&digest).cloned();
        let content = match held {
            Some(content) => Some(content),
            None => library.fetch(&digest).await,
        };
        match content {
            Some(content) => Statement { ttl: 60, said: verdict(&format!("{} bytes", content.len())) },
            None => Statement::cannot_judge("nobody has the content"),
        }
    }

    fn decided(&self, task: &Task, decision: &Decision) {
        let fails = self.fails_at.lock().unwrap().as_ref() == Some(task);
        assert!(!fails, "a fault of the validator");
        self.decided.lock().unwrap().push((task.clone(), decision.clone()));
    }

    async fn explain(&self, _task: &Task, leaf: &Leaf) -> Value {
        json!({ "said": String::from_utf8_lossy(&leaf.verdict) })
    }

    fn content(&self, digest: &Digest) -> Option<Bytes> {
        self.shelf.lock().unwrap().get(digest).cloned()
    }

    fn missing(&self) -> Vec<Digest> {
        self.missing.lock().unwrap().clone()
    }

    fn found(&self, digest: &Digest, content: Bytes) {
        self.shelf.lock().unwrap().insert(*digest, content);
        self.missing.lock().unwrap().retain(|missing| missing != digest);
    }

    fn wishes(&self, _now_ms: u64) -> Vec<Task> {
        self.wishes.lock().unwrap().clone()
    }

    fn news(&self) -> Vec<Bytes> {
        self.news.lock().unwrap().pop_front().into_iter().collect()
    }

    fn told(&self, from: ReplicaId, news: &[u8]) {
        self.told.lock().unwrap().push((from, news.to_vec()));
    }
}
