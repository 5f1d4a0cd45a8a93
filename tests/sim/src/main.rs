//! Whole clusters in virtual time: network and disk faults, Byzantine replicas, invariants after every step.

fn main() {
    println!("cargo run -r -p sim -- --seeds 5000");
}
