//! Tells more, to find a fault: `debug`.

mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
