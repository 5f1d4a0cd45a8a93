//! What a run does: a pure function of its seed. Everything that can be left out is an element of a list, so that a failing run can be shrunk.

mod draw;

use certificate::{Digest, Domain, Epoch, ReplicaId, ReplicaSet, Replicas};
use pbft::{Pace, Parameters};

use crate::adversary::Vice;
use crate::application::Matter;
use crate::network::{Filter, Noise};
use crate::random::Random;

/// n and f.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// n
    pub count: u32,
    /// f
    pub faults: u32,
}

/// What the cluster file would say, and how the hosts behave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// K
    pub checkpoint_interval: u64,
    /// L
    pub window: u64,
    /// Slots in flight.
    pub pipeline: u64,
    /// Most entries in a batch.
    pub batch_entries: usize,
    /// Whether the fast path is on.
    pub fast_path: bool,
    /// Links have up to so much latency, in milliseconds.
    pub latency_ms: u64,
    /// Clocks are wrong by up to so much, in milliseconds: what a cluster bears without anybody being at fault.
    pub drift_ms: u64,
    /// Lookups take up to so long, in milliseconds.
    pub lookup_ms: u64,
    /// Whether hosts hand out what they know decided instead of looking it up.
    pub hand_out: bool,
}

/// Something that happens in a run, and that a run can do without.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    /// When it begins, in virtual milliseconds.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// The kinds of elements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A client asks a host.
    Request {
        /// Whose host.
        replica: u8,
        /// For what.
        number: u64,
    },
    /// The power of a replica goes, and comes again.
    Crash {
        /// Whose.
        replica: u8,
        /// For how long.
        ms: u64,
        /// Whether it goes during the next write, between the records and their sync.
        writing: bool,
    },
    /// The channels between a group and the others are down.
    Cut {
        /// The group.
        group: ReplicaSet,
        /// For how long.
        ms: u64,
    },
    /// What one replica sends to another is lost, and neither knows.
    Deaf {
        /// Who speaks.
        from: u8,
        /// Who does not hear.
        to: u8,
        /// For how long.
        ms: u64,
    },
    /// Messages are lost, doubled, delayed.
    Noise {
        /// How.
        noise: Noise,
        /// For how long.
        ms: u64,
    },
    /// Messages of one kind are lost or late between some.
    Filter {
        /// Which, and what becomes of them.
        filter: Filter,
        /// For how long.
        ms: u64,
    },
    /// The power of an honest replica goes, and its disk with it: it comes again as a learner. Counts as faulty, since it may not vote.
    LoseDisk {
        /// Whose.
        replica: u8,
        /// For how long the power is away.
        ms: u64,
    },
    /// An honest replica whose clock is wrong. Counts as faulty, since it may not vote.
    Skew {
        /// Who.
        replica: u8,
        /// By how much.
        ms: i64,
    },
    /// The lookups of a replica take up to so long.
    SlowLookups {
        /// Whose.
        replica: u8,
        /// How long, in milliseconds.
        ms: u64,
    },
    /// A Byzantine replica does this, among other things.
    Vice {
        /// Who.
        replica: u8,
        /// What.
        vice: Vice,
    },
    /// The sides to which twins speak are drawn anew.
    Sides,
}

impl What {
    /// For how long it lasts, of what lasts.
    pub fn lasts_ms(&mut self) -> Option<&mut u64> {
        match self {
            What::Crash { ms, .. }
            | What::Cut { ms, .. }
            | What::Deaf { ms, .. }
            | What::Noise { ms, .. }
            | What::Filter { ms, .. }
            | What::LoseDisk { ms, .. } => Some(ms),
            What::Request { .. }
            | What::Skew { .. }
            | What::SlowLookups { .. }
            | What::Vice { .. }
            | What::Sides => None,
        }
    }
}

/// One run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Of what it is a function.
    pub seed: u64,
    /// n and f.
    pub shape: Shape,
    /// What the cluster file would say.
    pub tuning: Tuning,
    /// What is agreed on.
    pub matter: Matter,
    /// Real signatures.
    pub ed25519: bool,
    /// Every message goes through its encoding.
    pub wire: bool,
    /// From here on all links are up, all replicas run, and messages arrive.
    pub heal_ms: u64,
    /// What happens, with its number: the same after others were left out.
    pub elements: Vec<(usize, Element)>,
}

/// When a run begins, in virtual milliseconds.
pub const START_MS: u64 = 1000;

impl Scenario {
    /// One more element, with a number of its own.
    pub fn add(&mut self, at_ms: u64, what: What) {
        let number = self.elements.last().map_or(0, |(number, _)| number + 1);
        self.elements.push((number, Element { at_ms, what }));
    }

    /// The run without the elements whose numbers `drop` names.
    pub fn without(&self, drop: impl Fn(usize) -> bool) -> Scenario {
        let elements = self.elements.iter().filter(|(number, _)| !drop(*number)).cloned().collect();
        Scenario { elements, ..self.clone() }
    }

    /// The run in which what these elements last for is halved, once for each time that a number stands in `halve`.
    pub fn halved(&self, halve: &[usize]) -> Scenario {
        let mut scenario = self.clone();
        for (number, element) in &mut scenario.elements {
            let times = halve.iter().filter(|halved| *halved == number).count() as u32;
            if let Some(ms) = element.what.lasts_ms() {
                *ms >>= times.min(63);
            }
        }
        scenario
    }

