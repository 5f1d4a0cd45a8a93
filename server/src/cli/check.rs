//! `quorate check`: all errors and warnings of a Corefile, for people or for scripts. Opens no socket and starts nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::config::{self, Findings, Lasting};

/// What to check.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// The Corefile
    #[arg(default_value = "Corefile")]
    file: PathBuf,
    /// Port of `dns://` keys that name none
    #[arg(long, value_name = "PORT", default_value_t = 53)]
    dns_port: u16,
    /// Print one JSON array of findings: severity, file, line, column, message, hint
    #[arg(long)]
    json: bool,
}

/// Prints what was found. Exits with 1 if there are errors.
pub fn run(args: &CheckArgs) -> ExitCode {
    let findings = config::load(&args.file, args.dns_port, &Lasting::default());
    if args.json {
        println!("{}", to_json(&findings));
    } else if findings.diagnostics.is_empty() {
        println!("{}: {}", args.file.display(), summary(&findings));
    } else {
        eprint!("{}", findings.corefile.render_all(&findings.diagnostics));
    }
    ExitCode::from(if findings.configuration.is_some() { 0 } else { super::ERROR })
}

fn summary(findings: &Findings) -> String {
    let listeners = findings.configuration.iter().flat_map(|configuration| configuration.listeners.keys());
    let listeners: Vec<String> = listeners.map(ToString::to_string).collect();
    format!("ok, {} server block(s) on {}", findings.corefile.blocks.len(), listeners.join(" "))
}

fn to_json(findings: &Findings) -> serde_json::Value {
    let each = findings.diagnostics.iter().map(|found| {
        json!({
            "severity": found.severity.to_string(),
            "file": found.span.file.display().to_string(),
            "line": found.span.line,
            "column": found.span.column,
            "message": found.message,
            "hint": found.hint,
        })
    });
    each.collect()
}

const EXAMPLES: &str = "\
Examples:
  quorate check                   checks ./Corefile
  quorate check --json Corefile   for an editor or a pipeline

Exit codes: 0 the file can be served (there may be warnings), 1 it cannot.";
