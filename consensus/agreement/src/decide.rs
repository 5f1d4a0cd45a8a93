//! The decision: from the observations of one question to the leaf of its certificate. Pure, total, and the same for every order of the observations.
//!
//! Rules, first match wins: fewer than a quorum count: no agreement; what DNSSEC proves; a value with enough equal supporters; by policy, each link and
//! record on its own; enough failures; no agreement. At most f liars can therefore never insert a record below class `secure`, only withhold one.

use std::collections::BTreeMap;

use certificate::cluster::Cluster;
use certificate::codec::Encode;
use certificate::leaf::{Class, Leaf, Policy, Question, Subject};
use certificate::{Remark, ReplicaSet};

use crate::canonical::{REFUSED, SERVFAIL};
use crate::counted::{Observation, counted};
use crate::observation::ObservedOutcome;
use crate::per_record;
use crate::proofs::{self, Proofs};
use crate::round::{Finding, Round};
use crate::tally::{self, Tally, tally};

pub use crate::round::{FAILURE_TTL_SECONDS, NO_AGREEMENT_TTL_SECONDS};

/// What was decided about one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What the certificate binds.
    pub leaf: Leaf,
    /// The records served beside it, in the form of [`crate::extra`]; the leaf holds their digest.
    pub extra: Vec<u8>,
}

/// What every rule judges by.
pub(crate) struct Bench<'a> {
    pub(crate) question: &'a Question,
    pub(crate) round: Round<'a>,
}

/// Decides `question` by the policy of its zone in `cluster`.
///
/// `observations` are those that the batch includes; each has passed [`crate::check::check`]. Their order does not matter. TTL: the least that a counted
/// supporter signed, at most the cluster's `ttl-max`, without a floor, so that a liar can shorten a life and never extend one. The leaf's verdict is the
/// remark that the supporters agree on, if any.
pub fn decide(
    cluster: &Cluster,
    question: &Question,
    observations: &[Observation<'_>],
    proofs: &dyn Proofs,
) -> Decision {
    let policy = cluster.policy_for(&question.name).1;
    let bench = Bench { question, round: Round::new(cluster, policy, observations) };
    let finding = if bench.round.has_quorum() { find(&bench, proofs) } else { None };
    let mut finding = finding.unwrap_or_else(Finding::nothing);
    finding.verdict = remark(&bench.round, finding.support).map(Encode::to_bytes).unwrap_or_default();
    let extra = finding.extra.clone();
    Decision { leaf: bench.round.leaf(Subject::Resolve(question.clone()), finding), extra }
}

/// The remark that more than half of the supporters made, and at least f+1 of them, so that an honest one did.
///
/// Whether an answer is certified never depends on it: to withhold a remark is all that a liar can do.
fn remark<'a>(round: &Round<'a>, support: ReplicaSet) -> Option<&'a Remark> {
    let mut made: BTreeMap<&'a Remark, usize> = BTreeMap::new();
    for observation in round.counted.iter().filter(|observation| support.contains(observation.replica)) {
        if let Some(remark) = &observation.observed.remark {
            *made.entry(remark).or_default() += 1;
        }
    }
    let enough = (support.len() / 2 + 1).max(round.cluster.replicas.weak_quorum());
    made.into_iter().find(|(_, count)| *count >= enough).map(|(remark, _)| remark)
}

/// Says whether waiting for more observations is useless: a quorum agrees already, on a value or on failing.
pub fn settled(cluster: &Cluster, question: &Question, observations: &[Observation<'_>]) -> bool {
    let counted = counted(cluster, observations);
    let quorum = cluster.replicas.quorum();
    let (vouched, failed): (Vec<_>, Vec<_>) =
        counted.iter().copied().partition(|observation| tally::vouches(question, observation.observed));
    failed.len() >= quorum || tally(vouched).iter().any(|tally| tally.supporters.len() >= quorum)
}

fn find(bench: &Bench<'_>, proofs: &dyn Proofs) -> Option<Finding> {
    let proven = proofs::proven(proofs, bench.question, &bench.round.counted, bench.round.time_ms);
    if let Some(finding) = secure(bench, &proven.secure) {
        return Some(finding);
    }
    let values_count = !proven.signed && bench.round.policy != Policy::Dnssec;
    let by_value = if values_count { exact(bench) } else { None };
    by_value
        .or_else(|| {
            if values_count && allows_records(bench.round.policy) { per_record::find(bench) } else { None }
        })
        .or_else(|| failure(bench))
}

/// Whether the policy lets each record stand on its own. `bypass` never reaches a decision; if it does, it is decided like the default.
fn allows_records(policy: Policy) -> bool {
    match policy {
        Policy::Records | Policy::Observe | Policy::Bypass => true,
        Policy::Strong | Policy::Corroborated | Policy::Dnssec => false,
    }
}

/// The proven value: one honest relay is enough. Of two, the one with more supporters, then the later signature, then the smaller digest.
fn secure(bench: &Bench<'_>, secure: &[Observation<'_>]) -> Option<Finding> {
    let winner = tally(secure.iter().copied()).into_iter().max_by_key(|tally| {
        let newest =
            tally.supporters.iter().map(|supporter| proofs::newest_inception(supporter.observed)).max();
        (tally.supporters.len(), newest, std::cmp::Reverse(tally.value().value_digest()))
    })?;
    of_value(bench, &winner, Class::Secure)
}

/// The value that enough observations hold exactly. A majority is asked for, so there is at most one.
fn exact(bench: &Bench<'_>) -> Option<Finding> {
    let vouched =
        bench.round.counted.iter().filter(|observation| tally::vouches(bench.question, observation.observed));
    let tallies = tally(vouched.copied());
    let winner = tallies.iter().find(|tally| tally.supporters.len() >= bench.round.threshold())?;
    of_value(bench, winner, bench.round.class_of(winner.supporters.len()))
}

fn of_value(bench: &Bench<'_>, tally: &Tally<'_>, class: Class) -> Option<Finding> {
    let (outcome, ttl) = tally.outcome(bench.round.cluster.ttl_max_s)?;
    let support = tally.support();
    let extra = tally.supporters[0].observed.extra.clone();
    Some(Finding { class, outcome, ttl, support, extra, ..Finding::nothing() })
}

/// Enough observations that hold no value. REFUSED when enough of them say so, else SERVFAIL.
fn failure(bench: &Bench<'_>) -> Option<Finding> {
    let failed = || {
        let counted = bench.round.counted.iter();
        counted.filter(|observation| !tally::vouches(bench.question, observation.observed))
    };
    let all: ReplicaSet = failed().map(|observation| observation.replica).collect();
    let refused: ReplicaSet = failed()
        .filter(|observation| observation.observed.outcome == ObservedOutcome::Failure(REFUSED))
        .map(|observation| observation.replica)
        .collect();
    let enough = |support: ReplicaSet| support.len() >= bench.round.threshold();
    let (rcode, support) = if enough(refused) { (REFUSED, refused) } else { (SERVFAIL, all) };
    enough(support).then(|| Finding::failure(rcode, support))
}
