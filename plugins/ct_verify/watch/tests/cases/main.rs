//! Background work against logs, authorities and sites that are made here, honest or not.

mod crls;
mod fetches;
mod gossip;
mod issuers;
mod lists;
mod logs;
mod stand;
