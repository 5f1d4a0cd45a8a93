//! What this replica wants the cluster to decide: its own inputs, where others are in force; inputs that others judge by; what servers
//! were seen with. Each wish at most every ten seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use certificate::OperationKind;
use ct_watch::events::Event;
use ct_watch::inputs::Loaded;
use ct_watch::served::Target;
use serde_json::json;
use transparency::Moment;
use transparency::content::LISTS_MAX;
use transparency::digest::Sha256;
use transparency::operation::{InputKind, InputSubject, ProbeSubject, ValidateSubject};
use transparency::snapshot;

use super::aside::beside;
use super::handler::Core;
use super::inputs::{Input, Lists};
use crate::validator::{CONTENT_BYTES_MAX, Task};

/// What was wished when.
#[derive(Default)]
pub struct Wishes {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// When each task was wished last.
    last: BTreeMap<Task, u64>,
    /// Inputs that others judge by, and until when that is of interest.
    wanted: BTreeMap<InputSubject, u64>,
    /// The slot of each target that was agreed on last.
    probes: BTreeMap<String, u32>,
    /// The snapshot of lists that was made of which others in which ten minutes.
    merged: Option<(Merged, Option<Arc<Loaded<Lists>>>)>,
    /// Whether the next one is being made.
    is_merging: bool,
}

/// What a snapshot was made of: own lists, lists in force, ten minutes.
type Merged = (Sha256, Option<Sha256>, u64);

impl Wishes {
    /// Somebody judges by this input: perhaps others have decided it.
    pub fn want(&self, subject: InputSubject, now_ms: u64) {
        let mut state = self.state();
        state.wanted.retain(|_, until_ms| now_ms < *until_ms);
        if state.wanted.len() < WANTED_MAX || state.wanted.contains_key(&subject) {
            state.wanted.insert(subject, now_ms.saturating_add(WANTED_MS));
        }
    }

    /// The cluster agrees on what was seen at this target, one of ours, in a slot that has begun.
    pub fn probe_agreed(&self, subject: &ProbeSubject) {
        let mut state = self.state();
        if state.probes.len() < ct_watch::probe::TARGETS_MAX || state.probes.contains_key(&subject.target) {
            let slot = state.probes.entry(subject.target.clone()).or_default();
            *slot = (*slot).max(subject.slot);
        }
    }

    fn is_probe_agreed(&self, subject: &ProbeSubject) -> bool {
        self.state().probes.get(&subject.target) == Some(&subject.slot)
    }

    /// The snapshot of lists that is wished for, if it has this digest.
    pub fn merged(&self, digest: &Sha256) -> Option<Bytes> {
        let state = self.state();
        let (_, merged) = state.merged.as_ref()?;
        merged.as_ref().filter(|lists| lists.digest == *digest).map(|lists| lists.bytes.clone())
    }

    /// Those tasks that were not wished within the last ten seconds; no more than are looked into at a time. The others are still due.
    fn due(&self, tasks: Vec<Task>, now_ms: u64) -> Vec<Task> {
        let mut state = self.state();
        state.last.retain(|_, at_ms| now_ms < at_ms.saturating_add(WISH_AGAIN_MS) && *at_ms <= now_ms);
        let due = tasks.into_iter().filter(|task| !state.last.contains_key(task));
        let due: Vec<Task> = due.take(WISHES_AT_ONCE_MAX).collect();
        state.last.extend(due.iter().map(|task| (task.clone(), now_ms)));
        due
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Whether no snapshot is being made.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        !self.state().is_merging
    }
}

/// A snapshot that is being made; when that ends, however it ends, the next may be.
struct Merging(Arc<Mutex<State>>);

impl Merging {
    fn begin(state: &Arc<Mutex<State>>) -> Option<Merging> {
        let was_merging = std::mem::replace(&mut lock(state).is_merging, true);
        (!was_merging).then(|| Merging(state.clone()))
    }
}

