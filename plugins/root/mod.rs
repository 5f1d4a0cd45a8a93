//! The base folder for file paths: `root`.

mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
