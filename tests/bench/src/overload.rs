//! `-- overload`: what is left of the decisions a second when three times as many new names are asked for, whatever is answered.

use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use system_tests::cluster::Cluster;
use system_tests::load::flood;
use system_tests::program::stdout;
use system_tests::upstream::Upstream;
use tempfile::NamedTempFile;

/// How long the pace that the cluster keeps is measured.
const PACE: Duration = Duration::from_secs(5);
/// Queries in flight at each replica meanwhile.
const IN_FLIGHT: usize = 64;
/// So many times that pace is asked for.
const TIMES: f64 = 3.0;
/// For so long.
const OVERLOAD_SECONDS: u32 = 20;
/// A client waits so long.
const PATIENCE_SECONDS: u32 = 2;

/// Measures and prints.
///
/// Panics: when `dnsperf` is not installed.
pub fn run(zone: &str) {
    let upstream = Upstream::serve("example.org.", zone);
    let cluster = Cluster::start(4, &[upstream.address.to_string()]);
    let servers: Vec<SocketAddr> = (0..4).map(|id| cluster.dns_address(id)).collect();
    let began = Instant::now();
    let answered = flood(&servers, ("pace", IN_FLIGHT), 2 * PACE, || began.elapsed() >= PACE);
    let pace = answered as f64 / PACE.as_secs_f64();
    let each = (pace * TIMES / 4.0) as usize;
    let names: Vec<NamedTempFile> =
        (0..4).map(|server| names(server, each * OVERLOAD_SECONDS as usize)).collect();
    let askers = servers.iter().zip(&names).map(|(server, names)| {
        Command::new("dnsperf")
            .args(["-s", &server.ip().to_string(), "-p", &server.port().to_string(), "-q", "65535"])
            .args(["-Q", &each.to_string(), "-l", &OVERLOAD_SECONDS.to_string()])
            .args(["-t", &PATIENCE_SECONDS.to_string(), "-d"])
            .arg(names.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dnsperf is installed (tests/run does it)")
    });
    let askers: Vec<_> = askers.collect();
    let texts = askers.into_iter().map(|asker| stdout(&asker.wait_with_output().expect("dnsperf ends")));
    let answers: f64 = texts.map(|text| good(&text)).sum::<f64>() / f64::from(OVERLOAD_SECONDS);
    println!("certified decisions, n = 4, as fast as answers come: {pace:.0} a second");
    println!(
        "{TIMES} times as many asked for, for {OVERLOAD_SECONDS} s, whatever comes: {answers:.0} answers a second"
    );
    println!("  = {:.2} of the pace", answers / pace);
}

/// Names of one server's own that nobody has asked for, as dnsperf reads them.
fn names(server: usize, count: usize) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    let mut lines = BufWriter::new(&file);
    for number in 0..count {
        writeln!(lines, "over-{server}-{number}.cold.example.org A").expect("the file can be written");
    }
    lines.flush().expect("the file can be written");
    drop(lines);
    file
}

/// How many answers dnsperf counts that are no failure.
fn good(text: &str) -> f64 {
    let codes = text.lines().find_map(|line| line.trim_start().strip_prefix("Response codes:"));
    let words: Vec<&str> = codes.unwrap_or_default().split_whitespace().collect();
    let place = words.iter().position(|word| *word == "NOERROR");
    place.and_then(|place| words.get(place + 1)?.parse().ok()).unwrap_or(0.0)
}
