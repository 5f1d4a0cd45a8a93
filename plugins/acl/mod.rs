//! Who may ask what: `acl [ZONES...] { ACTION [type TYPE...] [net NETWORK...] }`.

mod handler;
mod rules;
mod setup;
#[cfg(test)]
mod tests;

pub use handler::Acl;
pub use setup::setup;
