//! How a seed becomes a run: what is drawn, in which order, and how often.

use certificate::{ReplicaId, ReplicaSet};

use super::{START_MS, Scenario, Shape, Tuning, What};
use crate::adversary::Vice;
use crate::application::Matter;
use crate::network::{Filter, Kind, Noise};
use crate::random::Random;

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
        if let Some(replica) = faulty.forgetful {
            scenario.add_loss_of_disk(replica, &mut random);
        }
        scenario.add_two_times(&faulty);
        scenario
    }

    /// What came later has its own randomness: nine seeds in ten are what they were.
    fn add_two_times(&mut self, faulty: &Faulty) {
        let mut random = Random::of(self.seed, "two times");
        let Some(liar) = faulty.byzantine.iter().next().filter(|_| random.percent(10)) else { return };
        self.add(START_MS, What::Vice { replica: liar.0, vice: Vice::TwoTimes });
        let replica = random.below(u64::from(self.shape.count)) as u8;
        self.add(START_MS, What::SlowLookups { replica, ms: random.between(60, 800) });
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
        for _ in 0..random.choose(&[0, 0, 0, 1, 2, 3]) {
            let some =
                |random: &mut Random| (0..count).map(ReplicaId).filter(|_| random.percent(60)).collect();
            let filter = Filter {
                kind: random.choose(&Kind::ALL),
                from: some(random),
                to: some(random),
                late_ms: random.percent(50).then(|| random.choose(&[20, 100, 400])),
            };
            let (at_ms, ms) = (random.between(START_MS, until), random.between(50, 1500));
            self.add(at_ms, What::Filter { filter, ms });
        }
    }

    /// An honest replica loses its disk in the storm.
    fn add_loss_of_disk(&mut self, replica: u8, random: &mut Random) {
        let (at_ms, ms) = (random.between(START_MS, self.heal_ms), random.between(10, 800));
        self.add(at_ms, What::LoseDisk { replica, ms });
    }
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
    forgetful: Option<u8>,
}

impl Faulty {
    fn draw(shape: Shape, random: &mut Random) -> Faulty {
        let mut faulty = Faulty { byzantine: ReplicaSet::EMPTY, skewed: None, forgetful: None };
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
        } else if wanted < budget && random.percent(25) {
            faulty.forgetful = Some(faulty.some_honest(shape, random));
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
