//! What the filter's statistics say of each peer beyond packets: how it behaves, as far as only the program can see it.

use std::collections::BTreeMap;

use certificate::{ReplicaId, ReplicaSet};
use detector::{Assessment, FaultClass, Offence, Reason};
use pbft::Fault;
use peer_filter::{Behaviour, PeerFilter};

/// Keeps the filter's statistics of behaviour.
pub(super) struct Conduct {
    filter: PeerFilter,
    /// Whose last word was a fault.
    faulty: ReplicaSet,
    /// How often each was late, or sent too much, as far as the filter was told.
    violations: BTreeMap<ReplicaId, u64>,
}

impl Conduct {
    /// The filter counts from its own start: what the assessments of an earlier run have is not told again, but for the reputations.
    pub(super) fn new(filter: PeerFilter, assessments: &[Assessment]) -> Conduct {
        let violations = assessments.iter().map(|it| (it.replica, timing_violations(it))).collect();
        let conduct = Conduct { filter, faulty: ReplicaSet::EMPTY, violations };
        conduct.tell_reputations(assessments);
        conduct
    }

    /// Tells reputations, and how often each was late, or sent too much, since the filter heard of it last.
    pub(super) fn tell(&mut self, assessments: &[Assessment]) {
        self.tell_reputations(assessments);
        for it in assessments {
            let now = timing_violations(it);
            let before = self.violations.insert(it.replica, now).unwrap_or(0);
            for _ in before..now {
                self.faulty.insert(it.replica);
                self.filter.behaviour(it.replica.0, Behaviour::TimingViolation);
            }
        }
    }

    /// Tells of a fault that was seen in a message.
    pub(super) fn fault(&mut self, fault: &Fault) {
        let Some((replica, offence)) = Offence::of(fault) else { return };
        let behaviour = match offence {
            Offence::InvalidSignature => Behaviour::InvalidSignature,
            _ if fault.is_proof() => Behaviour::ContradictoryResponse,
            _ => return,
        };
        self.faulty.insert(replica);
        self.filter.behaviour(replica.0, behaviour);
    }

    /// Tells of those whose last word was a fault, and who have now voted as they should.
    pub(super) fn voted(&mut self, signers: ReplicaSet) {
        let better: Vec<ReplicaId> = signers.iter().filter(|it| self.faulty.contains(*it)).collect();
        for replica in better {
            self.filter.behaviour(replica.0, Behaviour::Faultless);
            self.faulty.0 &= !(1 << replica.0);
        }
    }

    fn tell_reputations(&self, assessments: &[Assessment]) {
        for it in assessments {
            self.filter.behaviour(it.replica.0, Behaviour::Reputation(it.reputation.score));
        }
    }
}

/// How often a peer was late, or sent too much.
fn timing_violations(assessment: &Assessment) -> u64 {
    let offences = assessment.statistics.offences.iter();
    let timing = offences.filter(|(offence, _)| offence.class() == FaultClass::Timing);
    timing.map(|(_, count)| count).sum()
}

/// The number under which the filter's statistics have a reason: 1 for signatures, from 2 on the offences that are proven.
pub(super) fn reason_number(reason: Reason) -> u32 {
    match reason {
        Reason::InvalidSignatures(_) => 1,
        Reason::Proven(offence) => {
            let place = Offence::ALL.iter().position(|known| *known == offence);
            2 + place.map_or(0, |place| place as u32)
        }
    }
}
