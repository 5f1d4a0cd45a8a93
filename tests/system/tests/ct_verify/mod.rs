//! `ct-verify` in whole clusters: what clients get, what a quorum says of a certificate, lists that come into force, servers that are looked at,
//! certificates that somebody else had issued, reloads and restarts, and logs that lie, sleep or show two trees.

mod alone;
mod answer;
mod answers;
mod checks;
mod court;
mod inputs;
mod logs;
mod monitor;
mod probe;
mod promises;
mod reload;
mod revocation;
mod split_view;
mod zone;
