//! Which values the counted observations hold, and who holds them.

use certificate::ReplicaSet;
use certificate::leaf::{Outcome, Question, RrSet};

use crate::counted::Observation;
use crate::observation::{Dnssec, Observed, ObservedOutcome};

/// A value and its supporters.
pub(crate) struct Tally<'a> {
    /// The supporters' observations, lowest replica first. Never empty.
    pub(crate) supporters: Vec<Observation<'a>>,
}

impl<'a> Tally<'a> {
    /// The value, with the TTLs of the supporter with the lowest id.
    pub(crate) fn value(&self) -> &'a ObservedOutcome {
        &self.supporters[0].observed.outcome
    }

    /// The supporters as a set.
    pub(crate) fn support(&self) -> ReplicaSet {
        self.supporters.iter().map(|supporter| supporter.replica).collect()
    }

    /// The value with the least TTL that any supporter signed, RRset by RRset, none above `ttl_max`; and the least of them all.
    ///
    /// `None` for a failure, which is no value.
    pub(crate) fn outcome(&self, ttl_max: u32) -> Option<(Outcome, u32)> {
        let least = |index: usize| {
            let ttls = self.supporters.iter().map(|supporter| supporter.observed.outcome.rrsets()[index].ttl);
            ttls.min().unwrap_or(0).min(ttl_max)
        };
        let capped = |rrsets: &[RrSet]| -> Vec<RrSet> {
            rrsets
                .iter()
                .enumerate()
                .map(|(index, rrset)| RrSet { ttl: least(index), ..rrset.clone() })
                .collect()
        };
        let rrsets = capped(self.value().rrsets());
        let least_of_all = rrsets.iter().map(|rrset| rrset.ttl).min().unwrap_or(ttl_max);
        match self.value() {
            ObservedOutcome::Answer(_) => Some((Outcome::Answer(rrsets), least_of_all)),
            ObservedOutcome::Negative { denial, zone, minimum, .. } => {
                let ttl =
                    self.supporters.iter().map(|supporter| denial_ttl(supporter.observed)).min().unwrap_or(0);
                let outcome = Outcome::Negative {
                    chain: rrsets,
                    denial: *denial,
                    zone: zone.clone(),
                    minimum: *minimum,
                };
                Some((outcome, ttl.min(least_of_all)))
            }
            ObservedOutcome::Failure(_) | ObservedOutcome::TimedOut | ObservedOutcome::TooLarge => None,
        }
    }
}

/// How long one observation says that its denial holds. RFC 2308 §5.
fn denial_ttl(observed: &Observed) -> u32 {
    match observed.outcome {
        ObservedOutcome::Negative { ttl, .. } => ttl,
        _ => 0,
    }
}

/// Whether the observer stands behind a value. Not behind a failure, and not behind what it found bogus itself, unless the client said that it checks (CD).
pub(crate) fn vouches(question: &Question, observed: &Observed) -> bool {
    let bogus = observed.dnssec == Dnssec::Bogus && question.flags & Question::CHECKING_DISABLED == 0;
    !bogus && matches!(observed.outcome, ObservedOutcome::Answer(_) | ObservedOutcome::Negative { .. })
}

/// Groups equal values. The order of the result is that of each value's lowest supporter.
pub(crate) fn tally<'a>(observations: impl IntoIterator<Item = Observation<'a>>) -> Vec<Tally<'a>> {
    let mut tallies: Vec<Tally<'a>> = Vec::new();
    for observation in observations {
        let same = tallies.iter_mut().find(|tally| tally.value().same_value(&observation.observed.outcome));
        match same {
            Some(tally) => tally.supporters.push(observation),
            None => tallies.push(Tally { supporters: vec![observation] }),
        }
    }
    tallies
}
