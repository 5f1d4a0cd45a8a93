//! S7: the low water mark, the executed slot and the view never go back, the mark not even in a crash; and it is never above what is executed.

use std::collections::BTreeMap;

use certificate::{ReplicaId, Sequence, View};
use pbft::Status;

use super::Step;

/// Where each replica stood.
#[derive(Default)]
pub(super) struct Marks {
    stood: BTreeMap<ReplicaId, (Sequence, Sequence, View)>,
}

impl Marks {
    pub(super) fn check(&mut self, step: &Step<'_>) -> Result<(), String> {
        let status = step.status;
        let (stable, executed, view) = self.stood.get(&step.replica).copied().unwrap_or_default();
        if status.stable < stable || status.executed < executed || status.view < view {
            return Err(format!(
                "went back from {stable}/{executed} in view {view} to {}/{} in view {}",
                status.stable, status.executed, status.view
            ));
        }
        if status.stable > status.executed {
            return Err(format!("the low water mark {} is above {}", status.stable, status.executed));
        }
        self.stood.insert(step.replica, (status.stable, status.executed, status.view));
        Ok(())
    }

    /// Whoever lost its disk begins anew.
    pub(super) fn lost_disk(&mut self, replica: ReplicaId) {
        self.stood.remove(&replica);
    }

    /// Decided slots may be lost with the power, and are fetched again; the mark may not.
    pub(super) fn restarted(&mut self, replica: ReplicaId, status: &Status) {
        let (stable, _, _) = self.stood.get(&replica).copied().unwrap_or_default();
        self.stood.insert(replica, (stable, status.executed, status.view));
    }
}
