//! The program's own log: how its lines look, and which are written.

use std::io::IsTerminal;
use std::time::Instant;

use clap::ValueEnum;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

use crate::per_second::PerSecond;

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// The log, which goes to standard error.
pub struct Log {
    /// Whether `RUST_LOG` says which lines are written; then nothing else does.
    chosen: bool,
    filter: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

impl Log {
    /// Starts it.
    pub fn start(format: LogFormat) -> Log {
        let chosen = EnvFilter::try_from_default_env().ok();
        let is_chosen = chosen.is_some();
        let limit = PerSecond::new(DEBUG_LINES_PER_SECOND_MAX);
        let log = tracing_subscriber::fmt()
            .with_env_filter(chosen.unwrap_or_else(|| EnvFilter::new(LOG_FILTER)))
            .with_writer(std::io::stderr.with_filter(move |line| is_chosen || may_be_written(line, &limit)))
            .with_ansi(std::io::stderr().is_terminal());
        // To start one fails when a log was started before, and to change one when none is there: only tests do either.
        let filter: Box<dyn Fn(EnvFilter) + Send + Sync> = match format {
            LogFormat::Text => {
                let log = log.with_filter_reloading();
                let handle = log.reload_handle();
                let _ = log.try_init();
                Box::new(move |filter| drop(handle.reload(filter)))
            }
            LogFormat::Json => {
                let log = log.json().with_filter_reloading();
                let handle = log.reload_handle();
                let _ = log.try_init();
                Box::new(move |filter| drop(handle.reload(filter)))
            }
        };
        Log { chosen: is_chosen, filter }
    }

    /// Writes what helps to find a fault, too, or no longer, as the configuration says by `debug`.
    pub fn debug(&self, on: bool) {
        if !self.chosen {
            (self.filter)(EnvFilter::new(if on { DEBUG_FILTER } else { LOG_FILTER }));
        }
    }
}

/// Whether a line is one that the program writes by itself, or not too many of those that whoever sends a message can cause.
fn may_be_written(line: &Metadata<'_>, limit: &PerSecond) -> bool {
    *line.level() <= Level::INFO || limit.may(Instant::now())
}

/// Lines that `debug` adds in a second.
const DEBUG_LINES_PER_SECOND_MAX: u32 = 100;
/// What is logged when `RUST_LOG` says nothing. rustls warns of each client that names an address as the host it wants, which
/// anyone can make it do as often as they like.
const LOG_FILTER: &str = "info,rustls=error";
/// What is logged with `debug`: all that our own parts say but traces of messages.
const DEBUG_FILTER: &str = "info,rustls=error,quorate=debug,plugins=debug,node=debug,pbft=debug,agreement=debug,\
    certificate=debug,detector=debug,peer_filter=debug,transparency=debug,ct_watch=debug";
