//! S5: slots execute in order and without gaps, except over a state that a quorum signed; what was reported decided stays so across restarts.

use std::collections::BTreeMap;

use certificate::{Digest, ReplicaId, Sequence};

use super::{Laws, Step, stable_of};

/// What each replica reported.
#[derive(Default)]
pub(super) struct Execution {
    executed: BTreeMap<ReplicaId, Sequence>,
    reported: BTreeMap<(ReplicaId, Sequence), Digest>,
}

impl Execution {
    pub(super) fn check(&mut self, step: &Step<'_>, laws: &Laws) -> Result<(), String> {
        let me = step.replica;
        let mut executed = self.executed.get(&me).copied().unwrap_or_default();
        if let Some((stable, _)) = stable_of(step.ready) {
            executed = skipped_to(step, executed, stable, laws);
        }
        for decided in &step.ready.decided {
            let (sequence, digest) = (decided.header.sequence, decided.header.digest());
            if sequence.0 != executed.0 + 1 {
                return Err(format!("executed slot {sequence} after {executed}"));
            }
            executed = sequence;
            let first = *self.reported.entry((me, sequence)).or_insert(digest);
            if first != digest {
                let (first, digest) = (first.short(), digest.short());
                return Err(format!("slot {sequence} was decided as {first}, now as {digest}"));
            }
        }
        if step.status.executed != executed {
            return Err(format!("reported slots up to {executed}, says {}", step.status.executed));
        }
        self.executed.insert(me, executed);
        Ok(())
    }

    pub(super) fn forget(&mut self, below: Sequence) {
        self.reported.retain(|(_, slot), _| *slot >= below);
    }

    /// What its log holds is executed, and is not reported again.
    pub(super) fn restarted(&mut self, replica: ReplicaId, executed: Sequence) {
        self.executed.insert(replica, executed);
    }
}

/// Where execution goes on in a step in which a checkpoint became stable: behind it when its state was taken instead of executing the slots.
fn skipped_to(step: &Step<'_>, executed: Sequence, stable: Sequence, laws: &Laws) -> Sequence {
    let first =
        step.ready.decided.first().map_or(step.status.executed.0 + 1, |first| first.header.sequence.0);
    let before = Sequence(first - 1);
    let at_checkpoint = before.0.is_multiple_of(laws.parameters.checkpoint_interval);
    if before > executed && before <= stable && at_checkpoint { before } else { executed }
}
