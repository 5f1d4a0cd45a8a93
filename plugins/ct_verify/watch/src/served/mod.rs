//! What a server serves: its certificates over TLS, and whether they agree with the records that DNS has of them.
//!
//! Only configured targets are looked at, and nobody waits for what is found.

mod client;
mod look;
mod materials;
mod metered;
mod report;
mod smtp;
mod target;

pub use look::{LookError, Looking, Served, look};
pub use materials::Materials;
pub use report::{Dane, DaneState, Report, Warning, report};
pub use target::{Protocol, Target, TargetError};
