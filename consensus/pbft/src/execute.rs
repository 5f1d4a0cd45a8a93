//! Executing what is decided, in order and without gaps. Castro & Liskov 1999 §4.2.

use certificate::{Digest, Sequence};

use crate::replica::Replica;
use crate::{Application, Decided, DecidedSlot, Keyring, judge};

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Executes the next slot if it is decided.
    pub(crate) fn execute_next(&mut self) -> bool {
        let sequence = self.executed().next();
        let Some(decision) = self.slots.get_mut(&sequence).and_then(|slot| slot.decided.as_mut()) else {
            return false;
        };
        let verdict = match decision.verdict.take() {
            Some(verdict) => verdict,
            None => judge::bound(&decision.slot.header, &decision.slot.batch, &self.application)
                .expect("a slot is decided only when its body holds"),
        };
        let DecidedSlot { header, batch, certificate } = decision.slot.clone();
        self.log.execute(&header, verdict.used.iter().copied(), &self.parameters);
        self.clocks.progress(self.now.monotonic_ms);
        self.note_progress(certificate.view);
        self.release_others(sequence, certificate.digest);
        for operation in &batch.operations {
            self.on_decided(&operation.digest(), sequence);
        }
        self.ready.decided.push(Decided {
            header,
            view: certificate.view,
            leaves: verdict.leaves,
            operations: batch.operations.clone(),
            signers: certificate.signers,
            signatures: certificate.signatures,
            evidence: batch,
        });
        self.touched.extend((1..=self.parameters.pipeline).map(|ahead| Sequence(sequence.0 + ahead)));
        self.checkpoints.take(&self.log, self.parameters.checkpoint_interval);
        true
    }

    /// Operations of a proposal that lost its slot to another digest are not in flight any more.
    fn release_others(&mut self, sequence: Sequence, decided: Digest) {
        let Some(accepted) = self.slots.get(&sequence).and_then(|slot| slot.accepted.as_ref()) else {
            return;
        };
        if accepted.digest == decided {
            return;
        }
        let lost: Vec<Digest> =
            accepted.proposal.batch.operations.iter().map(|operation| operation.digest()).collect();
        for digest in lost {
            self.requests.set_in_flight(&digest, None);
            self.reassess(&digest);
        }
    }
}
