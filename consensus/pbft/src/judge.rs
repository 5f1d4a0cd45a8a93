//! What a header must say about a batch, for the primary that writes it and the backup that votes for it.
//!
//! A pure function of the proposal, the decided log and the cluster file. Whatever is read here from anywhere else is a bug.

use std::collections::{BTreeSet, VecDeque};

use certificate::{Digest, Domain, Sequence, Signature, SlotHeader};

use crate::batch::{BatchEvidence, lower_median, root};
use crate::state::{LogState, Point};
use crate::{
    Application, Batch, Keyring, Parameters, PrePrepare, Refusal, SignedObservations, VERIFIED_SETS_MAX,
    observation,
};

/// Signatures of observations that were found valid, so that a proposal full of them costs nothing.
#[derive(Default)]
pub(crate) struct VerifiedSets {
    known: BTreeSet<Digest>,
    /// Oldest first.
    order: VecDeque<Digest>,
}

impl VerifiedSets {
    /// Whether the set's signature is valid.
    pub(crate) fn verify(
        &mut self,
        set: &SignedObservations,
        domain: &Domain,
        keyring: &impl Keyring,
    ) -> bool {
        self.verify_digests(set, &set.digests(), domain, keyring)
    }

    fn verify_digests(
        &mut self,
        set: &SignedObservations,
        digests: &[Digest],
        domain: &Domain,
        keyring: &impl Keyring,
    ) -> bool {
        let preimage = observation::preimage(domain, set.replica, digests);
        let key = key_of(&preimage, &set.signature);
        if self.known.contains(&key) {
            return true;
        }
        if !keyring.verify(set.replica, &preimage, &set.signature) {
            return false;
        }
        self.insert(key);
        true
    }

    /// Remembers an own signature.
    pub(crate) fn insert_own(&mut self, set: &SignedObservations, domain: &Domain) {
        self.insert(key_of(&set.preimage(domain), &set.signature));
    }

    fn insert(&mut self, key: Digest) {
        if !self.known.insert(key) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > VERIFIED_SETS_MAX {
            let oldest = self.order.pop_front().expect("the order is not empty");
            self.known.remove(&oldest);
        }
    }
}

fn key_of(preimage: &[u8], signature: &Signature) -> Digest {
    Digest::of_parts(&[&signature.0, preimage])
}

/// What a batch gives once it is judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Verdict {
    /// The leaf of each operation.
    pub(crate) leaves: Vec<Vec<u8>>,
    /// Time and digest of each observation, for the log to remember.
    pub(crate) used: Vec<(u64, Digest)>,
}

impl Verdict {
    /// Of a null slot.
    pub(crate) fn null() -> Verdict {
        Verdict { leaves: Vec::new(), used: Vec::new() }
    }

    pub(crate) fn of(leaves: Vec<Vec<u8>>, evidence: &BatchEvidence<'_>) -> Verdict {
        let observations = evidence.entries.iter().flatten();
        Verdict {
            leaves,
            used: observations.map(|found| (found.observation.time_ms, found.digest)).collect(),
        }
    }
}

/// The time of a slot: the lower median of all included observations, not before the log's time at the prefix.
pub(crate) fn time_of(times: Vec<u64>, prefix: &Point) -> u64 {
    lower_median(times).unwrap_or(0).max(prefix.time_ms)
}

/// The header that follows from a batch and the log it is judged against.
pub(crate) fn header_of(
    sequence: Sequence,
    batch: &Batch,
    evidence: &BatchEvidence<'_>,
    leaves: &[Vec<u8>],
    (prefix, parameters): (&Point, &Parameters),
) -> SlotHeader {
    let times = evidence.entries.iter().flatten().map(|evidence| evidence.observation.time_ms).collect();
    SlotHeader {
        sequence,
        kinds: batch.kinds(),
        entries: batch.operations.len() as u16,
        leaves_root: root(leaves),
        observations_root: root(&batch.leaves_of(evidence)),
        time_ms: time_of(times, prefix),
        cluster_digest: parameters.cluster_digest,
        prefix_sequence: prefix.sequence,
        prefix_digest: prefix.history,
    }
}

