//! Queries to other servers: `forward`.

mod error;
mod handler;
mod message;
mod metrics;
mod policy;
pub mod setup;
mod stream;
mod target;
mod tls;
mod udp;
mod upstream;

pub use handler::{Forward, NAME};

#[cfg(test)]
mod tests;
