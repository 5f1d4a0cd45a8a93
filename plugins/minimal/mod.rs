//! Short answers: `minimal`.

mod handler;
mod setup;
#[cfg(test)]
mod tests;

pub use handler::Minimal;
pub use setup::setup;
