//! One binary for all system tests: linking is the slow part.

#![allow(clippy::unwrap_used)] // A test that panics has failed, helpers included.

mod adversaries;
mod architecture;
mod bad_input;
mod behaviour;
mod browser;
mod certificates;
mod cluster_file;
mod configuration;
mod ct_verify;
mod dashboard;
mod faults;
mod packaging;
mod plain;
mod restart;
mod transparency;
mod transports;
mod view_changes;
