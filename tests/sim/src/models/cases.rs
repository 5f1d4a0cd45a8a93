//! What is searched: the product's protocol in several sizes, which must be safe, and its near misses, which must not be.
//!
//! A model that finds none of the near misses would say nothing about the product. Those of one slot are what published systems did, and what
//! one could do in good faith.

use certificate::Replicas;

use super::rule::{Mistake, Rule};
use super::search::{Outcome, search};
use super::several_slots::{self, SeveralSlots};
use super::single_slot::{self, Bases, SingleSlot};

/// One search.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is searched.
    pub name: String,
    /// What it must find.
    pub expected: Expected,
    /// How long it takes.
    pub weight: Weight,
    /// The model.
    pub protocol: Protocol,
}

/// What a search must find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Nothing, in all states there are.
    Safe,
    /// A violation.
    Violated,
}

/// How long a search takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Weight {
    /// Well under a second: it is a test too.
    Light,
    /// Seconds: every run of the models.
    Medium,
    /// A minute or more: deep runs.
    Heavy,
}

/// A model and its numbers.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    /// One slot.
    Single(single_slot::Protocol),
    /// Several.
    Several(several_slots::Protocol),
}

/// A search with more states than this is given up.
const STATES_MAX: usize = 100_000_000;

impl Case {
    /// Searches.
    pub fn run(&self) -> Outcome {
        match self.protocol {
            Protocol::Single(protocol) => search(&mut SingleSlot::new(protocol), STATES_MAX),
            Protocol::Several(protocol) => search(&mut SeveralSlots::new(protocol), STATES_MAX),
        }
    }

    /// Whether that is what it must find.
    pub fn holds(&self, outcome: &Outcome) -> bool {
        match self.expected {
            Expected::Safe => outcome.exhausted && outcome.violation.is_none(),
            Expected::Violated => outcome.violation.is_some(),
        }
    }

    /// The numbers of the model.
    pub fn sizes(&self) -> String {
        let (replicas, views, slots) = match self.protocol {
            Protocol::Single(of) => (of.replicas, of.views, 1),
            Protocol::Several(of) => (of.replicas, of.views, of.slots),
        };
        let (n, f) = (replicas.count(), replicas.faults());
        let slots = if slots == 1 { String::new() } else { format!(", {slots} slots") };
        format!("n={n} f={f}, {views} views{slots}")
    }
}

/// All searches.
pub fn all() -> Vec<Case> {
    let lists = [safe_single(), broken_single(), safe_several(), broken_several(), planted()];
    lists.into_iter().flatten().collect()
}

fn replicas(count: u32, faults: u32) -> Replicas {
    Replicas::new(count, faults).expect("the clusters of the models are possible")
}

fn single(name: &str, expected: Expected, weight: Weight, protocol: single_slot::Protocol) -> Case {
    Case { name: name.to_owned(), expected, weight, protocol: Protocol::Single(protocol) }
}

fn several(name: &str, expected: Expected, weight: Weight, protocol: several_slots::Protocol) -> Case {
    Case { name: name.to_owned(), expected, weight, protocol: Protocol::Several(protocol) }
}

