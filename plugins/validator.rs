//! Operations beside DNS questions: certificates to be judged, inputs to be put in force, targets to be looked at.
//!
//! The consensus plugin carries them through the cluster without knowing what they say; the plugin in the rest of the chain that gives a
//! [`Validator`] knows what they say without knowing the cluster. Neither imports the other.

use agreement::Statement;
use async_trait::async_trait;
use bytes::Bytes;
use certificate::leaf::Leaf;
use certificate::{Digest, OperationKind, ReplicaId};

/// The longest content that replicas hand one another by digest, in bytes.
pub const CONTENT_BYTES_MAX: usize = 16 << 20;

/// The longest body of a request for a validation, in bytes.
pub const REQUEST_BYTES_MAX: usize = 256 << 10;

/// The longest news from one replica to another, in bytes.
pub const NEWS_BYTES_MAX: usize = 16 << 10;

/// How much missing content a validator names at a time.
pub const MISSING_MAX: usize = 4;

/// An operation as a validator names it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Task {
    /// `Validate` or `UpdateInputs`.
    pub kind: OperationKind,
    /// What it is about, in the validator's own encoding: at most 1024 bytes.
    pub subject: Vec<u8>,
}

/// What was decided, and how widely it was looked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What the replicas agreed on; `groups` are the upstream groups of those that said it.
    pub leaf: Leaf,
    /// To how many upstream groups those belong that were heard, those among them that said something else or could not judge. Groups are
    /// those of the cluster file: replicas that share one look from one place.
    pub groups_heard: u32,
}

/// Where content is had by its SHA-256, when this replica does not have it.
#[async_trait]
pub trait Library: Send + Sync {
    /// The content with this digest (plain SHA-256 of the bytes), from any peer that has it. Verified. `None` when nobody gives it in time.
    async fn fetch(&self, digest: &Digest) -> Option<Bytes>;
}

/// What a client asked for by HTTP is refused with: a status and a text for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The status of HTTP: 400, 404, 413, 503.
    pub status: u16,
    /// What was expected, and what was found.
    pub why: String,
}

/// Judges operations, for the replica that it stands beside.
#[async_trait]
pub trait Validator: Send + Sync + 'static {
    /// Reads a request for a validation (`POST /v1/certificates/validate?query` with `body`, at `now_ms`) into an operation. What the operation
    /// names by digest is in `content` from now on.
    ///
    /// Errors: what is wrong with the request.
    fn compose(&self, query: &str, body: &[u8], now_ms: u64) -> Result<Task, Refusal>;

    /// A cluster asks from now on. Called before the first lookup for it: remarks on answers are agreed on from then on, so nothing may stand in
    /// them that this replica alone knows.
    fn attached(&self);

    /// What this replica says of an operation. Called at every replica, while a quorum waits: what is missing may be fetched from `library`, and
    /// nothing else is asked.
    async fn observe(&self, task: &Task, now_ms: u64, library: &dyn Library) -> Statement;

    /// An operation was decided, in the order of the log. After a restart, or when this replica was behind, some may never come.
    fn decided(&self, task: &Task, decision: &Decision);

    /// What a decision says, as JSON for the client that asked: stands under `validation` beside `certificate`. What this replica alone knows may
    /// stand beside it, marked as such.
    async fn explain(&self, task: &Task, leaf: &Leaf) -> serde_json::Value;

    /// The content with this digest, for peers that ask for it.
    fn content(&self, digest: &Digest) -> Option<Bytes>;

    /// Content that decisions name and that is not here, to be fetched from peers: at most [`MISSING_MAX`]. Asked every second, so what no peer
    /// had may be named again.
    fn missing(&self) -> Vec<Digest> {
        Vec::new()
    }

    /// Content that a peer had of what was [`missing`](Validator::missing). Returns at once; the bytes are looked at whoever gave them.
    fn found(&self, _digest: &Digest, _content: Bytes) {}

    /// Operations that this replica wants to be decided now. Asked every second; what is decided already is decided anew only when its
    /// decision has expired, so a wish may be repeated.
    fn wishes(&self, now_ms: u64) -> Vec<Task>;

    /// News for all peers: heads of logs that were seen. Asked every few seconds; each at most [`NEWS_BYTES_MAX`] bytes.
    fn news(&self) -> Vec<Bytes>;

    /// News from a peer. Returns at once; nothing in it is believed because of who sent it.
    fn told(&self, from: ReplicaId, news: &[u8]);
}
