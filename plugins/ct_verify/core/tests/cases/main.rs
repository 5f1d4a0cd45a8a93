//! Cases from public repositories and synthetic ones, read in place; and a stranger's cases, which are committed beside this.

// In a test, what cannot be unwrapped is a failure.
#![allow(clippy::unwrap_used)]

mod agreed;
mod bench;
mod findings;
mod judged;
mod logs;
mod merkle;
mod mutations;
mod place;
mod records;
mod revoked;
mod splice;
