//! Tells a client which server answered: `nsid`. RFC 5001

mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
