//! The rules of a cluster file, as the state machine knows them.

use certificate::{Cluster, ReplicaId};
use pbft::{Pace, Parameters};

/// What every replica of the cluster goes by; pace, waits and the fast path are the defaults.
pub(crate) fn rules(cluster: &Cluster, me: ReplicaId) -> Parameters {
    let entries = usize::from(cluster.batch_entries);
    let pipeline = u64::from(cluster.pipeline);
    Parameters {
        checkpoint_interval: cluster.checkpoint_interval,
        window: cluster.window(),
        batch_entries: entries,
        batch_bytes: cluster.batch_bytes as usize,
        pipeline,
        observation_window_ms: cluster.observation_window_ms,
        pace: Pace { entries, pipeline },
        ..Parameters::new(me, cluster.replicas, cluster.domain(), cluster.digest())
    }
}
