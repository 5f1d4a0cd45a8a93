//! Tells a client its own address: `whoami`.

mod handler;
mod setup;
#[cfg(test)]
mod tests;

pub use handler::Whoami;
pub use setup::setup;