impl Drop for Merging {
    fn drop(&mut self) {
        lock(&self.0).is_merging = false;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// All that this replica wishes at `now_ms`.
    pub fn all_wishes(&self, now_ms: u64) -> Vec<Task> {
        let mut tasks: Vec<Task> = InputKind::ALL
            .into_iter()
            .filter_map(|kind| {
                let digest = self.candidate(kind, now_ms)?;
                let in_force = self.in_force.now(kind).map(|decided| decided.digest);
                (in_force != Some(digest)).then(|| task_of(&InputSubject { kind, digest }))
            })
            .collect();
        let wanted = self.wishes.state().wanted.clone();
        let wanted = wanted.into_iter().filter(|(subject, until_ms)| {
            let is_ours = self.in_force.now(subject.kind).is_some_and(|now| now.digest == subject.digest);
            now_ms < *until_ms && !is_ours
        });
        tasks.extend(wanted.map(|(subject, _)| task_of(&subject)));
        tasks.extend(self.probe_tasks(Moment::from_milliseconds(now_ms)));
        tasks.dedup();
        self.wishes.due(tasks, now_ms)
    }

    /// The digest of what this replica would put in force.
    fn candidate(&self, kind: InputKind, now_ms: u64) -> Option<Sha256> {
        let own = self.own.materials();
        if kind != InputKind::Lists {
            let input = own.input(kind)?;
            return (input.bytes().len() <= CONTENT_BYTES_MAX).then(|| input.digest());
        }
        let in_force = match self.in_force.now(kind) {
            None => None,
            // What is in force and not here cannot be followed by anything.
            Some(decided) => match decided.input? {
                Input::Lists(lists) => Some(lists),
                _ => None,
            },
        };
        // Without a list of our own there is nothing to wish for.
        let own = own.lists.clone()?;
        let made_of = (own.digest, in_force.as_ref().map(|lists| lists.digest), now_ms / MERGED_ANEW_MS);
        let known = || self.wishes.state().merged.clone().filter(|(known, _)| *known == made_of);
        if known().is_none()
            && let Some(merging) = Merging::begin(&self.wishes.state)
        {
            let contents = self.contents.clone();
            let context = self.background().map(|background| background.watch().context().clone());
            beside(move || {
                // Lists that cannot be merged, whatever they do to who reads them, are not read again every second.
                lock(&merging.0).merged = Some((made_of, None));
                let theirs = in_force.as_ref().map_or(&[][..], |lists| &lists.value.ders);
                let now = Moment::from_milliseconds(now_ms);
                let merged = Lists::load(snapshot::merge(&own.value.ders, theirs, now));
                let problem = merged.as_ref().and_then(|lists| too_long(lists, now));
                let merged = merged.filter(|_| problem.is_none());
                match (problem, context) {
                    (None, _) => {}
                    (Some(event), Some(context)) => context.events.push(event),
                    (Some(Event { code, text, .. }), None) => {
                        tracing::warn!(code, text, "certificate transparency");
                    }
                }
                // Peers may still come for it when the next one is made.
                if let Some(lists) = &merged {
                    contents.put(Bytes::clone(&lists.bytes));
                }
                lock(&merging.0).merged = Some((made_of, merged));
            });
        }
        // Where there is no runtime, it is made by now; otherwise it is wished for the next time.
        known().and_then(|(_, merged)| merged).map(|lists| lists.digest)
    }

    fn probe_tasks(&self, now: Moment) -> Vec<Task> {
        let Some(prober) = self.background().and_then(|background| background.prober().cloned()) else {
            return Vec::new();
        };
        let Some(slot) = prober.settled_slot(now).and_then(|slot| u32::try_from(slot).ok()) else {
            return Vec::new();
        };
        let period_seconds = self.plan.probe_period;
        let subject = |target: &Target| ProbeSubject { target: target.to_string(), period_seconds, slot };
        let subjects = prober.targets().iter().map(subject);
        let open = subjects.filter(|subject| !self.wishes.is_probe_agreed(subject));
        let task = |subject| {
            let subject = ValidateSubject::Probe(subject).encode()?;
            Some(Task { kind: OperationKind::Validate, subject })
        };
        open.filter_map(task).collect()
    }
}

/// What there is to tell when a snapshot is longer than any that replicas hand one another.
fn too_long(lists: &Loaded<Lists>, now: Moment) -> Option<Event> {
    let (count, bytes) = (lists.value.ders.len(), lists.bytes.len());
    let is_too_long = LISTS_MAX < count || CONTENT_BYTES_MAX < bytes;
    is_too_long.then(|| Event {
        at: now,
        code: "lists_too_long",
        grave: true,
        subject: "revocation lists".to_owned(),
        text: format!(
            "own lists and those in force have more than {CONTENT_BYTES_MAX} bytes together, or are more than {LISTS_MAX}; \
             no new list comes into force"
        ),
        facts: json!({ "lists": count, "bytes": bytes }),
    })
}

fn task_of(subject: &InputSubject) -> Task {
    Task { kind: OperationKind::UpdateInputs, subject: subject.encode() }
}

/// How many wishes are told at a time, so that clients find room beside them.
pub(super) const WISHES_AT_ONCE_MAX: usize = 8;
/// How long a wish is not repeated, in milliseconds.
const WISH_AGAIN_MS: u64 = 10_000;
/// How many inputs of others are wished for at a time: anybody in the cluster may name any.
const WANTED_MAX: usize = 4;
/// How long they are, in milliseconds.
const WANTED_MS: u64 = 60_000;
/// How often lists are looked through for such as have expired, in milliseconds.
const MERGED_ANEW_MS: u64 = 600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_peers_would_not_read_is_told_of() {
        let code =
            |ders| too_long(&Lists::load(ders).unwrap(), Moment::from_seconds(0)).map(|event| event.code);
        let numbered = |count: usize| (0..count).map(|number| number.to_be_bytes().to_vec()).collect();
        assert_eq!(code(numbered(LISTS_MAX)), None);
        assert_eq!(code(numbered(LISTS_MAX + 1)), Some("lists_too_long"));
        assert_eq!(code(vec![vec![0; CONTENT_BYTES_MAX - 8]]), None);
        assert_eq!(code(vec![vec![0; CONTENT_BYTES_MAX - 7]]), Some("lists_too_long"));
    }

    #[test]
    fn wishes_beyond_those_of_now_are_due_next() {
        let task = |number: u8| Task { kind: OperationKind::Validate, subject: vec![number] };
        let tasks: Vec<Task> = (0..20).map(task).collect();
        let wishes = Wishes::default();
        let told: Vec<Task> = (0..3).flat_map(|second| wishes.due(tasks.clone(), second * 1000)).collect();
        assert_eq!(told, tasks);
        assert_eq!(wishes.due(tasks.clone(), 3000), []);
        assert_eq!(wishes.due(tasks.clone(), WISH_AGAIN_MS), tasks[..WISHES_AT_ONCE_MAX]);
    }
}
