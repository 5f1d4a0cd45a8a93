//! Answers badly on purpose, for tests of clients: `erratic`.

mod handler;
mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
