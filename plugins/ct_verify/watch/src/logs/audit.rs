//! Promises of logs, and what became of each: asked once the log's head is known, until it is kept or broken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::json;
use transparency::Moment;
use transparency::digest::{LogId, Sha256};
use transparency::inclusion::{Audited, Inclusion, audit_absence, audit_proof};
use transparency::merkle::ProofError;
use transparency::sct_check::{SctStatus, SctVerdict};
use transparency::tile::{self, Promise, TileError};
use transparency::tree_head::TreeHead;

use super::asked::{AskError, Asked};
use super::scan::AllLeaves;
use crate::context::Context;

/// What a timestamp promises: that the leaf will be in the log's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Promised {
    /// The log.
    pub log: LogId,
    /// The hash of the leaf.
    pub leaf: Sha256,
    /// Its position, which a static-ct log names.
    pub index: Option<u64>,
    /// When the log promised.
    pub promised: Moment,
}

impl Promised {
    /// What a timestamp promises; `None` unless a log of the list signed it.
    pub fn of(sct: &SctVerdict) -> Option<Self> {
        let signed = sct.status == SctStatus::Valid;
        let (log, leaf, promised) = (sct.log_id?, sct.leaf_hash?, sct.timestamp?);
        signed.then_some(Promised { log, leaf, index: sct.leaf_index, promised })
    }
}

/// What was found out about one promise.
#[derive(Debug, Clone, Copy)]
struct Entry {
    promised: Promised,
    inclusion: Inclusion,
    /// When the log was asked last.
    asked: Option<Moment>,
    /// Whether it was reported that the log does not show the leaf.
    reported: bool,
}

impl Entry {
    fn is_open(&self) -> bool {
        matches!(self.inclusion, Inclusion::NotChecked | Inclusion::Pending)
    }

    /// Whether it is open still though the certificate has ended.
    fn is_outlived(&self, now: Moment) -> bool {
        self.is_open() && self.promised.promised.plus_seconds(OPEN_SECONDS_MAX) < now
    }
}

/// All promises that this replica looks into.
pub struct Auditor {
    context: Arc<Context>,
    entries: Mutex<BTreeMap<(LogId, Sha256), Entry>>,
}

/// What a log's answers say of one promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// As the word says.
    Inclusion(Inclusion),
    /// The log says that it has no such leaf, its tree is too large to be read as a whole, and its time is over.
    NotShown,
}

/// Why an audit ended without a finding.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The log shows something, and it does not hold.
    #[error("a proof of inclusion does not hold: {0}")]
    Proof(#[from] ProofError),
}

#[derive(Serialize, Deserialize)]
struct KeptJson {
    log: String,
    leaf: String,
    index: Option<u64>,
    promised_ms: u64,
    inclusion: String,
}

impl Auditor {
    /// The promises that were kept in the state folder.
    pub fn open(context: Arc<Context>) -> Self {
        let kept = context.state.read(FILE, FILE_BYTES_MAX).unwrap_or_default();
        let kept: Vec<KeptJson> = serde_json::from_slice(&kept).unwrap_or_default();
        let entries = kept.iter().take(PROMISES_MAX).filter_map(entry_of);
        let entries = entries.map(|entry| ((entry.promised.log, entry.promised.leaf), entry)).collect();
        Auditor { context, entries: Mutex::new(entries) }
    }

    /// Takes a promise in, to be looked into when its log is next asked; says whether it is a new one.
    ///
    /// When there are too many, a kept promise makes room, or else one that has been open for [`OPEN_SECONDS_MAX`]; without one, the new one is
    /// left out.
    pub fn take(&self, promised: Promised) -> bool {
        let mut entries = self.entries();
        let key = (promised.log, promised.leaf);
        if entries.contains_key(&key) {
            return false;
        }
        if entries.len() == PROMISES_MAX {
            let now = self.context.now();
            let kept = entries.iter().find(|(_, entry)| entry.inclusion == Inclusion::Proved);
            let goes = kept.or_else(|| entries.iter().find(|(_, entry)| entry.is_outlived(now)));
            let Some(goes) = goes.map(|(key, _)| *key) else { return false };
            entries.remove(&goes);
        }
        let entry = Entry { promised, inclusion: Inclusion::NotChecked, asked: None, reported: false };
        entries.insert(key, entry);
        true
    }

    /// The promises of a log that are still open, those first that were asked for least recently.
    pub(crate) fn due(&self, log: &LogId) -> Vec<Promised> {
        let entries = self.entries();
        let of_log = entries.range((*log, Sha256([0; 32]))..).take_while(|((of, _), _)| of == log);
        let mut due: Vec<Entry> =
            of_log.map(|(_, entry)| entry).filter(|entry| entry.is_open()).copied().collect();
        due.sort_by_key(|entry| (entry.asked, entry.promised));
        due.iter().take(AUDITS_A_ROUND_MAX).map(|entry| entry.promised).collect()
    }

    /// What was found out about these promises, each a log and a leaf; nothing about those that nobody looked into.
    pub fn audited(&self, promises: &[(LogId, Sha256)]) -> Vec<Audited> {
        let entries = self.entries();
        let found = promises.iter().filter_map(|(log, leaf)| {
            let inclusion = entries.get(&(*log, *leaf))?.inclusion;
            (inclusion != Inclusion::NotChecked).then_some(Audited { log: *log, leaf: *leaf, inclusion })
        });
        found.collect()
    }

