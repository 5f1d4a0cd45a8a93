//! How long a query may take: `cancel`.

mod setup;
#[cfg(test)]
mod tests;

pub use setup::setup;
