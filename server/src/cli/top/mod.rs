//! `quorate top`: the cluster as one replica sees it, or as several do, over and over.

mod links;
mod sample;
mod table;
mod transparency;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::sample::Sample;
pub use self::table::duration;
use self::table::render;
use super::admin_client::{AdminAddress, AdminClientError};
use super::verify::now_ms;

/// What to look at, and how often.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct TopArgs {
    /// Address of `prometheus` in a replica's Corefile; several show the cluster as several replicas see it
    #[arg(long, value_name = "ADDRESS", required = true, num_args = 1..)]
    admin: Vec<AdminAddress>,
    /// Show it once and end
    #[arg(long)]
    once: bool,
    /// Print JSON, one object on one line each time
    #[arg(long)]
    json: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

const EXAMPLES: &str = "\
Examples:
  quorate top --admin 127.0.0.1:9153
  quorate top --admin 127.0.0.1:5460 127.0.0.1:5461 --once
  quorate top --admin :9153 --once --json | jq '.replicas[0].peers[] | {name, reputation}'

What a replica says of the others is its own view: two replicas may well differ, and no vote depends on it.
  LINK     up, down, or shut: the peer is quarantined
  SEEN     how long ago its last message came
  RTT LOSS round-trip time, and packets to it that were lost since the last look
  P50 P99  how long after f+1 replicas had voted its vote came, in half and in 99 of 100 slots
  VOTES    slots in which it voted, of those in which it was connected
  RIGHT    its answers that were right, of those that could be judged
  SIGNED   its messages without an invalid signature
  REP      its reputation, 0 to 1
  DROPPED  datagrams from its address that the filter threw away
  PATTERN  what this looks like; ACTION what is advised; WHY what stands out
The line `agreement` says how long slots took from the primary's proposal to the decision here, without looking names up, and what did not get through since the replica started.
The line `links` names the links that are not up, each with the replica that tells so: each tells the others whom it reaches.
With `ct-verify` in the Corefile, the line `transparency` counts CT logs by condition, their promises by what was found, proofs of split
views, RRsets by verdict, probed targets by what the cluster saw of them, certificates that the monitor found, and events.

Exit codes: 0 shown, 1 a replica cannot be asked (with --once), 64 wrong usage.";

/// Shows the table until Ctrl-C, or once, and returns the exit code. A replica that cannot be asked is told in the place of its table.
pub fn run(args: &TopArgs) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of one thread needs no more than the program has");
    runtime.block_on(async {
        tokio::select! {
            are_all_shown = watch(args) => if are_all_shown { 0 } else { super::ERROR },
            _ = tokio::signal::ctrl_c() => 0,
        }
    })
}

/// Says in the end whether every replica was shown.
async fn watch(args: &TopArgs) -> bool {
    let mut ticks = interval(Duration::from_secs(args.interval));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Vec<Option<Sample>> = vec![None; args.admin.len()];
    let is_screen = io::stdout().is_terminal() && !args.json && !args.once;
    if is_screen {
        print!("\x1b[2J");
    }
    ticks.tick().await;
    loop {
        let mut now = Vec::new();
        for address in &args.admin {
            now.push(Sample::take(address, Instant::now()).await);
        }
        // Rates need two looks, so the first one is not shown when only one is to be shown.
        let is_first = before.iter().all(Option::is_none);
        if !args.once || !is_first || now.iter().all(Result::is_err) {
            show(&Shown { args, before: &before, now: &now, is_screen });
            if args.once {
                return now.iter().all(Result::is_ok);
            }
        }
        before = now.into_iter().map(Result::ok).collect();
        ticks.tick().await;
    }
}

/// What is shown at one time.
struct Shown<'a> {
    args: &'a TopArgs,
    before: &'a [Option<Sample>],
    now: &'a [Result<Sample, AdminClientError>],
    /// Whether the last table is to be written over.
    is_screen: bool,
}

fn show(shown: &Shown<'_>) {
    let parts = shown.args.admin.iter().zip(shown.before).zip(shown.now);
    let text = if shown.args.json {
        let each = parts.map(|((address, before), now)| match now {
            Ok(now) => now.to_json(before.as_ref()),
            Err(error) => serde_json::json!({ "admin": address.to_string(), "error": error.to_string() }),
        });
        let each: Vec<Value> = each.collect();
        serde_json::json!({ "time_ms": now_ms(), "replicas": each }).to_string() + "\n"
    } else {
        let each = parts.map(|((_, before), now)| match now {
            Ok(now) => render(&now.to_json(before.as_ref()), now_ms()),
            Err(error) => format!("{error}\n"),
        });
        each.collect::<Vec<_>>().join("\n") + if shown.args.once { "" } else { "\n" }
    };
    // Each line ends what the last table had there, and the end of the text ends the rest: nothing flickers.
    let text = if shown.is_screen { format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")) } else { text };
    let mut stdout = io::stdout();
    // Nobody may be reading any more, as behind `head`.
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}
