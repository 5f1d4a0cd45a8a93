//! The cache: answers what was asked before, at a glance where it can. `cache`.
//!
//! `key` names a question, `lifetime` decides what may be kept, `image` is an answer as bytes, `entry` ages it, `store` bounds
//! them, `flights` lets equal questions share a lookup, `handler` is the plugin.

pub mod entry;
pub mod flights;
pub mod handler;
pub mod image;
pub mod key;
pub mod lifetime;
pub mod metrics;
pub mod setup;
pub mod store;
#[cfg(test)]
mod tests;

pub use setup::setup;

/// The name of the directive.
pub const NAME: &str = "cache";
