//! S6: all honest states after a slot are equal, and so are stable checkpoints. Nobody honest finds that it diverged.

use std::collections::BTreeMap;

use certificate::{Digest, Sequence};
use pbft::{Fault, Record};

use super::Step;

/// The states that honest replicas signed or took over.
#[derive(Default)]
pub(super) struct Stability {
    states: BTreeMap<Sequence, Digest>,
}

impl Stability {
    pub(super) fn forget(&mut self, below: Sequence) {
        self.states = self.states.split_off(&below);
    }

    pub(super) fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        for record in &step.ready.persist {
            let (sequence, digest) = match record {
                Record::OwnCheckpoint(vote) => (vote.sequence, vote.digest),
                Record::Stable { certificate, .. } => (certificate.sequence, certificate.digest),
                _ => continue,
            };
            let first = *self.states.entry(sequence).or_insert(digest);
            if first != digest {
                let (first, digest) = (first.short(), digest.short());
                return Err(format!("the state after slot {sequence} is {digest}, and was {first}"));
            }
        }
        match step.ready.faults.iter().find(|fault| matches!(fault, Fault::Diverged { .. })) {
            Some(fault) => Err(fault.to_string()),
            None => Ok(()),
        }
    }
}
