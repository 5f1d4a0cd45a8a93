//! Which observers of a decided question were right, and which were wrong: the little of it that may be held against a replica.
//!
//! Replicas look names up on their own paths, and DNS owes nobody the same answer everywhere: a content network, a zone that has just changed, an upstream
//! that fails are no fault of the observer. So only two things count as wrong: an answer that a DNSSEC proof contradicts, and an answer that is alone against a
//! quorum of equal ones about a name that does not change. Everything else is neutral. What comes of it is a share of many questions, a local statistic
//! that weighs no vote.

use certificate::cluster::Cluster;
use certificate::leaf::{Class, Leaf, Outcome, RrSet};
use certificate::{ReplicaId, ReplicaSet};

use crate::counted::{Observation, counted};
use crate::matches::same_answer;
use crate::observation::Observed;
use crate::proofs::Proofs;
use crate::tally;

/// Judges the observers of `leaf`, which was decided from `observations` by the rules of `cluster`: `true` agrees with it, `false` is wrong. Who is not in the
/// result is judged neither way. Lowest replica first.
///
/// `proofs` is the judge that the decision had. Agreement counts where an answer was decided as a whole, from class `corroborated` on. Wrong is, under
/// class `secure`, another value without a proof of its own; under class `strong`, another value that no other replica saw, while the name is stable:
/// fewer than f+1 of the supporters remember anything else of it, and f+1 remember just what was decided, or its TTL is as long as the history, so that nobody
/// can have seen it change. A denial is never stable, since nobody remembers one: a name that has just been made is first seen by one replica.
pub fn accuracy(
    cluster: &Cluster,
    leaf: &Leaf,
    observations: &[Observation<'_>],
    proofs: &dyn Proofs,
) -> Vec<(ReplicaId, bool)> {
    let Some(question) = leaf.question() else { return Vec::new() };
    if leaf.class < Class::Corroborated {
        return Vec::new();
    }
    let counted = counted(cluster, observations);
    let is_stable = is_stable(cluster, leaf, &counted);
    let judge = |observation: &Observation<'_>| {
        let observed = observation.observed;
        if !tally::vouches(question, observed) {
            return None;
        }
        if same_answer(leaf, &observed.outcome) {
            return Some(true);
        }
        let is_wrong = match leaf.class {
            Class::Secure => !proofs.validates(question, observed, leaf.time_ms),
            Class::Strong => is_stable && is_alone(observations, observation),
            _ => false,
        };
        is_wrong.then_some(false)
    };
    counted
        .iter()
        .filter_map(|observation| judge(observation).map(|agreed| (observation.replica, agreed)))
        .collect()
}

/// Whether no other replica saw the same, in time or not.
fn is_alone(observations: &[Observation<'_>], one: &Observation<'_>) -> bool {
    observations.iter().all(|other| {
        other.replica == one.replica || !other.observed.outcome.same_value(&one.observed.outcome)
    })
}

/// Whether what was decided is what the name has held for the length of the history, as far as its supporters can tell.
///
/// Neither way do f liars decide it: f+1 must remember, and f+1 must contradict.
fn is_stable(cluster: &Cluster, leaf: &Leaf, counted: &[Observation<'_>]) -> bool {
    let Outcome::Answer(decided) = &leaf.outcome else { return false };
    let supporters = || counted.iter().filter(|observation| leaf.support.contains(observation.replica));
    let among = |holds: fn(&[RrSet], &Observed) -> bool| -> ReplicaSet {
        supporters().filter(|one| holds(decided, one.observed)).map(|one| one.replica).collect()
    };
    let weak_quorum = cluster.replicas.weak_quorum();
    let outlives_history = u64::from(leaf.ttl) * 1000 >= cluster.history_ms;
    let is_remembered = || among(remembers_all).len() >= weak_quorum;
    among(remembers_other).len() < weak_quorum && (outlives_history || is_remembered())
}

/// Whether the history holds every RRset that was decided.
fn remembers_all(decided: &[RrSet], observed: &Observed) -> bool {
    decided.iter().all(|rrset| observed.history.iter().any(|seen| seen.key() == key(rrset)))
}

/// Whether the history holds a record that was not decided.
fn remembers_other(decided: &[RrSet], observed: &Observed) -> bool {
    observed.history.iter().any(|seen| match decided.iter().find(|rrset| key(rrset) == seen.key()) {
        Some(rrset) => seen.records.iter().any(|record| !rrset.rdatas.contains(&record.rdata)),
        None => true,
    })
}

fn key(rrset: &RrSet) -> (&[u8], u16, u16) {
    (&rrset.owner, rrset.rtype, rrset.rclass)
}
