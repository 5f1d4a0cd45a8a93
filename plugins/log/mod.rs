//! The query log: `log`.
//!
//! `record` is what a line tells of, `format` makes the line, `writer` is the thread that writes it.

mod format;
mod handler;
mod record;
mod setup;
#[cfg(test)]
mod tests;
mod writer;

pub use setup::setup;
