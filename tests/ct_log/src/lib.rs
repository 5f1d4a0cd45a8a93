//! A log of Certificate Transparency for tests: one store of entries, served by RFC 6962 and as static-ct tiles, honest or not.
//!
//! Beside it stand an authority that issues certificates with timestamps of such logs, a site that serves lists, and a host that shows
//! certificates over TLS.
//! Nothing here is for use: keys are made at start, signatures of chains are taken on trust, and errors are panics that say why.

pub mod answer;
pub mod authority;
pub mod clock;
pub mod entry;
pub mod host;
pub mod key;
pub mod leaf;
pub mod lie;
pub mod list;
pub mod log;
mod rfc6962;
pub mod serve;
pub mod site;
mod static_ct;
mod store;
mod submission;

pub use authority::Authority;
pub use clock::Clock;
pub use host::TlsHost;
pub use leaf::{Issued, Leaf};
pub use lie::Lie;
pub use list::{Listed, log_list_json};
pub use log::{Fork, Kind, TestLog};
pub use site::Site;
pub use submission::Refused;
