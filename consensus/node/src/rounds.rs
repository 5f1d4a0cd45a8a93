//! How long agreeing takes, apart from looking names up: slot by slot, as this replica sees it.
//!
//! A clock for graphs; nothing is decided by it. It starts when the primary's proposal is here, and for each question when the observations of q replicas
//! are, each from its own replica: from then on no lookup is waited for. What came another way, as a decided slot that was fetched, has no such time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use certificate::{Digest, ReplicaId, ReplicaSet, Replicas, Sequence, View};
use pbft::{Decided, Event, Item, Message, PrePrepare, Ready};

/// Proposals of so many slots above the last decided one are timed: more than any cluster has in flight.
const SLOTS_MAX: u64 = 1024;

/// Questions that are timed at once; the oldest go.
const QUESTIONS_MAX: usize = 4096;

/// What came so long before is of an earlier round of the question, whose decision it was too late for.
const QUESTION_AGE_MAX: Duration = Duration::from_secs(10);

/// One slot, as it was agreed on here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Round {
    /// The slot.
    pub sequence: Sequence,
    /// From the proposal to the decision, which is on disk here; `None` when the slot did not come as a proposal of the view that this replica was in.
    pub agreement: Option<Duration>,
    /// Of each question whose observations came here: from those of q replicas to the decision.
    pub since_quorum: Vec<Duration>,
    /// How many operations it decided.
    pub entries: usize,
    /// How long its body is: the operations and the signed observations behind them, in bytes.
    pub bytes: usize,
}

/// The clocks that run.
pub(crate) struct Rounds {
    me: ReplicaId,
    replicas: Replicas,
    /// The last slot that was decided.
    decided: Sequence,
    proposals: BTreeMap<Sequence, Instant>,
    questions: HashMap<Digest, Question>,
    /// Oldest first; what was decided meanwhile stands here until its turn.
    order: VecDeque<(Digest, Instant)>,
}

/// Whose observations are here, and since when those of q replicas.
struct Question {
    begun: Instant,
    seen_by: ReplicaSet,
    since: Option<Instant>,
}

impl Question {
    fn begun(now: Instant) -> Question {
        Question { begun: now, seen_by: ReplicaSet::EMPTY, since: None }
    }
}

impl Rounds {
    /// `decided` is the last slot that was executed.
    pub(crate) fn new(me: ReplicaId, replicas: Replicas, decided: Sequence) -> Rounds {
        Rounds {
            me,
            replicas,
            decided,
            proposals: BTreeMap::new(),
            questions: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Hears what comes to the state machine; `view` says in which view that is.
    pub(crate) fn hear(&mut self, now: Instant, view: impl FnOnce() -> View, event: &Event) {
        match event {
            Event::Message { from, message: Message::PrePrepare(proposal) } => {
                self.proposed(now, view(), *from, proposal);
            }
            Event::Message { from, message: Message::Observe(set) } if set.replica == *from => {
                for item in &set.items {
                    if let Item::Full(observation) = item {
                        self.observed(now, observation.operation.digest(), *from);
                    }
                }
            }
            Event::Observed { operation, .. } => self.observed(now, *operation, self.me),
            _ => {}
        }
    }

    /// Hears what the state machine made of it: what it proposes itself.
    pub(crate) fn told(&mut self, now: Instant, ready: &Ready) {
        for (_, message) in &ready.send {
            if let Message::PrePrepare(proposal) = message {
                self.proposed(now, proposal.view, self.me, proposal);
            }
        }
    }

    /// Only the first proposal of the view's primary counts: what others send is none.
    fn proposed(&mut self, now: Instant, view: View, from: ReplicaId, proposal: &PrePrepare) {
        let sequence = proposal.header.sequence;
        let is_near = sequence > self.decided && sequence.0 - self.decided.0 <= SLOTS_MAX;
        if proposal.view == view && self.replicas.primary(view) == from && is_near {
            self.proposals.entry(sequence).or_insert(now);
        }
    }

    fn observed(&mut self, now: Instant, operation: Digest, by: ReplicaId) {
        let question = self.questions.entry(operation).or_insert_with(|| {
            self.order.push_back((operation, now));
            Question::begun(now)
        });
        if now - question.begun > QUESTION_AGE_MAX {
            *question = Question::begun(now);
            self.order.push_back((operation, now));
        }
        question.seen_by.insert(by);
        if question.seen_by.len() >= self.replicas.quorum() {
            question.since.get_or_insert(now);
        }
        while self.order.len() > QUESTIONS_MAX {
            let Some((oldest, begun)) = self.order.pop_front() else { return };
            if self.questions.get(&oldest).is_some_and(|question| question.begun == begun) {
                self.questions.remove(&oldest);
            }
        }
    }

    /// The slot is decided, and on disk: what is known of it.
    pub(crate) fn decided(&mut self, now: Instant, decided: &Decided) -> Round {
        let sequence = decided.header.sequence;
        let agreement = self.proposals.remove(&sequence).map(|since| now - since);
        self.decided = self.decided.max(sequence);
        self.proposals = self.proposals.split_off(&sequence);
        let questions =
            decided.operations.iter().filter_map(|operation| self.questions.remove(&operation.digest()));
        Round {
            sequence,
            agreement,
            since_quorum: questions.filter_map(|question| Some(now - question.since?)).collect(),
            entries: decided.operations.len(),
            bytes: decided.evidence.encoded_len(),
        }
    }
}

#[cfg(test)]
mod tests;
