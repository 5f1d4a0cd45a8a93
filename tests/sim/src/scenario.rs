//! What a run does: a pure function of its seed. Everything that can be left out is an element of a list, so that a failing run can be shrunk.

use certificate::{Digest, Domain, Epoch, ReplicaId, ReplicaSet, Replicas};
use pbft::{Pace, Parameters};

use crate::adversary::Vice;
use crate::application::Matter;
use crate::network::Noise;
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
    /// An honest replica whose clock is wrong. Counts as faulty, since it may not vote.
    Skew {
        /// Who.
        replica: u8,
        /// By how much.
        ms: i64,
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
    /// The run of a seed; `count` says how many replicas instead of the seed.
    pub fn of(seed: u64, count: Option<u32>) -> Scenario {
        let mut random = Random::of(seed, "scenario");
        let shape = shape(count, &mut random);
        let tuning = tuning(seed, &mut random);
        let matter = match random.below(10) {
            0 => Matter::Corroborated,
            1 => Matter::Strong,
            _ => Matter::Toy,
        };
        let storm_ms = random.between(300, 3000);
        let mut scenario = Scenario {
            seed,
            shape,
            tuning,
            matter,
            ed25519: random.below(100) == 0,
            wire: random.below(4) == 0,
            heal_ms: START_MS + storm_ms,
            elements: Vec::new(),
        };
        let faulty = Faulty::draw(shape, &mut random);
        scenario.add_requests(&faulty, &mut random);
        scenario.add_vices(&faulty, &mut random);
        if random.percent(80) {
            scenario.add_weather(&mut random);
        }
        scenario
    }

    fn add(&mut self, at_ms: u64, what: What) {
        self.elements.push((self.elements.len(), Element { at_ms, what }));
    }

    /// Clients ask in the storm and after it.
    fn add_requests(&mut self, faulty: &Faulty, random: &mut Random) {
        let scale = if self.shape.count <= 7 { 1 } else { 3 };
        let (before, after) = (random.between(4, 24) / scale, random.between(3, 8) / scale);
        let (burst, repeats) = (random.percent(20), random.percent(30));
        for number in 0..before + after {
            let at_ms = match number < before {
                true if burst => START_MS + random.below(20),
                true => random.between(START_MS, self.heal_ms),
                false => self.heal_ms + random.between(100, 1500),
            };
            let number = if repeats && number > 0 { random.below(number) } else { number };
            let replica = faulty.some_honest(self.shape, random);
            self.add(at_ms, What::Request { replica, number });
            if random.percent(30) {
                let replica = faulty.some_honest(self.shape, random);
                self.add(at_ms + random.below(10), What::Request { replica, number });
            }
        }
    }

    fn add_vices(&mut self, faulty: &Faulty, random: &mut Random) {
        for replica in faulty.byzantine.iter() {
            let mut vices: Vec<Vice> = Vec::new();
            for _ in 0..random.between(1, 4) {
                let vice = random.choose(&Vice::ALL);
                if !vices.contains(&vice) {
                    vices.push(vice);
                }
            }
            for vice in vices {
                if vice == Vice::Twins {
                    for _ in 0..random.below(4) {
                        self.add(random.between(START_MS, self.heal_ms), What::Sides);
                    }
                }
                self.add(START_MS, What::Vice { replica: replica.0, vice });
            }
        }
        if let Some(replica) = faulty.skewed {
            let ms = random.choose(&[-3_600_000, 3_600_000, -70_000, 70_000, -20_000, 20_000]);
            self.add(START_MS, What::Skew { replica, ms });
        }
    }

    fn add_weather(&mut self, random: &mut Random) {
        let count = self.shape.count as u8;
        let member = |random: &mut Random| random.below(u64::from(count)) as u8;
        let until = self.heal_ms;
        for _ in 0..random.below(5) {
            let (replica, writing) = (member(random), random.percent(50));
            let (at_ms, ms) = (random.between(START_MS, until), random.between(10, 1500));
            self.add(at_ms, What::Crash { replica, ms, writing });
        }
        if random.percent(10) {
            // The lights go out for everybody.
            let at_ms = random.between(START_MS, until);
            for replica in 0..count {
                let ms = random.between(10, 500);
                self.add(at_ms, What::Crash { replica, ms, writing: random.percent(50) });
            }
        }
        for _ in 0..random.below(4) {
            let size = if random.percent(60) { 1 } else { random.between(1, u64::from(count) - 1) };
            let group = (0..size).map(|_| ReplicaId(member(random))).collect();
            let (at_ms, ms) = (random.between(START_MS, until), random.between(20, 1500));
            self.add(at_ms, What::Cut { group, ms });
        }
        for _ in 0..random.below(5) {
            let (from, to) = (member(random), member(random));
            let (at_ms, ms) = (random.between(START_MS, until), random.between(20, 1500));
            self.add(at_ms, What::Deaf { from, to, ms });
        }
        for _ in 0..random.below(3) {
            let noise = Noise {
                loss_percent: random.choose(&[0, 2, 10, 30]),
                duplicate_percent: random.choose(&[0, 2, 10, 30]),
                jitter_ms: random.choose(&[0, 3, 20, 80]),
            };
            let (at_ms, ms) = (random.between(START_MS, until), random.between(50, 2000));
            self.add(at_ms, What::Noise { noise, ms });
        }
    }

    /// The run without the elements whose numbers `drop` names.
    pub fn without(&self, drop: impl Fn(usize) -> bool) -> Scenario {
        let elements = self.elements.iter().filter(|(number, _)| !drop(*number)).cloned().collect();
        Scenario { elements, ..self.clone() }
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
        let errs = |what: &What| matches!(what, What::Vice { .. } | What::Skew { .. });
        self.elements.retain(|(_, element)| !errs(&element.what));
        let from = self.elements.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
        for (number, vice) in vices.iter().enumerate() {
            let what = What::Vice { replica, vice: *vice };
            self.elements.push((from + number, Element { at_ms: START_MS, what }));
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

    /// Whether nobody errs and nothing is lost.
    pub fn is_calm(&self) -> bool {
        self.elements.iter().all(|(_, element)| matches!(element.what, What::Request { .. }))
    }

    /// Whether nothing is lost and nobody errs but backups that are silent: nothing to give up a view for.
    pub fn is_steady(&self) -> bool {
        self.elements.iter().all(|(_, element)| match element.what {
            What::Request { .. } => true,
            What::Vice { replica, vice } => replica != 0 && vice == Vice::Silent,
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

fn shape(count: Option<u32>, random: &mut Random) -> Shape {
    let drawn = match random.below(200) {
        0..100 => 4,
        100..130 => 5,
        130..145 => 6,
        145..180 => 7,
        180..186 => 8,
        186..196 => 10,
        196..198 => 13,
        198 => 16,
        _ => 31,
    };
    let count = count.unwrap_or(drawn);
    let most = (count - 1) / 3;
    let faults = if random.percent(85) { most } else { random.between(1, u64::from(most)) as u32 };
    Shape { count, faults }
}

/// Half of the seeds have windows as small as they can be.
fn tuning(seed: u64, random: &mut Random) -> Tuning {
    let tiny = seed.is_multiple_of(2);
    let pipeline = if tiny { random.between(1, 3) } else { 3 };
    let checkpoint_interval = if tiny { random.between(pipeline, 5) } else { random.choose(&[10, 20, 100]) };
    Tuning {
        checkpoint_interval,
        window: checkpoint_interval + if tiny { pipeline + random.below(4) } else { 32 },
        pipeline,
        batch_entries: if tiny { random.between(1, 2) as usize } else { 50 },
        fast_path: random.percent(75),
        latency_ms: random.choose(&[1, 1, 3, 3, 10, 10, 20, 60, 150]),
        drift_ms: random.choose(&[0, 0, 500, 4000]),
        lookup_ms: random.choose(&[1, 10, 60]),
        hand_out: random.percent(30),
    }
}

/// Who errs: together at most f.
struct Faulty {
    byzantine: ReplicaSet,
    skewed: Option<u8>,
}

impl Faulty {
    fn draw(shape: Shape, random: &mut Random) -> Faulty {
        let mut faulty = Faulty { byzantine: ReplicaSet::EMPTY, skewed: None };
        let budget = u64::from(shape.faults);
        let wanted = if random.percent(30) { 0 } else { random.between(1, budget) };
        if wanted > 0 && random.percent(50) {
            faulty.byzantine.insert(ReplicaId(0));
        }
        while (faulty.byzantine.len() as u64) < wanted {
            faulty.byzantine.insert(ReplicaId(random.below(u64::from(shape.count)) as u8));
        }
        if wanted < budget && random.percent(20) {
            faulty.skewed = Some(faulty.some_honest(shape, random));
        }
        faulty
    }

    fn some_honest(&self, shape: Shape, random: &mut Random) -> u8 {
        loop {
            let replica = random.below(u64::from(shape.count)) as u8;
            if !self.byzantine.contains(ReplicaId(replica)) {
                return replica;
            }
        }
    }
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
            let skewed = (0..scenario.shape.count as u8).filter(|id| scenario.skew_ms(*id) != 0).count();
            assert!(scenario.byzantine().len() + skewed <= scenario.shape.faults as usize, "seed {seed}");
            tiny += usize::from(scenario.tuning.window < 12);
        }
        assert_eq!(tiny, 1000);
    }

    #[test]
    fn wanted_count_of_replicas_is_had() {
        assert!((0..50).all(|seed| Scenario::of(seed, Some(31)).shape.count == 31));
    }
}
