//! S1: no two honest replicas decide differently, slot by slot and as a prefix; and what a slot released early is what it decides.

use std::collections::BTreeMap;

use certificate::{Digest, Sequence, SlotHeader};

use super::Step;

/// What was decided.
#[derive(Default)]
pub(super) struct Agreement {
    digests: BTreeMap<Sequence, Digest>,
    /// Of the log up to and including the slot.
    histories: BTreeMap<Sequence, Digest>,
    highest: Sequence,
}

impl Agreement {
    pub(super) fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        for early in &step.ready.early {
            let (sequence, digest) = (early.header.sequence, early.header.digest());
            self.fix(sequence, digest)?;
            if super::root(&early.leaves) != early.header.leaves_root {
                return Err(format!("slot {sequence}: leaves released early are not those of the header"));
            }
        }
        step.ready.decided.iter().try_for_each(|decided| self.decide(&decided.header))
    }

    pub(super) fn forget(&mut self, below: Sequence) {
        self.digests = self.digests.split_off(&below);
        self.histories = self.histories.split_off(&below);
    }

    pub(super) fn decided(&self) -> usize {
        self.highest.0 as usize
    }

    fn decide(&mut self, header: &SlotHeader) -> Result<(), String> {
        let sequence = header.sequence;
        self.fix(sequence, header.digest())?;
        let before = self.history(Sequence(sequence.0.saturating_sub(1)));
        let Some(before) = before else { return Ok(()) };
        self.histories.insert(sequence, header.extend_history(before));
        match self.history(header.prefix_sequence) {
            Some(history) if header.entries > 0 && history != header.prefix_digest => {
                Err(format!("slot {sequence} stands on another prefix up to {}", header.prefix_sequence))
            }
            _ => Ok(()),
        }
    }

    fn fix(&mut self, sequence: Sequence, digest: Digest) -> Result<(), String> {
        self.highest = self.highest.max(sequence);
        let first = *self.digests.entry(sequence).or_insert(digest);
        if first != digest {
            return Err(format!("slot {sequence} is {} here, and was {}", digest.short(), first.short()));
        }
        Ok(())
    }

    fn history(&self, sequence: Sequence) -> Option<Digest> {
        if sequence.0 == 0 { Some(Digest::ZERO) } else { self.histories.get(&sequence).copied() }
    }
}
