//! Tells a client the program's version, authors and host: `chaos`.

mod handler;
mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
