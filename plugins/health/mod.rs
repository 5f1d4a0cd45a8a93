//! Whether the program lives: `health`.

mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
