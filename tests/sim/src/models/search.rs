//! Breadth-first search of every state that a model can reach, each once, until one violates the model's claim.
//!
//! States are packed into 128 bits. Breadth first, so a violation is found by the fewest steps there are. A state stands for all that
//! [`Model::canonical`] maps to it, so a trace is walked again from the start, or its steps would name other replicas than the last.

use std::fmt::Display;
use std::hash::Hasher;

/// A transition system and what it must never do.
pub trait Model {
    /// What leads from one state to the next.
    type Step: Display;

    /// Where everything starts.
    fn initial(&self) -> u128;

    /// Appends what can happen in `state`.
    fn steps(&mut self, state: u128, steps: &mut Vec<(Self::Step, u128)>);

    /// The one of all states that differ by names alone which stands for them.
    fn canonical(&self, state: u128) -> u128;

    /// What is wrong with the state, if anything.
    fn violation(&self, state: u128) -> Option<String>;

    /// Why the step was possible, for a reader of the trace.
    fn reason(&mut self, _state: u128, _step: &Self::Step) -> Option<String> {
        None
    }
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// States seen until the end, or until the violation.
    pub states: usize,
    /// Steps from the start to the state that was seen last.
    pub depth: usize,
    /// Whether every reachable state was seen.
    pub exhausted: bool,
    /// The first violation.
    pub violation: Option<Violation>,
}

/// What is wrong and how it comes about.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What is wrong.
    pub claim: String,
    /// The steps that lead there.
    pub trace: Vec<String>,
}

/// Looks at every state, at most `states_max` of them.
pub fn search<M: Model>(model: &mut M, states_max: usize) -> Outcome {
    let mut seen = Seen::default();
    let mut steps = Vec::new();
    let (mut depth, mut depth_ends) = (0, 1);
    let initial = model.canonical(model.initial());
    seen.insert(initial, 0);
    if model.violation(initial).is_some() {
        return Outcome { states: 1, depth: 0, exhausted: false, violation: Some(walk(model, &[initial])) };
    }
    let mut next = 0;
    while next < seen.states.len() {
        if next == depth_ends {
            (depth, depth_ends) = (depth + 1, seen.states.len());
        }
        if seen.states.len() > states_max {
            return Outcome { states: seen.states.len(), depth, exhausted: false, violation: None };
        }
        steps.clear();
        model.steps(seen.states[next], &mut steps);
        for (_, state) in &steps {
            let state = model.canonical(*state);
            if !seen.insert(state, next) {
                continue;
            }
            if model.violation(state).is_some() {
                let violation = Some(walk(model, &seen.path_to_last()));
                return Outcome { states: seen.states.len(), depth: depth + 1, exhausted: false, violation };
            }
        }
        next += 1;
    }
    Outcome { states: seen.states.len(), depth, exhausted: true, violation: None }
}

/// Walks from the initial state along states of which the path holds the canonical ones, and says each step.
fn walk<M: Model>(model: &mut M, path: &[u128]) -> Violation {
    let mut state = model.initial();
    let mut trace = Vec::new();
    for target in &path[1..] {
        let mut steps = Vec::new();
        model.steps(state, &mut steps);
        let found = steps.into_iter().find(|(_, after)| model.canonical(*after) == *target);
        let (step, after) = found.expect("states with one canonical state have the same steps but for names");
        let reason = model.reason(state, &step).map(|reason| format!("   [{reason}]")).unwrap_or_default();
        trace.push(format!("{step}{reason}"));
        state = after;
    }
    let claim = model
        .violation(state)
        .expect("the canonical state violates the claim, so does every other of its kind");
    Violation { claim, trace }
}

/// Every state in the order in which it was found, and from which; and a table of where each is.
#[derive(Default)]
struct Seen {
    states: Vec<u128>,
    parents: Vec<u32>,
    /// Open addressing, a power of two: 0, or one more than the place in `states`.
    table: Vec<u32>,
}

impl Seen {
    /// Adds the state; says whether it is new.
    fn insert(&mut self, state: u128, parent: usize) -> bool {
        if self.states.len() * 2 >= self.table.len() {
            self.grow();
        }
        let place = self.place(state);
        if self.table[place] != 0 {
            return false;
        }
        self.states.push(state);
        self.parents.push(u32::try_from(parent).expect("fewer than 2^32 states fit into memory"));
        self.table[place] = u32::try_from(self.states.len()).expect("fewer than 2^32 states fit into memory");
        true
    }

    fn place(&self, state: u128) -> usize {
        let mask = self.table.len() - 1;
        let mut place = hash(state) as usize & mask;
        while self.table[place] != 0 && self.states[self.table[place] as usize - 1] != state {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        self.table = vec![0; (self.table.len() * 2).max(1 << 10)];
        for at in 0..self.states.len() {
            let place = self.place(self.states[at]);
            self.table[place] = at as u32 + 1;
        }
    }

    fn path_to_last(&self) -> Vec<u128> {
        let mut at = self.states.len() - 1;
        let mut path = vec![self.states[at]];
        while at != 0 {
            at = self.parents[at] as usize;
            path.push(self.states[at]);
        }
        path.reverse();
        path
    }
}

/// Mixes all bits into the lower ones (the finalizer of MurmurHash3 over a folded product).
fn hash(state: u128) -> u64 {
    let mut mixed = (state as u64) ^ ((state >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 33;
    mixed = mixed.wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^= mixed >> 33;
    mixed = mixed.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

/// A hasher of `u128` for tables of what is known of states.
#[derive(Default)]
pub struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u128(u128::from(*byte)));
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = hash(value ^ u128::from(self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two counters modulo `modulus` that count one at a time; the order of the two does not matter.
    struct Counters {
        modulus: u128,
        forbidden: Option<u128>,
    }

    impl Model for Counters {
        type Step = &'static str;

        fn initial(&self) -> u128 {
            0
        }

        fn steps(&mut self, state: u128, steps: &mut Vec<(&'static str, u128)>) {
            let (first, second) = (state >> 64, state & u128::from(u64::MAX));
            steps.push(("first", ((first + 1) % self.modulus) << 64 | second));
            steps.push(("second", first << 64 | ((second + 1) % self.modulus)));
        }

        fn canonical(&self, state: u128) -> u128 {
            state.min(state.rotate_left(64))
        }

        fn violation(&self, state: u128) -> Option<String> {
            let forbidden = |forbidden| self.canonical(state) == self.canonical(forbidden);
            self.forbidden.is_some_and(forbidden).then(|| "forbidden".to_owned())
        }
    }

    #[test]
    fn every_state_is_seen_once() {
        let outcome = search(&mut Counters { modulus: 60, forbidden: None }, usize::MAX);
        assert_eq!((outcome.states, outcome.exhausted), (60 * 61 / 2, true));
    }

    #[test]
    fn violation_is_reached_by_the_fewest_steps() {
        let forbidden = Some(2 << 64 | 3);
        let violation = search(&mut Counters { modulus: 60, forbidden }, usize::MAX).violation.unwrap();
        let firsts = violation.trace.iter().filter(|step| *step == "first").count();
        assert_eq!(violation.trace.len(), 5);
        assert!(firsts == 2 || firsts == 3, "{violation:?}");
    }

    #[test]
    fn search_that_would_be_too_large_says_that_it_saw_not_all() {
        let outcome = search(&mut Counters { modulus: 60, forbidden: None }, 100);
        assert!(!outcome.exhausted && outcome.states > 100);
    }
}
