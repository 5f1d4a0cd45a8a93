//! The fast path: Qf votes of one view for a digest decide it, a hop before the commits. Gueta et al. 2019 (SBFT) §V.
//!
//! By counting alone, together with the rule by which a new view chooses (`select.rs`): neither reputation nor a clock has a say. The commits go
//! their way meanwhile, the certificate is made of them alone, and nothing ever waits for this.

use certificate::{MessageType, Sequence};

use crate::replica::Replica;
use crate::{Application, Early, Keyring, Vote};

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Releases the answer of a slot once Qf replicas voted for it, the PRE-PREPARE among them.
    pub(crate) fn release_when_fast(&mut self, sequence: Sequence) {
        let needed = self.parameters.replicas.fast_quorum() - 1;
        let Some(slot) = self.slots.get_mut(&sequence).filter(|_| self.parameters.fast_path) else { return };
        if slot.released || slot.decided.is_some() || slot.prepares.len() < needed {
            return;
        }
        let Some(digest) = slot.accepted_in(self.view).map(|accepted| accepted.digest) else { return };
        let (view, phase) = (self.view, MessageType::Prepare);
        let (domain, keyring) = (&self.parameters.domain, &self.keyring);
        let verify = |vote: &Vote| vote.verify(phase, domain, keyring);
        let (quorum, invalid) = slot.prepares.quorum(view, digest, needed, verify);
        // After a restart the verdict is not at hand: the commits bring it.
        let verdict = slot.accepted.as_ref().and_then(|accepted| accepted.verdict.as_ref());
        if let (Some(_), Some(accepted), Some(verdict)) = (quorum, &slot.accepted, verdict) {
            let (proposal, leaves) = (&accepted.proposal, verdict.leaves.clone());
            let (header, evidence) = (proposal.header.clone(), proposal.batch.clone());
            let operations = evidence.operations.clone();
            self.ready.early.push(Early { header, view, leaves, operations, evidence });
            self.counts.fast += 1;
            slot.released = true;
        }
        self.blame(phase, &invalid);
    }
}
