//! PBFT before the answer: `byzantine-consensus`.
//!
//! A query that no decision answers yet becomes a request to the cluster. Every replica looks the name up through the plugins
//! behind this one and signs what it saw; the cluster decides; the decision, with its certificate, answers every query that waits.
//!
//! `handler` is the plugin of one block; `consensus` is the cluster as this process takes part in it, shared by its blocks and
//! kept across reloads by `nodes`; `asking` waits for its decisions, `lookup` is what it sees itself, `validations` are the operations that
//! are no questions; `judge` connects `pbft` with `agreement`.

mod admission;
mod adversary;
mod answer;
mod answered;
mod api;
mod asking;
mod callbacks;
mod connectivity;
mod consensus;
mod directive;
mod handler;
mod judge;
mod lookup;
mod metrics;
mod nodes;
mod opinion;
mod question;
mod rounds;
mod setup;
mod state;
mod store;
mod traffic;
mod validations;
mod waiting;

#[cfg(test)]
mod tests;

pub use judge::Judge;
pub use nodes::Nodes;
pub use setup::setup;
