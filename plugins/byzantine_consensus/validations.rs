//! Operations beside questions: what the validator behind this plugin is asked, told, and wishes. What they say, it alone knows.

use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use agreement::Statement;
use async_trait::async_trait;
use bytes::Bytes;
use certificate::codec::{Decode, Encode};
use certificate::leaf::Leaf;
use certificate::{Digest, OperationKind};
use pbft::Decided;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{debug, warn};

use super::consensus::{Consensus, wall_ms};
use super::judge;
use crate::validator::{CONTENT_BYTES_MAX, Library, NEWS_BYTES_MAX, Task, Validator};

/// Decisions that wait for the validator, in slots; what comes on top is not told.
const TOLD_SLOTS_MAX: usize = 1024;
/// Operations that are looked at here at once; more wait, within `LOOK_TIME`.
const LOOKING_MAX: usize = 16;
/// How long looking at one may take: the cluster gives an operation up after 5 s.
const LOOK_TIME: Duration = Duration::from_secs(3);
/// How long a peer's content is waited for, so that there is time to judge it.
const FETCH_TIME: Duration = Duration::from_millis(2500);
/// Wishes that are taken each time.
const WISHES_MAX: usize = 16;
/// News that are told each time.
const NEWS_MAX: usize = 16;
/// How often wishes are asked for.
const WISHES_EVERY: Duration = Duration::from_secs(1);
/// News are asked for each time so many wishes were.
const NEWS_EVERY: u32 = 5;

/// What was decided, for the validator.
type Judged = Vec<(Task, Leaf)>;

/// What the cluster's shared state holds of its validators: the way to them, and room.
pub struct Validations {
    decided: mpsc::Sender<Judged>,
    queue: Mutex<Option<mpsc::Receiver<Judged>>>,
    looking: Semaphore,
}

impl Default for Validations {
    fn default() -> Validations {
        let (decided, queue) = mpsc::channel(TOLD_SLOTS_MAX);
        Validations { decided, queue: Mutex::new(Some(queue)), looking: Semaphore::new(LOOKING_MAX) }
    }
}

impl Validations {
    /// Hands decisions on to the validator. Called in the order of the log, and told in the order of the calls.
    pub fn hand_on(&self, judged: Judged) {
        if !judged.is_empty() && self.decided.try_send(judged).is_err() {
            warn!("decisions were not told to the validator: too many wait");
        }
    }
}

/// The tasks among the decisions of a slot. Cheap when there is none.
pub fn tasks_of(decided: &Decided) -> Judged {
    let kinds = decided.header.kinds;
    if ![OperationKind::Validate, OperationKind::UpdateInputs].into_iter().any(|kind| kinds.contains(kind)) {
        return Vec::new();
    }
    let pairs = decided.operations.iter().zip(&decided.leaves);
    let tasks = pairs.filter_map(|(operation, leaf)| {
        let task = judge::task(operation)?;
        let leaf = Leaf::from_bytes(leaf).ok().filter(|leaf| judge::asked(leaf) == *operation)?;
        Some((task, leaf))
    });
    tasks.collect()
}

/// Tells the validator what is decided, in the order of the log, until nobody uses the replica any more.
pub async fn tell(consensus: Weak<Consensus>) {
    let queue = consensus.upgrade().and_then(|consensus| {
        consensus.validations.queue.lock().unwrap_or_else(PoisonError::into_inner).take()
    });
    let Some(mut queue) = queue else { return };
    while let Some(judged) = queue.recv().await {
        let Some(validator) = consensus.upgrade().and_then(|consensus| consensus.validator()) else {
            continue;
        };
        judged.iter().for_each(|(task, leaf)| validator.decided(task, leaf));
    }
}

/// Has the cluster decide what the validator wishes, and tells the peers its news, until nobody uses the replica any more.
pub async fn follow(consensus: Weak<Consensus>) {
    let mut ticks = interval(WISHES_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for count in 0u32.. {
        ticks.tick().await;
        let Some(consensus) = consensus.upgrade() else { return };
        let Some(validator) = consensus.validator() else { continue };
        consensus.grant(&*validator);
        if count % NEWS_EVERY == 0 {
            consensus.spread(&*validator);
        }
    }
}

impl Consensus {
    /// Asks the cluster for what the validator wishes. What is decided already, and still holds, it is told again: it may be a new one, that of
    /// a reload; or the decision was handed out by a peer. Peers may hand out what nobody asked for, so that alone tells the validator nothing.
    fn grant(&self, validator: &dyn Validator) {
        let now_ms = wall_ms();
        let wishes = validator.wishes(now_ms).into_iter().filter(|task| judge::is_task(task.kind));
        for task in wishes.take(WISHES_MAX) {
            let operation = judge::operation_of(&task);
            match self.store.valid(&operation.digest(), now_ms) {
                Some(held) if held.is_answer() => {
                    if held.certificate.get().is_some() {
                        self.validations.hand_on(vec![(task, held.leaf.clone())]);
                    }
                }
                Some(_) => {}
                None => {
                    if let Err(busy) = self.node().request(operation) {
                        debug!(%busy, "a wish has to wait");
                    }
                }
            }
        }
    }

    fn spread(&self, validator: &dyn Validator) {
        for news in validator.news().into_iter().take(NEWS_MAX) {
            if news.len() <= NEWS_BYTES_MAX {
                self.node().tell(news);
            }
        }
    }

    /// What this replica says of a task, as the payload of an observation.
    pub(super) async fn look_at(&self, task: &Task) -> Vec<u8> {
        let said = match self.validator() {
            Some(validator) => self.judged_by(&*validator, task).await,
            None => Statement::cannot_judge("no plugin here judges certificates"),
        };
        said.within(&self.cluster).to_bytes()
    }

    async fn judged_by(&self, validator: &dyn Validator, task: &Task) -> Statement {
        let look = async {
            let _room = self.validations.looking.acquire().await.ok()?;
            Some(validator.observe(task, wall_ms(), &Peers(self)).await)
        };
        let in_time = timeout(LOOK_TIME, look).await.ok().flatten();
        in_time.unwrap_or_else(|| Statement::cannot_judge("no verdict within 3 s"))
    }
}

/// The content that the other replicas hold.
struct Peers<'a>(&'a Consensus);

#[async_trait]
impl Library for Peers<'_> {
    async fn fetch(&self, digest: &Digest) -> Option<Bytes> {
        self.0.node().fetch(digest, CONTENT_BYTES_MAX, FETCH_TIME).await
    }
}