    /// The vices of a replica, with the numbers of their elements.
    pub fn vices(&self, replica: u8) -> Vec<(usize, Vice)> {
        let vice_of = |(number, element): &(usize, Element)| match &element.what {
            What::Vice { replica: whose, vice } if *whose == replica => Some((*number, *vice)),
            _ => None,
        };
        self.elements.iter().filter_map(vice_of).collect()
    }

    /// The replicas that do as they please.
    pub fn byzantine(&self) -> ReplicaSet {
        let of = |(_, element): &(usize, Element)| match element.what {
            What::Vice { replica, .. } => Some(ReplicaId(replica)),
            _ => None,
        };
        self.elements.iter().filter_map(of).collect()
    }

    /// One Byzantine replica instead of all others, with these vices; nobody else errs.
    pub fn corrupt(&mut self, replica: u8, vices: &[Vice]) {
        let errs =
            |what: &What| matches!(what, What::Vice { .. } | What::Skew { .. } | What::LoseDisk { .. });
        self.elements.retain(|(_, element)| !errs(&element.what));
        for vice in vices {
            self.add(START_MS, What::Vice { replica, vice: *vice });
        }
    }

    /// By how much the clock of a place is wrong without being at fault, in milliseconds.
    pub fn drift_ms(&self, place: usize) -> i64 {
        let drift = self.tuning.drift_ms;
        Random::numbered(self.seed, "drift", place as u64).between(0, 2 * drift) as i64 - drift as i64
    }

    /// By how much more the clock of a replica is wrong, in milliseconds.
    pub fn skew_ms(&self, replica: u8) -> i64 {
        let of = |(_, element): &(usize, Element)| match element.what {
            What::Skew { replica: whose, ms } if whose == replica => Some(ms),
            _ => None,
        };
        self.elements.iter().find_map(of).unwrap_or(0)
    }

    /// Up to how long lookups of a replica take, in milliseconds.
    pub fn lookup_ms(&self, replica: ReplicaId) -> u64 {
        let of = |(_, element): &(usize, Element)| match element.what {
            What::SlowLookups { replica: whose, ms } if whose == replica.0 => Some(ms),
            _ => None,
        };
        self.elements.iter().find_map(of).unwrap_or(self.tuning.lookup_ms)
    }

    /// Whether nobody errs and nothing is lost.
    pub fn is_calm(&self) -> bool {
        self.elements.iter().all(|(_, element)| matches!(element.what, What::Request { .. }))
    }

    /// Whether nothing is lost and nobody errs but backups that are silent or lie about when they saw something: nothing to give up a view for.
    pub fn is_steady(&self) -> bool {
        self.elements.iter().all(|(_, element)| match element.what {
            What::Request { .. } | What::SlowLookups { .. } => true,
            What::Vice { replica, vice } => replica != 0 && matches!(vice, Vice::Silent | Vice::TwoTimes),
            What::Filter { filter, .. } => filter.is_harmless(),
            _ => false,
        })
    }

    /// n and f as the product knows them.
    pub fn replicas(&self) -> Replicas {
        Replicas::new(self.shape.count, self.shape.faults).expect("a shape is one that a cluster can have")
    }

    /// What replica `me` is told at its start.
    pub fn parameters(&self, me: ReplicaId, domain: Domain, cluster_digest: Digest) -> Parameters {
        let tuning = &self.tuning;
        let mut parameters = Parameters::new(me, self.replicas(), domain, cluster_digest);
        parameters.checkpoint_interval = tuning.checkpoint_interval;
        parameters.window = tuning.window;
        parameters.pipeline = tuning.pipeline;
        parameters.batch_entries = tuning.batch_entries;
        parameters.pace = Pace { entries: tuning.batch_entries, pipeline: tuning.pipeline };
        parameters.fast_path = tuning.fast_path;
        parameters
    }
}

/// The domain of clusters without a cluster file.
pub fn toy_domain() -> Domain {
    Domain { cluster_id: Digest::of(b"cluster"), epoch: Epoch(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenario_is_a_function_of_the_seed_and_numbers_survive_dropping() {
        let scenario = Scenario::of(11, None);
        assert_eq!(scenario, Scenario::of(11, None));
        let shrunk = scenario.without(|number| number == 0);
        assert_eq!(shrunk.elements[..], scenario.elements[1..]);
    }

    #[test]
    fn at_most_f_replicas_err_and_half_of_the_windows_are_tiny() {
        let mut tiny = 0;
        for seed in 0..2000 {
            let scenario = Scenario::of(seed, None);
            let errs = |what: &What| matches!(what, What::Skew { .. } | What::LoseDisk { .. });
            let others = scenario.elements.iter().filter(|(_, element)| errs(&element.what)).count();
            assert!(scenario.byzantine().len() + others <= scenario.shape.faults as usize, "seed {seed}");
            tiny += usize::from(scenario.tuning.window < 12);
        }
        assert_eq!(tiny, 1000);
    }

    #[test]
    fn halving_twice_leaves_a_quarter_of_what_lasts() {
        let mut scenario = Scenario::of(11, None).without(|_| true);
        scenario.add(5, What::Cut { group: ReplicaSet::EMPTY, ms: 400 });
        scenario.add(6, What::Cut { group: ReplicaSet::EMPTY, ms: 400 });
        let halved = scenario.halved(&[0, 0]);
        let lasts = |place: usize| halved.elements[place].1.what.clone().lasts_ms().copied();
        assert_eq!((lasts(0), lasts(1)), (Some(100), Some(400)));
    }

    #[test]
    fn wanted_count_of_replicas_is_had() {
        assert!((0..50).all(|seed| Scenario::of(seed, Some(31)).shape.count == 31));
    }
}
