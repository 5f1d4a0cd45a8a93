//! Queries that wait for a decision, by question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use certificate::Digest;
use tokio::sync::watch;

use super::store::Held;

/// Questions that may be waited for at once.
pub const QUESTIONS_MAX: usize = 4096;

type Waiters = HashMap<Digest, watch::Sender<Option<Arc<Held>>>>;

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
    /// Whether nobody waited for the question before.
    pub first: bool,
}

impl Waiting {
    /// Takes a place, or `None` when too many questions are waited for.
    pub fn join(self: &Arc<Waiting>, key: Digest) -> Option<Place> {
        let mut questions = self.lock();
        let (receiver, first) = match questions.get(&key) {
            Some(sender) => (sender.subscribe(), false),
            None if questions.len() >= QUESTIONS_MAX => return None,
            None => {
                let (sender, receiver) = watch::channel(None);
                questions.insert(key, sender);
                (receiver, true)
            }
        };
        Some(Place { waiting: self.clone(), key, receiver: Some(receiver), first })
    }

    /// Tells everybody who waits for the question.
    pub fn tell(&self, key: &Digest, held: &Arc<Held>) {
        if let Some(sender) = self.lock().get(key) {
            sender.send_replace(Some(held.clone()));
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
        let told = receiver.wait_for(Option::is_some).await.expect("the sender lives while a place is held");
        told.clone().expect("waited for a decision")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut questions = self.waiting.lock();
        self.receiver = None;
        if questions.get(&self.key).is_some_and(|sender| sender.receiver_count() == 0) {
            questions.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Digest = Digest([1; 32]);

    #[test]
    fn only_the_first_query_for_a_question_is_first() {
        let waiting = Arc::new(Waiting::default());
        let first = waiting.join(KEY).unwrap();
        let second = waiting.join(KEY).unwrap();
        assert!(first.first && !second.first);
    }

    #[test]
    fn question_is_forgotten_with_its_last_place() {
        let waiting = Arc::new(Waiting::default());
        let first = waiting.join(KEY).unwrap();
        let second = waiting.join(KEY).unwrap();
        drop(first);
        assert_eq!(waiting.len(), 1);
        drop(second);
        assert_eq!(waiting.len(), 0);
        assert!(waiting.join(KEY).unwrap().first);
    }

    #[test]
    fn questions_beyond_the_bound_get_no_place() {
        let waiting = Arc::new(Waiting::default());
        let key = |i: usize| Digest::of(&i.to_be_bytes());
        let places: Vec<Place> = (0..QUESTIONS_MAX).map(|i| waiting.join(key(i)).unwrap()).collect();
        assert!(waiting.join(key(QUESTIONS_MAX)).is_none());
        assert!(waiting.join(key(0)).is_some(), "a question that is waited for already costs nothing");
        drop(places);
        assert!(waiting.join(key(QUESTIONS_MAX)).is_some());
    }
}
