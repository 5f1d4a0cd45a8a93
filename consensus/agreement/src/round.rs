//! What every decision has in common, whatever it is about: whose observations count, how many equal ones are enough, and how the result is written down.

use certificate::ReplicaSet;
use certificate::cluster::Cluster;
use certificate::codec::Encode;
use certificate::leaf::{Class, Leaf, Outcome, Policy, Subject};

use crate::counted::{self, Observation, counted};
use crate::extra;
use crate::observation::Observed;

/// How long a certified failure holds, in seconds. RFC 9520 §3.2 asks for at least 1 s and allows 5 min.
pub const FAILURE_TTL_SECONDS: u32 = 5;

/// How long "no agreement" holds, in seconds: the least that RFC 9520 §3.2 allows, since the next round may well agree.
pub const NO_AGREEMENT_TTL_SECONDS: u32 = 1;

/// What one rule found.
pub(crate) struct Finding {
    pub(crate) class: Class,
    pub(crate) outcome: Outcome,
    pub(crate) ttl: u32,
    pub(crate) support: ReplicaSet,
    /// The records served beside an answer, in the form of [`crate::extra`].
    pub(crate) extra: Vec<u8>,
    /// What stands in the leaf's verdict.
    pub(crate) verdict: Vec<u8>,
}

impl Finding {
    /// No agreement.
    pub(crate) fn nothing() -> Finding {
        Finding {
            class: Class::NoAgreement,
            outcome: Outcome::None,
            ttl: NO_AGREEMENT_TTL_SECONDS,
            support: ReplicaSet::EMPTY,
            extra: Vec::new(),
            verdict: Vec::new(),
        }
    }

    /// The agreement that there is no value.
    pub(crate) fn failure(rcode: u8, support: ReplicaSet) -> Finding {
        Finding {
            class: Class::Failure,
            outcome: Outcome::Failure(rcode),
            ttl: FAILURE_TTL_SECONDS,
            support,
            ..Finding::nothing()
        }
    }
}

/// The observations of one operation, and what they are judged by.
pub(crate) struct Round<'a, T = Observed> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) policy: Policy,
    /// The members whose observations are included, those that do not count among them.
    pub(crate) observers: ReplicaSet,
    /// The observations that count, lowest replica first.
    pub(crate) counted: Vec<Observation<'a, T>>,
    /// The lower median of their times.
    pub(crate) time_ms: u64,
}

impl<'a, T: Encode> Round<'a, T> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        policy: Policy,
        observations: &[Observation<'a, T>],
    ) -> Round<'a, T> {
        let counted = counted(cluster, observations);
        let included = observations.iter().map(|observation| observation.replica);
        let observers = included.filter(|replica| cluster.replicas.contains(*replica)).collect();
        let time_ms = counted::lower_median(&counted);
        Round { cluster, policy, observers, counted, time_ms }
    }

    /// Whether enough observations count for anything to be decided.
    pub(crate) fn has_quorum(&self) -> bool {
        self.counted.len() >= self.cluster.replicas.quorum()
    }

    /// t: how many equal observations the policy asks for.
    pub(crate) fn threshold(&self) -> usize {
        threshold(self.cluster, self.policy, self.counted.len())
    }

    /// The class of a value with so many supporters, of at least [`Round::threshold`].
    pub(crate) fn class_of(&self, supporters: usize) -> Class {
        if supporters >= self.cluster.replicas.quorum() { Class::Strong } else { Class::Corroborated }
    }

    /// Writes down what was found about `subject`.
    pub(crate) fn leaf(&self, subject: Subject, finding: Finding) -> Leaf {
        let ttl = finding.ttl.min(self.cluster.ttl_max_s);
        let groups = self.cluster.groups_of(finding.support);
        let answered = finding.class >= Class::Records;
        Leaf {
            subject,
            class: finding.class,
            policy: self.policy,
            single_path: answered && groups.count_ones() < self.cluster.min_groups,
            outcome: finding.outcome,
            extra_digest: extra::digest(&finding.extra),
            ttl,
            time_ms: self.time_ms,
            not_after_ms: self.time_ms.saturating_add(u64::from(ttl) * 1000),
            support: finding.support,
            groups,
            observers: self.observers,
            verdict: finding.verdict,
        }
    }
}

/// How many equal observations `policy` asks for when `counted` count. `strong` a quorum; otherwise a majority of those that count, and f+1.
pub(crate) fn threshold(cluster: &Cluster, policy: Policy, counted: usize) -> usize {
    match policy {
        Policy::Strong => cluster.replicas.quorum(),
        _ => (counted / 2 + 1).max(cluster.replicas.weak_quorum()),
    }
}
