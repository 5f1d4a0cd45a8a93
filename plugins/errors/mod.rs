//! Logs why queries fail: `errors`.

mod handler;
mod limit;
mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
