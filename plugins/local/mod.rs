//! `localhost` and the addresses of this host, answered here: `local`. RFC 6761 §6.3, RFC 6303.

mod handler;
mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