fn safe_single() -> Vec<Case> {
    use Weight::{Heavy, Light, Medium};
    let of = |count, faults, views| single_slot::Protocol::product(replicas(count, faults), views);
    let bases = |protocol| single_slot::Protocol { bases: Bases::HighestOfAll, ..protocol };
    let null = |protocol| single_slot::Protocol { digests: 3, ..protocol };
    // Not a near miss: whatever did not vote for what a fast quorum decided is fewer than T among all n.
    let one_more = |protocol: single_slot::Protocol| {
        let view_changes_most = protocol.view_changes_most + 1;
        single_slot::Protocol { view_changes_most, ..protocol }
    };
    let plain =
        single_slot::Protocol { fast_quorum: None, rule: Rule::Ours(Mistake::VotesIgnored), ..of(4, 1, 3) };
    let safe = |name: &str, weight, protocol| single(name, Expected::Safe, weight, protocol);
    vec![
        safe("V0 plain PBFT, no fast path", Light, plain),
        safe("R the product's rule", Light, of(4, 1, 3)),
        safe("R the product's rule", Medium, of(4, 1, 4)),
        safe("R the product's rule", Light, of(5, 1, 3)),
        safe("R the product's rule", Light, of(6, 1, 2)),
        safe("R the product's rule", Heavy, of(6, 1, 3)),
        safe("R the product's rule", Light, of(7, 2, 2)),
        safe("R with a third digest", Medium, null(of(4, 1, 3))),
        safe("R from n-f or n-f+1 view changes", Light, one_more(of(4, 1, 3))),
        safe("R from n-f or n-f+1 view changes", Light, one_more(of(6, 1, 2))),
        safe("R from n-f or n-f+1 view changes", Light, one_more(of(7, 2, 2))),
        safe("R with bases", Light, bases(of(4, 1, 3))),
        safe("R with bases", Medium, bases(of(5, 1, 3))),
        safe("R with bases", Heavy, bases(of(4, 1, 4))),
        safe("R with bases", Heavy, bases(of(6, 1, 3))),
        safe("R with bases", Light, bases(of(7, 2, 2))),
    ]
}

fn broken_single() -> Vec<Case> {
    use single_slot::{Protocol, Slip};
    let of = |count, faults, views| Protocol::product(replicas(count, faults), views);
    let four = of(4, 1, 3);
    let mistake = |mistake| Protocol { rule: Rule::Ours(mistake), ..four };
    let without_votes = mistake(Mistake::VotesIgnored);
    let plain = Protocol { fast_quorum: None, ..without_votes };
    let broken = |name: &str, protocol| single(name, Expected::Violated, Weight::Light, protocol);
    vec![
        broken(
            "V1 3 trusted votes decide, no votes in view changes",
            Protocol { fast_quorum: Some(3), ..without_votes },
        ),
        broken("V2 all votes decide, no votes in view changes", without_votes),
        broken("V3 3 of 4 votes decide, T = 1", Protocol { fast_quorum: Some(3), threshold: 1, ..four }),
        broken("V4 votes win over a certificate of their view", mistake(Mistake::VotesWinTies)),
        broken("V5 votes win over every certificate", mistake(Mistake::VotesBeatAll)),
        broken("V6 votes count in exactly one view", mistake(Mistake::VotesInOneView)),
        broken("V7 T = f", Protocol { threshold: 1, ..four }),
        broken(
            "V8 n-f forgotten: 4 view changes of 6",
            Protocol { view_changes: 4, view_changes_most: 4, ..of(6, 1, 2) },
        ),
        broken(
            "V9 a restart forgets the vote of its view",
            Protocol { views: 2, slip: Some(Slip::Forgets), ..plain },
        ),
        broken("V10 q = 2f+1 of 5", Protocol { quorum: 3, fast_quorum: None, ..of(5, 1, 2) }),
        broken("only votes in view changes", mistake(Mistake::PreparedIgnored)),
        broken("COMMITs of views are added up", Protocol { slip: Some(Slip::CommitsSummed), ..four }),
        broken(
            "nobody recomputes a new view",
            Protocol { views: 2, slip: Some(Slip::NewViewUnchecked), ..four },
        ),
        broken(
            "votes after the view change",
            Protocol { views: 2, slip: Some(Slip::VotesAfterViewChange), ..four },
        ),
        broken("base of some view changes", Protocol { bases: Bases::HighestOfSome, ..of(4, 1, 2) }),
    ]
}

fn safe_several() -> Vec<Case> {
    use Weight::{Heavy, Light, Medium};
    use several_slots::Protocol;
    let of = Protocol::product;
    let checkpoints = |protocol| Protocol { checkpoints: true, ..protocol };
    let null = |protocol| Protocol { digests: 3, ..protocol };
    let settled = |settled, protocol| Protocol { settled, ..protocol };
    let safe = |name: &str, weight, protocol| several(name, Expected::Safe, weight, protocol);
    vec![
        safe("S pipeline 1", Light, of(2, 2, 1)),
        safe("S pipeline 1, checkpoints", Medium, checkpoints(of(2, 2, 1))),
        safe("S pipeline 1, null slots", Medium, null(of(2, 2, 1))),
        safe("S pipeline 2, checkpoints", Medium, checkpoints(of(2, 2, 2))),
        safe("S pipeline 1", Medium, of(2, 3, 1)),
        safe("S pipeline 1, 1 decided before", Medium, settled(1, of(2, 3, 1))),
        safe("S pipeline 1, null slots", Heavy, null(of(2, 3, 1))),
        safe("S pipeline 2, 1 decided before", Heavy, settled(1, of(2, 3, 2))),
        safe("S pipeline 1", Heavy, of(3, 2, 1)),
        safe("S a primary that slept", Heavy, Protocol { sleeper: true, ..settled(2, of(3, 3, 1)) }),
    ]
}

