//! Flags of the header: `header { response set|clear aa|ra; query set|clear rd }`.

mod handler;
mod setup;
#[cfg(test)]
mod tests;

pub use handler::{Header, Rules};
pub use setup::setup;
