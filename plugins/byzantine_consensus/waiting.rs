//! Queries that wait for a decision, by question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certificate::Digest;
use tokio::sync::watch;
use tokio::time::Instant;

use super::store::Held;

/// Questions that may be waited for at once.
pub const QUESTIONS_MAX: usize = 4096;

/// So long after the cluster was asked the next query asks again: a request may have been lost or given up, and a name that is
/// asked for all the time always has somebody who waits.
pub const ASK_AGAIN: Duration = Duration::from_secs(1);

type Waiters = HashMap<Digest, Question>;

struct Question {
    sender: watch::Sender<Option<Arc<Held>>>,
    /// When a query last asked the cluster.
    asked: Instant,
}

/// The questions that are waited for. Any number of queries may wait for one.
#[derive(Default)]
pub struct Waiting {
    questions: Mutex<Waiters>,
}

/// One query's place. Dropping the last place of a question forgets the question.
pub struct Place {
    waiting: Arc<Waiting>,
    key: Digest,
    receiver: Option<watch::Receiver<Option<Arc<Held>>>>,
    /// Whether this query has to ask the cluster: no other has, or too long ago.
    pub asks: bool,
}

impl Waiting {
    /// Takes a place at the time `now`, or `None` when too many questions are waited for.
    pub fn join(self: &Arc<Waiting>, key: Digest, now: Instant) -> Option<Place> {
        let mut questions = self.lock();
        let is_full = questions.len() >= QUESTIONS_MAX;
        let (receiver, asks) = match questions.get_mut(&key) {
            Some(question) => {
                let asks = now.saturating_duration_since(question.asked) >= ASK_AGAIN;
                if asks {
                    question.asked = now;
                }
                (question.sender.subscribe(), asks)
            }
            None if is_full => return None,
            None => {
                let (sender, receiver) = watch::channel(None);
                questions.insert(key, Question { sender, asked: now });
                (receiver, true)
            }
        };
        Some(Place { waiting: self.clone(), key, receiver: Some(receiver), asks })
    }

    /// Tells everybody who waits for the question. Who comes later waits for the next decision.
    pub fn tell(&self, key: &Digest, held: &Arc<Held>) {
        if let Some(question) = self.lock().remove(key) {
            question.sender.send_replace(Some(held.clone()));
        }
    }

    /// How many questions are waited for.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiters> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
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
        let mut questions = self.waiting.lock();
        self.receiver = None;
        if questions.get(&self.key).is_some_and(|question| question.sender.receiver_count() == 0) {
            questions.remove(&self.key);
        }
    }
}
