//! Whole clusters in virtual time: network and disk faults, Byzantine replicas, invariants after every step.
//!
//! `sim --seeds 5000` runs so many clusters, each a function of its seed; a seed that fails is printed with its shrunk trace. `sim --seed N --trace` shows
//! one. `sim models` searches small models of the view change exhaustively. `sim soak` lets one cluster live long. See `README.md` for what is checked.

mod adversary;
mod application;
mod detection;
mod disk;
mod invariants;
mod keys;
mod liveness;
mod models;
mod network;
mod node;
mod parallel;
mod planted;
mod random;
mod run;
mod scenario;
mod shrink;
mod soak;
mod trace;
mod watch;
mod world;

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use crate::parallel::{Seeds, Tally};
use crate::scenario::Scenario;
use crate::shrink::Less;
use crate::watch::Watching;
use crate::world::Options;

/// Clusters in virtual time, with faults of the network, of disks, and of up to f Byzantine replicas.
#[derive(Parser)]
struct Arguments {
    /// Run so many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// Begin with this seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Run this seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Print every event of the seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Leave out these elements of the scenario: numbers with commas between them.
    #[arg(long, value_delimiter = ',')]
    drop: Vec<usize>,
    /// Let these elements last half as long, once for each time that they are named.
    #[arg(long, value_delimiter = ',')]
    halve: Vec<usize>,
    /// Clusters of so many replicas, 4 to 31.
    #[arg(long, value_parser = clap::value_parser!(u32).range(4..=31))]
    replicas: Option<u32>,
    /// Check safety (S1 to S12) alone.
    #[arg(long)]
    safety: bool,
    /// Threads; by default one a core.
    #[arg(long)]
    threads: Option<usize>,
    /// What the detectors beside honest replicas may do: look on, look on with any opinions at all, or shut others out.
    #[arg(long, value_enum, default_value_t)]
    detectors: Detectors,
    /// Stop after so many failing seeds.
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Do not shrink what fails.
    #[arg(long)]
    whole: bool,
    /// Hunt a planted bug, or `all`: at most `--seeds` each. Only in a build with the feature `planted`.
    #[arg(long)]
    planted: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Detectors {
    Off,
    #[default]
    Passive,
    Prejudiced,
    Enforced,
}

impl Detectors {
    fn watching(self) -> Watching {
        match self {
            Detectors::Off => Watching::Off,
            Detectors::Passive => Watching::Passive,
            Detectors::Prejudiced => Watching::Prejudiced(1),
            Detectors::Enforced => Watching::Enforced,
        }
    }
}

#[derive(Subcommand)]
enum Command {
    /// Search models of the view change exhaustively, and near misses of it that must be found.
    Models {
        /// Take minutes and gigabytes.
        #[arg(long)]
        deep: bool,
    },
    /// How well detectors find who errs: a table by vice.
    Detection {
        /// So many clusters for each vice.
        #[arg(long, default_value_t = 40)]
        seeds: u64,
    },
    /// One cluster with a fault now and then, for a long time: disk and memory must not grow.
    Soak {
        /// For so many slots.
        #[arg(long, default_value_t = 20_000)]
        slots: u64,
        /// Which faults.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let held = match arguments.command {
        Some(Command::Models { deep }) => Some(models::run(deep)),
        Some(Command::Detection { seeds }) => {
            Some(detection::run(seeds, arguments.threads.unwrap_or_else(cores)))
        }
        Some(Command::Soak { slots, seed }) => Some(soak::run(seed, slots)),
        None => None,
    };
    if let Some(held) = held {
        return if held { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    run::catch_panics();
    let watching = arguments.detectors.watching();
    let options = Options { safety_only: arguments.safety, watching, ..Options::default() };
    if let Some(name) = &arguments.planted {
        let caught = planted::hunt(name, arguments.seeds, arguments.threads.unwrap_or_else(cores));
        return if caught { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match arguments.seed {
        Some(seed) => show(seed, &arguments, options),
        None => run_many(&arguments, options),
    }
}

/// Runs one seed and prints what came of it.
fn show(seed: u64, arguments: &Arguments, options: Options) -> ExitCode {
    let less = Less { drop: arguments.drop.iter().copied().collect(), halve: arguments.halve.clone() };
    let scenario = less.of(&Scenario::of(seed, arguments.replicas));
    let outcome = run::run(&scenario, Options { verbose: arguments.trace, ..options });
    println!("{scenario:#?}");
    outcome.lines.iter().for_each(|line| println!("{line}"));
    println!(
        "seed {seed}: {} slots, {} events, {} ms, hash {:016x}",
        outcome.decided, outcome.events, outcome.ended_ms, outcome.hash
    );
    match outcome.violation {
        Some(violation) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn run_many(arguments: &Arguments, options: Options) -> ExitCode {
    let seeds = Seeds {
        first: arguments.first,
        count: arguments.seeds,
        threads: arguments.threads.unwrap_or_else(cores),
        failures_most: arguments.failures,
        quiet: false,
    };
    let began = Instant::now();
    let tally = parallel::run_all(seeds, |seed| run::run(&Scenario::of(seed, arguments.replicas), options));
    let Tally { runs, events, decided, longest, failed } = &tally;
    let seconds = began.elapsed().as_secs_f64();
    println!("{runs} seeds, {decided} slots, {events} events in {seconds:.1} s; {} failed", failed.len());
    println!("longest (events, seed): {longest:?}");
    match failed.first_key_value() {
        Some((seed, _)) if !arguments.whole => {
            explain(*seed, arguments, options);
            ExitCode::FAILURE
        }
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    }
}

/// Shrinks a failing seed and prints the trace of what is left.
fn explain(seed: u64, arguments: &Arguments, options: Options) {
    let scenario = Scenario::of(seed, arguments.replicas);
    let less = shrink::shrink(&scenario, options);
    let smaller = less.of(&scenario);
    let outcome = run::run(&smaller, Options { verbose: true, ..options });
    println!("{smaller:#?}");
    outcome.lines.iter().for_each(|line| println!("{line}"));
    println!("{}", outcome.violation.map_or(String::new(), |violation| violation.to_string()));
    let size = arguments.replicas.map_or(String::new(), |count| format!(" --replicas {count}"));
    println!("again: sim --seed {seed}{size} --trace{}", less.arguments());
}
