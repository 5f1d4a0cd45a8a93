//! Operations beside questions: what the validator behind this plugin is asked, told, and wishes. What they say, it alone knows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use agreement::Statement;
use async_trait::async_trait;
use bytes::Bytes;
use certificate::codec::{Decode, Encode};
use certificate::leaf::Leaf;
use certificate::{Digest, OperationKind, ReplicaId};
use node::FETCHES_MAX;
use pbft::Decided;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{debug, error, warn};

use super::consensus::{Consensus, wall_ms};
use super::judge;
use crate::validator::{CONTENT_BYTES_MAX, Decision, Library, NEWS_BYTES_MAX, Task, Validator};

/// Decisions that wait for the validator, in slots; what comes on top is not told.
const TOLD_SLOTS_MAX: usize = 1024;
/// Operations that are looked at here at once, over all who ask; more wait, within `LOOK_TIME`. Everybody has a share: who asks for more than
/// that waits for itself alone.
const LOOKING_MAX: usize = 16;
/// How long looking at one may take: the cluster gives an operation up after 5 s.
const LOOK_TIME: Duration = Duration::from_secs(3);
/// How long a peer's content is waited for, so that there is time to judge it.
const FETCH_TIME: Duration = Duration::from_millis(1500);
/// How long content is waited for that a decision names and nobody waits for.
const MISSING_TIME: Duration = Duration::from_secs(20);
/// Such content is fetched so much at once: half of what may be fetched at all.
const MISSING_AT_ONCE_MAX: usize = FETCHES_MAX / 2;
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
    /// The room of what each replica asks for, by its id.
    rooms: Vec<Room>,
    missing: Arc<Semaphore>,
}

/// What is looked at, and what is fetched for that, because one replica asked.
struct Room {
    looking: Semaphore,
    fetching: Semaphore,
}

impl Validations {
    /// For a cluster of so many replicas.
    pub fn new(replicas: usize) -> Validations {
        let (decided, queue) = mpsc::channel(TOLD_SLOTS_MAX);
        let share = |all: usize| Semaphore::new((all / replicas.max(1)).max(1));
        let room = |_| Room { looking: share(LOOKING_MAX), fetching: share(FETCHES_MAX) };
        Validations {
            decided,
            queue: Mutex::new(Some(queue)),
            rooms: (0..replicas).map(room).collect(),
            missing: Arc::new(Semaphore::new(MISSING_AT_ONCE_MAX)),
        }
    }

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
        let Some(consensus) = consensus.upgrade() else { continue };
        let Some(validator) = consensus.validator() else { continue };
        for (task, leaf) in judged {
            let groups_heard = consensus.cluster.groups_of(leaf.observers).count_ones();
            let decision = Decision { leaf, groups_heard };
            // One fault must not keep the validator from all that is decided from then on.
            if catch_unwind(AssertUnwindSafe(|| validator.decided(&task, &decision))).is_err() {
                error!(kind = ?task.kind, "the validator panicked when it was told a decision");
            }
        }
    }
}

/// Has the cluster decide what the validator wishes, and tells the peers its news, until nobody uses the replica any more.
pub async fn follow(consensus: Weak<Consensus>) {
    let mut ticks = interval(WISHES_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut wished, mut missed) = (0, 0);
    for count in 0u32.. {
        ticks.tick().await;
        let Some(consensus) = consensus.upgrade() else { return };
        let Some(validator) = consensus.validator() else { continue };
        let wishes = validator.wishes(wall_ms()).into_iter().filter(|task| judge::is_task(task.kind));
        consensus.grant(turn(wishes.collect(), WISHES_MAX, &mut wished));
        let missing = turn(validator.missing(), MISSING_AT_ONCE_MAX, &mut missed);
        consensus.fetch_missing(&validator, missing);
        if count % NEWS_EVERY == 0 {
            consensus.spread(&*validator);
        }
    }
}

/// At most `most` of these; the next ones at the next turn when there are more.
fn turn<T>(mut all: Vec<T>, most: usize, from: &mut usize) -> Vec<T> {
    if all.len() > most {
        let begin = *from % all.len();
        *from = begin + most;
        all.rotate_left(begin);
        all.truncate(most);
    }
    all
}

impl Consensus {
    /// Asks the cluster for what the validator wishes. What is decided already, and still holds, it is told again: it may be a new one, that of
    /// a reload; or the decision was handed out by a peer. Peers may hand out what nobody asked for, so that alone tells the validator nothing.
    fn grant(&self, wishes: Vec<Task>) {
        let now_ms = wall_ms();
        for task in wishes {
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

    /// Fetches what decisions name and this replica does not hold, while there is room for it.
    fn fetch_missing(&self, validator: &Arc<dyn Validator>, missing: Vec<Digest>) {
        for digest in missing {
            let Ok(room) = self.validations.missing.clone().try_acquire_owned() else { return };
            let (node, validator) = (self.node().clone(), validator.clone());
            self.runtime.spawn(async move {
                let found = node.fetch(&digest, CONTENT_BYTES_MAX, MISSING_TIME).await;
                drop(room);
                if let Some(content) = found {
                    validator.found(&digest, content);
                }
            });
        }
    }

    fn spread(&self, validator: &dyn Validator) {
        for news in validator.news().into_iter().take(NEWS_MAX) {
            if news.len() <= NEWS_BYTES_MAX {
                self.node().tell(news);
            }
        }
    }

    /// What this replica says of a task that `origin` asked for, or this replica itself, as the payload of an observation.
    pub(super) async fn look_at(&self, task: &Task, origin: Option<ReplicaId>) -> Vec<u8> {
        let said = match self.validator() {
            Some(validator) => self.judged_by(&*validator, task, origin.unwrap_or(self.me)).await,
            None => Statement::cannot_judge("no plugin here judges certificates"),
        };
        said.within(&self.cluster).to_bytes()
    }

    async fn judged_by(&self, validator: &dyn Validator, task: &Task, origin: ReplicaId) -> Statement {
        let look = async {
            let room = self.validations.rooms.get(usize::from(origin.0))?;
            let _looking = room.looking.acquire().await.ok()?;
            let library = Peers { consensus: self, fetching: &room.fetching };
            Some(validator.observe(task, wall_ms(), &library).await)
        };
        let in_time = timeout(LOOK_TIME, look).await.ok().flatten();
        in_time.unwrap_or_else(|| Statement::cannot_judge("no verdict within 3 s"))
    }
}

/// The content that the other replicas hold.
struct Peers<'a> {
    consensus: &'a Consensus,
    fetching: &'a Semaphore,
}

#[async_trait]
impl Library for Peers<'_> {
    async fn fetch(&self, digest: &Digest) -> Option<Bytes> {
        let fetch = async {
            let _room = self.fetching.acquire().await.ok()?;
            self.consensus.node().fetch(digest, CONTENT_BYTES_MAX, FETCH_TIME).await
        };
        timeout(FETCH_TIME, fetch).await.ok().flatten()
    }
}
