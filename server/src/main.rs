//! Quorate: a DNS server whose answers a quorum has signed.
//!
//! `cli` runs a command; `serve` reads a Corefile into a `config`, which is `running` until it is replaced. A query comes in
//! through `listen` and goes to `engine`, the only entry; `admin` is for operators.

mod admin;
mod cli;
mod config;
mod cookie;
mod dump;
mod edns;
mod engine;
mod listen;
mod message;
mod outgoing;
mod per_second;
mod privileges;
mod reply;
mod running;
mod service_manager;
#[cfg(test)]
mod testing;
mod watch;
mod zones;

fn main() -> std::process::ExitCode {
    cli::main()
}
