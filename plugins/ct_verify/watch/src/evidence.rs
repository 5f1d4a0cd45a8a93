//! Proofs that a log shows two trees, kept where the operator finds them: one JSON file each, found again after a restart.
//!
//! What a file says is verified before it is written and when it is found again; a file of a name like ours proves nothing by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::json;
use transparency::Moment;
use transparency::digest::{LogId, Sha256};
use transparency::split_view::{Misbehaviour, SPLIT_VIEW_BYTES_MAX, SplitView};

use crate::context::Context;

/// One proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The log that it is against.
    pub log: LogId,
    /// What the log has done.
    pub misbehaviour: Misbehaviour,
    /// The sizes of both trees.
    pub sizes: [u64; 2],
    /// The times of both heads.
    pub times: [Moment; 2],
    /// The heads, as the log sent them.
    #[serde(skip)]
    pub heads: [Arc<str>; 2],
}

/// The proofs that this replica has, by the names of their files.
pub struct Evidence {
    context: Arc<Context>,
    proofs: Mutex<BTreeMap<String, Proof>>,
}

impl Evidence {
    /// What is kept in the state folder; what does not verify is passed over.
    pub fn open(context: Arc<Context>) -> Self {
        let mut proofs = BTreeMap::new();
        for name in context.state.names(FOLDER, FILES_MAX) {
            let file = format!("{FOLDER}/{name}");
            let ours = name.starts_with(PREFIX) && proofs.len() < PROOFS_MAX;
            let bytes = ours.then(|| context.state.read(&file, SPLIT_VIEW_BYTES_MAX)).flatten();
            if let Some(proof) = bytes.and_then(|bytes| proof_of(&SplitView::parse(&bytes).ok()?)) {
                proofs.insert(name, proof);
            }
        }
        Evidence { context, proofs: Mutex::new(proofs) }
    }

    /// Keeps a split view if it is one, and if this log has not been proven often enough. Waits for the disk.
    pub fn keep(&self, split: &SplitView, log_name: &str) -> Option<Proof> {
        let proof = proof_of(split)?;
        let text = split.to_json();
        let name = format!("{PREFIX}{}.json", Sha256::of(text.as_bytes()));
        {
            let mut proofs = self.proofs();
            let of_log = proofs
                .values()
                .filter(|known| known.log == proof.log && known.misbehaviour == proof.misbehaviour);
            if proofs.contains_key(&name)
                || PROOFS_OF_A_LOG_MAX <= of_log.count()
                || PROOFS_MAX <= proofs.len()
            {
                return Some(proof);
            }
            proofs.insert(name.clone(), proof.clone());
        }
        if let Err(error) = self.context.state.write(&format!("{FOLDER}/{name}"), text.as_bytes()) {
            tracing::error!(%error, name, "evidence is not written");
        }
        let words = match proof.misbehaviour {
            Misbehaviour::Equivocation => "the log signed two roots for one size",
            Misbehaviour::Shrunk => "the log signed a smaller tree after a larger one",
        };
        let facts = json!({ "file": name, "proof": proof, "split_view": split });
        self.context.alarm("split_view", log_name, words.to_owned(), facts);
        Some(proof)
    }

    /// The first proof against a log.
    pub fn against(&self, log: &LogId) -> Option<Proof> {
        self.proofs().values().find(|proof| proof.log == *log).cloned()
    }

    /// All proofs, by the names of their files in the folder `evidence` of the state folder.
    pub fn all(&self) -> BTreeMap<String, Proof> {
        self.proofs().clone()
    }

    /// How many proofs there are.
    pub fn count(&self) -> usize {
        self.proofs().len()
    }

    fn proofs(&self) -> MutexGuard<'_, BTreeMap<String, Proof>> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn proof_of(split: &SplitView) -> Option<Proof> {
    let proven = split.verify().ok()?;
    let [one, two] = &proven.heads;
    Some(Proof {
        log: proven.key.id(),
        misbehaviour: proven.misbehaviour,
        sizes: [one.size, two.size],
        times: [one.timestamp, two.timestamp],
        heads: split.heads().map(Arc::from),
    })
}

/// The folder of the state folder that proofs are in.
pub const FOLDER: &str = "evidence";
/// How the names of their files begin.
pub const PREFIX: &str = "ct-split-view-";
/// How many proofs of one kind against one log are kept: the first says all, the second shows that it goes on.
const PROOFS_OF_A_LOG_MAX: usize = 2;
/// How many proofs are kept in all.
const PROOFS_MAX: usize = 256;
/// How many files of the folder are looked at.
const FILES_MAX: usize = 1024;
