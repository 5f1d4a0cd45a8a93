//! The order of addresses in answers: `loadbalance [round_robin | weighted FILE] { prefer NETWORK... }`.

mod handler;
mod order;
mod records;
mod setup;
#[cfg(test)]
mod tests;
mod weights;
mod wire;

pub use handler::{LoadBalance, Policy};
pub use setup::setup;
pub use weights::Weights;
