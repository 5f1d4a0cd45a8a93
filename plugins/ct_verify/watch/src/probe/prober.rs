//! Looks at the targets, once in each slot, a few at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use transparency::Moment;
use transparency::digest::Sha256;
use transparency::score::Networks;

use super::memory::{Memory, kept};
use super::outcome::{Decided, Essence, Outcome, Seen};
use super::slots::Slots;
use crate::context::Context;
use crate::events::Event;
use crate::names::Names;
use crate::served::{LookError, Looking, Materials, Report, Served, Target, look, report};

/// What is looked at, and how.
#[derive(Debug, Clone)]
pub struct ProbeConfig {
    /// The protected targets; each once.
    pub targets: Vec<Target>,
    /// How time is counted; the same at every replica.
    pub slots: Slots,
    /// How looks are taken.
    pub looking: Looking,
    /// A random number of this replica's own, for when in the slot it looks.
    pub seed: u64,
}

/// The targets cannot be probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// There are too many.
    #[error("at most {TARGETS_MAX} targets can be probed, got {0}")]
    TooMany(usize),
}

/// Looks at the targets, and remembers what it saw.
pub struct Prober {
    config: ProbeConfig,
    context: Arc<Context>,
    names: Arc<dyn Names>,
    materials: Arc<dyn Materials>,
    state: Mutex<State>,
    /// So many targets are looked at at a time.
    places: Semaphore,
    task: Mutex<Option<AbortHandle>>,
}

#[derive(Debug, Default)]
struct State {
    targets: BTreeMap<Target, Memory>,
    /// How many looks there were, by what came of them.
    looks: BTreeMap<&'static str, u64>,
    /// How many decisions there were, by what they mean.
    outcomes: BTreeMap<&'static str, u64>,
}

impl Prober {
    /// A prober that looks when it is told to, by [`Prober::round`].
    ///
    /// # Errors
    /// [`ProbeError`] when there are too many targets.
    pub fn new(
        config: ProbeConfig,
        context: Arc<Context>,
        names: Arc<dyn Names>,
        materials: Arc<dyn Materials>,
    ) -> Result<Arc<Self>, ProbeError> {
        if config.targets.len() > TARGETS_MAX {
            return Err(ProbeError::TooMany(config.targets.len()));
        }
        let targets = config.targets.iter().map(|target| (target.clone(), Memory::default())).collect();
        let state = Mutex::new(State { targets, ..State::default() });
        let places = Semaphore::new(LOOKS_AT_ONCE_MAX);
        Ok(Arc::new(Prober { config, context, names, materials, state, places, task: Mutex::new(None) }))
    }

