//! What DNSSEC proves, as far as the decision needs to know. A mere claim of `secure` proves nothing; a validator says what does.

use certificate::leaf::Question;

use crate::counted::Observation;
use crate::extra;
use crate::observation::{Dnssec, Observed, ObservedOutcome};
use crate::rdata::{self, rtype};

/// Judges the proofs that observations carry. Pure: the same answer at every replica, whatever its clock, which is why the time is an argument.
pub trait Proofs {
    /// Whether the records in `observed` prove its value by a chain of signatures valid at `time_ms` from a configured trust anchor.
    fn validates(&self, question: &Question, observed: &Observed, time_ms: u64) -> bool;

    /// Whether they prove at least that the question's zone is signed, so that an unsigned value for it is a forgery. A value that validates proves
    /// it anyway; this is for an observation that holds the proof and lacks the value.
    fn signed(&self, _question: &Question, _observed: &Observed, _time_ms: u64) -> bool {
        false
    }
}

/// Believes no proof: every claim of `secure` counts as any other value.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProofs;

impl Proofs for NoProofs {
    fn validates(&self, _: &Question, _: &Observed, _: u64) -> bool {
        false
    }
}

/// What the proofs among the observations say together.
pub(crate) struct Proven<'a> {
    /// The observations whose value is proven.
    pub(crate) secure: Vec<Observation<'a>>,
    /// Whether the zone is proven to be signed. Then a value that is not proven counts for nothing, however many saw it.
    pub(crate) signed: bool,
}

/// Asks `proofs` about every observation of a value.
pub(crate) fn proven<'a>(
    proofs: &dyn Proofs,
    question: &Question,
    counted: &[Observation<'a>],
    time_ms: u64,
) -> Proven<'a> {
    let with_value = |observation: &&Observation<'a>| {
        matches!(observation.observed.outcome, ObservedOutcome::Answer(_) | ObservedOutcome::Negative { .. })
    };
    let validates = |observation: &&Observation<'a>| {
        observation.observed.dnssec == Dnssec::Secure
            && proofs.validates(question, observation.observed, time_ms)
    };
    let secure: Vec<_> = counted.iter().filter(with_value).filter(validates).copied().collect();
    let shows_signed = |observation: &Observation<'a>| proofs.signed(question, observation.observed, time_ms);
    let signed = !secure.is_empty() || counted.iter().any(shows_signed);
    Proven { secure, signed }
}

/// When the newest signature beside an observation began to be valid, in seconds since 1970; 0 without any. Orders two proven values.
pub(crate) fn newest_inception(observed: &Observed) -> u32 {
    let records = extra::decode(&observed.extra).unwrap_or_default();
    let signatures = records.iter().filter(|record| record.rtype == rtype::RRSIG);
    signatures.filter_map(|record| rdata::rrsig_inception(&record.rdata)).max().unwrap_or(0)
}
