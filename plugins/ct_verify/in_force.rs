//! Inputs that the cluster has put in force, and that survive a restart.
//!
//! Which input is in force is decided by the cluster, and known at once; its content may have to be fetched, and is read beside. Decisions take
//! effect in the order of the log, however long content takes: what is read of an earlier one comes too late. What was in force until ten minutes ago is
//! still judged by, so that nobody who asked a moment too early is turned away.
//!
//! While a reload goes on, the blocks of before and after work at the same time; those with one state folder share what is in force, so that
//! neither lacks what the other was told, and neither writes over it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use ct_watch::state::StateFolder;
use serde_json::{Value, json};
use tracing::warn;
use transparency::digest::Sha256;
use transparency::operation::{InputKind, InputSubject};

use super::aside::{beside, in_place};
use super::inputs::Input;
use crate::validator::CONTENT_BYTES_MAX;

/// An input that was decided on.
#[derive(Clone)]
pub struct Decided {
    pub digest: Sha256,
    /// The time of the decision, in milliseconds since 1970.
    pub time_ms: u64,
    /// `None` as long as this replica does not have the content.
    pub input: Option<Input>,
}

/// What is in force.
pub struct InForce {
    held: Mutex<Held>,
    path: Option<PathBuf>,
    folder: OnceLock<StateFolder>,
    /// One writer at a time. How many blocks are at work with it: once none is, nothing is written any more.
    disk: Mutex<usize>,
    /// Whether something is in force that is not written.
    is_unwritten: AtomicBool,
}

#[derive(Default, Clone)]
struct Held {
    now: BTreeMap<InputKind, Decided>,
    /// What was replaced last, and when; before it what was replaced last of what has content.
    before: BTreeMap<InputKind, Vec<(Decided, u64)>>,
    /// Content that this version cannot read: nobody is asked for it again.
    unreadable: BTreeMap<InputKind, Sha256>,
    /// Content that is being read: nobody is asked for it meanwhile.
    reading: BTreeSet<InputSubject>,
}

/// Content that is being read, until this goes.
pub struct Reading {
    in_force: Arc<InForce>,
    pub subject: InputSubject,
}

/// A block is at work with what is in force, until this goes.
pub struct InUse(Arc<InForce>);

/// What is in force for blocks that are at work, by the folder that it is written to.
static IN_USE: Mutex<BTreeMap<PathBuf, Arc<InForce>>> = Mutex::new(BTreeMap::new());

impl InForce {
    /// What outlives a restart is in this folder. What blocks at work have in force there; without such, nothing yet.
    pub fn at(path: Option<PathBuf>) -> Arc<InForce> {
        let place = path.as_ref().and_then(|path| path.canonicalize().ok());
        let shared = place.and_then(|place| lock(&IN_USE).get(&place).cloned());
        shared.unwrap_or_else(|| {
            Arc::new(InForce {
                held: Mutex::default(),
                path,
                folder: OnceLock::new(),
                disk: Mutex::default(),
                is_unwritten: AtomicBool::new(false),
            })
        })
    }

    /// Reads what the folder holds, and writes there from now on, until what is returned goes. Then, too, all is written first.
    ///
    /// # Errors
    /// The folder is not there and cannot be made.
    pub fn open(self: &Arc<Self>) -> io::Result<InUse> {
        let folder = StateFolder::open(self.path.clone())?;
        let mut users = lock(&self.disk);
        if *users == 0 {
            self.read(&folder);
            if let Some(place) = folder.path().and_then(|path| path.canonicalize().ok()) {
                lock(&IN_USE).insert(place, self.clone());
            }
            // The same one, when no block was at work with it for a while.
            let _already = self.folder.set(folder);
        }
        *users += 1;
        Ok(InUse(self.clone()))
    }

    /// One block less is at work with it. Waits until what is in force is written.
    fn close(self: &Arc<Self>) {
        let mut users = lock(&self.disk);
        self.write_for(*users);
        *users -= 1;
        if *users == 0 {
            lock(&IN_USE).retain(|_, used| !Arc::ptr_eq(used, self));
        }
    }

    /// Takes what the folder holds, where nothing later is known.
    fn read(&self, folder: &StateFolder) {
        let index = folder.read(INDEX, INDEX_BYTES_MAX);
        let index = index.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        for entry in index.iter().filter_map(|index| index["inputs"].as_array()).flatten() {
            let Some((kind, decided)) = read_entry(entry, folder) else {
                warn!(%entry, "an entry of the state folder is of no use, going on without it");
                continue;
            };
            if decided.input.is_none() {
                warn!(%entry, "the content of an input in force is not in the state folder");
                remove(folder, &decided.digest.to_string());
            }
            let mut held = self.held();
            if held.now.get(&kind).is_none_or(|known| known.time_ms < decided.time_ms) {
                held.now.insert(kind, decided);
            }
        }
    }

