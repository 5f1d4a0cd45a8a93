//! The chain of plugins that answers a query.
//!
//! One folder a plugin. `plugin.rs` holds the trait, `chain.rs` runs a query down, `registry.rs` is the one table of all plugins
//! in the order in which a query meets them. No plugin imports another.

pub mod acl;
pub mod any;
pub mod bind;
pub mod bufsize;
pub mod byzantine_consensus;
pub mod cache;
pub mod cancel;
pub mod certificate_names;
pub mod certification;
pub mod chain;
pub mod chaos;
pub mod ct_verify;
pub mod debug;
pub mod erratic;
pub mod error;
pub mod errors;
pub mod fatal;
pub mod file;
pub mod forward;
pub mod header;
pub mod health;
pub mod host;
pub mod hosts;
pub mod loadbalance;
pub mod local;
pub mod log;
pub mod r#loop;
pub mod metrics;
pub mod minimal;
pub mod networks;
pub mod nsid;
pub mod plugin;
pub mod prometheus;
pub mod query;
pub mod ratelimit;
pub mod ready;
pub mod registry;
pub mod reload;
pub mod response;
pub mod rewrite;
pub mod root;
pub mod setup;
pub mod timeouts;
pub mod tls;
pub mod validator;
pub mod view;
pub mod whoami;
pub mod words;
pub mod zones;

#[cfg(test)]
mod behaviour_tests;
#[cfg(test)]
mod readme_tests;
#[cfg(test)]
mod rehearsal;
#[cfg(test)]
mod testing_blocks;

pub use certification::{Certification, Completion};
pub use chain::{Chain, Next, Rest};
pub use error::{ExtendedError, ServeError};
pub use plugin::{Glance, Plugin};
pub use query::{Client, Query, Transport};
pub use response::{Certified, Response};
pub use validator::Validator;
pub use view::QueryView;
