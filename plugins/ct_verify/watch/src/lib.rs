//! What is asked of others beside queries: logs for their heads and proofs, authorities for revocation lists, servers for what they serve.
//!
//! Nothing here stands in the way of a query. Every answer is bounded in size and time, and only hosts that were configured are asked.

pub mod address;
pub mod bundle;
pub mod clock;
pub mod config;
pub mod context;
pub mod crl;
mod crl_list;
pub mod events;
pub mod evidence;
pub mod fetch;
pub mod gossip;
pub mod inputs;
pub mod issuers;
pub mod log_list_source;
pub mod logs;
pub mod monitor;
pub mod names;
pub mod probe;
pub mod resolver;
pub mod served;
pub mod state;
mod watch;

pub use clock::{Clock, SystemClock};
pub use config::{Source, WatchConfig};
pub use watch::{Watch, WatchError};
