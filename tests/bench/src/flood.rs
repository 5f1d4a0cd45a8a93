//! `-- flood`: what junk at the peer port costs a replica with the filter and without, and what is left of the certified answers meanwhile.
//!
//! The junk is datagrams that look like the beginning of a QUIC connection and like its middle, in equal parts, at a steady pace: from strangers, and
//! with the address and port of a peer as their source, which takes a raw socket (`CAP_NET_RAW`). The sender runs on the same machine; so that its own
//! cost is not taken for that of the junk, each disturbed rate stands beside an undisturbed one, taken right before or after it while the same sender
//! sends as much to a port that nobody reads.

mod sender;

use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use system_tests::cluster::Cluster;
use system_tests::load::flood;
use system_tests::upstream::Upstream;

use self::sender::{Junk, Source};
use crate::ZONE;
use crate::servers::process_cpu_seconds;

/// Datagrams a second.
const RATE: u32 = 20_000;
/// How long each figure is measured.
const SPAN: Duration = Duration::from_secs(4);
/// Rounds; each measures everything of every filter once. Single ones differ by a tenth.
const ROUNDS: usize = 7;
/// Queries in flight at each replica while certified answers are counted.
const IN_FLIGHT: usize = 8;
/// What the flood may cost with the filter, of what it costs without.
const COST_MAX: f64 = 0.10;
/// What is left of the undisturbed rate of certified answers.
const RATE_MIN: f64 = 0.95;

/// The filters that are compared; without any comes first.
const FILTERS: [&str; 3] = ["off", "userspace", "socket"];
/// Where the junk comes from.
const SOURCES: [Source; 2] = [Source::Strangers, Source::Peer];

/// The figures of one filter, one value a round.
#[derive(Default)]
struct Figures {
    /// CPU seconds a second of the process while nothing comes.
    idle: Vec<f64>,
    /// CPU seconds a second of the process, by where the junk comes from.
    cost: BTreeMap<Source, Vec<f64>>,
    /// Certified answers a second while that sender's junk goes nowhere.
    undisturbed: BTreeMap<Source, Vec<f64>>,
    /// What is left of that while it goes to the peer port: ratios within a round.
    left: BTreeMap<Source, Vec<f64>>,
    /// Datagrams a second.
    sent: Vec<f64>,
}

/// Measures and prints. Says what the privilege is missing for.
pub fn run() {
    let raw = sender::can_spoof();
    if let Err(error) = &raw {
        println!("spoofing the address of a peer: not measured, a raw socket needs CAP_NET_RAW: {error}");
    }
    let sources: Vec<Source> = SOURCES.into_iter().filter(|it| *it != Source::Peer || raw.is_ok()).collect();
    let mut figures: Vec<(&str, Figures)> = FILTERS.map(|filter| (filter, Figures::default())).into();
    for round in 0..ROUNDS {
        figures.retain_mut(|(filter, figures)| {
            let measured = measure(filter, round, &sources, figures);
            if let Err(why) = &measured {
                println!("filter {filter}: not measured: {why}");
            }
            measured.is_ok()
        });
    }
    print(&mut figures, &sources);
}

