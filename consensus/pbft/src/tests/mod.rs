//! The replica from outside: a cluster in virtual time, one test for each claim.

mod cluster;
mod normal_case;
