//! Takes a changed Corefile by itself: `reload`.

mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