    /// What is in force of this kind.
    pub fn now(&self, kind: InputKind) -> Option<Decided> {
        self.held().now.get(&kind).cloned()
    }

    /// The input of this kind that answers are judged by: the one in force, and while its content is not here the one before, for a short while.
    pub fn judged_by(&self, kind: InputKind, now_ms: u64) -> Option<Input> {
        let held = self.held();
        let now = held.now.get(&kind)?;
        now.input.clone().or_else(|| held.recent(kind, now_ms).find_map(|decided| decided.input.clone()))
    }

    /// The input with this digest, if it is in force, or was until a short while before `now_ms`.
    pub fn judgeable(&self, kind: InputKind, digest: &Sha256, now_ms: u64) -> Option<Decided> {
        let held = self.held();
        let now = held.now.get(&kind).filter(|decided| decided.digest == *digest);
        let recent = || held.recent(kind, now_ms).find(|decided| decided.digest == *digest);
        now.or_else(recent).cloned()
    }

    /// Takes in a decision of `time_ms`, unless a later one is known; says whether that changed what is in force.
    pub fn decide(self: &Arc<Self>, kind: InputKind, decided: Decided, now_ms: u64) -> bool {
        {
            let mut held = self.held();
            let before = held.now.get(&kind).cloned();
            if before.as_ref().is_some_and(|before| decided.time_ms <= before.time_ms) {
                return false;
            }
            // What comes back is read already.
            let known = held.all(kind).find(|known| known.digest == decided.digest && known.input.is_some());
            let input = decided.input.or_else(|| known.and_then(|known| known.input.clone()));
            let replaced = before.filter(|before| before.digest != decided.digest);
            held.now.insert(kind, Decided { input, ..decided });
            held.replaced(kind, replaced, now_ms);
        }
        self.keep();
        true
    }

    /// Gives the content of an input that was decided on without it.
    pub fn supply(self: &Arc<Self>, kind: InputKind, input: Input) {
        {
            let mut held = self.held();
            let now = held.now.get_mut(&kind).filter(|decided| decided.digest == input.digest());
            let Some(decided) = now.filter(|decided| decided.input.is_none()) else { return };
            decided.input = Some(input);
        }
        self.keep();
    }

    /// The content with this digest, if it is or was in force.
    pub fn content(&self, digest: &Sha256) -> Option<Bytes> {
        let held = self.held();
        let all = InputKind::ALL.into_iter().flat_map(|kind| held.all(kind));
        let mut inputs = all.filter_map(|decided| decided.input.as_ref());
        inputs.find(|input| input.digest() == *digest).map(|input| input.bytes().clone())
    }

    /// What is in force and not here.
    pub fn missing(&self) -> Vec<InputSubject> {
        self.held().missing().collect()
    }

    /// Begins to read content with this digest; `None` when it is not missing.
    pub fn begin_reading(self: &Arc<Self>, digest: &Sha256) -> Option<Reading> {
        let mut held = self.held();
        let subject = held.missing().find(|subject| subject.digest == *digest)?;
        held.reading.insert(subject);
        Some(Reading { in_force: self.clone(), subject })
    }

    /// The content with this digest is no input of this kind, as far as this version knows.
    fn give_up(&self, subject: InputSubject) {
        self.held().unreadable.insert(subject.kind, subject.digest);
    }

    /// Whether nothing is read or written beside.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.held().reading.is_empty() && !self.is_unwritten.load(Ordering::Acquire)
    }

    /// Has what is in force written, where nobody waits for the disk.
    fn keep(self: &Arc<Self>) {
        self.is_unwritten.store(true, Ordering::Release);
        let this = self.clone();
        beside(move || this.write());
    }

    /// Writes what is in force by now, unless that is written, or no block is at work any more.
    fn write(&self) {
        let users = lock(&self.disk);
        self.write_for(*users);
    }

    /// The same for so many blocks at work. What the disk does not take is unwritten still: it is tried again with the next decision, and when a
    /// block stops.
    fn write_for(&self, users: usize) {
        let is_over = users == 0 && self.folder.get().is_some();
        if is_over || !self.is_unwritten.swap(false, Ordering::AcqRel) {
            return;
        }
        let Some(folder) = self.folder.get() else { return };
        let held = self.held().clone();
        let mut entries = Vec::new();
        for (kind, decided) in &held.now {
            let name = file_of(&decided.digest);
            let is_there = folder.names(FOLDER, FILES_MAX).contains(&decided.digest.to_string());
            let unwritten = decided.input.as_ref().filter(|_| !is_there);
            if let Some(Err(error)) = unwritten.map(|input| folder.write(&name, input.bytes())) {
                warn!(name, %error, "an input that is in force is not written");
                self.is_unwritten.store(true, Ordering::Release);
            }
            // What is in force is known after a restart even when its content is not here.
            entries.push(json!({
                "kind": kind.word(), "digest": decided.digest, "time_ms": decided.time_ms,
            }));
        }
        let index = json!({ "inputs": entries }).to_string();
        if let Err(error) = folder.write(INDEX, index.as_bytes()) {
            warn!(name = INDEX, %error, "what is in force is not written");
            self.is_unwritten.store(true, Ordering::Release);
            return;
        }
        sweep(folder, &held);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        in_place(|| self.0.close());
    }
}

