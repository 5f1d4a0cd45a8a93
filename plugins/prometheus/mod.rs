//! Metrics, and what every query adds to them: `prometheus`.

mod counters;
mod handler;
mod histogram;
mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
