//! `ct-verify` in whole clusters: what clients get, what a quorum says of a certificate, lists that come into force, and logs that lie, sleep
//! or show two trees.

mod answers;
mod checks;
mod court;
mod inputs;
mod logs;
mod promises;
mod split_view;
