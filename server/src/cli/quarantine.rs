//! `quorate quarantine`: who is shut out by a running replica, and letting somebody in again.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::admin_client::{AdminAddress, AdminClientError, get, post};
use super::top::duration;
use super::verify::now_ms;

/// What to do about quarantines.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// Show whom a replica has shut out, why, and for how long
    List(ListArgs),
    /// Let a replica in again before its time
    #[command(after_long_help = LIFT_HELP)]
    Lift(LiftArgs),
}

const LIFT_HELP: &str = "\
Each replica decides by itself whom it talks to: ask each that has shut the replica out, on its own machine.
A quarantine ends by itself; what is proven stays proven, and the next offence is a further strike.

Exit codes: 0 done, 1 the replica says no or cannot be reached, 64 wrong usage.";

/// Whom to ask.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Address of `prometheus` in the replica's Corefile
    #[arg(long, value_name = "ADDRESS")]
    admin: AdminAddress,
    /// Print the replica's JSON
    #[arg(long)]
    json: bool,
}

/// Whom to let in, and where.
#[derive(Debug, Args)]
pub struct LiftArgs {
    /// Number of the replica that is shut out
    #[arg(value_name = "ID", value_parser = clap::value_parser!(u8).range(0..31))]
    replica: u8,
    /// Address of `prometheus` in the Corefile of the replica that has shut it out; on its machine, a loopback address
    #[arg(long, value_name = "ADDRESS")]
    admin: AdminAddress,
    /// Print the replica's JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// Errors: the replica cannot be asked, or says no.
pub fn run(command: &QuarantineCommand) -> Result<(), AdminClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of one thread needs no more than the program has");
    match command {
        QuarantineCommand::List(args) => {
            let answer = runtime.block_on(get(&args.admin, "/v1/quarantine"))?;
            print!("{}", if args.json { format!("{answer}\n") } else { listed(&answer, now_ms()) });
        }
        QuarantineCommand::Lift(args) => {
            let path = format!("/v1/quarantine/lift?replica={}", args.replica);
            let answer = runtime.block_on(post(&args.admin, &path))?;
            print!("{}", if args.json { format!("{answer}\n") } else { lifted(&answer) });
        }
    }
    Ok(())
}

/// The quarantines of `answer`, one a line. `now_ms` is the time in milliseconds since 1970.
fn listed(answer: &Value, now_ms: u64) -> String {
    let quarantined = answer["quarantined"].as_array().map(Vec::as_slice).unwrap_or_default();
    if quarantined.is_empty() {
        return format!("replica {} has shut nobody out\n", answer["replica"]);
    }
    let line = |one: &Value| {
        let left = one["until_ms"].as_u64().unwrap_or(0).saturating_sub(now_ms);
        let (id, name) = (&one["id"], one["name"].as_str().unwrap_or_default());
        let (strike, reason) = (&one["strike"], one["reason"].as_str().unwrap_or_default());
        format!("{id} {name}: {reason}, strike {strike}, for {} more\n", duration(left as f64))
    };
    quarantined.iter().map(line).collect()
}

fn lifted(answer: &Value) -> String {
    let name = answer["name"].as_str().unwrap_or_default();
    format!("replica {} lets replica {} ({name}) in again\n", answer["replica"], answer["lifted"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quarantines_are_listed_one_a_line() {
        let one =
            json!({ "id": 2, "name": "ams", "reason": "equivocation", "strike": 1, "until_ms": 61_000 });
        let answer = json!({ "replica": 0, "quarantined": [one] });
        assert_eq!(listed(&answer, 0), "2 ams: equivocation, strike 1, for 1m01s more\n");
        assert_eq!(listed(&json!({ "replica": 0, "quarantined": [] }), 0), "replica 0 has shut nobody out\n");
    }

    #[test]
    fn lifting_says_who_lets_whom_in() {
        let answer = json!({ "replica": 0, "lifted": 2, "name": "ams" });
        assert_eq!(lifted(&answer), "replica 0 lets replica 2 (ams) in again\n");
    }
}
