//! One binary for all system tests: linking is the slow part.

mod architecture;
mod bad_input;
mod certificates;
mod configuration;
mod faults;
mod restart;
mod transports;
