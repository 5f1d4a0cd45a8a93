//! Zones from master files: `file`.

mod denial;
mod generate;
mod handler;
mod lexer;
pub mod lookup;
pub mod master;
mod name;
mod rdata;
pub mod setup;
pub mod source;
mod svcb;
mod types;
pub mod zone;

pub use handler::{File, NAME};

#[cfg(test)]
mod tests;
