//! A long life: four replicas under a steady stream of requests, with a fault now and then, for as many slots as wanted. What they hold on disk and in
//! memory must not grow with the slots. All other checks are made as well.

use std::fs;

use certificate::ReplicaId;

use crate::application::Matter;
use crate::network::Noise;
use crate::random::Random;
use crate::scenario::{START_MS, Scenario, Shape, Tuning, What};
use crate::world::{Options, Reading, World};

/// So many rows are printed.
const ROWS: u64 = 20;
/// Somebody asks for something new so often, in milliseconds.
const PACE_MS: u64 = 10;
/// A fault begins so often on average, in milliseconds.
const FAULT_EVERY_MS: u64 = 10_000;
/// A cluster that decides nothing for so long has stopped, in milliseconds.
const STOPPED_MS: u64 = 60_000;
/// Judges forget after so many slots.
const FORGET_SLOTS: u64 = 2000;
/// Disk and memory at the end, in percent of those at a quarter of the run.
const GROWTH_PERCENT_MAX: usize = 150;

/// A row of the curve: the most since the row before, of any replica.
#[derive(Clone, Copy, Default)]
struct Row {
    slots: u64,
    most: Reading,
    resident_bytes: usize,
}

/// Runs so many slots and prints the curve; whether every bound held.
pub fn run(seed: u64, slots: u64) -> bool {
    let scenario = scenario(seed, slots);
    let mut world = World::new(&scenario, Options::default());
    world.stream(PACE_MS);
    world.start();
    println!(
        "{:>9} {:>8} {:>6} {:>10} {:>5} {:>5} {:>6} {:>9} {:>10}",
        "slots", "time s", "view", "disk bytes", "slots", "open", "used", "held", "memory KiB"
    );
    let (mut rows, mut row) = (Vec::new(), Row::default());
    let (mut at_slot, mut progress_ms, mut forgotten, mut looked_ms) = (0, START_MS, 0, 0);
    while rows.len() < ROWS as usize {
        if !world.turn() {
            let violation = world.violation();
            println!(
                "{}",
                violation.map_or("the world ended".to_string(), |violation| violation.to_string())
            );
            return false;
        }
        let (decided, now_ms) = world.summary();
        let decided = decided as u64;
        if decided > at_slot {
            (at_slot, progress_ms) = (decided, now_ms);
        } else if now_ms > progress_ms + STOPPED_MS {
            println!("nothing decided since {progress_ms} ms, now {now_ms} ms");
            return false;
        }
        if now_ms > looked_ms {
            looked_ms = now_ms + 100;
            row.most = world.readings().into_iter().fold(row.most, Reading::max);
        }
        if decided >= forgotten + FORGET_SLOTS {
            forgotten = decided;
            world.forget();
        }
        if decided >= slots * (rows.len() as u64 + 1) / ROWS {
            (row.slots, row.resident_bytes) = (decided, resident_bytes());
            print_row(&row, now_ms, world.view());
            rows.push(std::mem::take(&mut row));
        }
    }
    judge(&rows)
}

fn print_row(row: &Row, now_ms: u64, view: u64) {
    let Reading { disk_bytes, slots, open_requests, used_observations, held_bytes } = row.most;
    let (seconds, memory) = (now_ms / 1000, row.resident_bytes / 1024);
    println!(
        "{:>9} {seconds:>8} {view:>6} {disk_bytes:>10} {slots:>5} {open_requests:>5} {used_observations:>6} {held_bytes:>9} {memory:>10}",
        row.slots
    );
}

/// Whether disk and memory stopped growing.
fn judge(rows: &[Row]) -> bool {
    let (Some(quarter), Some(end)) = (rows.get(rows.len() / 4), rows.last()) else { return false };
    let figures = [
        ("disk bytes", quarter.most.disk_bytes, end.most.disk_bytes),
        ("resident memory", quarter.resident_bytes, end.resident_bytes),
    ];
    let mut holds = true;
    for (what, before, after) in figures {
        if after * 100 > before * GROWTH_PERCENT_MAX {
            println!("{what} grew from {before} to {after}, expected at most {GROWTH_PERCENT_MAX} %");
            holds = false;
        }
    }
    holds
}

/// The memory of this process, as the kernel counts it; 0 where it does not say.
fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// Default windows, little latency, and a fault every ten seconds or so: a restart, often of the primary, a cut, some noise.
fn scenario(seed: u64, slots: u64) -> Scenario {
    let mut random = Random::of(seed, "soak");
    let tuning = Tuning {
        checkpoint_interval: 100,
        window: 132,
        pipeline: 3,
        batch_entries: 50,
        fast_path: true,
        latency_ms: 2,
        drift_ms: 0,
        lookup_ms: 1,
        hand_out: false,
    };
    let mut scenario = Scenario {
        seed,
        shape: Shape { count: 4, faults: 1 },
        tuning,
        matter: Matter::Toy,
        ed25519: false,
        wire: false,
        heal_ms: u64::MAX / 4,
        elements: Vec::new(),
    };
    // Twice as long as the requests need: those that wait together share a slot.
    let until = START_MS + 2 * slots * PACE_MS;
    let mut at_ms = START_MS;
    while at_ms < until {
        at_ms += random.between(FAULT_EVERY_MS / 2, 3 * FAULT_EVERY_MS / 2);
        let (replica, ms) = (random.below(4) as u8, random.between(50, 3000));
        let what = match random.below(4) {
            0 | 1 => What::Crash { replica, ms, writing: random.percent(50) },
            2 => What::Cut { group: [ReplicaId(replica)].into_iter().collect(), ms },
            _ => {
                let noise = Noise { loss_percent: 10, duplicate_percent: 10, jitter_ms: 20 };
                What::Noise { noise, ms }
            }
        };
        scenario.add(at_ms, what);
    }
    scenario
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(disk_bytes: usize, resident_bytes: usize) -> Row {
        Row { slots: 1, most: Reading { disk_bytes, ..Reading::default() }, resident_bytes }
    }

    #[test]
    fn growth_of_disk_or_memory_since_the_first_quarter_is_a_failure() {
        let rows = |last| [row(10, 10), row(100, 100), row(120, 120), last];
        assert!(judge(&rows(row(150, 150))));
        assert!(!judge(&rows(row(151, 100))));
        assert!(!judge(&rows(row(100, 151))));
    }

    #[test]
    fn short_life_holds_its_bounds() {
        assert!(resident_bytes() > 0 || !cfg!(target_os = "linux"));
        let scenario = scenario(1, 400);
        let mut world = World::new(&scenario, Options::default());
        world.stream(PACE_MS);
        world.start();
        while world.summary().0 < 400 {
            assert!(world.turn(), "{:?}", world.violation());
        }
        world.forget();
        assert!(world.readings().iter().all(|reading| reading.slots < 300));
    }
}
