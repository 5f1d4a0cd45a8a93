//! Finds out whether what is forwarded comes back: `loop`.

mod handler;
mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