impl Held {
    /// What is in force of this kind, and what was, the latest first.
    fn all(&self, kind: InputKind) -> impl Iterator<Item = &Decided> {
        let before = self.before.get(&kind).into_iter().flatten().rev().map(|(decided, _)| decided);
        self.now.get(&kind).into_iter().chain(before)
    }

    /// What was in force of this kind until a short while before `now_ms`, the latest first.
    fn recent(&self, kind: InputKind, now_ms: u64) -> impl Iterator<Item = &Decided> {
        let before = self.before.get(&kind).into_iter().flatten().rev();
        before.filter(move |(_, until_ms)| is_recent(*until_ms, now_ms)).map(|(decided, _)| decided)
    }

    /// Keeps what was replaced, and as long as that has no content the one before it that has.
    fn replaced(&mut self, kind: InputKind, replaced: Option<Decided>, now_ms: u64) {
        let Some(replaced) = replaced else { return };
        let before = self.before.entry(kind).or_default();
        before.retain(|(decided, _)| decided.input.is_some() && replaced.input.is_none());
        before.push((replaced, now_ms));
    }

    fn missing(&self) -> impl Iterator<Item = InputSubject> {
        let missing = self.now.iter().filter(|(kind, decided)| {
            decided.input.is_none() && self.unreadable.get(kind) != Some(&decided.digest)
        });
        let subjects = missing.map(|(kind, decided)| InputSubject { kind: *kind, digest: decided.digest });
        subjects.filter(|subject| !self.reading.contains(subject))
    }
}

impl Reading {
    /// Whether no later decision has come, and nobody else has given the content.
    pub fn is_wanted(&self) -> bool {
        let held = self.in_force.held();
        let now = held.now.get(&self.subject.kind);
        now.is_some_and(|decided| decided.digest == self.subject.digest && decided.input.is_none())
    }

    /// Gives what was read; without anything, nobody is asked for this content again.
    pub fn end(self, input: Option<Input>) {
        match input {
            Some(input) => self.in_force.supply(self.subject.kind, input),
            None => self.in_force.give_up(self.subject),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.in_force.held().reading.remove(&self.subject);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether what was replaced at `until_ms` is still judged by.
fn is_recent(until_ms: u64, now_ms: u64) -> bool {
    now_ms <= until_ms.saturating_add(STILL_JUDGED_BY_MS)
}

/// Removes files of what is no longer in force.
fn sweep(folder: &StateFolder, held: &Held) {
    let in_force = |name: &String| held.now.values().any(|decided| decided.digest.to_string() == *name);
    for name in folder.names(FOLDER, FILES_MAX).iter().filter(|name| !in_force(name)) {
        remove(folder, name);
    }
}

fn remove(folder: &StateFolder, name: &str) {
    if let Some(path) = folder.path() {
        // What cannot be removed takes room, and is tried again next time.
        let _removed = std::fs::remove_file(path.join(FOLDER).join(name));
    }
}

/// An entry of the index; the file must be what its name says, or it counts as absent.
fn read_entry(entry: &Value, folder: &StateFolder) -> Option<(InputKind, Decided)> {
    let kind = InputKind::from_word(entry["kind"].as_str()?)?;
    let digest = Sha256::from_hex(entry["digest"].as_str()?)?;
    let bytes = folder.read(&file_of(&digest), CONTENT_BYTES_MAX).map(Bytes::from);
    let input = bytes.and_then(|bytes| Input::read(kind, bytes)).filter(|input| input.digest() == digest);
    Some((kind, Decided { digest, time_ms: entry["time_ms"].as_u64()?, input }))
}

fn file_of(digest: &Sha256) -> String {
    format!("{FOLDER}/{digest}")
}

const INDEX: &str = "in-force.json";
const FOLDER: &str = "in-force";
const INDEX_BYTES_MAX: usize = 64 << 10;
/// How many files of the folder are looked at.
const FILES_MAX: usize = 1024;
/// How long what is no longer in force is still judged by, in milliseconds.
const STILL_JUDGED_BY_MS: u64 = 600_000;
