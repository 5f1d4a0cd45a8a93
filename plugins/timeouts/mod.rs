//! How long connections may be idle: `timeouts`.

mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
