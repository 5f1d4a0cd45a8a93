//! One log: its newest verified head, what peers were shown of it, and in what condition it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::Notify;
use transparency::Moment;
use transparency::digest::Sha256;
use transparency::log_list::CtLog;
use transparency::merkle::ProofError;
use transparency::tile::{TILE_WIDTH, TileError, inclusion_path};
use transparency::tree_head::{Progress, TreeHead};

use super::asked::{AskError, Asked};
use super::audit::{AuditError, Auditor, look_into};
use super::condition::Condition;
use super::consistency::verify_growth;
use super::head::SignedHead;
use super::history::{History, SIZES_MAX};
use crate::context::{Context, aside, jittered};
use crate::evidence::Evidence;

/// One log that is watched.
pub struct WatchedLog {
    /// What the log list says of it.
    pub log: CtLog,
    context: Arc<Context>,
    evidence: Arc<Evidence>,
    auditor: Arc<Auditor>,
    view: Mutex<View>,
    wake: Notify,
}

struct View {
    latest: Option<SignedHead>,
    history: History,
    told: Vec<Told>,
    condition: Condition,
    looked: Option<Moment>,
}

/// A head that a peer was shown.
#[derive(Clone)]
struct Told {
    head: SignedHead,
    /// Whether it has been reported that it does not fit, or is not shown to.
    reported: bool,
    /// Since when, and how often, the log was asked for what shows that it fits and gave nothing.
    owed: Option<(Moment, u32)>,
}

/// Why one head is not shown to grow out of another.
#[derive(Debug, Error)]
enum Misfit {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("its heads do not fit one tree, as far as it shows: {0}")]
    Proof(#[from] ProofError),
}

#[derive(Default, Serialize, Deserialize)]
struct KeptJson {
    latest: Option<String>,
    heads: Vec<String>,
}

impl WatchedLog {
    /// A log, with what the state folder has of it: verified anew.
    pub fn open(context: Arc<Context>, evidence: Arc<Evidence>, auditor: Arc<Auditor>, log: CtLog) -> Self {
        let bytes = context.state.read(&file(&log), FILE_BYTES_MAX).unwrap_or_default();
        let kept: KeptJson = serde_json::from_slice(&bytes).unwrap_or_default();
        let now = context.now();
        let verify = |text: &String| SignedHead::verify(&log, text.as_bytes(), now).ok();
        let mut history = History::default();
        for head in kept.heads.iter().take(2 * SIZES_MAX).filter_map(verify) {
            history.take_in(&head);
        }
        let latest = kept.latest.as_ref().and_then(verify);
        let view = View { latest, history, told: Vec::new(), condition: Condition::Unasked, looked: None };
        WatchedLog { log, context, evidence, auditor, view: Mutex::new(view), wake: Notify::new() }
    }

    /// Asks the log again and again, or when something new is to be asked.
    pub(crate) async fn run(self: Arc<Self>, period: Duration) {
        loop {
            self.look().await;
            let pause = jittered(period);
            // Woken at once, but not more often than so.
            let soon = async {
                self.wake.notified().await;
                tokio::time::sleep(WAKE_PAUSE).await;
            };
            let _woken_or_time = tokio::time::timeout(pause, soon).await;
        }
    }

    /// Asks the log for its head, for proofs between heads, and for what it promised.
    pub async fn look(&self) {
        let before = self.latest();
        let mut condition = match self.look_at_head().await {
            Ok(condition) => condition,
            Err(Misfit::Ask(AskError::Head(error))) if error.is_of_the_log() => {
                Condition::Lying(error.to_string())
            }
            Err(Misfit::Ask(error)) => Condition::Unreachable(error.to_string()),
            Err(misfit @ Misfit::Proof(_)) => Condition::Lying(misfit.to_string()),
        };
        if !matches!(condition, Condition::Unreachable(_)) {
            let also = self.compare_told().await.or(self.audit().await);
            condition = also.filter(|_| !matches!(condition, Condition::Lying(_))).unwrap_or(condition);
        }
        if let Some(proof) = self.evidence.against(&self.log.key.id()) {
            condition =
                Condition::Lying(format!("proven: {:?} at sizes {:?}", proof.misbehaviour, proof.sizes));
        }
        self.enter(condition);
        if self.latest() != before {
            self.save().await;
        }
    }

    /// The newest head that grows out of all before it.
    pub fn latest(&self) -> Option<SignedHead> {
        self.view().latest.clone()
    }

    /// In what condition the log is.
    pub fn condition(&self) -> Condition {
        self.view().condition.clone()
    }

