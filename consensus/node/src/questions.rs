//! How long the others take for a question: from when it is first heard of here until the observation of each of them comes.
//!
//! Bounded by what is asked last; a question that falls out before it is answered counts for nobody.

use std::collections::{HashMap, VecDeque};

use certificate::{Digest, ReplicaId, ReplicaSet};

/// Questions that are waited for.
pub(crate) const QUESTIONS_MAX: usize = 4096;

/// The open questions.
#[derive(Default)]
pub(crate) struct Questions {
    open: HashMap<Digest, Question>,
    /// Oldest first; what was closed meanwhile stands here until its turn.
    order: VecDeque<(Digest, u64)>,
}

struct Question {
    known_ms: u64,
    answered: ReplicaSet,
}

impl Questions {
    /// Somebody wants to know; only the first time counts.
    pub(crate) fn asked(&mut self, operation: Digest, now_ms: u64) {
        if self.open.contains_key(&operation) {
            return;
        }
        self.open.insert(operation, Question { known_ms: now_ms, answered: ReplicaSet::EMPTY });
        self.order.push_back((operation, now_ms));
        while self.order.len() > QUESTIONS_MAX {
            let (oldest, known_ms) = self.order.pop_front().expect("the order is not empty");
            if self.open.get(&oldest).is_some_and(|question| question.known_ms == known_ms) {
                self.open.remove(&oldest);
            }
        }
    }

    /// The observation of a replica came. Returns how long that took, in milliseconds: for the first one of each replica, and not for the one
    /// that brings the question up.
    pub(crate) fn observed(&mut self, operation: Digest, by: ReplicaId, now_ms: u64) -> Option<u64> {
        let Some(question) = self.open.get_mut(&operation) else {
            self.asked(operation, now_ms);
            self.open.get_mut(&operation)?.answered.insert(by);
            return None;
        };
        question.answered.insert(by).then(|| now_ms.saturating_sub(question.known_ms))
    }

    /// It is decided; whoever asks again asks anew.
    pub(crate) fn decided(&mut self, operation: &Digest) {
        self.open.remove(operation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: u64) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    #[test]
    fn each_replica_is_timed_once_from_when_the_question_was_known() {
        let mut questions = Questions::default();
        questions.asked(of(1), 100);
        questions.asked(of(1), 150);
        assert_eq!(questions.observed(of(1), ReplicaId(2), 170), Some(70));
        assert_eq!(questions.observed(of(1), ReplicaId(2), 900), None, "it says it again");
        assert_eq!(questions.observed(of(1), ReplicaId(3), 180), Some(80));
    }

    #[test]
    fn observation_that_brings_a_question_up_took_no_time() {
        let mut questions = Questions::default();
        assert_eq!(questions.observed(of(1), ReplicaId(2), 100), None);
        assert_eq!(questions.observed(of(1), ReplicaId(3), 130), Some(30));
    }

    #[test]
    fn question_that_is_asked_again_after_its_decision_is_a_new_one() {
        let mut questions = Questions::default();
        questions.asked(of(1), 100);
        questions.decided(&of(1));
        questions.asked(of(1), 60_000);
        assert_eq!(questions.observed(of(1), ReplicaId(2), 60_010), Some(10));
    }

    #[test]
    fn open_questions_are_bounded_and_the_oldest_go() {
        let mut questions = Questions::default();
        for number in 0..3 * QUESTIONS_MAX as u64 {
            questions.asked(of(number), number);
            if number % 2 == 0 {
                questions.decided(&of(number));
            }
        }
        assert!(questions.open.len() <= QUESTIONS_MAX && questions.order.len() == QUESTIONS_MAX);
        let last = 3 * QUESTIONS_MAX as u64 - 1;
        assert_eq!(questions.observed(of(last), ReplicaId(2), last + 5), Some(5));
        assert_eq!(questions.observed(of(1), ReplicaId(2), last), None, "forgotten");
    }
}
