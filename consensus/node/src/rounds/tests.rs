//! Which clocks run, and when they stop.

use std::sync::Arc;

use certificate::{OperationKind, Signature, SlotHeader};
use pbft::{Batch, Observation, Operation, Recipients, SignedObservations};

use super::*;

const NONE: Signature = Signature([0; 64]);

fn rounds() -> Rounds {
    Rounds::new(ReplicaId(1), Replicas::new(4, 1).unwrap(), Sequence(0))
}

fn header(sequence: u64) -> SlotHeader {
    SlotHeader::null(Sequence(sequence), Digest::ZERO)
}

fn proposal(view: u64, sequence: u64) -> Message {
    let (header, batch) = (header(sequence), Arc::new(Batch::default()));
    Message::PrePrepare(PrePrepare { view: View(view), header, signature: NONE, batch })
}

fn operation(subject: &str) -> Operation {
    Operation { kind: OperationKind::Resolve, subject: subject.as_bytes().to_vec() }
}

fn observed(of: &str, by: u8) -> Message {
    let payload = b"seen".to_vec();
    let item = Item::Full(Observation { operation: operation(of), after: Sequence(0), time_ms: 0, payload });
    Message::Observe(SignedObservations { replica: ReplicaId(by), items: vec![item], signature: NONE })
}

fn decided(sequence: u64, subjects: &[&str]) -> Decided {
    Decided {
        header: header(sequence),
        view: View(0),
        leaves: Vec::new(),
        operations: subjects.iter().map(|subject| operation(subject)).collect(),
        signers: ReplicaSet::EMPTY,
        signatures: Vec::new(),
        evidence: Arc::new(Batch::default()),
    }
}

/// A story in milliseconds.
struct Story {
    began: Instant,
    rounds: Rounds,
}

impl Story {
    fn new() -> Story {
        Story { began: Instant::now(), rounds: rounds() }
    }

    fn at(&self, ms: u64) -> Instant {
        self.began + Duration::from_millis(ms)
    }

    fn hear(&mut self, ms: u64, from: u8, message: Message) {
        let event = Event::Message { from: ReplicaId(from), message };
        self.rounds.hear(self.at(ms), || View(0), &event);
    }

    fn look_up(&mut self, ms: u64, subject: &str) {
        let operation = operation(subject).digest();
        let event = Event::Observed { operation, time_ms: 0, payload: Vec::new() };
        self.rounds.hear(self.at(ms), || View(0), &event);
    }

    /// Milliseconds from the proposal, and from the observations of each question.
    fn decide(&mut self, ms: u64, sequence: u64, subjects: &[&str]) -> (Option<u128>, Vec<u128>) {
        let round = self.rounds.decided(self.at(ms), &decided(sequence, subjects));
        assert_eq!((round.sequence, round.entries), (Sequence(sequence), subjects.len()));
        (
            round.agreement.map(|time| time.as_millis()),
            round.since_quorum.iter().map(Duration::as_millis).collect(),
        )
    }
}

#[test]
fn agreement_is_timed_from_the_first_proposal_of_the_primary() {
    let mut story = Story::new();
    story.hear(5, 2, proposal(0, 1));
    story.hear(8, 2, proposal(2, 1));
    story.hear(10, 0, proposal(0, 1));
    story.hear(20, 0, proposal(0, 1));
    assert_eq!(story.decide(13, 1, &[]).0, Some(3));
}

#[test]
fn own_proposal_starts_the_clock_when_it_is_made() {
    let mut story = Story::new();
    let ready = Ready { send: vec![(Recipients::All, proposal(1, 1))], ..Ready::default() };
    let made = story.at(4);
    story.rounds.told(made, &ready);
    assert_eq!(story.decide(9, 1, &[]).0, Some(5));
}

#[test]
fn slot_that_did_not_come_as_a_proposal_has_no_time() {
    assert_eq!(Story::new().decide(9, 1, &["a"]), (None, Vec::new()));
}

#[test]
fn questions_are_timed_from_the_observations_of_a_quorum() {
    let mut story = Story::new();
    story.look_up(1, "a");
    story.hear(10, 0, observed("a", 0));
    // Passed on by another, or said twice: neither makes a quorum.
    story.hear(20, 2, observed("a", 3));
    story.hear(25, 0, observed("a", 0));
    story.hear(30, 2, observed("a", 2));
    story.hear(40, 3, observed("a", 3));
    story.hear(40, 0, observed("b", 0));
    assert_eq!(story.decide(50, 1, &["a", "b"]), (None, vec![20]));
}

#[test]
fn observation_that_came_too_late_for_one_decision_does_not_count_for_the_next() {
    let mut story = Story::new();
    story.hear(40, 3, observed("a", 3));
    story.hear(60_000, 0, observed("a", 0));
    story.hear(60_010, 2, observed("a", 2));
    story.look_up(60_020, "a");
    assert_eq!(story.decide(60_050, 1, &["a"]).1, vec![30]);
}

#[test]
fn question_that_was_decided_without_this_replica_begins_anew() {
    let mut story = Story::new();
    for begun in [0, 300_000] {
        for (ms, from) in [(10, 0), (20, 2), (30, 3)] {
            story.hear(begun + ms, from, observed("a", from));
        }
    }
    assert_eq!(story.decide(300_040, 1, &["a"]).1, vec![10]);
}

#[test]
fn what_is_timed_is_bounded_whatever_comes() {
    let mut story = Story::new();
    for number in 0..2 * SLOTS_MAX {
        story.hear(1, 0, proposal(0, number));
        story.hear(1, 0, proposal(0, u64::MAX - number));
    }
    for number in 0..2 * QUESTIONS_MAX {
        story.hear(1, 0, observed(&number.to_string(), 0));
    }
    let Rounds { proposals, questions, order, .. } = &story.rounds;
    assert!(proposals.len() as u64 <= SLOTS_MAX, "{}", proposals.len());
    assert!(questions.len() <= QUESTIONS_MAX && order.len() <= QUESTIONS_MAX, "{}", questions.len());
    assert!(questions.contains_key(&operation(&(2 * QUESTIONS_MAX - 1).to_string()).digest()));
    story.decide(2, SLOTS_MAX, &[]);
    assert_eq!(story.rounds.proposals.len(), 0, "what is below a decided slot is not waited for");
}
