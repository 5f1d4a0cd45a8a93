//! The decision: from the observations of one question to the leaf of its certificate. Pure, total, and the same for every order of the observations.
//!
//! Rules, first match wins: fewer than a quorum count: no agreement; what DNSSEC proves; a value with enough equal supporters; by policy, each link and
//! record on its own; enough failures; no agreement. At most f liars can therefore never insert a record below class `secure`, only withhold one.

use certificate::ReplicaSet;
use certificate::cluster::Cluster;
use certificate::leaf::{Class, Leaf, Outcome, Policy, Question, Subject};

use crate::canonical::{REFUSED, SERVFAIL};
use crate::counted::{self, Observation, counted};
use crate::extra;
use crate::observation::ObservedOutcome;
use crate::per_record;
use crate::proofs::{self, Proofs};
use crate::tally::{self, Tally, tally};

/// How long a certified failure holds, in seconds. RFC 9520 §3.2 asks for at least 1 s and allows 5 min.
pub const FAILURE_TTL_SECONDS: u32 = 5;

/// How long "no agreement" holds, in seconds: the least that RFC 9520 §3.2 allows, since the next round may well agree.
pub const NO_AGREEMENT_TTL_SECONDS: u32 = 1;

/// What was decided about one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What the certificate binds.
    pub leaf: Leaf,
    /// The records served beside it, in the form of [`crate::extra`]; the leaf holds their digest.
    pub extra: Vec<u8>,
}

/// What one rule found.
pub(crate) struct Finding {
    pub(crate) class: Class,
    pub(crate) outcome: Outcome,
    pub(crate) ttl: u32,
    pub(crate) support: ReplicaSet,
    pub(crate) extra: Vec<u8>,
}

/// What every rule judges by.
pub(crate) struct Bench<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) question: &'a Question,
    pub(crate) policy: Policy,
    /// The members whose observations are included, those that do not count among them.
    pub(crate) observers: ReplicaSet,
    /// The observations that count, lowest replica first.
    pub(crate) counted: &'a [Observation<'a>],
    /// The lower median of their times.
    pub(crate) time_ms: u64,
}

impl Bench<'_> {
    /// t: how many equal observations the policy asks for. `strong` a quorum; otherwise a majority of those that count, and f+1.
    pub(crate) fn threshold(&self) -> usize {
        let majority = self.counted.len() / 2 + 1;
        match self.policy {
            Policy::Strong => self.cluster.replicas.quorum(),
            _ => majority.max(self.cluster.replicas.weak_quorum()),
        }
    }
}

/// Decides `question` by the policy of its zone in `cluster`.
///
/// `observations` are those that the batch includes; each has passed [`crate::check::check`]. Their order does not matter. TTL: the least that a counted
/// supporter signed, at most the cluster's `ttl-max`, without a floor, so that a liar can shorten a life and never extend one.
pub fn decide(
    cluster: &Cluster,
    question: &Question,
    observations: &[Observation<'_>],
    proofs: &dyn Proofs,
) -> Decision {
    let counted = counted(cluster, observations);
    let policy = cluster.policy_for(&question.name).1;
    let time_ms = counted::lower_median(&counted);
    let included = observations.iter().map(|observation| observation.replica);
    let observers = included.filter(|replica| cluster.replicas.contains(*replica)).collect();
    let bench = Bench { cluster, question, policy, observers, counted: &counted, time_ms };
    let finding = if counted.len() < cluster.replicas.quorum() { None } else { find(&bench, proofs) };
    conclude(&bench, finding)
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
    let proven = proofs::proven(proofs, bench.question, bench.counted, bench.time_ms);
    if let Some(finding) = secure(bench, &proven.secure) {
        return Some(finding);
    }
    let values_count = !proven.signed && bench.policy != Policy::Dnssec;
    let by_value = if values_count { exact(bench) } else { None };
    by_value
        .or_else(|| if values_count && allows_records(bench.policy) { per_record::find(bench) } else { None })
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
        bench.counted.iter().filter(|observation| tally::vouches(bench.question, observation.observed));
    let tallies = tally(vouched.copied());
    let winner = tallies.iter().find(|tally| tally.supporters.len() >= bench.threshold())?;
    let strong = winner.supporters.len() >= bench.cluster.replicas.quorum();
    of_value(bench, winner, if strong { Class::Strong } else { Class::Corroborated })
}

fn of_value(bench: &Bench<'_>, tally: &Tally<'_>, class: Class) -> Option<Finding> {
    let (outcome, ttl) = tally.outcome(bench.cluster.ttl_max_s)?;
    let support = tally.support();
    let extra = tally.supporters[0].observed.extra.clone();
    Some(Finding { class, outcome, ttl, support, extra })
}

/// Enough observations that hold no value. REFUSED when enough of them say so, else SERVFAIL.
fn failure(bench: &Bench<'_>) -> Option<Finding> {
    let failed =
        || bench.counted.iter().filter(|observation| !tally::vouches(bench.question, observation.observed));
    let all: ReplicaSet = failed().map(|observation| observation.replica).collect();
    let refused: ReplicaSet = failed()
        .filter(|observation| observation.observed.outcome == ObservedOutcome::Failure(REFUSED))
        .map(|observation| observation.replica)
        .collect();
    let enough = |support: ReplicaSet| support.len() >= bench.threshold();
    let (rcode, support) = if enough(refused) { (REFUSED, refused) } else { (SERVFAIL, all) };
    enough(support).then(|| Finding {
        class: Class::Failure,
        outcome: Outcome::Failure(rcode),
        ttl: FAILURE_TTL_SECONDS,
        support,
        extra: Vec::new(),
    })
}

/// Writes down what was found, or that nothing was.
fn conclude(bench: &Bench<'_>, finding: Option<Finding>) -> Decision {
    let finding = finding.unwrap_or(Finding {
        class: Class::NoAgreement,
        outcome: Outcome::None,
        ttl: NO_AGREEMENT_TTL_SECONDS,
        support: ReplicaSet::EMPTY,
        extra: Vec::new(),
    });
    let ttl = finding.ttl.min(bench.cluster.ttl_max_s);
    let groups = bench.cluster.groups_of(finding.support);
    let answered = finding.class >= Class::Records;
    let leaf = Leaf {
        subject: Subject::Resolve(bench.question.clone()),
        class: finding.class,
        policy: bench.policy,
        single_path: answered && groups.count_ones() < bench.cluster.min_groups,
        outcome: finding.outcome,
        extra_digest: extra::digest(&finding.extra),
        ttl,
        time_ms: bench.time_ms,
        not_after_ms: bench.time_ms.saturating_add(u64::from(ttl) * 1000),
        support: finding.support,
        groups,
        observers: bench.observers,
        verdict: Vec::new(),
    };
    Decision { leaf, extra: finding.extra }
}
