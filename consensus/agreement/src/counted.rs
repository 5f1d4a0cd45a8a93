//! Which of the included observations count: one a replica, of members, made at about the same time.

use std::collections::BTreeMap;

use certificate::ReplicaId;
use certificate::cluster::Cluster;
use certificate::codec::Encode;

use crate::observation::Observed;

/// One replica's observation, with the time that it signed: of a DNS question, unless said otherwise.
#[derive(Debug)]
pub struct Observation<'a, T = Observed> {
    /// Who observed.
    pub replica: ReplicaId,
    /// When, in milliseconds since 1970, by its own clock.
    pub time_ms: u64,
    /// What.
    pub observed: &'a T,
}

impl<T> Clone for Observation<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Observation<'_, T> {}

/// The observations that count, lowest replica first, whatever order they came in.
///
/// Strangers are dropped. A replica that is there twice counts once, with its earlier observation. Those further from the lower median of all than the
/// cluster's observation window are dropped: a value of yesterday must not meet one of today.
pub(crate) fn counted<'a, T: Encode>(
    cluster: &Cluster,
    observations: &[Observation<'a, T>],
) -> Vec<Observation<'a, T>> {
    let mut by_replica: BTreeMap<ReplicaId, Observation<'a, T>> = BTreeMap::new();
    for observation in
        observations.iter().filter(|observation| cluster.replicas.contains(observation.replica))
    {
        let kept = by_replica.entry(observation.replica).or_insert(*observation);
        let order = |observation: &Observation<'_, T>| (observation.time_ms, observation.observed.to_bytes());
        if kept.time_ms >= observation.time_ms && order(observation) < order(kept) {
            *kept = *observation;
        }
    }
    let all: Vec<Observation<'a, T>> = by_replica.into_values().collect();
    let median = lower_median(&all);
    all.into_iter()
        .filter(|observation| observation.time_ms.abs_diff(median) <= cluster.observation_window_ms)
        .collect()
}

/// The lower median of the times; 0 of none.
///
/// Among at least a quorum of observations at least f+1 honest times stand on either side of it or at it, so at most f liars cannot move it beyond the honest ones.
pub(crate) fn lower_median<T>(observations: &[Observation<'_, T>]) -> u64 {
    let mut times: Vec<u64> = observations.iter().map(|observation| observation.time_ms).collect();
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}
