//! The monitor against logs on ports of their own: what it tells of, what it does not believe, and where it goes on.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod case;
mod dropped;
mod following;
mod lies;
mod zones;