    /// Takes in a head that a peer was shown, its signature verified. Waits for the disk when it proves something.
    pub fn told(&self, head: SignedHead) {
        let contradicted = {
            let mut view = self.view();
            if !view.history.knows(&head) {
                view.told.push(Told { head: head.clone(), reported: false, owed: None });
                // The largest stay: nobody can push them out but the log itself.
                view.told.sort_by_key(|told| std::cmp::Reverse(told.head.head.size));
                view.told.truncate(TOLD_MAX);
            }
            view.history.take_in(&head)
        };
        if let Some(known) = contradicted {
            self.prove(&known, &head);
        }
    }

    /// Lets the log be asked soon.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// How the log is, as JSON.
    pub fn status(&self) -> Value {
        let view = self.view();
        let head = view.latest.as_ref().map(|latest| latest.head);
        let mut status = json!({
            "log_id": self.log.key.id(), "description": self.log.description, "operator": self.log.operator,
            "static_ct": self.log.is_static(), "state": self.log.state.map(|state| state.kind),
            "size": head.map(|head| head.size), "root": head.map(|head| head.root),
            "timestamp": head.map(|head| head.timestamp), "looked": view.looked, "told": view.told.len(),
        });
        let condition = serde_json::to_value(&view.condition).expect("texts alone");
        if let (Some(status), Value::Object(condition)) = (status.as_object_mut(), condition) {
            status.extend(condition);
        }
        status
    }

    async fn look_at_head(&self) -> Result<Condition, Misfit> {
        let asked = self.asked();
        let head = asked.head(self.context.now()).await?;
        self.context.events.count("heads_verified");
        let contradicted = self.view().history.take_in(&head);
        if let Some(known) = contradicted {
            self.prove_aside(known, head).await;
            return Ok(Condition::Lying("it signed two heads that no one tree can have".to_owned()));
        }
        if let Some(latest) = self.latest() {
            if head.head.size < latest.head.size {
                return Ok(Condition::Behind(format!(
                    "it shows a tree of {} leaves after one of {}, dated before it",
                    head.head.size, latest.head.size
                )));
            }
            if head.head.size == latest.head.size && head.head.timestamp <= latest.head.timestamp {
                return Ok(self.age(&latest.head));
            }
            self.fits(&latest.head, &head.head).await?;
        }
        let age = self.age(&head.head);
        self.view().latest = Some(head);
        Ok(age)
    }

    /// Whether heads that peers were shown are of the same tree; looked at once our own is as large.
    async fn compare_told(&self) -> Option<Condition> {
        let latest = self.latest()?;
        let told = self.view().told.clone();
        let (mut lying, mut owing) = (None, None);
        for Told { head, reported, .. } in told.iter().filter(|told| told.head.head.size <= latest.head.size)
        {
            match self.fits(&head.head, &latest.head).await {
                Ok(()) => self.view().told.retain(|told| told.head != *head),
                // Asked again in the next round.
                Err(Misfit::Ask(error)) => owing = self.owe(head, &error).or(owing),
                Err(Misfit::Proof(error)) => {
                    lying =
                        Some(Condition::Lying("a peer was shown a head that does not fit ours".to_owned()));
                    if !reported {
                        let facts = json!({ "ours": &*latest.text, "theirs": &*head.text });
                        let text = format!("a peer was shown a head that does not fit ours: {error}");
                        self.context.alarm("log_heads_do_not_fit", &self.log.description, text, facts);
                    }
                    let mut view = self.view();
                    let same = view.told.iter_mut().find(|told| told.head == *head);
                    same.into_iter().for_each(|told| told.reported = true);
                }
            }
        }
        lying.or(owing)
    }

    /// Notes that the log gave nothing that shows whether a peer's head fits. A log that answers everything else has a merge delay's time for it.
    fn owe(&self, head: &SignedHead, error: &AskError) -> Option<Condition> {
        let now = self.context.now();
        let is_new = {
            let mut view = self.view();
            let told = view.told.iter_mut().find(|told| told.head == *head)?;
            let (since, times) =
                told.owed.map_or((now, 1), |(since, times)| (since, times.saturating_add(1)));
            told.owed = Some((since, times));
            if times < OWED_TIMES_MIN || now < since.plus_seconds(self.log.mmd_seconds) {
                return None;
            }
            !std::mem::replace(&mut told.reported, true)
        };
        let text = format!("it does not show how a head that a peer was shown fits: {error}");
        if is_new {
            let facts = json!({ "theirs": &*head.text });
            self.context.alarm("log_head_not_shown", &self.log.description, text.clone(), facts);
        }
        Some(Condition::Unreachable(text))
    }

    /// Looks into what the log promised, by its newest head.
    async fn audit(&self) -> Option<Condition> {
        let latest = self.latest()?;
        let due = self.auditor.due(&self.log.key.id());
        let (mut leaves, mut settled) = (None, false);
        let mut condition = None;
        for promised in &due {
            match look_into(promised, self.asked(), &latest.head, &mut leaves).await {
                Ok(finding) => {
                    self.auditor.settle(promised, finding, (&self.log.description, &latest.text));
                    settled = true;
                }
                Err(error @ AuditError::Proof(_)) => condition = Some(Condition::Lying(error.to_string())),
                // The log has trouble: no use in asking for the others now.
                Err(AuditError::Ask(_)) => break,
            }
        }
        if settled {
            self.auditor.save().await;
        }
        condition
    }

