//! A short answer to ANY: `any`.

mod handler;
mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