fn broken_several() -> Vec<Case> {
    use several_slots::{Protocol, Slip};
    let of = Protocol::product;
    let slip = |slip, protocol| Protocol { slip: Some(slip), ..protocol };
    let broken = |name: &str, protocol| several(name, Expected::Violated, Weight::Light, protocol);
    let sleeper = Protocol { settled: 2, sleeper: true, ..of(3, 3, 1) };
    vec![
        broken("B1 base of one view change", slip(Slip::BaseOfOne, of(2, 2, 1))),
        broken(
            "B2 base of one view change, checkpoints",
            slip(Slip::BaseOfOne, Protocol { checkpoints: true, ..of(2, 2, 1) }),
        ),
        broken("B3 nothing waits for the slots before", slip(Slip::NothingWaits, of(2, 2, 1))),
        broken("B4 base = decided, pipeline 2", slip(Slip::BaseIsDecided, of(2, 2, 2))),
        broken("B5 claims behind the base are dropped", slip(Slip::ClaimsDropped, of(2, 2, 1))),
        several(
            "B6 a primary's view change stops short of what it signed",
            Expected::Violated,
            Weight::Medium,
            slip(Slip::PrimaryForgetsWhatItSigned, sleeper),
        ),
    ]
}

/// The bugs that can be switched on in the product itself.
#[cfg(feature = "planted")]
fn planted() -> Vec<Case> {
    use pbft::planted::{Bug, Switch};
    let four = single_slot::Protocol::product(replicas(4, 1), 3);
    let in_rule = [Bug::PreparedIgnored, Bug::FastWinsTies, Bug::FastInOneView].map(|bug| {
        let rule = Rule::Product(Switch(Some(bug)));
        let protocol = single_slot::Protocol { rule, ..four };
        single(&format!("planted {bug:?}"), Expected::Violated, Weight::Light, protocol)
    });
    let switch = Switch(Some(Bug::BaseOverSubset));
    let protocol = several_slots::Protocol { switch, ..several_slots::Protocol::product(2, 2, 1) };
    let in_plan = several("planted BaseOverSubset", Expected::Violated, Weight::Light, protocol);
    in_rule.into_iter().chain([in_plan]).collect()
}

#[cfg(not(feature = "planted"))]
fn planted() -> Vec<Case> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn light(expected: Expected) -> Vec<Case> {
        all().into_iter().filter(|case| case.expected == expected && case.weight == Weight::Light).collect()
    }

    #[test]
    fn protocol_of_the_product_never_decides_two_digests() {
        for case in light(Expected::Safe) {
            let outcome = case.run();
            assert!(case.holds(&outcome), "{} ({}): {outcome:#?}", case.name, case.sizes());
        }
    }

    #[test]
    fn every_near_miss_is_caught() {
        for case in light(Expected::Violated) {
            let outcome = case.run();
            assert!(case.holds(&outcome), "{} ({}): {outcome:#?}", case.name, case.sizes());
        }
    }

    #[test]
    fn product_has_as_many_states_as_an_earlier_model_of_it_with_half_the_names() {
        let states = |count, faults, views| {
            let protocol = single_slot::Protocol::product(replicas(count, faults), views);
            search(&mut SingleSlot::new(protocol), STATES_MAX).states
        };
        // `reference`: 65 512, 388 190, 17 990 and 31 380, where the names of digests matter.
        assert_eq!(
            [states(4, 1, 3), states(5, 1, 3), states(6, 1, 2), states(7, 2, 2)],
            [32_788, 194_200, 9_017, 15_715]
        );
    }
}
