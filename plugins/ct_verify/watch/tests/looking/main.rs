//! Looks at real servers on ports of their own: what they serve, how badly they may behave, and what the probes make of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod peers;
mod probes;
mod reports;
mod servers;
