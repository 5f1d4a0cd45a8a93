//! S3: whatever an honest replica executes follows from its evidence: q signed observations an entry, none used before, and the leaf that an
//! independent count of them gives.

use std::collections::{BTreeMap, BTreeSet};

use certificate::{Digest, ReplicaId, ReplicaSet, Sequence, SlotHeader};
use pbft::{Counted, Decided, Keyring, Operation};

use super::{Laws, Step};
use crate::application::{FAILURE_TTL, Finding, NOTHING_TTL, Sight};

/// Which observations were used, by slot.
#[derive(Default)]
pub(super) struct Recomputation {
    judged: BTreeSet<Sequence>,
    used: BTreeMap<(ReplicaId, Digest), Sequence>,
}

impl Recomputation {
    pub(super) fn check(&mut self, step: &Step<'_>, laws: &Laws) -> Result<(), String> {
        for decided in &step.ready.decided {
            let sequence = decided.header.sequence;
            if super::root(&decided.leaves) != decided.header.leaves_root {
                return Err(format!("slot {sequence}: the leaves are not those of the header"));
            }
            if decided.operations != decided.evidence.operations {
                return Err(format!("slot {sequence}: the operations are not those of the evidence"));
            }
            if self.judged.insert(sequence) {
                self.judge(decided, laws).map_err(|found| format!("slot {sequence}: {found}"))?;
            }
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, below: Sequence) {
        self.judged = self.judged.split_off(&below);
        self.used.retain(|_, slot| *slot >= below);
    }

    fn judge(&mut self, decided: &Decided, laws: &Laws) -> Result<(), String> {
        let header = &decided.header;
        if header.entries == 0 {
            let null = SlotHeader::null(header.sequence, laws.parameters.cluster_digest);
            return if *header == null {
                Ok(())
            } else {
                Err("an empty slot that is not the null one".to_string())
            };
        }
        let observations = decided.evidence.observations();
        if observations.len() != decided.leaves.len() || decided.leaves.len() != decided.operations.len() {
            return Err(format!("{} leaves of {} entries", decided.leaves.len(), observations.len()));
        }
        let entries = decided.operations.iter().zip(&decided.leaves).zip(&observations);
        for ((operation, leaf), observations) in entries {
            check_entry(operation, leaf, observations, laws)?;
        }
        for set in &decided.evidence.sets {
            let preimage = set.preimage(&laws.parameters.domain);
            if !laws.keys.verify(set.replica, &preimage, &set.signature) {
                return Err(format!("an observation that replica {} did not sign", set.replica));
            }
            for item in &set.items {
                let pbft::Item::Full(_) = item else { continue };
                let key = (set.replica, item.digest(set.replica));
                let first = *self.used.entry(key).or_insert(decided.header.sequence);
                // A slot does not know what those in flight beside it use; it does know its prefix.
                if first <= decided.header.prefix_sequence {
                    return Err(format!("an observation of replica {} that slot {first} used", set.replica));
                }
            }
        }
        Ok(())
    }
}

fn check_entry(
    operation: &Operation,
    leaf: &[u8],
    observations: &[Counted<'_>],
    laws: &Laws,
) -> Result<(), String> {
    let observers: ReplicaSet = observations.iter().map(|counted| counted.replica).collect();
    if observers.len() < laws.quorum() || observers.len() != observations.len() {
        return Err(format!("{} observers, a quorum is {}", observers.len(), laws.quorum()));
    }
    let found = laws.judge.finding(operation, leaf).ok_or("a leaf of another question, or none")?;
    let expected = recompute(observations, laws);
    if found != expected {
        return Err(format!("the leaf says {found:?}, the evidence {expected:?}"));
    }
    Ok(())
}

/// The rule, written a second time: a majority and f+1, or a quorum, of equal sights.
fn recompute(observations: &[Counted<'_>], laws: &Laws) -> Finding {
    let mut times: Vec<u64> = observations.iter().map(|counted| counted.time_ms).collect();
    times.sort_unstable();
    let median = times[(times.len() - 1) / 2];
    // `agreement` leaves out what is far from the median; the toy does not.
    let window_ms = laws.judge.cluster().map_or(u64::MAX, |cluster| cluster.observation_window_ms);
    let sights: Vec<(ReplicaId, Sight)> = observations
        .iter()
        .filter(|counted| counted.time_ms.abs_diff(median) <= window_ms)
        .filter_map(|counted| Some((counted.replica, laws.judge.sight(counted.payload)?)))
        .collect();
    let threshold = laws.judge.threshold(laws.shape, sights.len());
    let enough = sights.len() >= laws.quorum();
    for (_, candidate) in sights.iter().filter(|_| enough) {
        let equal = || sights.iter().filter(|(_, sight)| sight.value == candidate.value);
        if equal().count() >= threshold {
            let least = equal().map(|(_, sight)| sight.ttl).min().unwrap_or(0);
            let most = laws.judge.cluster().map_or(u32::MAX, |cluster| cluster.ttl_max_s);
            let ttl = if candidate.value == 0 { FAILURE_TTL } else { least.min(most) };
            let support = equal().map(|(replica, _)| *replica).collect();
            return Finding { value: Some(candidate.value), ttl, support };
        }
    }
    Finding { value: None, ttl: NOTHING_TTL, support: ReplicaSet::EMPTY }
}
