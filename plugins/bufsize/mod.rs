//! The longest reply over UDP: `bufsize`.

mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