    /// Looks in the background from now on, until [`Prober::stop`]. A look that takes long holds up none at other targets.
    pub fn start(self: &Arc<Self>, runtime: &Handle) {
        let prober = Arc::downgrade(self);
        let task = runtime.spawn(async move {
            let mut ticks = interval(ROUND_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // At most one for each target: only one look at it is under way.
            let mut rounds = JoinSet::new();
            loop {
                ticks.tick().await;
                while rounds.try_join_next().is_some() {}
                let Some(prober) = prober.upgrade() else { return };
                rounds.spawn(async move { prober.round().await });
            }
        });
        if let Some(before) = lock(&self.task).replace(task.abort_handle()) {
            before.abort();
        }
    }

    /// Looks no more.
    pub fn stop(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }

    /// Looks at all targets that are due, have not been looked at in this slot, and are not being looked at; returns how many.
    pub async fn round(self: &Arc<Self>) -> usize {
        let now = self.context.now();
        let slot = self.config.slots.slot(now);
        let due: Vec<Target> = {
            let mut state = lock(&self.state);
            let (slots, seed) = (self.config.slots, self.config.seed);
            let begun = state.targets.iter_mut().filter_map(|(target, memory)| {
                let is_due = slots.due(slot, &target.to_string(), seed) <= now;
                (is_due && memory.begin(slot)).then(|| target.clone())
            });
            begun.collect()
        };
        let count = due.len();
        let mut looks = JoinSet::new();
        for target in due {
            let prober = Arc::clone(self);
            looks.spawn(async move {
                let _busy = Busy(&prober, &target);
                let Ok(_place) = prober.places.acquire().await else { return };
                // Who had to wait until the slot was over looks in the next one.
                if prober.config.slots.slot(prober.context.now()) == slot {
                    prober.look_at(&target, slot).await;
                }
            });
        }
        while looks.join_next().await.is_some() {}
        count
    }

    /// What this replica saw at a target in a slot.
    pub fn seen(&self, target: &Target, slot: u64) -> Option<Seen> {
        lock(&self.state).targets.get(target)?.seen(slot).cloned()
    }

    /// What was found at a target last.
    pub fn report(&self, target: &Target) -> Option<Report> {
        lock(&self.state).targets.get(target)?.report().cloned()
    }

    /// The targets.
    pub fn targets(&self) -> &[Target] {
        &self.config.targets
    }

    /// How time is counted.
    pub fn slots(&self) -> Slots {
        self.config.slots
    }

    /// The newest slot in which all replicas have had time to look; see [`Slots::settled`].
    pub fn settled_slot(&self, now: Moment) -> Option<u64> {
        self.config.slots.settled(now)
    }

    /// Public keys that were seen at servers of this name, as SHA-256 of key with algorithm.
    pub fn keys_of(&self, host: &str) -> Vec<Sha256> {
        let state = lock(&self.state);
        let of_host = state.targets.iter().filter(|(target, _)| target.host() == host);
        of_host.filter_map(|(_, memory)| memory.report()?.key_sha256).collect()
    }

    /// From how many networks the certificate with this digest was seen at servers of this name, by the newest decision: that of the port where
    /// most saw it. `None` when the cluster saw another one last, or decided nothing of late.
    pub fn networks(&self, host: &str, leaf: &Sha256) -> Option<Networks> {
        let now = self.config.slots.slot(self.context.now());
        let state = lock(&self.state);
        let of_host = state.targets.iter().filter(|(target, _)| target.host() == host);
        let all = of_host.filter_map(|(_, memory)| memory.networks(leaf, now));
        all.max_by_key(|networks| (networks.agreeing, std::cmp::Reverse(networks.looked)))
    }

    /// Whether a decision of this target and slot is of use: the target is looked at here, and the slot is that of now or one of the last few
    /// before it. Anybody in the cluster may have anything decided.
    pub fn awaits(&self, target: &Target, slot: u64) -> bool {
        kept(slot, self.config.slots.slot(self.context.now())) && self.config.targets.contains(target)
    }

    /// Takes in what the cluster decided, if it is of use; tells the operator if it means something new. The same may come again, and in any order.
    pub fn told(&self, target: &Target, slot: u64, decided: Decided) {
        if !self.awaits(target, slot) {
            return;
        }
        let news = {
            let mut state = lock(&self.state);
            let State { targets, outcomes, .. } = &mut *state;
            let Some(memory) = targets.get_mut(target) else { return };
            if memory.decide(slot, decided) {
                *outcomes.entry(memory.outcome().code()).or_default() += 1;
            }
            memory.news()
        };
        if let Some(outcome) = news {
            self.tell_outcome(target, &outcome);
        }
    }

    /// What the newest decision on a target means.
    pub fn outcome(&self, target: &Target) -> Outcome {
        lock(&self.state).targets.get(target).map_or(Outcome::Undecided, Memory::outcome)
    }

    /// How many targets there are of each outcome.
    pub fn states(&self) -> BTreeMap<&'static str, u64> {
        let mut states = BTreeMap::from(Outcome::CODES.map(|code| (code, 0)));
        for memory in lock(&self.state).targets.values() {
            *states.entry(memory.outcome().code()).or_default() += 1;
        }
        states
    }

    /// All that is known of all targets, as `/v1/transparency/probes` shows it.
    pub fn to_json(&self) -> Value {
        let state = lock(&self.state);
        let targets: serde_json::Map<String, Value> =
            state.targets.iter().map(|(target, memory)| (target.to_string(), memory.to_json())).collect();
        let slots = self.config.slots;
        json!({ "period_seconds": slots.seconds(), "slot": slots.slot(self.context.now()), "targets": targets })
    }

