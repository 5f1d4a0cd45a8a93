//! Looks at real servers on ports of their own: what they serve, how badly they may behave, and what the probes make of it.

mod peers;
mod probes;
mod reports;
mod servers;
