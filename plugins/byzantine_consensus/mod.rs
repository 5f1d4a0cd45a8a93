//! PBFT before the answer: `byzantine-consensus`.

/// The replicas of this process, by identity. They outlive a reload of the configuration.
#[derive(Default)]
pub struct Nodes {}