/// Judges a proposal whose prefix is executed; gives what it decides.
pub(crate) fn judge(
    proposal: &PrePrepare,
    log: &LogState,
    verified: &mut VerifiedSets,
    parameters: &Parameters,
    (application, keyring): (&impl Application, &impl Keyring),
) -> Result<Verdict, Refusal> {
    let (header, batch) = (&proposal.header, proposal.batch.as_ref());
    let prefix = log
        .point(header.prefix_sequence)
        .ok_or(Refusal::PrefixSequence { pipeline: parameters.pipeline, prefix: header.prefix_sequence })?;
    if prefix.history != header.prefix_digest {
        return Err(Refusal::PrefixDigest);
    }
    if header.cluster_digest != parameters.cluster_digest {
        return Err(Refusal::ClusterDigest);
    }
    check_size(batch, parameters)?;
    let evidence = batch.evidence()?;
    if header.kinds != batch.kinds() {
        return Err(Refusal::Kinds);
    }
    if usize::from(header.entries) != batch.operations.len() {
        return Err(Refusal::Entries);
    }
    check_observations(header, &evidence, (log, &prefix), parameters, application)?;
    for (set, digests) in batch.sets.iter().zip(&evidence.digests) {
        if !verified.verify_digests(set, digests, &parameters.domain, keyring) {
            return Err(Refusal::ObservationSignature(set.replica));
        }
    }
    let leaves = batch.decided_by(&evidence, application);
    let expected = header_of(header.sequence, batch, &evidence, &leaves, (&prefix, parameters));
    if expected.time_ms != header.time_ms {
        return Err(Refusal::Time { expected_ms: expected.time_ms, found_ms: header.time_ms });
    }
    if expected.observations_root != header.observations_root {
        return Err(Refusal::ObservationsRoot);
    }
    if expected.leaves_root != header.leaves_root {
        return Err(Refusal::LeavesRoot);
    }
    assert_eq!(expected, *header, "every field of the header was compared");
    Ok(Verdict::of(leaves, &evidence))
}

fn check_size(batch: &Batch, parameters: &Parameters) -> Result<(), Refusal> {
    let (found, most) = (batch.operations.len(), parameters.batch_entries);
    if found > most {
        return Err(Refusal::TooManyEntries { most, found });
    }
    let (found, most) = (batch.encoded_len(), parameters.batch_bytes);
    if found > most {
        return Err(Refusal::TooManyBytes { most, found });
    }
    let stranger = batch.sets.iter().find(|set| !parameters.replicas.contains(set.replica));
    stranger.map_or(Ok(()), |set| Err(Refusal::UnknownReplica(set.replica)))
}

/// Every included observation must count, and every entry needs a quorum of them.
fn check_observations(
    header: &SlotHeader,
    evidence: &BatchEvidence<'_>,
    (log, prefix): (&LogState, &Point),
    parameters: &Parameters,
    application: &impl Application,
) -> Result<(), Refusal> {
    let quorum = parameters.replicas.quorum();
    let longest = parameters.observation_bytes_max();
    for (entry, observations) in evidence.entries.iter().enumerate() {
        if observations.len() < quorum {
            return Err(Refusal::TooFewObservations { entry, quorum, found: observations.len() });
        }
        for found in observations {
            let (replica, observation) = (found.replica, found.observation);
            if observation.encoded_len() > longest {
                return Err(Refusal::ObservationBytes { entry, replica });
            }
            match standing(observation.time_ms, found.digest, header.time_ms, (log, prefix), parameters) {
                Standing::Counts => {}
                Standing::Stale => return Err(Refusal::StaleObservation { entry, replica }),
                Standing::Future => return Err(Refusal::FutureObservation { entry, replica }),
                Standing::Used => return Err(Refusal::UsedObservation { entry, replica }),
            }
            if !application.check(&observation.operation, replica, &observation.payload) {
                return Err(Refusal::MalformedObservation { entry, replica });
            }
        }
    }
    Ok(())
}

/// How an observation stands towards a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Counts,
    /// Older than the log's window at the prefix.
    Stale,
    /// Later than the slot's time by more than the window. Without this rule a liar's far future would be remembered for ever.
    Future,
    /// Used by the decided prefix.
    Used,
}

/// How an observation stands towards a slot of `time_ms` that is judged against `prefix`.
pub(crate) fn standing(
    observed_ms: u64,
    digest: Digest,
    time_ms: u64,
    (log, prefix): (&LogState, &Point),
    parameters: &Parameters,
) -> Standing {
    if observed_ms < prefix.floor_ms {
        Standing::Stale
    } else if observed_ms > time_ms.saturating_add(parameters.observation_window_ms) {
        Standing::Future
    } else if log.is_used(observed_ms, digest, prefix.sequence) {
        Standing::Used
    } else {
        Standing::Counts
    }
}

/// Whether the header's roots bind the batch, for a slot that a quorum's commits vouch for; gives what it decides.
pub(crate) fn bound(header: &SlotHeader, batch: &Batch, application: &impl Application) -> Option<Verdict> {
    if *header == SlotHeader::null(header.sequence, header.cluster_digest) {
        return (*batch == Batch::default()).then(Verdict::null);
    }
    let evidence = batch.evidence().ok()?;
    let checked = evidence.entries.iter().flatten().all(|found| {
        application.check(&found.observation.operation, found.replica, &found.observation.payload)
    });
    if !checked || root(&batch.leaves_of(&evidence)) != header.observations_root {
        return None;
    }
    let leaves = batch.decided_by(&evidence, application);
    let holds = root(&leaves) == header.leaves_root
        && header.kinds == batch.kinds()
        && usize::from(header.entries) == leaves.len();
    holds.then(|| Verdict::of(leaves, &evidence))
}
