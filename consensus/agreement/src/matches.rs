//! Whether a response that was received says what a leaf says: the last step of checking an answer against its certificate.

use certificate::leaf::{Leaf, Outcome, RrSet};
use certificate::name::Presentation;
use certificate::question::TypeName;
use hickory_proto::op::Message;
use thiserror::Error;

use crate::canonical::{self, Unusable};
use crate::observation::ObservedOutcome;
use crate::rdata::rtype;
use crate::serve::rcode;

/// How a response differs from a leaf.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// The leaf is not about a DNS question.
    #[error("certificate is not about a DNS question")]
    OtherKind,
    /// The response does not carry exactly the leaf's question.
    #[error("response is to another question than the certificate's")]
    Question,
    /// The response cannot be read as an answer.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The rcodes differ.
    #[error("expected rcode {expected}, found {found}")]
    Rcode {
        /// By the leaf.
        expected: u8,
        /// In the response.
        found: u16,
    },
    /// The records differ.
    #[error("records are not those of the certificate")]
    Records,
    /// A TTL is longer than what is left of the certified one.
    #[error("{} {}: expected a TTL of at most {expected} s, found {found}", Presentation(owner), TypeName(*rtype))]
    Ttl {
        /// Owner of the RRset, or the denied zone.
        owner: Vec<u8>,
        /// Its type; SOA for a denial.
        rtype: u16,
        /// What is left, in seconds.
        expected: u32,
        /// What came.
        found: u32,
    },
}

/// Compares `response` with `leaf` at `now_ms`, milliseconds since 1970.
///
/// The same question, the same rcode, the same RRsets in canonical form, and no TTL longer than what is left of the certified one, rounded up. The caller
/// takes for `now_ms` the time at which it asked, less the grace it gives to differing clocks.
///
/// Errors: the first difference. Whether the leaf itself is certified and still valid is `certificate::verify`'s to say.
pub fn matches(leaf: &Leaf, response: &Message, now_ms: u64) -> Result<(), Mismatch> {
    let question = leaf.question().ok_or(Mismatch::OtherKind)?;
    if !matches!(response.queries.as_slice(), [query] if canonical::asks(question, query)) {
        return Err(Mismatch::Question);
    }
    let expected = rcode(&leaf.outcome);
    let found = u16::from(response.metadata.response_code);
    if found != u16::from(expected) {
        return Err(Mismatch::Rcode { expected, found });
    }
    let Some(certified) = leaf.outcome.rrsets() else {
        return Ok(());
    };
    let received = canonical::read(question, response)?.outcome;
    if !received.same_value(&as_observed(&leaf.outcome)) {
        return Err(Mismatch::Records);
    }
    let left = |ttl: u32| left_seconds(leaf.time_ms, ttl, now_ms);
    for (certified, received) in certified.iter().zip(received.rrsets()) {
        let RrSet { owner, rtype, .. } = certified.clone();
        let (expected, found) = (left(certified.ttl), received.ttl);
        if found > expected {
            return Err(Mismatch::Ttl { owner, rtype, expected, found });
        }
    }
    match received {
        ObservedOutcome::Negative { zone: owner, ttl: found, .. } if found > left(leaf.ttl) => {
            Err(Mismatch::Ttl { owner, rtype: rtype::SOA, expected: left(leaf.ttl), found })
        }
        _ => Ok(()),
    }
}

/// Whether a lookup came to what `leaf` says, whatever the TTLs.
pub fn same_answer(leaf: &Leaf, outcome: &ObservedOutcome) -> bool {
    outcome.same_value(&as_observed(&leaf.outcome))
}

/// What is left at `now_ms` of `ttl` seconds that began at `time_ms`, rounded up to seconds.
fn left_seconds(time_ms: u64, ttl: u32, now_ms: u64) -> u32 {
    let end_ms = time_ms.saturating_add(u64::from(ttl) * 1000);
    let left = end_ms.saturating_sub(now_ms.max(time_ms)).div_ceil(1000);
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// The value of an agreed outcome, as an observation has it.
fn as_observed(outcome: &Outcome) -> ObservedOutcome {
    match outcome.clone() {
        Outcome::Answer(rrsets) => ObservedOutcome::Answer(rrsets),
        Outcome::Negative { chain, denial, zone, minimum } => {
            ObservedOutcome::Negative { chain, denial, zone, minimum, ttl: 0 }
        }
        Outcome::Failure(rcode) => ObservedOutcome::Failure(rcode),
        Outcome::None => ObservedOutcome::Failure(rcode(&Outcome::None)),
    }
}
