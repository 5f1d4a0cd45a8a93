//! Background work against logs, authorities and sites that are made here, honest or not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod crls;
mod fetches;
mod fixtures;
mod gossip;
mod issuers;
mod lists;
mod logs;
mod stand;
