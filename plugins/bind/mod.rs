//! Which addresses a block listens on: `bind`.

mod interfaces;
mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