fn measure(filter: &str, round: usize, sources: &[Source], figures: &mut Figures) -> Result<(), String> {
    let label = format!("{filter}-{round}");
    let upstream = Upstream::serve("example.org.", ZONE);
    let mut cluster = Cluster::new(4, &[upstream.address.to_string()]);
    for id in 0..4 {
        let line = format!("        state state\n        filter {filter}\n");
        cluster.edit_corefile(id, "        state state\n", &line);
        cluster.start_replica(id);
    }
    for id in 0..4 {
        if !starts(&mut cluster, id) {
            let log = cluster.log(id);
            return Err(log.lines().last().unwrap_or("the replica ended").to_owned());
        }
    }
    let victim = SocketAddrV4::new([127, 0, 0, 1].into(), cluster.peer(0));
    let peer = SocketAddrV4::new([127, 0, 0, 1].into(), cluster.peer(1));
    let servers: Vec<SocketAddr> = (0..4).map(|id| cluster.dns_address(id)).collect();
    let pid = cluster.replicas[0].as_ref().expect("the replica runs").0.id();
    let cpu = |work: &dyn Fn()| {
        let (before, began) = (process_cpu_seconds(pid), Instant::now());
        work();
        (process_cpu_seconds(pid) - before) / began.elapsed().as_secs_f64()
    };
    let rate = |label: &str| {
        let began = Instant::now();
        let answered = flood(&servers, (label, IN_FLIGHT), 4 * SPAN, || began.elapsed() >= SPAN);
        answered as f64 / began.elapsed().as_secs_f64()
    };
    figures.idle.push(cpu(&|| std::thread::park_timeout(SPAN)));
    for source in sources {
        let junk = Junk::send(*source, victim, peer, RATE);
        figures.cost.entry(*source).or_default().push(cpu(&|| std::thread::park_timeout(SPAN)));
        figures.sent.push(junk.stop());
    }
    // The first answers open connections and fill pages.
    rate(&format!("warm-{label}"));
    let nobody = UdpSocket::bind("127.0.0.1:0").and_then(|socket| Ok((socket.local_addr()?, socket)));
    let (SocketAddr::V4(void), _unread) = nobody.expect("loopback has free ports") else {
        unreachable!("an IPv4 address was bound")
    };
    for source in sources {
        let mut under = |target: SocketAddrV4, name: &str| {
            let junk = Junk::send(*source, target, peer, RATE);
            let answers = rate(&format!("{name}-{}-{label}", source.name()));
            figures.sent.push(junk.stop());
            answers
        };
        // A cluster may become slower or faster as it goes on: every other round turns the order around.
        let (calm, disturbed) = if round.is_multiple_of(2) {
            let calm = under(void, "calm");
            (calm, under(victim, "junk"))
        } else {
            let disturbed = under(victim, "junk");
            (under(void, "calm"), disturbed)
        };
        figures.undisturbed.entry(*source).or_default().push(calm);
        figures.left.entry(*source).or_default().push(disturbed / calm);
    }
    Ok(())
}

/// Waits until replica `id` is ready; `false` when it ends instead.
fn starts(cluster: &mut Cluster, id: usize) -> bool {
    let deadline = Instant::now() + system_tests::cluster::READY;
    while Instant::now() < deadline && cluster.runs(id) {
        if cluster.http(id, "/ready").is_some_and(|(status, _)| status == 200) {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    false
}

fn print(figures: &mut [(&str, Figures)], sources: &[Source]) {
    println!(
        "junk at one replica's peer port, {RATE} datagrams a second, medians of {ROUNDS} rounds of {SPAN:?}:"
    );
    let mut without = BTreeMap::new();
    for (filter, figures) in figures {
        let idle = median(&mut figures.idle);
        println!("  filter {filter} (sent {:.0} a second)", median(&mut figures.sent));
        for source in sources {
            let cost = figures.cost.get_mut(source).map_or(0.0, |costs| median(costs)) - idle;
            let base = *without.entry(*source).or_insert(cost);
            let undisturbed = figures.undisturbed.get_mut(source).map_or(0.0, |rates| median(rates));
            let lefts = figures.left.entry(*source).or_default();
            let left = median(lefts);
            let holds = |holds: bool| if holds { "holds" } else { "DOES NOT HOLD" };
            let (costs, lasts) = match *filter {
                // The program cannot drop what the kernel has not given it.
                "off" | "userspace" => (String::new(), String::new()),
                _ => (
                    format!(", at most {COST_MAX}: {}", holds(cost <= COST_MAX * base)),
                    format!(", at least {RATE_MIN}: {}", holds(left >= RATE_MIN)),
                ),
            };
            println!(
                "    {:<10} {:>6.1} % of a CPU, {:.2} µs a datagram = {:.3} x without{costs}",
                source.name(),
                cost * 100.0,
                cost * 1e6 / f64::from(RATE),
                cost / base,
            );
            println!(
                "    {:<10} certified answers a second {left:.2} x ({:.2} to {:.2}) the undisturbed {undisturbed:.0}{lasts}",
                "",
                lefts.first().copied().unwrap_or(0.0),
                lefts.last().copied().unwrap_or(0.0),
            );
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
