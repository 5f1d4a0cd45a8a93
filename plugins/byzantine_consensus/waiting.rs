//! Queries that wait for a decision, by question; and the questions that are open although nobody waits any more.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certificate::Digest;
use tokio::sync::watch;
use tokio::time::Instant;

use super::admission::{Admission, OVERDUE, Overloaded};
use super::store::Held;

/// So long after the cluster was asked the next query asks again: a request may have been lost or given up, and a name that is
/// asked for all the time always has somebody who waits.
pub const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A question for which nobody waits any more counts as open for so long: the cluster goes on deciding it, and what comes behind it waits.
pub const ABANDONED: Duration = Duration::from_secs(10);

/// Questions are counted by the tenth of a second in which they were first asked.
const TICK: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Waiters {
    questions: HashMap<Digest, Question>,
    /// How many of them there are of each tick.
    ages: BTreeMap<u128, usize>,
    admission: Admission,
}

struct Question {
    sender: watch::Sender<Option<Arc<Held>>>,
    /// When a query last asked the cluster.
    asked: Instant,
    /// When the first one did, since the origin.
    since: Duration,
    /// Whether the cluster has it: then it is open until it is decided.
    handed: bool,
}

/// The questions that are waited for. Any number of queries may wait for one.
pub struct Waiting {
    waiters: Mutex<Waiters>,
    /// Questions that may be open whatever is decided in time.
    open_max: usize,
    /// Where times are counted from.
    origin: Instant,
}

/// One query's place. Dropping the last place of a question that was not handed to the cluster forgets the question.
pub struct Place {
    waiting: Arc<Waiting>,
    key: Digest,
    receiver: Option<watch::Receiver<Option<Arc<Held>>>>,
    /// Whether this query has to ask the cluster: no other has, or too long ago.
    pub asks: bool,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting::of_at_most(usize::MAX)
    }
}

impl Waiters {
    fn insert(&mut self, key: Digest, question: Question) {
        *self.ages.entry(tick(question.since)).or_default() += 1;
        self.questions.insert(key, question);
    }

    fn remove(&mut self, key: &Digest) -> Option<Question> {
        let question = self.questions.remove(key)?;
        let tick = tick(question.since);
        if let Some(count) = self.ages.get_mut(&tick) {
            *count -= 1;
            if *count == 0 {
                self.ages.remove(&tick);
            }
        }
        Some(question)
    }

    /// Forgets what the cluster has not decided in all that time.
    fn give_up(&mut self, now: Duration) {
        let Some(due) = now.checked_sub(ABANDONED).map(tick) else { return };
        if self.ages.keys().next().is_none_or(|oldest| *oldest >= due) {
            return;
        }
        let is_given_up = |question: &Question| tick(question.since) < due && !question.is_waited_for();
        let old = self.questions.iter().filter(|(_, question)| is_given_up(question));
        let keys: Vec<Digest> = old.map(|(key, _)| *key).collect();
        for key in keys {
            self.remove(&key);
        }
    }

    fn overdue(&self, now: Duration) -> usize {
        let (since, due) = (tick(self.admission.since()), tick(now.saturating_sub(OVERDUE)));
        if since >= due { 0 } else { self.ages.range(since..due).map(|(_, count)| count).sum() }
    }
}

impl Question {
    fn is_waited_for(&self) -> bool {
        self.sender.receiver_count() > 0
    }
}

impl Waiting {
    /// Nobody yet; at most so many questions may be open.
    pub fn of_at_most(open_max: usize) -> Waiting {
        Waiting { waiters: Mutex::default(), open_max, origin: Instant::now() }
    }

    /// Takes a place at the time `now`.
    ///
    /// Errors: more questions are open than are decided in time. One that is open already has room for everybody.
    pub fn join(self: &Arc<Waiting>, key: Digest, now: Instant) -> Result<Place, Overloaded> {
        let since = self.since_origin(now);
        let mut waiters = self.lock();
        let (receiver, asks) = if let Some(question) = waiters.questions.get_mut(&key) {
            let asks = now.saturating_duration_since(question.asked) >= ASK_AGAIN;
            if asks {
                question.asked = now;
            }
            (question.sender.subscribe(), asks)
        } else {
            waiters.give_up(since);
            let (open, overdue) = (waiters.questions.len(), waiters.overdue(since));
            if open >= self.open_max {
                return Err(Overloaded { open, limit: self.open_max });
            }
            waiters.admission.admit(open, overdue, since)?;
            let (sender, receiver) = watch::channel(None);
            waiters.insert(key, Question { sender, asked: now, since, handed: false });
            (receiver, true)
        };
        Ok(Place { waiting: self.clone(), key, receiver: Some(receiver), asks })
    }

    /// Tells everybody who waits for the question. Who comes later waits for the next decision.
    pub fn tell(&self, key: &Digest, held: &Arc<Held>, now: Instant) {
        let mut waiters = self.lock();
        if let Some(question) = waiters.remove(key) {
            let (after, open) =
                (self.since_origin(now).saturating_sub(question.since), waiters.questions.len());
            waiters.admission.decided(after, open);
            question.sender.send_replace(Some(held.clone()));
        }
    }

    /// The cluster does not decide the question: it was not taken. Who waits goes on waiting.
    pub fn not_taken(&self, key: &Digest) {
        let mut waiters = self.lock();
        if let Some(question) = waiters.questions.get_mut(key) {
            question.handed = false;
            if !question.is_waited_for() {
                waiters.remove(key);
            }
        }
    }

    /// How many questions are open.
    pub fn len(&self) -> usize {
        self.lock().questions.len()
    }

    fn since_origin(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.origin)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The cluster was asked: the question is open until it is decided, whoever waits.
    pub fn handed(&self) {
        if let Some(question) = self.waiting.lock().questions.get_mut(&self.key) {
            question.handed = true;
        }
    }

    /// Waits for the decision.
    pub async fn decision(&mut self) -> Arc<Held> {
        let receiver = self.receiver.as_mut().expect("the receiver is there until the place is dropped");
        let told = receiver.wait_for(Option::is_some).await;
        let told = told.expect("the sender lives until it has told or the last place is dropped");
        told.clone().expect("waited for a decision")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiters = self.waiting.lock();
        self.receiver = None;
        let question = waiters.questions.get(&self.key);
        if question.is_some_and(|question| !question.handed && !question.is_waited_for()) {
            waiters.remove(&self.key);
        }
    }
}

fn tick(since: Duration) -> u128 {
    since.as_nanos() / TICK.as_nanos()
}
