//! Judges certificates in answers by chain, Certificate Transparency and revocation: `ct-verify`.
//!
//! The judgement is in `core`, what is asked of others in the background is in `watch`; here are the directive, the answers, and what
//! replicas agree on.

mod api;
mod aside;
mod background;
mod compose;
mod content;
mod directive;
mod explain;
mod files;
mod handler;
mod in_force;
mod inputs;
mod local;
mod metrics;
mod modes;
mod names;
mod numbers;
mod own;
mod remark;
mod sets;
mod setup;
#[cfg(test)]
mod tests;
mod told;
mod updates;
mod validator;
mod verdicts;
mod wishes;

pub use handler::CtVerify;
pub use setup::setup;