    /// How many looks there were, by what came of them.
    pub fn looks(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.state).looks.clone()
    }

    /// How many decisions there were, by what they mean here.
    pub fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.state).outcomes.clone()
    }

    async fn look_at(&self, target: &Target, slot: u64) {
        let (names, looking, owner) = (&*self.names, &self.config.looking, target.tlsa_owner());
        // Both at a time, so that both together take no longer than a look may.
        let asked = timeout(looking.deadline, names.tlsa(&owner));
        let (looked, asked) = tokio::join!(look(target, names, looking), asked);
        match looked {
            Err(error) => self.fail(target, &error),
            Ok(served) => {
                let tlsa = asked.ok().and_then(Result::ok);
                let now = self.context.now();
                let mut found = None;
                self.materials.with(&mut |pinned| {
                    found = Some(report(target, &served, tlsa.as_ref(), pinned, now));
                });
                if let Some(report) = found {
                    self.keep(target, slot, &served, report);
                }
            }
        }
    }

    fn keep(&self, target: &Target, slot: u64, served: &Served, report: Report) {
        let seen = report.key_sha256.map(|key_sha256| Seen {
            slot,
            at: report.at,
            addresses: served.addresses.clone(),
            essence: Essence { leaf_sha256: report.leaf_sha256, key_sha256, conclusion: report.conclusion },
        });
        let (at, facts) = (report.at, json!(report));
        let (warnings, news) = {
            let mut state = lock(&self.state);
            *state.looks.entry("seen").or_default() += 1;
            let Some(memory) = state.targets.get_mut(target) else { return };
            // The cluster may have decided before this replica had looked.
            (memory.keep(seen, report), memory.news())
        };
        if let Some(outcome) = news {
            self.tell_outcome(target, &outcome);
        }
        for warning in warnings {
            self.context.events.push(Event {
                at,
                code: warning.code(),
                grave: warning.is_grave(),
                subject: target.to_string(),
                text: warning.text().to_owned(),
                facts: facts.clone(),
            });
        }
    }

    fn fail(&self, target: &Target, error: &LookError) {
        let is_news = {
            let mut state = lock(&self.state);
            *state.looks.entry(error.code()).or_default() += 1;
            state.targets.get_mut(target).is_some_and(|memory| memory.fail(error.to_string()))
        };
        if is_news {
            self.context.events.push(Event {
                at: self.context.now(),
                code: "not_seen",
                grave: false,
                subject: target.to_string(),
                text: error.to_string(),
                facts: json!({ "error": error.code() }),
            });
        }
    }

    fn tell_outcome(&self, target: &Target, outcome: &Outcome) {
        let text = match outcome {
            Outcome::WeDiffer { grave: true, .. } => {
                "this replica sees another key than the cluster: somebody may stand between it and the server"
            }
            Outcome::WeDiffer { .. } => {
                "this replica sees another certificate than the cluster, with a known key"
            }
            Outcome::AllChanged { grave: true, .. } => {
                "all replicas see a new key, and its chain does not hold"
            }
            Outcome::AllChanged { .. } => "all replicas see a new key",
            Outcome::NoAgreement { .. } => "the replicas see different certificates",
            Outcome::NotSeenHere { .. } => "the cluster sees the server, this replica does not",
            Outcome::Undecided | Outcome::Corroborated { .. } => return,
        };
        self.context.events.push(Event {
            at: self.context.now(),
            code: outcome.code(),
            grave: outcome.is_grave(),
            subject: target.to_string(),
            text: text.to_owned(),
            facts: json!(outcome),
        });
    }
}

/// A target that is being looked at, until this goes.
struct Busy<'a>(&'a Prober, &'a Target);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if let Some(memory) = lock(&self.0.state).targets.get_mut(self.1) {
            memory.end();
        }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many targets there may be.
pub const TARGETS_MAX: usize = 32;
/// How many looks are under way at a time.
pub const LOOKS_AT_ONCE_MAX: usize = 8;
/// How often it is asked who is due.
const ROUND_EVERY: Duration = Duration::from_millis(250);
