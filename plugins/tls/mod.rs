//! Certificate and key of a block's encrypted listeners: `tls`.

mod files;
mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