    /// How many promises there are of each state.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts =
            BTreeMap::from([("not_checked", 0), ("pending", 0), ("proved", 0), ("broken_promise", 0)]);
        for entry in self.entries().values() {
            *counts.entry(word(entry.inclusion)).or_default() += 1;
        }
        counts
    }

    /// Keeps what was found; a broken promise, and one that is not shown, is reported once.
    pub(crate) fn settle(&self, promised: &Promised, finding: Finding, (log, head): (&str, &str)) {
        let now = self.context.now();
        let mut report = None;
        if let Some(entry) = self.entries().get_mut(&(promised.log, promised.leaf)) {
            entry.asked = Some(now);
            entry.inclusion = match finding {
                Finding::Inclusion(inclusion) => inclusion,
                Finding::NotShown => Inclusion::Pending,
            };
            let code = match finding {
                Finding::Inclusion(Inclusion::BrokenPromise) => Some("broken_promise"),
                Finding::NotShown if !entry.reported => Some("promise_not_shown"),
                _ => None,
            };
            entry.reported |= code.is_some();
            report = code;
        }
        self.context.events.count(match finding {
            Finding::Inclusion(Inclusion::Proved) => "audits_proved",
            Finding::Inclusion(Inclusion::BrokenPromise) => "audits_broken",
            _ => "audits_pending",
        });
        let Some(code) = report else { return };
        let text = match code {
            "broken_promise" => "an entry that the log promised is not in its tree, and its time is over",
            _ => {
                "the log does not show an entry that it promised, and its time is over; its tree is too large to be read as a whole"
            }
        };
        let facts = json!({
            "leaf": promised.leaf, "index": promised.index, "promised": promised.promised, "head": head,
        });
        self.context.alarm(code, log, text.to_owned(), facts);
    }

    /// Writes all promises down.
    pub(crate) async fn save(&self) {
        let kept: Vec<KeptJson> = self.entries().values().map(kept_of).collect();
        let bytes = serde_json::to_vec(&kept).expect("texts and numbers alone");
        self.context.write(FILE.to_owned(), bytes).await;
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<(LogId, Sha256), Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks into one promise by a verified head. `leaves` keeps what reading the whole tree gave, for the next promise.
pub(crate) async fn look_into(
    promised: &Promised,
    asked: Asked<'_>,
    head: &TreeHead,
    leaves: &mut Option<AllLeaves>,
) -> Result<Finding, AuditError> {
    let mmd_seconds = asked.log.mmd_seconds;
    if asked.log.is_static() {
        let Some(index) = promised.index else { return Ok(Finding::Inclusion(Inclusion::Pending)) };
        let promise = Promise { leaf: promised.leaf, index, promised: promised.promised, mmd_seconds };
        let tiles = asked.tiles(index, head).await?;
        let audited = tile::audit(&promise, head, &|id| tiles.get(&id).map(|bytes| &bytes[..]));
        return match audited {
            Ok(inclusion) => Ok(Finding::Inclusion(inclusion)),
            Err(TileError::Proof(error)) => Err(error.into()),
            Err(TileError::Tile(_)) => Err(AskError::Answer("a tile").into()),
        };
    }
    if let Some((index, path)) = asked.inclusion_proof(&promised.leaf, head.size).await? {
        return Ok(Finding::Inclusion(audit_proof(&promised.leaf, index, &path, head)?));
    }
    let absence = audit_absence(promised.promised, mmd_seconds, head);
    if absence != Inclusion::BrokenPromise {
        return Ok(Finding::Inclusion(absence));
    }
    // The log's own word is not signed: all of its entries are.
    if leaves.as_ref().is_none_or(|leaves| leaves.size != head.size) {
        *leaves = AllLeaves::read(asked, head).await?;
    }
    Ok(match leaves {
        Some(leaves) if leaves.has(&promised.leaf) => Finding::Inclusion(Inclusion::Proved),
        Some(_) => Finding::Inclusion(Inclusion::BrokenPromise),
        None => Finding::NotShown,
    })
}

fn word(inclusion: Inclusion) -> &'static str {
    match inclusion {
        Inclusion::NotChecked => "not_checked",
        Inclusion::Pending => "pending",
        Inclusion::Proved => "proved",
        Inclusion::BrokenPromise => "broken_promise",
    }
}

fn kept_of(entry: &Entry) -> KeptJson {
    KeptJson {
        log: entry.promised.log.0.base64(),
        leaf: entry.promised.leaf.base64(),
        index: entry.promised.index,
        promised_ms: entry.promised.promised.milliseconds(),
        inclusion: word(entry.inclusion).to_owned(),
    }
}

fn entry_of(kept: &KeptJson) -> Option<Entry> {
    let promised = Promised {
        log: LogId(Sha256::from_base64(&kept.log)?),
        leaf: Sha256::from_base64(&kept.leaf)?,
        index: kept.index,
        promised: Moment::from_milliseconds(kept.promised_ms),
    };
    let all = [Inclusion::NotChecked, Inclusion::Pending, Inclusion::Proved, Inclusion::BrokenPromise];
    let inclusion = all.into_iter().find(|inclusion| word(*inclusion) == kept.inclusion)?;
    Some(Entry { promised, inclusion, asked: None, reported: false })
}

/// How many promises are looked into at a time, kept ones included.
pub const PROMISES_MAX: usize = 4096;
/// For how long a promise keeps its place though it is still open, in seconds: longer than any certificate of a public authority lives.
pub const OPEN_SECONDS_MAX: u64 = 400 * 24 * 3600;
/// How many promises a log is asked about in one round.
const AUDITS_A_ROUND_MAX: usize = 32;
const FILE: &str = "audits.json";
const FILE_BYTES_MAX: usize = 4 << 20;