    /// Whether the tree of the smaller head is the beginning of the tree of the larger one, as the log itself shows.
    async fn fits(&self, old: &TreeHead, new: &TreeHead) -> Result<(), Misfit> {
        let static_growth = self.log.is_static() && 0 < old.size && old.size < new.size;
        if static_growth {
            return self.fits_by_tiles(old, new).await;
        }
        let needs_proof = 0 < old.size && old.size < new.size;
        let proof =
            if needs_proof { self.asked().consistency_proof(old.size, new.size).await? } else { Vec::new() };
        match old.progress(new, &proof) {
            Progress::Same | Progress::Grown => Ok(()),
            Progress::Inconsistent(error) => Err(error.into()),
            Progress::WentBack | Progress::Equivocation => Err(ProofError::Root.into()),
        }
    }

    async fn fits_by_tiles(&self, old: &TreeHead, new: &TreeHead) -> Result<(), Misfit> {
        let last = old.size - 1;
        let tiles = self.asked().tiles(last, new).await?;
        let (number, offset) = (last / u64::from(TILE_WIDTH), last % u64::from(TILE_WIDTH));
        let leaf = tiles.iter().find(|(id, _)| id.level == 0 && id.index == number);
        let leaf = leaf.and_then(|(_, bytes)| bytes.chunks_exact(32).nth(usize::try_from(offset).ok()?));
        let leaf = leaf.and_then(Sha256::from_slice).ok_or(AskError::Answer("a tile"))?;
        let path = inclusion_path(last, new.size, &|id| tiles.get(&id).map(|bytes| &bytes[..]));
        let path = path.map_err(|error| match error {
            TileError::Proof(error) => Misfit::Proof(error),
            TileError::Tile(_) => Misfit::Ask(AskError::Answer("a tile")),
        })?;
        Ok(verify_growth(old, new, &leaf, &path)?)
    }

    fn asked(&self) -> Asked<'_> {
        Asked { fetcher: &self.context.fetcher, log: &self.log }
    }

    fn age(&self, head: &TreeHead) -> Condition {
        let allowed = self.log.mmd_seconds.saturating_add(BEHIND_TOLERANCE_SECONDS);
        if head.is_stale(allowed, self.context.now()) {
            return Condition::Behind(format!("its newest head is of {}", head.timestamp));
        }
        Condition::Ok
    }

    fn prove(&self, one: &SignedHead, other: &SignedHead) {
        self.evidence.keep(&one.against(other, &self.log), &self.log.description);
    }

    async fn prove_aside(&self, one: SignedHead, other: SignedHead) {
        let (evidence, name) = (self.evidence.clone(), self.log.description.clone());
        let split = one.against(&other, &self.log);
        aside(move || evidence.keep(&split, &name)).await;
    }

    fn enter(&self, condition: Condition) {
        let changed = {
            let mut view = self.view();
            view.looked = Some(self.context.now());
            let changed = std::mem::discriminant(&view.condition) != std::mem::discriminant(&condition);
            view.condition = condition.clone();
            changed
        };
        if changed {
            let text = match &condition {
                Condition::Unasked | Condition::Ok => String::new(),
                Condition::Behind(why) | Condition::Unreachable(why) | Condition::Lying(why) => why.clone(),
            };
            match condition {
                Condition::Lying(_) => {
                    self.context.alarm(condition.code(), &self.log.description, text, Value::Null);
                }
                _ => self.context.note(condition.code(), &self.log.description, text),
            }
        }
    }

    async fn save(&self) {
        let kept = {
            let view = self.view();
            let latest = view.latest.as_ref().map(|latest| latest.text.to_string());
            KeptJson { latest, heads: view.history.heads().map(|head| head.text.to_string()).collect() }
        };
        let bytes = serde_json::to_vec(&kept).expect("texts alone");
        self.context.write(file(&self.log), bytes).await;
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file(log: &CtLog) -> String {
    format!("logs/{}.json", log.key.id().0)
}

/// How many heads that peers were shown wait for a proof.
const TOLD_MAX: usize = 4;
/// How often at least a log is asked for what it owes before that is reported.
const OWED_TIMES_MIN: u32 = 3;
/// How much older than its merge delay a head may be: the time between two looks, and clocks.
const BEHIND_TOLERANCE_SECONDS: u64 = 600;
/// How soon a log is asked again when there is something new to ask.
const WAKE_PAUSE: Duration = Duration::from_secs(2);
/// As many heads as a history has, of the longest.
const FILE_BYTES_MAX: usize = 8 << 20;
