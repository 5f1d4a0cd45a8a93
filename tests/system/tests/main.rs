//! One binary for all system tests: linking is the slow part.
