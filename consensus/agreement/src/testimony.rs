//! What each observer of a decided question said, in the form in which observers are compared over many decisions.
//!
//! DNS owes nobody the same answer everywhere, so one decision says little about an observer: whoever judges how accurate replicas are needs many, and what is
//! known of each name. This module only reduces observations to what can be compared, by the rules by which they were counted.

use certificate::cluster::Cluster;
use certificate::leaf::{Class, Leaf};
use certificate::{Digest, ReplicaId};

use crate::counted::{Observation, counted};
use crate::matches::same_answer;
use crate::observation::ObservedOutcome;
use crate::proofs::Proofs;
use crate::tally;

/// What one replica saw, as far as it can be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Testimony {
    /// A value, by a digest of its canonical form without TTLs.
    Value(Digest),
    /// A value that the DNSSEC proof behind the decision contradicts.
    Disproved,
    /// Nothing that says anything about the name: a failure, a time-out, an answer too large, or one that it found bogus itself.
    Nothing,
}

/// The testimonies behind `leaf`, which was decided from `observations` by the rules of `cluster`, lowest replica first: one of each replica whose observation
/// counted. Empty when the leaf is not about a DNS question.
///
/// `proofs` is the judge that the decision had. Under class `secure` another value is disproved, unless it has a proof of its own: a zone may be changing.
pub fn testimonies(
    cluster: &Cluster,
    leaf: &Leaf,
    observations: &[Observation<'_>],
    proofs: &dyn Proofs,
) -> Vec<(ReplicaId, Testimony)> {
    let Some(question) = leaf.question() else { return Vec::new() };
    // Most see the same, and comparing costs less than a digest.
    let mut values: Vec<(&ObservedOutcome, Digest)> = Vec::new();
    let mut value = |outcome| {
        let known = values.iter().find(|(known, _)| known.same_value(outcome));
        let digest = known.map_or_else(|| outcome.value_digest(), |(_, digest)| *digest);
        values.push((outcome, digest));
        Testimony::Value(digest)
    };
    let mut said = Vec::new();
    for Observation { replica, observed, .. } in counted(cluster, observations) {
        let is_disproved = || {
            leaf.class == Class::Secure
                && !same_answer(leaf, &observed.outcome)
                && !proofs.validates(question, observed, leaf.time_ms)
        };
        let testimony = match tally::vouches(question, observed) {
            false => Testimony::Nothing,
            true if is_disproved() => Testimony::Disproved,
            true => value(&observed.outcome),
        };
        said.push((replica, testimony));
    }
    said
}
