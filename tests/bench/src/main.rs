//! What an answer costs: a first certified one, a cached certified one, and decisions a second, each against its like in one run.
//!
//! `cargo build --release && cargo run --release -p bench`. Machines differ and are noisy: the ratios count, not the figures.
//! `... -p bench -- growth [SLOTS]` shows instead that memory and disk stay bounded over many slots; `... -- overload` what is answered
//! when more is asked for than the cluster can decide; `... -- flood` what junk at a peer port costs.

mod client;
mod disk;
mod flood;
mod growth;
mod overload;
mod servers;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use system_tests::cluster::Cluster;
use system_tests::load::flood;
use system_tests::upstream::Upstream;

use crate::client::{ask_each, median};
use crate::servers::{Plain, cpu_seconds, dnsperf, echo};

/// First answers that are timed.
const COLD_QUERIES: usize = 300;
/// Rounds of the cached comparison; each asks every server in turn.
const ROUNDS: usize = 3;
/// How long each server is asked in a round.
const ROUND_SECONDS: u32 = 3;
/// How long decisions are counted.
const FLOOD: Duration = Duration::from_secs(5);
/// Queries in flight at each replica meanwhile.
const IN_FLIGHT: usize = 64;
/// What a first answer may cost beside the upstream and three syncs of the disk.
const COLD_EXTRA: Duration = Duration::from_millis(5);

/// A zone in which every name exists, so that each query can ask for a new one.
const ZONE: &str = "$ORIGIN example.org.\n$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\nwww IN A 192.0.2.80\n*.cold IN A 192.0.2.81\n";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => costs(),
        ["growth"] => growth::run(growth::SLOTS),
        ["flood"] => flood::run(),
        ["overload"] => overload::run(ZONE),
        ["growth", slots] => growth::run(slots.parse().expect("a number of slots")),
        _ => panic!("expected nothing, `flood`, `overload`, or `growth [SLOTS]`, got {arguments:?}"),
    }
}

fn costs() {
    let upstream = Upstream::serve("example.org.", ZONE);
    let address = upstream.address.to_string();
    let cluster = Cluster::start(4, std::slice::from_ref(&address));
    let plain = Plain::start(&format!("    forward . {address}\n"));
    cold(&upstream, &cluster, &plain);
    decisions(&cluster);
    drop(plain);
    cached(&address, &cluster);
}

fn cold(upstream: &Upstream, cluster: &Cluster, plain: &Plain) {
    // The first queries open connections and fill pages; they are not what is measured.
    ask_each(cluster.dns(0), "warm", 20);
    ask_each(plain.port, "warm", 20);
    let direct = median(ask_each(upstream.address.port(), "direct", COLD_QUERIES));
    let forward = median(ask_each(plain.port, "plain", COLD_QUERIES));
    let primary = median(ask_each(cluster.dns(0), "primary", COLD_QUERIES));
    let backup = median(ask_each(cluster.dns(1), "backup", COLD_QUERIES));
    let sync = median(disk::syncs(4, COLD_QUERIES));
    let bound = direct + 3 * sync + COLD_EXTRA;
    println!("first answer, one query at a time, p50 of {COLD_QUERIES}:");
    println!("  upstream                {direct:>10.1?}");
    println!("  forward                 {forward:>10.1?}");
    println!("  fdatasync, 4 writers    {sync:>10.1?}");
    for (asked, p50) in [("the primary", primary), ("a backup", backup)] {
        let holds = if p50 <= bound { "holds" } else { "DOES NOT HOLD" };
        println!("  certified, asking {asked:<12} {p50:>10.1?}  = {:.1} x forward", ratio(p50, forward));
        println!("    at most upstream + 3 fdatasync + 5 ms = {bound:.1?}: {holds}");
    }
}

fn decisions(cluster: &Cluster) {
    let servers: Vec<SocketAddr> = (0..4).map(|id| cluster.dns_address(id)).collect();
    let began = Instant::now();
    let answered = flood(&servers, ("flood", IN_FLIGHT), 2 * FLOOD, || began.elapsed() >= FLOOD);
    let rate = answered as f64 / FLOOD.as_secs_f64();
    println!("certified decisions, n = 4, four replicas on this machine: {rate:.0} a second");
}

fn cached(upstream: &str, cluster: &Cluster) {
    let plain = Plain::start(&format!("    cache\n    forward . {upstream}\n"));
    let echo = echo();
    let mut rows = [
        ("certified, cached", cluster.dns(0), vec![], vec![]),
        ("forward, cached", plain.port, vec![], vec![]),
        ("bare UDP echo", echo.port, vec![], vec![]),
    ];
    let pids = [cluster.replicas[0].as_ref().map(|process| process.0.id()), Some(plain.process.0.id()), None];
    ask_each(cluster.dns(0), "", 1);
    for _ in 0..ROUNDS {
        for ((_, port, rates, costs), pid) in rows.iter_mut().zip(pids) {
            let before = cpu_seconds(pid, &echo);
            let (rate, answers) = dnsperf(*port, ROUND_SECONDS);
            rates.push(rate);
            costs.push((cpu_seconds(pid, &echo) - before) * 1e6 / answers);
        }
    }
    println!("cached answer, dnsperf, medians of {ROUNDS} rounds of {ROUND_SECONDS} s:");
    let echo_cost = middle(&mut rows[2].3.clone());
    for (name, _, rates, costs) in &mut rows {
        let (rate, cost) = (middle(rates), middle(costs));
        println!(
            "  {name:<20} {rate:>9.0} answers/s  {cost:>6.2} µs CPU an answer = {:.2} x echo",
            cost / echo_cost
        );
    }
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
