//! The command line: one module a command, each from its arguments to its exit code.

mod admin_client;
mod certificate;
mod certificate_by_cluster;
mod certificates;
mod check;
mod cluster;
mod demo;
mod evidence;
mod judgement;
mod layout;
mod logging;
mod plugins;
mod quarantine;
mod query;
mod serve;
mod top;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Quorate: a DNS server whose answers a quorum has signed.
#[derive(Parser, Debug)]
#[command(name = "quorate", version, after_help = AFTER_HELP, disable_help_subcommand = false)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What the program can do.
#[derive(Subcommand, Debug)]
enum Command {
    /// Serve DNS as a Corefile says
    Serve(serve::ServeArgs),
    /// Check a Corefile and say all that is wrong with it
    Check(check::CheckArgs),
    /// List the plugins, in the order in which a query meets them
    Plugins(plugins::PluginsArgs),
    /// Make the files of a new cluster
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Run a whole cluster on this machine, to try things out
    Demo(demo::DemoArgs),
    /// Ask a server for an answer and its certificate, and verify it
    Query(query::QueryArgs),
    /// Verify a saved certificate, offline
    Verify(verify::VerifyArgs),
    /// List, show and verify what replicas kept of the misbehaviour of others, offline
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Judge a TLS certificate: chain, Certificate Transparency, revocation
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// Watch a running cluster: who votes, who is trusted, who is shut out
    Top(top::TopArgs),
    /// Show whom a replica has shut out, and let one in again
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way, too.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Plugins(args) => plugins::run(&args),
        Command::Cluster(command) => exit_code(told(cluster::run(&command).map(|()| 0))),
        Command::Demo(args) => exit_code(told(demo::run(&args).map(|()| 0))),
        Command::Query(args) => {
            judged(query::run(&args).map_err(|error| (error.exit_code(), with_causes(&error))))
        }
        Command::Evidence(command) => {
            judged(evidence::run(&command).map_err(|error| (error.exit_code(), with_causes(&error))))
        }
        Command::Certificate(command) => {
            judged(certificate::run(&command).map_err(|error| (error.exit_code(), with_causes(&error))))
        }
        Command::Top(args) => ExitCode::from(top::run(&args)),
        Command::Quarantine(command) => exit_code(told(quarantine::run(&command).map(|()| 0))),
        Command::Verify(args) => {
            judged(verify::run(&args).map_err(|error| (error.exit_code(), with_causes(&error))))
        }
    }
}

/// The exit code of a command; an error is told on standard error and exits as `ERROR`.
fn exit_code<E: std::fmt::Display>(result: Result<u8, E>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("quorate: {error}");
            ExitCode::from(ERROR)
        }
    }
}

/// The exit code of a command that judges: its verdict, or that of the error, which is told on standard error.
fn judged(result: Result<u8, (u8, String)>) -> ExitCode {
    ExitCode::from(result.unwrap_or_else(|(code, text)| {
        eprintln!("quorate: {text}");
        code
    }))
}

fn told<E: std::error::Error>(result: Result<u8, E>) -> Result<u8, String> {
    result.map_err(|error| with_causes(&error))
}

/// An error with all its causes, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The exit code of whatever went wrong, except for usage.
const ERROR: u8 = 1;
/// The exit code of wrong usage: not clap's 2, which is a verdict of `verify`. EX_USAGE of sysexits(3).
const USAGE: u8 = 64;

const AFTER_HELP: &str = "\
Examples:
  quorate demo                                a cluster of four on this machine, ready to be asked
  quorate check Corefile                      is it right?
  quorate serve -c Corefile --dns-port 1053   serve; then: dig -p 1053 @127.0.0.1 example.org

Exit codes: 0 done, 1 an error that was told on standard error, 64 wrong usage; `query`, `verify`, `evidence`
and `certificate` have more.
`quorate help COMMAND` says more about each.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
