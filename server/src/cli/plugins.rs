//! `quorate plugins`: what can stand in a server block.

use std::process::ExitCode;

use clap::Args;
use plugins::registry::PLUGINS;
use serde_json::json;

/// How to list.
#[derive(Args, Debug)]
pub struct PluginsArgs {
    /// Print one JSON array: name and summary
    #[arg(long)]
    json: bool,
}

/// Lists the plugins in the order in which a query meets them.
pub fn run(args: &PluginsArgs) -> ExitCode {
    if args.json {
        let each = PLUGINS.iter().map(|entry| json!({ "name": entry.name, "summary": entry.summary }));
        println!("{}", each.collect::<serde_json::Value>());
        return ExitCode::SUCCESS;
    }
    let width = PLUGINS.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    for entry in PLUGINS {
        println!("{:width$}  {}", entry.name, entry.summary);
    }
    ExitCode::SUCCESS
}
