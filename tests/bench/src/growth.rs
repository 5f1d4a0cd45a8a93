//! Memory and disk of four replicas over many slots: a curve that must become flat.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use system_tests::cluster::Cluster;
use system_tests::load::flood;
use system_tests::upstream::Upstream;

use crate::ZONE;

/// How many slots unless told otherwise.
pub const SLOTS: u64 = 100_000;
/// Lines of the curve.
const SAMPLES: u64 = 20;
/// Questions in flight at each replica: more would share slots.
const IN_FLIGHT: usize = 2;
/// How long a slot may take on average, before the whole is given up.
const SLOT_MAX: Duration = Duration::from_millis(100);

/// Lets four replicas decide so many slots, and prints a line at every twentieth part.
///
/// Panics: when they do not get there.
pub fn run(slots: u64) {
    let upstream = Upstream::serve("example.org.", ZONE);
    let cluster = Cluster::start(4, &[upstream.address.to_string()]);
    let servers: Vec<SocketAddr> = (0..4).map(|id| cluster.dns_address(id)).collect();
    let began = Instant::now();
    println!("  slots  seconds  view   memory of each replica, MiB   state folder of each, MiB");
    show(&cluster, 0, began);
    let mut next = slots / SAMPLES;
    let limit = SLOT_MAX * u32::try_from(slots).expect("fewer slots than that");
    flood(&servers, ("growth", IN_FLIGHT), limit, || {
        let executed = number(&cluster, "executed").unwrap_or(0);
        if executed >= next {
            show(&cluster, executed, began);
            next = executed - executed % (slots / SAMPLES).max(1) + slots / SAMPLES;
        }
        executed >= slots
    });
}

fn show(cluster: &Cluster, executed: u64, began: Instant) {
    let columns = |of: &dyn Fn(usize) -> u64| -> String {
        (0..4).map(|id| format!(" {:>6.1}", of(id) as f64 / f64::from(1 << 20))).collect()
    };
    let memory = columns(&|id| resident_bytes(cluster, id));
    let disk = columns(&|id| folder_bytes(&cluster.folder(id).join("state")));
    let (seconds, view) = (began.elapsed().as_secs(), number(cluster, "view").unwrap_or(0));
    println!("{executed:>7}  {seconds:>7}  {view:>4}  {memory}  {disk}");
}

fn number(cluster: &Cluster, key: &str) -> Option<u64> {
    cluster.status(0)?[key].as_u64()
}

/// The resident set of a replica, proc(5).
fn resident_bytes(cluster: &Cluster, id: usize) -> u64 {
    let pid = cluster.replicas[id].as_ref().expect("the replica runs").0.id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the replica runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("proc(5) has the line");
    let kibibytes = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
    kibibytes << 10
}

/// The sizes of all files of a folder; one that goes meanwhile counts for nothing.
fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
