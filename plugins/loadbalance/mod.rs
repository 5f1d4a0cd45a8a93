//! The order of addresses in answers: `loadbalance [round_robin] { prefer NETWORK... }`.

mod handler;
mod order;
mod records;
mod setup;
#[cfg(test)]
mod tests;
mod wire;

pub use handler::LoadBalance;
pub use setup::setup;
