//! Quorate: a DNS server whose answers a quorum has signed.

mod cookie;
mod edns;
mod engine;
mod listen;
mod message;
mod reply;
mod zones;

fn main() {}
