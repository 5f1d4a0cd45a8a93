//! Whether all plugins can serve: `ready`.

mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
