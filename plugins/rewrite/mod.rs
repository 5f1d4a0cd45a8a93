//! Other questions and other answers: `rewrite [continue|stop] FIELD ...`.

mod answer;
mod handler;
mod pattern;
mod rules;
mod setup;
#[cfg(test)]
mod tests;

pub use handler::Rewrite;
pub use setup::setup;
