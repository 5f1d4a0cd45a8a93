//! Names and addresses from a hosts file and from the Corefile: `hosts`.

mod handler;
mod metrics;
pub mod setup;
mod table;

pub use handler::{Hosts, NAME};

#[cfg(test)]
mod tests;
