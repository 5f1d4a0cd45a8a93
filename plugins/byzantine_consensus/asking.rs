//! Waiting for a decision of the cluster: one that holds, or the next one.

use std::sync::Arc;
use std::time::Duration;

use pbft::Operation;
use tokio::time::Instant;

use super::consensus::{Consensus, wall_ms};
use super::judge;
use super::store::Held;
use crate::error::ServeError;

/// How long somebody waits for a decision while a quorum is out of reach.
const WITHOUT_QUORUM_WAIT: Duration = Duration::from_millis(300);

impl Consensus {
    /// The decision about `operation`: one that holds, or the next one, waited for until `deadline`. `None` when none came.
    ///
    /// Errors: this replica takes no more operations.
    pub(super) async fn decision(
        &self,
        operation: Operation,
        deadline: Instant,
    ) -> Result<Option<Arc<Held>>, ServeError> {
        let key = operation.digest();
        // A place is taken before the store is looked at, so that no decision falls between the two.
        let waiting = if judge::is_task(operation.kind) { &self.tasks } else { &self.waiting };
        let mut place = match waiting.join(key, Instant::now()) {
            Ok(place) => place,
            // Then nothing is decided, however little is asked: the answer says who is missing.
            Err(_) if !self.node().can_reach_quorum() => return Ok(None),
            Err(overloaded) => return Err(ServeError::NotReady(overloaded.to_string())),
        };
        if let Some(held) = self.store.valid(&key, wall_ms()) {
            self.metrics.held.inc();
            return Ok(Some(held));
        }
        if place.asks {
            let requested = self.node().request(operation);
            requested.map_err(|busy| ServeError::NotReady(busy.to_string()))?;
            place.handed();
        }
        let started = Instant::now();
        // A peer may come back at any moment, so there is a wait, but a short one.
        let reachable = self.node().can_reach_quorum();
        let deadline = if reachable { deadline } else { deadline.min(started + WITHOUT_QUORUM_WAIT) };
        let told = tokio::time::timeout_at(deadline, place.decision()).await.ok();
        if told.is_some() {
            self.metrics.decision_seconds.observe(started.elapsed().as_secs_f64());
        }
        Ok(told)
    }
}
