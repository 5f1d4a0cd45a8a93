//! How many replies a second a network gets over UDP: `ratelimit RATE { burst; slip; prefix; exempt }`.

mod buckets;
mod handler;
mod setup;
#[cfg(test)]
mod tests;

pub use handler::{Config, RateLimit};
pub use setup::setup;
